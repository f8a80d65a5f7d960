"""Likelihoods with known evidence. Each takes the mapping of parameters, x of shape (n, d)."""

import math

import numpy as np
import torch

MODES = torch.from_numpy(np.random.default_rng(0).uniform(-40.0, 40.0, (40, 2)))
MODE_SD = 1.313


def shells(parameters):
    """Two Gaussian shells: radius 2, width 0.1, centres at ±3.5 on the first axis."""
    x = parameters["x"]
    centre = torch.zeros(x.shape[1], dtype=x.dtype)
    centre[0] = 3.5
    both = [((x - sign * centre).norm(dim=1) - 2.0) / 0.1 for sign in (1.0, -1.0)]
    constant = -0.5 * math.log(2.0 * math.pi * 0.1**2)
    return torch.logaddexp(-0.5 * both[0] ** 2, -0.5 * both[1] ** 2) + constant


def gmm40(parameters):
    """A mixture of 40 Gaussians of standard deviation 1.313 with equal weights."""
    x = parameters["x"]
    square = ((x[:, None] - MODES) ** 2).sum(dim=2) / MODE_SD**2
    constant = -math.log(len(MODES)) - math.log(2.0 * math.pi * MODE_SD**2)
    return torch.logsumexp(-0.5 * square, dim=1) + constant


def eggbox(parameters):
    """(2 + cos(x/2)·cos(y/2))^5."""
    x = parameters["x"]
    return (2.0 + torch.cos(0.5 * x[:, 0]) * torch.cos(0.5 * x[:, 1])) ** 5


def correlated_gaussian(parameters):
    """A normalised Gaussian density: unit variances, all correlations 0.95."""
    x = parameters["x"]
    d = x.shape[1]
    covariance = 0.95 * torch.ones(d, d, dtype=x.dtype) + 0.05 * torch.eye(d, dtype=x.dtype)
    mean = torch.zeros(d, dtype=x.dtype)
    return torch.distributions.MultivariateNormal(mean, covariance).log_prob(x)


def straight_line(parameters, times):
    """y = intercept + slope·t, one row per draw."""
    intercept, slope = parameters["intercept"], parameters["slope"]
    return {"y": intercept[:, None] + slope[:, None] * times}


def log_gamma(parameters):
    """Four modes in the unit cube: log-gamma and normal densities of width 1/30, normalised.

    Source: Beaujean & Caldwell (2013), arXiv:1304.7808, section 4.3.
    """
    x = parameters["x"]
    half = (x.shape[1] + 2) // 2
    first = torch.logaddexp(_log_gamma(x[:, 0], 1 / 3), _log_gamma(x[:, 0], 2 / 3))
    second = torch.logaddexp(_normal(x[:, 1], 1 / 3), _normal(x[:, 1], 2 / 3))
    others = _log_gamma(x[:, 2:half], 2 / 3).sum(dim=1) + _normal(x[:, half:], 2 / 3).sum(dim=1)
    return first + second - 2.0 * math.log(2.0) + others


def _log_gamma(x, location):
    y = 30.0 * (x - location)
    return y - y.exp() + math.log(30.0)


def _normal(x, mean):
    return -0.5 * (30.0 * (x - mean)) ** 2 + math.log(30.0) - 0.5 * math.log(2.0 * math.pi)


def many_well(parameters):
    """Independent pairs, each with two wells along its first axis: 2^(d/2) modes."""
    pairs = parameters["x"].reshape(len(parameters["x"]), -1, 2)
    x, y = pairs[..., 0], pairs[..., 1]
    return (-(x**4) + 6.0 * x**2 + 0.5 * x - 0.5 * y**2).sum(dim=1)


def rosenbrock(parameters):
    """A curved, narrow valley: −½[(1 − x)² + 100·(y − x²)²]."""
    x, y = parameters["x"].T
    return -0.5 * ((1.0 - x) ** 2 + 100.0 * (y - x**2) ** 2)


def funnel(parameters):
    """Neal's funnel, normalised: v of standard deviation 3, the others of variance exp(v)."""
    v, x = parameters["x"][:, :1], parameters["x"][:, 1:]
    constant = 0.5 * math.log(2.0 * math.pi)
    others = (-0.5 * x**2 * torch.exp(-v) - 0.5 * v - constant).sum(dim=1)
    return others - 0.5 * (v[:, 0] / 3.0) ** 2 - constant - math.log(3.0)
