"""Simulate repressilator.csv: `python simulate_repressilator.py > repressilator.csv`.

Gene 1 of a three-gene repressilator in log-concentrations, 20 times, normal noise of sd 0.3.
"""

import sys

import numpy as np
from scipy.integrate import solve_ivp

S = np.log([10.0, 10.0, 10.0])
D = np.array([0.0, 0.0, 0.0])
H = np.array([2.0, 2.0, 2.0])
START = [0.0, np.log(1.2), 0.0]
SIGMA = 0.3
SEED = 2025


def slope(t, x):
    """dx_i/dt = exp(s_i − x_i)/(1 + exp(h_i·x_{i−1})) − exp(d_i)."""
    before = np.roll(x, 1)
    return np.exp(S - x) / (1.0 + np.exp(H * before)) - np.exp(D)


times = np.linspace(0.0, 15.0, 21)[1:]
solved = solve_ivp(slope, (0.0, 15.0), START, "DOP853", times, rtol=1e-10, atol=1e-10)
noisy = solved.y[0] + SIGMA * np.random.default_rng(SEED).standard_normal(len(times))
sys.stdout.write("t,x1\n")
for time, value in zip(times, noisy, strict=True):
    sys.stdout.write(f"{time:.2f},{value:.4f}\n")
