"""Likelihoods and simulators of the accuracy table, for torch tensors and numpy arrays alike.

Random centres and correlations come from fixed seeds. `tests/accuracy/exact.py` integrates them.
"""

import math
from pathlib import Path

import numpy as np
import torch

LOG_2PI = math.log(2.0 * math.pi)
HERE = Path(__file__).parent


def library(x):
    """numpy or torch, whichever made x."""
    return torch if isinstance(x, torch.Tensor) else np


def log_sum(x):
    """log Σ exp(x) over the last axis."""
    most = library(x).amax(x, axis=-1)
    return most + library(x).log(library(x).exp(x - most[..., None]).sum(axis=-1))


def log_normal(x, mean, sd):
    """The log-density of normal variables; sd is a number or an array of x's library."""
    log_sd = library(sd).log(sd) if isinstance(sd, torch.Tensor | np.ndarray) else math.log(sd)
    return -0.5 * ((x - mean) / sd) ** 2 - log_sd - 0.5 * LOG_2PI


def log_cauchy(x, scale):
    """The log-density of Cauchy variables around 0."""
    return -library(x).log1p((x / scale) ** 2) - math.log(math.pi * scale)


def apart(rng, n, d, reach, least):
    """n centres in ±reach, (n, d), at least `least` from one another."""
    centres = []
    while len(centres) < n:
        new = rng.uniform(-reach, reach, d)
        if all(np.linalg.norm(new - c) >= least for c in centres):
            centres.append(new)
    return np.array(centres)


FIVE_MASSES = np.array([0.4, 0.25, 0.2, 0.1, 0.05])
FIVE_SDS = np.array([0.6, 0.9, 0.15, 0.4, 0.25])
FIVE_CENTRES = apart(np.random.default_rng(11), 5, 4, 5.0, 4.5)


def _random_factors(seed, sds, d):
    """Inverse Cholesky factors of covariances sd²·(random correlation), and their log-dets."""
    rng, factors = np.random.default_rng(seed), []
    for sd in sds:
        a = rng.standard_normal((d, 2 * d))
        covariance = a @ a.T
        scale = np.sqrt(np.diag(covariance))
        factors.append(np.linalg.inv(np.linalg.cholesky(covariance / np.outer(scale, scale)) * sd))
    return np.array(factors)


FIVE_FACTORS = _random_factors(12, FIVE_SDS, 4)


def five_parts(x):
    """log mass·density of each of five correlated Gaussians, (n, 5)."""
    xp = library(x)
    factors = xp.asarray(FIVE_FACTORS)
    white = xp.einsum("kij,nkj->nki", factors, x[:, None] - xp.asarray(FIVE_CENTRES))
    log_det = np.log(np.diagonal(FIVE_FACTORS, axis1=1, axis2=2)).sum(axis=1)
    constant = np.log(FIVE_MASSES) + log_det - 2.0 * LOG_2PI
    return xp.asarray(constant) - 0.5 * (white**2).sum(axis=2)


def five_gaussians(parameters):
    """Five unequal, correlated Gaussians in four dimensions."""
    return log_sum(five_parts(parameters["x"]))


FORTY_CENTRES = np.random.default_rng(50).uniform(-40.0, 40.0, (40, 50))


def forty_gaussians(parameters):
    """40 equal Gaussians of standard deviation 1.313 in 50 dimensions."""
    x = parameters["x"]
    xp = library(x)
    c = xp.asarray(FORTY_CENTRES)
    square = (x**2).sum(axis=1)[:, None] - 2.0 * x @ c.T + (c**2).sum(axis=1)
    constant = -math.log(40.0) - 25.0 * LOG_2PI - 50.0 * math.log(1.313)
    return log_sum(-0.5 * square / 1.313**2) + constant


def free_funnel(parameters):
    """Neal's funnel without bounds: the wide prior of the x is divided out."""
    v, x = parameters["v"][:, None], parameters["x"]
    return (log_normal(x, 0.0, library(x).exp(0.5 * v)) - log_cauchy(x, 5.0)).sum(axis=1)


TEN_MASSES = np.arange(1, 11) / 55.0
TEN_CENTRES = apart(np.random.default_rng(21), 10, 5, 20.0, 12.0)
TEN_SCALES = np.random.default_rng(22).uniform(0.3, 1.0, (10, 5))
TEN_DF = 4.0


def ten_parts(x):
    """log mass·density of each of ten products of Student-t densities, (n, 10)."""
    xp = library(x)
    r = (x[:, None] - xp.asarray(TEN_CENTRES)) / xp.asarray(TEN_SCALES)
    one = math.lgamma(0.5 * (TEN_DF + 1)) - math.lgamma(0.5 * TEN_DF)
    one -= 0.5 * math.log(TEN_DF * math.pi)
    constant = np.log(TEN_MASSES) - np.log(TEN_SCALES).sum(axis=1) + TEN_SCALES.shape[1] * one
    tails = xp.log1p(r**2 / TEN_DF).sum(axis=2)
    return xp.asarray(constant) - 0.5 * (TEN_DF + 1.0) * tails


def ten_students(parameters):
    """Ten unequal modes with heavy tails in five dimensions."""
    return log_sum(ten_parts(parameters["x"]))


SCHOOLS_Y = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
SCHOOLS_SD = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])


def _schools(theta):
    xp = library(theta)
    return log_normal(xp.asarray(SCHOOLS_Y), theta, xp.asarray(SCHOOLS_SD)).sum(axis=1)


def schools_noncentred(parameters):
    """Eight schools whose effects are mu + tau·z."""
    mu, tau = parameters["mu"][:, None], parameters["tau"][:, None]
    return _schools(mu + tau * parameters["z"])


def schools_centred(parameters):
    """Eight schools by their effects, whose own distribution is a part of the likelihood."""
    mu, tau, theta = parameters["mu"][:, None], parameters["tau"][:, None], parameters["theta"]
    return _schools(theta) + log_normal(theta, mu, tau).sum(axis=1)


RING_RADIUS, RING_WIDTH = 5.0, 0.1
RING_SDS = np.linspace(0.2, 1.5, 8)


def ring(parameters):
    """A thin ring in the first two dimensions, Gaussians of unequal widths in the other eight."""
    x = parameters["x"]
    xp = library(x)
    radius = xp.sqrt((x[:, :2] ** 2).sum(axis=1) + 1e-300)
    others = log_normal(x[:, 2:], 0.0, xp.asarray(RING_SDS)).sum(axis=1)
    return log_normal(radius, RING_RADIUS, RING_WIDTH) + others


GRID = np.stack(
    np.meshgrid([-4.0, 4.0], [-6.0, 0.0, 6.0], [-8.0, -4.0, 0.0, 4.0, 8.0], indexing="ij"), axis=-1
).reshape(30, 3)


def grid(parameters):
    """30 equal modes of standard deviation 0.25 on a grid of 2·3·5."""
    x = parameters["x"]
    square = ((x[:, None] - library(x).asarray(GRID)) ** 2).sum(axis=2)
    return log_sum(-0.5 * square / 0.25**2) - math.log(30.0) - 1.5 * LOG_2PI - 3 * math.log(0.25)


SPIKE_AT, SPIKE_SD, HILL_AT, HILL_SD = 1.0, 0.185, -1.0, 1.5


def spike_parts(x):
    """log of half the density of the spike and of the hill, (n, 2)."""
    spike = log_normal(x, SPIKE_AT, SPIKE_SD).sum(axis=1) - math.log(2.0)
    hill = log_normal(x, HILL_AT, HILL_SD).sum(axis=1) - math.log(2.0)
    return library(x).stack([spike, hill], axis=1)


def spike(parameters):
    """A spike of 1e-4 of the volume, (2π)^1.5·sd³ of 10³, on the slope of a broad hill."""
    return log_sum(spike_parts(parameters["x"]))


THREE_DATA = np.loadtxt(HERE / "three_normals.csv", delimiter=",", skiprows=1)


def three_normals(parameters):
    """A mixture of three normal densities whose weights are normalised gamma variables."""
    mean, sd, share = parameters["mean"], parameters["sd"], parameters["share"]
    xp = library(mean)
    weight = xp.log(share) - xp.log(share.sum(axis=1))[:, None]
    y = xp.asarray(THREE_DATA)[:, None]
    parts = weight[:, None] + log_normal(y, mean[:, None], sd[:, None])
    return log_sum(parts).sum(axis=1)


BROWNIAN = np.loadtxt(HERE / "brownian.csv", delimiter=",", skiprows=1)


def brownian(parameters):
    """A random walk of 30 steps, seen at the first and last ten of its points."""
    step, noise = parameters["step"][:, None], parameters["noise"][:, None]
    walk = step * parameters["z"].cumsum(axis=1)
    at, y = BROWNIAN.T
    seen = walk[:, at.astype(int) - 1]
    return log_normal(library(walk).asarray(y), seen, noise).sum(axis=1)


CREDIT = np.loadtxt(HERE / "german_credit.csv", delimiter=",", skiprows=1)
CREDIT_X = np.column_stack(
    [(CREDIT[:, :-1] - CREDIT[:, :-1].mean(axis=0)) / CREDIT[:, :-1].std(axis=0), np.ones(1000)]
)
CREDIT_SIGN = np.where(CREDIT[:, -1] == 1, 1.0, -1.0)


def german_credit(parameters):
    """Logistic regression on 24 standardised numbers and a constant."""
    weights = parameters["weights"]
    xp = library(weights)
    margin = weights @ xp.asarray((CREDIT_X * CREDIT_SIGN[:, None]).T)
    return -xp.logaddexp(xp.zeros_like(margin), -margin).sum(axis=1)


LINES = np.loadtxt(HERE / "lines.csv", delimiter=",", skiprows=1)
LINES_T, LINES_Y = LINES[:, 0], LINES[:, 1:].T


def lines(parameters):
    """20 lines whose intercepts and slopes have normal distributions of unknown spread."""
    p = {name: value[:, None] for name, value in parameters.items()}
    xp = library(p["noise"])
    intercept = p["mean_a"] + p["sd_a"] * parameters["a"]
    slope = p["mean_b"] + p["sd_b"] * parameters["b"]
    predicted = intercept[..., None] + slope[..., None] * xp.asarray(LINES_T)
    return log_normal(xp.asarray(LINES_Y), predicted, p["noise"][..., None]).sum(axis=(1, 2))


def waves(parameters, times):
    """exp(a1·sin(f1·t + p1) + a2·sin(f2·t + p2))."""
    p = {name: value[:, None] for name, value in parameters.items()}
    xp = library(p["a1"])
    first = p["a1"] * xp.sin(p["f1"] * times + p["p1"])
    return {"y": xp.exp(first + p["a2"] * xp.sin(p["f2"] * times + p["p2"]))}


def planets(parameters, times):
    """v0 + Σ k·sin(2π·t/period + phase)."""
    p = {name: value[:, None] for name, value in parameters.items()}
    xp = library(p["v0"])
    turns = [2.0 * math.pi * times / p[f"period{i}"] + p[f"phase{i}"] for i in (1, 2)]
    return {"v": p["v0"] + p["k1"] * xp.sin(turns[0]) + p["k2"] * xp.sin(turns[1])}


def flip_flop(parameters, times):
    """A dose of 100 absorbed at ka, eliminated at ke, in a volume: the two rates may change places.

    (exp(−ke·t) − exp(−ka·t))/(ka − ke) is t·exp(−m·t)·sinh(u)/u with m the mean, u = (ka − ke)·t/2.
    """
    ka, ke, volume = (parameters[name][:, None] for name in ("ka", "ke", "volume"))
    xp = library(ka)
    u = 0.5 * xp.abs(ka - ke) * times + 1e-9
    low = xp.where(ka < ke, ka, ke)
    curve = times * xp.exp(-low * times) * -xp.expm1(-2.0 * u) / (2.0 * u)
    return {"c": 100.0 * ka / volume * curve}


LORENZ_STEP = 0.01


def lorenz(parameters, times):
    """x of the Lorenz system, by Runge and Kutta's classical steps."""
    s, r, b = (parameters[name] for name in ("s", "r", "b"))
    xp = library(s)
    state = xp.stack([parameters[name] for name in ("x0", "y0", "z0")])

    def slope(u):
        x, y, z = u
        return xp.stack([s * (y - x), x * (r - z) - y, x * y - b * z])

    h, found = LORENZ_STEP, [state[0]]
    for _ in range(round(float(times[-1]) / h)):
        k1 = slope(state)
        k2 = slope(state + 0.5 * h * k1)
        k3 = slope(state + 0.5 * h * k2)
        k4 = slope(state + h * k3)
        state = state + (h / 6.0) * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
        found.append(state[0])
    rows = [round(float(t) / h) for t in times]
    return {"x": xp.stack([found[i] for i in rows], axis=1)}
