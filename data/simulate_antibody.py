"""Simulate the antibody's data: `python simulate_antibody.py NAME > antibody_NAME.csv`.

An antibody binds its target within minutes and is cleared over weeks; two boluses, lognormal noise
of 0.15. NAME is `low` (10 nM per bolus; drug and free target) or `high` (100 nM; drug only, and the
assay reads 1.3 times too much).
"""

import sys

import numpy as np
from scipy.integrate import solve_ivp

CLEARANCE, TURNOVER, INTERNAL, TARGET = 0.08, 0.5, 0.3, 4.0
ON, DISSOCIATION = 100.0, 0.2
SIGMA = 0.15
SECOND = 14.0
SEED = {"low": 1, "high": 2}
DOSE = {"low": 10.0, "high": 100.0}
SCALE = {"low": 1.0, "high": 1.3}
TIMES = np.array([0.25, 1, 3, 5, 7, 10, 13, 14.25, 15, 17, 19, 21, 24, 28])


def slope(t, y):
    """Free drug, free target and their complex, in nM; time in days."""
    drug, target, bound = y
    binding = ON * (drug * target - DISSOCIATION * bound)
    return (
        -CLEARANCE * drug - binding,
        TURNOVER * (TARGET - target) - binding,
        binding - INTERNAL * bound,
    )


def solve(start, begin, end, times):
    """States at `times` and at the end."""
    found = solve_ivp(slope, (begin, end), start, "Radau", [*times, end], rtol=1e-10, atol=1e-10)
    return found.y[:, :-1], found.y[:, -1]


name = sys.argv[1]
first, at_second = solve((DOSE[name], TARGET, 0.0), 0.0, SECOND, TIMES[TIMES < SECOND])
after = at_second + np.array([DOSE[name], 0.0, 0.0])
second, _ = solve(after, SECOND, TIMES[-1] + 1.0, TIMES[TIMES > SECOND])
drug, target, bound = np.concatenate([first, second], axis=1)
columns = {"total": SCALE[name] * (drug + bound), "target": target}
if name == "high":
    del columns["target"]
noise = np.exp(SIGMA * np.random.default_rng(SEED[name]).standard_normal((2, len(TIMES))))
sys.stdout.write(",".join(["day", *columns]) + "\n")
for i, day in enumerate(TIMES):
    measured = (values[i] * noise[k, i] for k, values in enumerate(columns.values()))
    sys.stdout.write(",".join([f"{day:g}", *(f"{v:.4g}" for v in measured)]) + "\n")
