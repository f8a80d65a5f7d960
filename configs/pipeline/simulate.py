"""Simulate growth to a limit, K/(1 + (K/n0 - 1)·exp(-r·t)), seen with 8 % log-normal noise."""

import csv
import sys

import numpy as np

K, N0, R, SIGMA = 10.0, 0.4, 0.6, 0.08
times = np.arange(0.0, 15.0)
sizes = K / (1.0 + (K / N0 - 1.0) * np.exp(-R * times))
seen = sizes * np.exp(SIGMA * np.random.default_rng(1).standard_normal(len(times)))
writer = csv.writer(sys.stdout, lineterminator="\n")
writer.writerow(["t", "n"])
writer.writerows((f"{t:g}", f"{n:.4f}") for t, n in zip(times, seen, strict=True))
