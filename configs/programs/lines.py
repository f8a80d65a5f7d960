"""Logistic growth as a program that stays: a JSON line in, a JSON line out (protocol: lines).

Only the standard library is needed. Replace `simulate`; the rest can stay as it is.
"""

import json
import math
import sys


# ---- your model: replace this function ----
def simulate(p, times):
    """A list for each observable, with one value for each time; p has the parameters by name."""
    if p["x0"] <= 0.0:
        raise ValueError("x0 must be positive")  # any exception makes this one draw fail
    values = []
    for t in times:
        values.append(p["K"] / (1.0 + (p["K"] / p["x0"] - 1.0) * math.exp(-p["r"] * t)))
    return {"x": values}


# ---- end of your model ----


def main():
    """Answer every line with a line until the input ends."""
    answers = sys.stdout
    sys.stdout = sys.stderr  # so that a print in the model cannot spoil an answer
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
        answers.write(json.dumps({"id": draw.get("id"), **answer}) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
