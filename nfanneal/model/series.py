"""One observable's data and noise model: log-densities, gradients, replicates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import sympy
from numpy.typing import NDArray

from nfanneal.arrays import Array
from nfanneal.model import noise
from nfanneal.model.expressions import compile_numpy, differentiate


@dataclass(frozen=True)
class NoiseArguments:
    """A noise model's arguments as expressions of parameters and observables, with partials.

    `columns` gives the column of θ, `observables` the index of the observable, of each symbol.
    """

    expressions: tuple[sympy.Expr, ...]
    columns: Mapping[sympy.Symbol, int]
    observables: Mapping[sympy.Symbol, int]

    @cached_property
    def symbols(self) -> tuple[sympy.Symbol, ...]:
        """The symbols that occur, in a fixed order."""
        used = set().union(*(e.free_symbols for e in self.expressions))
        return tuple(s for s in (*self.columns, *self.observables) if s in used)

    @cached_property
    def _values(self) -> Callable[..., list[Array]]:
        return compile_numpy(self.expressions, self.symbols)

    @cached_property
    def _partials(self) -> Callable[..., list[Array]]:
        partials = [differentiate(e, s) for e in self.expressions for s in self.symbols]
        return compile_numpy(partials, self.symbols)

    def _inputs(self, theta: Array, at_cells: Array) -> list[Array]:
        return [
            theta[:, self.columns[s], None] if s in self.columns
            else at_cells[:, :, self.observables[s]]
            for s in self.symbols
        ]  # fmt: skip

    def values(self, theta: Array, at_cells: Array) -> tuple[Array, ...]:
        """Arguments, each broadcastable to (n, c), at θ (n, p) and observables (n, c, k)."""
        return tuple(self._values(*self._inputs(theta, at_cells)))

    def partials(self, theta: Array, at_cells: Array) -> list[list[Array]]:
        """∂argument/∂symbol: one list per argument, one array per symbol."""
        flat = self._partials(*self._inputs(theta, at_cells))
        width = len(self.symbols)
        return [flat[i * width : (i + 1) * width] for i in range(len(self.expressions))]


@dataclass(frozen=True)
class ObservedSeries:
    """The data of one observable in one experiment: c cells at indexed times, and their noise."""

    name: str
    observable: int
    time_index: NDArray[np.int64]
    values: Array
    noise: noise.NoiseModel
    arguments: NoiseArguments

    def log_prob(self, theta: Array, predictions: Array) -> Array:
        """log p(y | prediction) of each cell, (n, c), from predictions (n, m, k)."""
        at_cells = predictions[:, self.time_index, :]
        arguments = self.arguments.values(theta, at_cells)
        return noise.log_prob(self.noise, self.values, at_cells[:, :, self.observable], arguments)

    def draw(self, theta: Array, predictions: Array, rng: np.random.Generator) -> Array:
        """Noisy data (n, c) for predictions (n, m, k)."""
        at_cells = predictions[:, self.time_index, :]
        arguments = self.arguments.values(theta, at_cells)
        return noise.sample(self.noise, rng, at_cells[:, :, self.observable], arguments)

    def add_gradient(
        self, theta: Array, predictions: Array, to_theta: Array, to_predictions: Array
    ) -> Array:
        """log p summed over cells (n,); its partials are added to the two (n, …) arrays."""
        at_cells = predictions[:, self.time_index, :]
        arguments = self.arguments.values(theta, at_cells)
        log_prob, slope, argument_slopes = noise.log_prob_and_gradient(
            self.noise, self.values, at_cells[:, :, self.observable], arguments
        )
        self._add_to_times(to_predictions, self.observable, slope)
        for partials, argument_slope in zip(
            self.arguments.partials(theta, at_cells), argument_slopes, strict=True
        ):
            for symbol, partial in zip(self.arguments.symbols, partials, strict=True):
                contribution = np.where(argument_slope == 0, 0.0, argument_slope * partial)
                if symbol in self.arguments.columns:
                    to_theta[:, self.arguments.columns[symbol]] += contribution.sum(axis=1)
                else:
                    where = self.arguments.observables[symbol]
                    self._add_to_times(to_predictions, where, contribution)
        return log_prob.sum(axis=1)

    def information(self, theta: Array, predictions: Array, jacobian: Array) -> Array:
        """Expected Fisher information of θ, (n, p, p), from ∂observables/∂θ (n, m, k, p).

        Sensitivities may be so large that it overflows: it is not finite there.
        """
        at_cells = predictions[:, self.time_index, :]
        arguments = self.arguments.values(theta, at_cells)
        of_prediction, *of_arguments = noise.information(
            self.noise, at_cells[:, :, self.observable], arguments
        )
        slopes = jacobian[:, self.time_index]
        partials = self.arguments.partials(theta, at_cells)
        with np.errstate(over="ignore", invalid="ignore"):
            total = _weighted_squares(of_prediction, slopes[:, :, self.observable])
            for weights, of_argument in zip(of_arguments, partials, strict=True):
                if of_argument:  # else it depends on nothing
                    total += _weighted_squares(weights, self._total_derivative(of_argument, slopes))
        return total

    def _total_derivative(self, partials: list[Array], slopes: Array) -> Array:
        """d argument/dθ of each cell, (n, c, p), directly and through the observables."""
        total = np.zeros((*slopes.shape[:2], slopes.shape[3]))
        for symbol, partial in zip(self.arguments.symbols, partials, strict=True):
            if symbol in self.arguments.columns:
                total[:, :, self.arguments.columns[symbol]] += partial
            else:
                direct = np.broadcast_to(partial, slopes.shape[:2])
                total += direct[:, :, None] * slopes[:, :, self.arguments.observables[symbol]]
        return total

    def _add_to_times(self, to_predictions: Array, observable: int, per_cell: Array) -> None:
        """Sum cells (n, c) onto their times; replicates share one."""
        order = np.argsort(self.time_index, kind="stable")
        times, first = np.unique(self.time_index[order], return_index=True)
        if len(times):
            sums = np.add.reduceat(per_cell[:, order], first, axis=1)
            to_predictions[:, times, observable] += sums


def _weighted_squares(weights: Array, slopes: Array) -> Array:
    """Σ w·s·sᵀ over cells, (n, p, p), from w (n, c) and s (n, c, p)."""
    return np.asarray((weights[:, None, :] * slopes.transpose(0, 2, 1)) @ slopes)
