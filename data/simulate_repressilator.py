"""Simulate the repressilator's data: `python simulate_repressilator.py NAME > NAME.csv`.

A three-gene repressilator in log-concentrations with normal noise of sd 0.3; NAME is one of
`EXPERIMENTS`.
"""

import sys

import numpy as np
from scipy.integrate import solve_ivp

S = np.log([10.0, 10.0, 10.0])
D = np.array([0.0, 0.0, 0.0])
START = [0.0, np.log(1.2), 0.0]
SIGMA = 0.3
SEED = 2025
EXPERIMENTS = {  # Hill coefficient, last time, number of times, observed genes
    "repressilator": (2.0, 15.0, 20, 1),
    "repressilator_all": (2.0, 15.0, 20, 3),
    "repressilator_long": (3.0, 30.0, 30, 1),
}


def slope(t, x, h):
    """dx_i/dt = exp(s_i − x_i)/(1 + exp(h·x_{i−1})) − exp(d_i)."""
    before = np.roll(x, 1)
    return np.exp(S - x) / (1.0 + np.exp(h * before)) - np.exp(D)


h, end, n, genes = EXPERIMENTS[sys.argv[1]]
times = np.linspace(0.0, end, n + 1)[1:]
solved = solve_ivp(slope, (0.0, end), START, "DOP853", times, args=(h,), rtol=1e-10, atol=1e-10)
noise = SIGMA * np.random.default_rng(SEED).standard_normal((genes, n))
sys.stdout.write(",".join(["t", *(f"x{i + 1}" for i in range(genes))]) + "\n")
for time, values in zip(times, (solved.y[:genes] + noise).T, strict=True):
    sys.stdout.write(",".join([f"{time:.2f}", *(f"{v:.4f}" for v in values)]) + "\n")
