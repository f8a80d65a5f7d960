"""The posterior at one point: log-likelihood, log-prior, gradients, the part of every datum."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from nfanneal.arrays import Array, Bools
from nfanneal.model.calls import LogLikelihood, Prediction
from nfanneal.model.latent import LatentMap
from nfanneal.model.likelihood import DataLikelihood
from nfanneal.model.problem import Problem
from nfanneal.runs.failures import why_at_point
from nfanneal.runs.precision import ENOUGH, FINER

STEP = 1e-4
"""Step of differences in standard deviations of the prior there: long beside rounding."""
FAR = 4.0
"""Beyond so many standard deviations of the prior its width there says nothing."""
ROUGH = 1e-4
"""Differences of two steps that are so far apart are told: relative to the gradient plus 1, both

by the width of the prior."""


@dataclass(frozen=True)
class Gradients:
    """Derivatives by parameter, on its natural scale; nan where there is none.

    `by` is `model` where the model gives them, or else `differences`.
    """

    log_likelihood: Mapping[str, float]
    log_posterior: Mapping[str, float]
    by: str


@dataclass(frozen=True)
class Datum:
    """One datum, what the model predicts for it, and its part of the log-likelihood."""

    experiment: str
    observable: str
    time: float
    value: float
    prediction: float
    log_density: float


@dataclass(frozen=True)
class PointEvaluation:
    """The posterior at one point.

    Densities are those of the parameters on their natural scale: `log_posterior` is not normalised,
    it is the sum of the other two. A likelihood or a prior that is zero there has −inf. `failed`
    says why the model gave nothing; the log-likelihood is nan then, and there is nothing else.
    """

    parameters: Mapping[str, float]
    log_likelihood: float
    log_prior: float
    failed: str | None = None
    gradient: Gradients | None = None
    pointwise: tuple[Datum, ...] | None = None
    warnings: tuple[str, ...] = ()

    @property
    def log_posterior(self) -> float:
        """log-likelihood + log-prior; −inf wherever the prior is zero."""
        if self.log_prior == -np.inf and self.failed is None:
            return -np.inf
        return self.log_likelihood + self.log_prior


def evaluate_at(
    problem: Problem, theta: Array, *, gradient: bool = False, pointwise: bool = False
) -> PointEvaluation:
    """The posterior of a problem at θ (d,).

    `gradient` adds the derivatives, by differences where the model gives none. `pointwise` adds
    the part of every datum, for a model that predicts.

    Raises:
        ModelError: a Python model raised.
    """
    latent = problem.latent
    parameters = dict(zip(latent.column_names, theta.tolist(), strict=True))
    own = gradient and problem.likelihood.differentiable
    found = problem.ask_all(LogLikelihood(gradient=own), theta[None])
    log_prior = float(latent.log_density(theta[None])[0])
    warnings = _outside(latent, theta)
    if found.failed[0]:
        return PointEvaluation(
            parameters,
            np.nan,
            log_prior,
            why_at_point(problem, theta, found.reasons),
            warnings=tuple(warnings),
        )
    value, gradients = float(found.log_likelihood[0]), None
    if value == -np.inf:
        warnings.append("the likelihood is zero here")
    warnings += _roughness(problem, theta, value)
    if gradient:
        slope, told = np.full(len(theta), np.nan), list[str]()
        if value > -np.inf:
            slope, told = _slope(problem, theta, found.gradient, found.dropped)
        warnings += told
        gradients = _gradients(latent, theta, slope, "model" if own else "differences")
    data = _data(problem, theta) if pointwise and problem.data is not None else None
    return PointEvaluation(parameters, value, log_prior, None, gradients, data, tuple(warnings))


def _roughness(problem: Problem, theta: Array, value: float) -> list[str]:
    """What a finer solver says of θ (d,), if that is something else."""
    if not problem.goes_by_steps:
        return []
    finer = problem.precise(FINER).ask_all(LogLikelihood(), theta[None])
    exact = float(finer.log_likelihood[0])
    if finer.failed[0] or abs(exact - value) <= ENOUGH:
        return []
    return [
        f"a finer solver says {exact:.10g}: the solver is too rough for these data. A run makes "
        "tolerances smaller by itself; here set model.solver.rtol and atol, or max_step"
    ]


def _outside(latent: LatentMap, theta: Array) -> list[str]:
    """Parameters at which the prior is zero."""
    columns = [p for p in latent.parameters for _ in range(p.columns)]
    told = []
    for name, parameter, value in zip(latent.column_names, columns, theta, strict=True):
        if parameter.prior.log_density(value[None])[0] == -np.inf:
            low, high = parameter.prior.support
            told.append(
                f"{name} = {value:.10g} is outside of its prior's support [{low:.10g}, {high:.10g}]"
            )
    return told


def _slope(
    problem: Problem, theta: Array, own: Array | None, dropped: Bools | None
) -> tuple[Array, list[str]]:
    """∂ log L/∂θ (d,), nan where it is not known, and what to say of it."""
    if own is None:
        return _by_differences(problem, theta)
    if dropped is None or not dropped[0]:
        return own[0], []
    causes = problem.likelihood.gradient_causes
    return np.full(len(theta), np.nan), [f"the gradient is not finite; look for {causes}"]


def _by_differences(problem: Problem, theta: Array) -> tuple[Array, list[str]]:
    """Richardson's extrapolation of central differences with two steps (error h⁴)."""
    widths = _widths(problem.latent, theta)
    h, steps = STEP * widths, STEP * np.diag(widths)
    around = theta + np.concatenate([steps, -steps, 2.0 * steps, -2.0 * steps])
    up, down, far_up, far_down = np.split(
        problem.ask_all(LogLikelihood(), around).log_likelihood, 4
    )
    with np.errstate(invalid="ignore"):
        fine, coarse = (up - down) / (2.0 * h), (far_up - far_down) / (4.0 * h)
        slope = fine + (fine - coarse) / 3.0
        apart = np.abs(fine - coarse) * widths / (np.abs(slope) * widths + 1.0)
    known = np.isfinite(slope)
    told = []
    if not known.all():
        names = [n for n, k in zip(problem.latent.column_names, known, strict=True) if not k]
        told.append(f"no gradient by {', '.join(names)}: the likelihood is zero next to this point")
    rough = known & (apart > ROUGH)
    if rough.any():
        names = [n for n, r in zip(problem.latent.column_names, rough, strict=True) if r]
        told.append(f"the gradient by {', '.join(names)} is rough: differences of two steps differ")
    return np.where(known, slope, np.nan), told


def _widths(latent: LatentMap, theta: Array) -> Array:
    """How far a standard deviation of each prior goes at θ (d,), or |θ| where that is not known."""
    z = latent.to_latent(theta[None])
    with np.errstate(all="ignore"):
        slope = latent.latent_slope(z, theta[None])[0]
    middle = latent.from_latent(np.array([[0.5], [-0.5]]) * np.ones((2, latent.dimension)))
    usual = np.where(theta == 0.0, middle[0] - middle[1], np.abs(theta))
    near = (np.abs(z[0]) < FAR) & np.isfinite(slope) & (slope > 0)
    return np.where(near, slope, usual)


def _gradients(latent: LatentMap, theta: Array, slope: Array, by: str) -> Gradients:
    names = latent.column_names
    total = slope + latent.score(theta[None])[0]
    return Gradients(
        dict(zip(names, slope.tolist(), strict=True)),
        dict(zip(names, total.tolist(), strict=True)),
        by,
    )


def _data(problem: Problem, theta: Array) -> tuple[Datum, ...]:
    """Every datum with its part of log L, by experiment and observable."""
    data = problem.data
    assert isinstance(data, DataLikelihood)
    predictions = problem.ask_all(Prediction(), theta[None])
    log_density = data.pointwise(theta[None], predictions)
    times, found = data.all_times, []
    for series in data.series:
        observable = data.simulator.observables[series.observable]
        experiment = series.name.removeprefix(observable).strip("[]")
        predicted = predictions.values[0, series.time_index, series.observable]
        columns = (times[series.time_index], series.values, predicted, log_density[series.name][0])
        found += [
            Datum(experiment, observable, *row) for row in zip(*map(_plain, columns), strict=True)
        ]
    return tuple(found)


_plain: Callable[[Array], list[float]] = np.ndarray.tolist
