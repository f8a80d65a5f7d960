"""An ODE model in one experiment or several: trajectories of one compiled system."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import sympy
from numpy.typing import NDArray

from nfanneal.arrays import Array
from nfanneal.model.counting import Counted, Counting
from nfanneal.model.expressions import compile_numpy, differentiate
from nfanneal.model.ode import SMALLEST, CompiledSystem, OdeSystem, SolverSettings, Status
from nfanneal.model.ode.forcing import longest_step
from nfanneal.model.ode.system import LOOKS_FOR_JUMPS, jumps, with_stops
from nfanneal.model.simulator import Coincidence, Outcomes, Predictions

OFF = 30.0
"""The error of a trajectory may be so many times the tolerance of its steps."""
UNSCALED = 1e-8
"""The absolute tolerance of a state that is about 1; of others in proportion."""
LOOKS = (1e-6, 1e-4, 1e-2, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.85, 1.0)
"""The parts of a trajectory at which its states are looked at, for their sizes."""


@dataclass(frozen=True)
class SystemParameters:
    """A system's parameters φ (n, q): some columns of θ (n, p), then expressions of θ.

    `symbols` gives the column of θ of each symbol in the expressions.
    """

    columns: tuple[int, ...]
    expressions: tuple[sympy.Expr, ...]
    symbols: Mapping[sympy.Symbol, int]

    @cached_property
    def _used(self) -> tuple[sympy.Symbol, ...]:
        used = set[sympy.Symbol]().union(*(e.free_symbols for e in self.expressions))
        return tuple(s for s in self.symbols if s in used)

    @cached_property
    def _values(self) -> Callable[..., list[Array]]:
        return compile_numpy(self.expressions, self._used)

    @cached_property
    def _partials(self) -> Callable[..., list[Array]]:
        partials = [differentiate(e, s) for e in self.expressions for s in self._used]
        return compile_numpy(partials, self._used)

    def of(self, theta: Array) -> Array:
        """φ (n, q) of θ (n, p)."""
        shared = len(self.columns)
        phi = np.empty((len(theta), shared + len(self.expressions)))
        phi[:, :shared] = theta[:, list(self.columns)]
        for j, values in enumerate(self._values(*self._inputs(theta)), start=shared):
            phi[:, j] = values
        return phi

    def are_all(self, p: int) -> bool:
        """Whether they are the p columns of θ themselves."""
        return self.columns == tuple(range(p)) and not self.expressions

    def write_slopes(self, theta: Array, slopes: Array, out: Array) -> None:
        """Write ∂/∂θ (n, m, k, p) to `out`, which is zero, from θ (n, p) and ∂/∂φ (n, m, k, q)."""
        shared = len(self.columns)
        out[..., list(self.columns)] = slopes[..., :shared]
        partials = iter(self._partials(*self._inputs(theta)))
        for j, expression in enumerate(self.expressions, start=shared):
            for symbol in self._used:
                partial = next(partials)
                if symbol in expression.free_symbols:
                    each = np.broadcast_to(partial, len(theta))[:, None, None]
                    out[..., self.symbols[symbol]] += slopes[..., j] * each

    def _inputs(self, theta: Array) -> list[Array]:
        return [theta[:, self.symbols[s]] for s in self._used]


@dataclass(frozen=True)
class OdeExperiment:
    """A compiled system, when and how it is solved, and its parameters.

    `sizes` (k,) are how large the terms of observables are, where that is known. Those that are
    `counted` are sums since the start, of which differences are predicted.
    """

    system: CompiledSystem
    settings: SolverSettings
    parameters: SystemParameters
    sizes: tuple[float, ...] = ()
    counted: tuple[Counted, ...] = ()


@dataclass(frozen=True)
class OdeSimulator:
    """Trajectories of an ODE model in each of its experiments.

    Where absolute tolerances are for it to choose, it `scales` them by the states' own sizes; these
    can be had unless the states are logarithms.
    """

    experiments: tuple[OdeExperiment, ...]
    observables: tuple[str, ...]
    scales: bool = False
    has_sizes: bool = False
    differentiable: bool = True
    has_jacobian: bool = True
    by_parts: bool = True
    by_steps: bool = True
    gradient_causes: str = "sqrt or abs at 0, or tighten model.solver.rtol and atol"

    @property
    def counted(self) -> tuple[tuple[Counted, ...], ...]:
        """What is counted in each experiment."""
        return tuple(e.counted for e in self.experiments)

    @property
    def starts(self) -> tuple[float, ...]:
        """The time of each experiment's initial values."""
        return tuple(e.settings.start for e in self.experiments)

    def predict(self, theta: Array, times: Sequence[Array], gradient: bool) -> Predictions:
        """Solve one trajectory per row of θ (n, p) and experiment, on the thread that asks.

        A draw fails if one of its trajectories does; the first to fail gives the reason.
        """
        n, ends = len(theta), np.cumsum([0, *(len(t) for t in times)])
        values = np.empty((n, int(ends[-1]), len(self.observables)))
        jacobian = np.zeros((*values.shape, theta.shape[1] if gradient else 0))
        status = np.empty((n, len(self.experiments)), dtype=np.int64)
        overflowed = np.zeros(n, dtype=bool)
        for e, experiment in enumerate(self.experiments):
            at, parameters = slice(ends[e], ends[e + 1]), experiment.parameters
            counting = Counting(times[e], experiment.counted)
            solved = experiment.system.solve(
                parameters.of(theta),
                counting.solved,
                experiment.settings,
                sensitivities=gradient,
                threads=1,
            )
            values[:, at], status[:, e] = counting.of(solved.observables), solved.status
            overflowed |= solved.overflowed
            if solved.sensitivities is None:
                continue
            slopes = counting.of(solved.sensitivities)
            if len(self.experiments) == 1 and parameters.are_all(theta.shape[1]):
                jacobian = slopes  # not a copy: it is most of what is in memory
            else:
                parameters.write_slopes(theta, slopes, jacobian[:, at])
        failing = status != Status.OK
        failed, first = failing.any(axis=1), failing.argmax(axis=1)
        reasons = _counted(status[failed, first[failed]])
        if not gradient:
            return Predictions(values, failed, reasons)
        jacobian[failed] = 0.0

        def pullback(slope: Array) -> Array:
            return weighted_sums(slope, jacobian)

        return Predictions(values, failed, reasons, pullback, jacobian, overflowed)

    def doses_at_data(self, theta: Array, times: Sequence[Array]) -> list[Coincidence]:
        """Doses that are not `late`, and events, at the same time at all draws θ (n, p)."""
        found = []
        for e, (experiment, at) in enumerate(zip(self.experiments, times, strict=True)):
            system = experiment.system.system
            early = list(_jumps_in_time(system))
            if not early:
                continue
            moments = compile_numpy([time for time, _, _ in early], system.parameters)
            found += [
                Coincidence(e, state, float(np.ravel(moment)[0]), by)
                for (_, state, by), moment in zip(
                    early, moments(*experiment.parameters.of(theta).T), strict=True
                )
                if np.ptp(moment) == 0.0 and np.isclose(at, np.ravel(moment)[0], rtol=1e-12).any()
            ]
        return found

    @property
    def longest_steps(self) -> tuple[float, ...]:
        """The longest step in each experiment, as a share of its time, where there is a limit."""
        settings = (e.settings for e in self.experiments)
        return tuple(s.max_step / s.span for s in settings if s.max_step < math.inf > s.span > 0)

    def prepared(self, theta: Array, times: Sequence[Array]) -> OdeSimulator:
        """The same for what pilot draws θ tell: how large states are, how fast time acts on them.

        Absolute tolerances follow from the one, unless they are given, the longest step from the
        other.
        """
        experiments = []
        for each, at in zip(self.experiments, times, strict=True):
            experiment = _with_span(each, theta, end_of(each, theta, at))
            if self.has_sizes:
                experiment = self._with_sizes(experiment, theta, at)
            experiments.append(experiment)
        return replace(self, experiments=tuple(experiments))

    @property
    def resolution(self) -> float:
        """What trajectories at these tolerances may be off by, and a little more."""
        return OFF * max(e.settings.rtol for e in self.experiments)

    def size(self, experiment: int, observable: int) -> float:
        """That of the terms of an observable."""
        sizes = self.experiments[experiment].sizes
        return sizes[observable] if sizes else 0.0

    def _with_sizes(self, experiment: OdeExperiment, theta: Array, times: Array) -> OdeExperiment:
        """The experiment with tolerances for the states' sizes, and the sizes of observables."""
        end, rests = end_of(experiment, theta, times), bool(times[-1] == math.inf)
        sizes = state_sizes(experiment, theta, end, rests=rests)
        for _ in range(2 if self.scales else 0):  # the first were found for sizes of 1
            atol = np.maximum(UNSCALED * sizes, SMALLEST)
            settings = replace(experiment.settings, atol=tuple(atol.tolist()))
            experiment = replace(experiment, settings=settings)
            sizes = state_sizes(experiment, theta, end, rests=rests)
        of_observables = observable_sizes(experiment, theta, sizes, end)
        return replace(experiment, sizes=tuple(of_observables))

    def outcomes(self, theta: Array, times: Sequence[Array]) -> Outcomes:
        """How the trajectories of θ (n, p) go, without their values, on the thread that asks."""
        solved = [
            e.system.solve(e.parameters.of(theta), at, e.settings, sensitivities=False, threads=1)
            for e, at in zip(self.experiments, times, strict=True)
        ]
        reached = np.full(len(theta), np.nan)
        for each in reversed(solved):
            reached = np.where(each.status == Status.OK, reached, each.reached)
        return Outcomes(np.stack([each.stiff for each in solved], axis=1), reached)

    def tightened(self, factor: float) -> OdeSimulator:
        """The same with tolerances so many times smaller, and steps enough for them."""
        changed = (replace(e, settings=e.settings.tightened(factor)) for e in self.experiments)
        return replace(self, experiments=tuple(changed))

    def precise(self, factor: float) -> OdeSimulator:
        """Likewise, with steps so short that nothing that happens in time is stepped over."""
        tight = self.tightened(factor)
        changed = []
        for each in tight.experiments:
            often = (LOOKS_FOR_JUMPS,) if jumps(each.system.system) else ()
            changed.append(replace(each, settings=each.settings.watchful(*often)))
        return replace(self, experiments=tuple(changed))

    def compile_all(self) -> None:
        """Compile the stiff solvers, whether draws have needed them so far or not."""
        for experiment in self.experiments:
            settings, parameters = experiment.settings, experiment.system.system.parameters
            theta, times = np.ones((1, len(parameters))), np.array([settings.start])
            for sensitivities in (False, True) if settings.method == "auto" else ():
                stiff = replace(settings, method="stiff")
                experiment.system.solve(theta, times, stiff, sensitivities=sensitivities)


def _jumps_in_time(system: OdeSystem) -> Iterator[tuple[sympy.Expr, str, str]]:
    """When a state jumps at a time that is known before, which one, and by what."""
    table = with_stops(system).timetable
    for dose in table.doses:
        if not dose.late:
            yield dose.time, str(system.states[dose.state]), "dose"
    for trigger in table.triggers:
        turning = trigger.turns.free_symbols
        for switch in table.switches:
            if switch.symbol in turning and trigger.delay is None:
                for state, _ in trigger.values:
                    yield switch.time, str(system.states[state]).removesuffix("(now)"), "event"


def _with_span(experiment: OdeExperiment, theta: Array, end: float) -> OdeExperiment:
    """The experiment, told how long trajectories take, with steps that miss nothing in time."""
    settings = replace(experiment.settings, span=end - experiment.settings.start)
    if settings.max_step == math.inf:
        phi = experiment.parameters.of(theta)
        most = longest_step(experiment.system.system, phi, settings.start, end)
    else:
        most = settings.max_step
    return replace(experiment, settings=settings.with_steps_of(most))


def end_of(experiment: OdeExperiment, theta: Array, times: Array) -> float:
    """The last of the data's times (m,).

    If that is infinite, the last finite one, or that from which on nothing happens at certain times
    any more, at any of the draws θ.
    """
    if math.isfinite(times[-1]):
        return float(times[-1])
    system, phi = experiment.system.system, experiment.parameters.of(theta)
    table = with_stops(system).timetable
    moments = compile_numpy(table.moments, system.parameters)(*phi.T) if table.moments else []
    knots = [knot for each in table.tables.knots for knot in each]
    found = np.concatenate([times, knots, *map(np.ravel, moments), [experiment.settings.start]])
    return float(found[np.isfinite(found)].max())


def observable_sizes(
    experiment: OdeExperiment, theta: Array, sizes: Array, end: float
) -> list[float]:
    """How large the terms of observables (k,) are for states of given sizes (N,).

    The median of draws θ, of each term, added up.
    """
    system = experiment.system.system
    terms = [sympy.Add.make_args(h) for h in system.observables]
    symbols = (system.time, *system.states, *system.parameters, *system.timetable.held)
    values = compile_numpy([term for each in terms for term in each], symbols, system.named)
    held = np.zeros(len(system.timetable.held))
    magnitudes = map(np.abs, values(end, *sizes, *experiment.parameters.of(theta).T, *held))
    known = (v[np.isfinite(v)] for v in magnitudes)
    medians = iter([float(np.median(v)) if v.size else 0.0 for v in known])
    return [sum(next(medians) for _ in each) for each in terms]


def state_sizes(
    experiment: OdeExperiment, theta: Array, end: float, *, rests: bool = False
) -> Array:
    """How large each state (N,) becomes: its largest magnitude until `end`, the median of draws θ.

    And at the steady state after it, where it `rests`. A state that stays at zero is as large as
    the smallest of the others.
    """
    settings, phi = experiment.settings, experiment.parameters.of(theta)
    states = len(experiment.system.system.states)
    moments = [settings.start + share * (end - settings.start) for share in LOOKS]
    moments = (moments if end > settings.start else []) + [math.inf] * rests
    if not moments:
        return np.ones(states)
    at_moments = [experiment.system.states_at(phi, moment, settings) for moment in moments]
    with np.errstate(over="ignore"):
        largest = np.abs(at_moments).max(axis=0)
    largest = largest[np.isfinite(largest).all(axis=1)]
    if not len(largest):
        return np.ones(states)
    sizes = np.exp(np.median(np.log(np.maximum(largest, SMALLEST)), axis=0))
    known = sizes[sizes > 2.0 * SMALLEST]
    return np.where(sizes > 2.0 * SMALLEST, sizes, known.min() if len(known) else 1.0)


def weighted_sums(weights: Array, slopes: Array) -> Array:
    """Σ w·∂h/∂θ (n, p) over all times and observables, from w (n, m, k) and (n, m, k, p).

    It may overflow.
    """
    (n, m, k, p) = slopes.shape
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray((weights.reshape(n, 1, m * k) @ slopes.reshape(n, m * k, p))[:, 0])


def _counted(codes: NDArray[np.int64]) -> dict[str, int]:
    """How often each status occurs, by its name."""
    found, counts = np.unique(codes, return_counts=True)
    return {Status(int(c)).name: int(k) for c, k in zip(found, counts, strict=True)}
