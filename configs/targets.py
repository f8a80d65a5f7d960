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
