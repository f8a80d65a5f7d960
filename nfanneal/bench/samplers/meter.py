"""The likelihood as every peer sees it: counted, against the clock, and without noise."""

from __future__ import annotations

import io
import logging
import math
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field

import numpy as np
import torch

from nfanneal.arrays import Array
from nfanneal.model.calls import LogLikelihood
from nfanneal.model.latent import Transform
from nfanneal.model.problem import Problem
from nfanneal.target import Evaluation, in_batches

ZERO = -1e100
"""log L where the likelihood is zero, for samplers that cannot take −inf."""


class BudgetSpent(Exception):  # noqa: N818 - not an error: the run has had its time
    """The run has used up the time that it was given."""


@dataclass
class Meter:
    """The likelihood of a problem with a count of its calls and a deadline; one per run."""

    problem: Problem
    budget: float = math.inf
    calls: int = 0
    started: float = field(default_factory=time.perf_counter)
    transform: Transform = field(init=False)

    def __post_init__(self) -> None:
        self.transform = self.problem.latent.transform

    def restart(self) -> None:
        """Set the clock back: importing a library is no part of a run."""
        self.started = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Wall time since the start."""
        return time.perf_counter() - self.started

    @property
    def spent(self) -> bool:
        """Whether the budget is used up."""
        return self.seconds > self.budget

    def check(self) -> None:
        """Stop the run if its time is over.

        Raises:
            BudgetSpent: it is.
        """
        if self.spent:
            raise BudgetSpent(f"out of its budget of {self.budget:g} s")

    def at_theta(self, theta: Array) -> Array:
        """log L (n,) at θ (n, d), −inf where it is zero or the model failed.

        Raises:
            BudgetSpent: the run's time is over.
        """
        if not len(theta):
            return np.empty(0)
        return in_batches(self._ask, theta, self.problem.chunk).log_likelihood

    def _ask(self, theta: Array) -> Evaluation:
        self.check()
        found = self.problem.ask(LogLikelihood(), np.ascontiguousarray(theta))
        self.calls += len(theta)
        return found

    def at_latent(self, z: Array) -> Array:
        """log L (n,) at latent z (n, d)."""
        return self.at_theta(self.transform.from_latent(z))

    def finite_at_theta(self, theta: Array) -> Array:
        """log L (n,) at θ (n, d), a very low number where it is zero."""
        return np.maximum(self.at_theta(theta), ZERO)

    def point(self, theta: Array) -> float:
        """log L at one θ (d,), a very low number where it is zero."""
        return float(self.finite_at_theta(theta[None])[0])


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing that a peer prints, logs or warns of reaches the terminal: stdout is for data."""
    before = logging.root.manager.disable
    with ExitStack() as stack:
        stack.enter_context(redirect_stdout(io.StringIO()))
        stack.enter_context(redirect_stderr(io.StringIO()))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(before)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the global generators, which some peers draw from, and put them back afterwards."""
    numpy_state, torch_state = np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    threads = torch.get_num_threads()
    np.random.seed(seed % 2**32)  # noqa: NPY002
    torch.manual_seed(seed)
    try:
        yield
    finally:
        np.random.set_state(numpy_state)  # noqa: NPY002
        torch.set_rng_state(torch_state)
        torch.set_num_threads(threads)
