"""The repressilator of configs/repressilator.yaml, integrated here (standard library only).

As a program that stays (protocol: lines):  python3 repressilator.py
One call a draw (answer: table):            python3 repressilator.py --once TIMES s1 s2 ... h3
"""

import json
import math
import sys
from pathlib import Path

# ---- your model: replace this part ----
PARAMETERS = ("s1", "s2", "s3", "d1", "d2", "d3", "h1", "h2", "h3")
STATES = ("x1", "x2", "x3")
START_TIME = 0.0


def start_values(p):
    """The states at the start."""
    return [0.0, math.log(1.2), 0.0]


def make_slope(p):
    """The function from the states to their derivatives."""
    s1, s2, s3, d1, d2, d3, h1, h2, h3 = (p[name] for name in PARAMETERS)
    e1, e2, e3 = math.exp(d1), math.exp(d2), math.exp(d3)
    exp = math.exp

    def slope(x):
        x1, x2, x3 = x
        return (
            exp(s1 - x1) / (1.0 + exp(h1 * x3)) - e1,
            exp(s2 - x2) / (1.0 + exp(h2 * x1)) - e2,
            exp(s3 - x3) / (1.0 + exp(h3 * x2)) - e3,
        )

    return slope


# ---- end of your model ----

# The method of Dormand and Prince, of order 5 with an error of order 4.
STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
ERRORS = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)
TOLERANCE = 1e-10  # of a step, absolute and relative
MOST_STEPS = 100_000


def dormand_prince(slope, x, first, step):
    """One step: the new states, the slope there, and the error over what is tolerated."""
    slopes, new = [first], x
    try:
        for weights in STAGES:
            new = [
                a + step * sum(w * k for w, k in zip(weights, ks, strict=True))
                for a, ks in zip(x, zip(*slopes, strict=True), strict=True)
            ]
            slopes.append(slope(new))
    except OverflowError:  # of exp: the step is too long
        return x, first, math.inf
    error = 0.0
    for a, b, ks in zip(x, new, zip(*slopes, strict=True), strict=True):
        size = step * sum(w * k for w, k in zip(ERRORS, ks, strict=True))
        if not (math.isfinite(size) and math.isfinite(b)):
            return x, first, math.inf
        error = max(error, abs(size) / (TOLERANCE * (1.0 + max(abs(a), abs(b)))))
    return new, slopes[-1], error


def simulate(p, times):
    """The states at the times, which must not go back."""
    slope, t, x, step = make_slope(p), START_TIME, start_values(p), 1e-3
    first, steps, columns = slope(x), 0, [[] for _ in x]
    for end in times:
        if end < t:
            raise ValueError("the times must ascend from the start")
        while t < end:
            steps += 1
            if steps > MOST_STEPS:
                raise ArithmeticError(f"no end after {MOST_STEPS} steps, at time {t}")
            length = min(step, end - t)
            new, last, error = dormand_prince(slope, x, first, length)
            factor = min(5.0, 0.9 * error**-0.2) if error > 0.0 else 5.0
            if error <= 1.0:
                t, x, first = (end if length == end - t else t + length), new, last
                if length == step or factor < 1.0:  # a step cut short says little of the next
                    step = length * factor
            else:
                step = length * max(factor, 0.1)
        for column, value in zip(columns, x, strict=True):
            column.append(value)
    return dict(zip(STATES, columns, strict=True))


def stay():
    """Answer every line with a line until the input ends."""
    first = sys.stdin.readline()
    if not first:
        return
    times = json.loads(first)["experiments"][""]["times"]
    for line in sys.stdin:
        draw = json.loads(line)
        try:
            answer = {"observables": simulate(draw["parameters"], times)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps({"id": draw.get("id"), **answer}) + "\n")
        sys.stdout.flush()


def once(times_file, *values):
    """Write the table of one draw."""
    times = [float(word) for word in Path(times_file).read_text(encoding="utf-8").split()]
    p = dict(zip(PARAMETERS, map(float, values), strict=True))
    columns = simulate(p, times)
    sys.stdout.write(",".join(["t", *columns]) + "\n")
    for row in zip(times, *columns.values(), strict=True):
        sys.stdout.write(",".join(map(repr, row)) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--once"]:
        once(*sys.argv[2:])
    else:
        stay()
