"""Logistic growth, one call a draw (answer: table): python3 call.py TIMES OUT

The parameters are in params.json in the working folder; TIMES is a file with a time on each line.
"""

import csv
import json
import math
import sys
from pathlib import Path


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
    """Read the parameters and times, and write the table."""
    p = json.loads(Path("params.json").read_text(encoding="utf-8"))
    times = [float(word) for word in Path(sys.argv[1]).read_text(encoding="utf-8").split()]
    observables = simulate(p, times)
    with Path(sys.argv[2]).open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["t", *observables])
        table.writerows(zip(times, *observables.values(), strict=True))


if __name__ == "__main__":
    main()
