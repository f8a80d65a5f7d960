"""Rosenbrock's banana. With these priors its log-evidence is -6.4716."""


def log_likelihood(parameters):
    """One log-likelihood per draw: each scalar parameter has shape (n,)."""
    x, y = parameters["x"], parameters["y"]
    return -0.5 * ((1.0 - x) ** 2 + 100.0 * (y - x**2) ** 2)
