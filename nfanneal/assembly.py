"""From a checked spec and its data to a problem and settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import sympy

from nfanneal.anneal import EVALUATION_CHUNK
from nfanneal.anneal.settings import AnnealSettings, default_anneal_settings
from nfanneal.data import Observations, observations, read_table
from nfanneal.errors import Complaint, DataError, Location, SpecError
from nfanneal.estimate import Settings
from nfanneal.expressions import nearest, symbol, with_numbers
from nfanneal.flow import FlowSettings, default_flow_settings
from nfanneal.likelihood import (
    DataLikelihood,
    DirectLikelihood,
    Likelihood,
    NoiseArguments,
    ObservedSeries,
)
from nfanneal.memory import affordable_draws
from nfanneal.models import (
    OdeSimulator,
    PythonFunction,
    PythonLikelihood,
    PythonSimulator,
    Simulator,
)
from nfanneal.noise import NOISE_MODELS, check_support
from nfanneal.ode import OdeSystem, SolverSettings, compile_system
from nfanneal.priors import LatentMap
from nfanneal.problem import Problem
from nfanneal.pythonfile import load_python_file
from nfanneal.spec import CheckedSpec, OdeSpec, PythonSpec

COPIES = 6
"""Arrays as large as a model's predictions, and their Jacobian, that an evaluation takes."""


def build_problem(
    checked: CheckedSpec, data: Observations | None = None, *, memory: int | None = None
) -> Problem:
    """Read the data unless they are given, compile or import the model, and put all together.

    The model is called with fewer draws at once where more would not fit into `memory` bytes
    (None: a share of the machine's, or of what its cgroup allows).

    Raises:
        DataError: the data file is missing or invalid, or does not fit the noise models.
        SpecError: the Python file or its function is missing, or the data begin too early.
        ModelError: importing the Python model raised.
    """
    latent = LatentMap(checked.meaning.free)
    model = checked.spec.model
    if isinstance(model, PythonSpec) and model.log_likelihood is not None:
        function = _python_function(checked, model, model.log_likelihood, latent)
        likelihood: Likelihood = DirectLikelihood(PythonLikelihood(function))
    else:
        data = read_observations(checked) if data is None else data
        likelihood = _data_likelihood(checked, data, latent)
    chunk = model.batch if isinstance(model, PythonSpec) else EVALUATION_CHUNK
    chunk = affordable_draws(chunk, _bytes_per_draw(likelihood, latent), memory)
    return Problem(checked.spec.name, latent, likelihood, chunk)


def _bytes_per_draw(likelihood: Likelihood, latent: LatentMap) -> float:
    """What the arrays of an evaluation take; a user's own are not known."""
    if not isinstance(likelihood, DataLikelihood):
        return 8.0 * COPIES * latent.dimension
    cells = len(likelihood.times) * len(likelihood.simulator.observables)
    derivatives = latent.dimension if likelihood.has_information else 1
    return 8.0 * COPIES * cells * (1 + derivatives)


def build_settings(checked: CheckedSpec, problem: Problem) -> Settings:
    """Fill in defaults by the dimension and by what the model can give.

    Raises:
        SpecError: the objective needs gradients that the model does not have.
    """
    spec = checked.spec
    dimension = problem.latent.dimension
    annealing = _anneal_settings(checked, dimension, scouting=problem.likelihood.has_information)
    if annealing.needs_gradient and not problem.likelihood.differentiable:
        raise SpecError(
            [
                Complaint(
                    f"anneal.objective: {annealing.objective} needs gradients, but the model is "
                    "a numpy function",
                    hint="use objective: forward_kl, or write the model with torch",
                )
            ]
        )
    return Settings(
        flow=_flow_settings(checked, dimension, annealing),
        anneal=annealing,
        samples=spec.output.samples,
        seed=spec.seed,
    )


def _anneal_settings(checked: CheckedSpec, dimension: int, *, scouting: bool) -> AnnealSettings:
    given = checked.spec.anneal.model_dump(exclude={"preset"})
    scouting = scouting and checked.spec.anneal.scout == "auto"
    return default_anneal_settings(dimension, scouting=scouting, **given)


def _flow_settings(checked: CheckedSpec, dimension: int, annealing: AnnealSettings) -> FlowSettings:
    flow = checked.spec.flow
    kind = flow.kind or ("coupling_nsf" if annealing.needs_gradient else "nsf")
    return default_flow_settings(
        dimension,
        kind=kind,
        transforms=flow.transforms,
        bins=flow.bins,
        hidden=None if flow.hidden is None else tuple(flow.hidden),
        light=checked.spec.anneal.preset == "quick",
    )


def _data_likelihood(checked: CheckedSpec, data: Observations, latent: LatentMap) -> DataLikelihood:
    names = tuple(noise.observable for noise in checked.meaning.noise)
    model = checked.spec.model
    if isinstance(model, OdeSpec):
        _check_start(checked, model, data)
        simulator: Simulator = _ode_simulator(checked, model, latent)
    else:
        function = _python_function(checked, model, str(model.simulate), latent)
        simulator = PythonSimulator(function, names)
    return DataLikelihood(simulator, data.times, _series(checked, data, simulator, latent))


def _check_start(checked: CheckedSpec, model: OdeSpec, data: Observations) -> None:
    if data.times[0] < model.start:
        first = f"{data.times[0]:g}, before the initial values at model.start = {model.start:g}"
        raise SpecError(
            [
                Complaint(
                    f"the data ({checked.data_file}) begin at {first}",
                    checked.place("model", "start"),
                    hint="set model.start to the time of the initial values",
                )
            ]
        )


def read_observations(checked: CheckedSpec) -> Observations:
    """The data of a spec whose model predicts.

    Raises:
        DataError: the file is missing or invalid.
        SpecError: the spec has no data.
    """
    spec = checked.spec
    if spec.data is None or checked.data_file is None:
        raise SpecError("the spec has no data section")
    columns = {n.observable: spec.data.columns.get(n.observable, n.observable)
               for n in checked.meaning.noise}  # fmt: skip
    return observations(read_table(checked.data_file), spec.data.time, columns)


def _series(
    checked: CheckedSpec, data: Observations, simulator: Simulator, latent: LatentMap
) -> tuple[ObservedSeries, ...]:
    columns = {symbol(name): i for i, name in enumerate(latent.column_names)}
    observables = {symbol(name): k for k, name in enumerate(simulator.observables)}
    known = _known_numbers(checked)
    series, complaints = [], []
    for i, noise in enumerate(checked.meaning.noise):
        model = NOISE_MODELS[noise.model]
        problem = check_support(model, data.values[i])
        if problem:
            complaints.append(Complaint(f"{checked.data_file}: '{noise.observable}': {problem}"))
        where = checked.place("likelihood", noise.observable)
        expressions = tuple(_substituted(e, known, observables, where) for e in noise.arguments)
        series.append(
            ObservedSeries(
                name=noise.observable,
                observable=simulator.observables.index(noise.observable),
                time_index=data.time_index[i],
                values=data.values[i],
                noise=model,
                arguments=NoiseArguments(expressions, columns, observables),
            )
        )
    if complaints:
        raise DataError(complaints)
    return tuple(series)


def _known_numbers(checked: CheckedSpec) -> dict[str, float]:
    """Constants and fixed parameters."""
    model = checked.spec.model
    constants = model.constants if isinstance(model, OdeSpec) else {}
    return {**constants, **checked.meaning.fixed}


def _substituted(
    expression: sympy.Expr,
    known: Mapping[str, float],
    but_not: Mapping[sympy.Symbol, int],
    where: Location | None = None,
) -> sympy.Expr:
    used = {k: v for k, v in known.items() if symbol(k) in expression.free_symbols}
    values = {symbol(k): v for k, v in used.items() if symbol(k) not in but_not}
    try:
        return with_numbers(expression, values, {})
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        numbers = ", ".join(f"{k} = {v:g}" for k, v in used.items() if symbol(k) in values)
        shown = str(expression)[:200]
        message = f"with {numbers}, '{shown}' is not a finite real number"
        raise SpecError([Complaint(message, where)]) from None


def _ode_simulator(checked: CheckedSpec, model: OdeSpec, latent: LatentMap) -> OdeSimulator:
    meaning, known = checked.meaning, _known_numbers(checked)
    states = tuple(model.states)
    observables = tuple(meaning.observables)

    def with_known(section: str, expressions: Mapping[str, sympy.Expr]) -> tuple[sympy.Expr, ...]:
        return tuple(
            _substituted(e, known, {}, checked.place("model", section, name))
            for name, e in expressions.items()
        )

    initial = with_known("states", {s: meaning.initial[s] for s in states})
    equations = with_known("equations", {s: meaning.equations[s] for s in states})
    shown = with_known("observables", meaning.observables)
    used = set().union(*(e.free_symbols for e in (*initial, *equations, *shown)))
    columns = tuple(i for i, name in enumerate(latent.column_names) if symbol(name) in used)
    system = OdeSystem(
        time=symbol(model.time),
        states=tuple(symbol(s) for s in states),
        parameters=tuple(symbol(latent.column_names[i]) for i in columns),
        initial=initial,
        equations=equations,
        observables=shown,
    )
    solver = model.solver
    settings = SolverSettings(solver.rtol, solver.atol, solver.max_steps, model.start)
    return OdeSimulator(compile_system(system), settings, observables, columns)


def _python_function(
    checked: CheckedSpec, model: PythonSpec, name: str, latent: LatentMap
) -> PythonFunction:
    path = Path(checked.folder / model.file)
    if not path.is_file():
        place = checked.place("model", "file")
        raise SpecError([Complaint(f"no such model file: '{path}'", place)])
    loaded = load_python_file(path)
    function = getattr(loaded.module, name, None)
    if not callable(function):
        known = [k for k, v in vars(loaded.module).items() if callable(v) and not k.startswith("_")]
        hint = nearest(name, known) or f"it has: {', '.join(known) or 'none'}"
        kind = "simulate" if model.log_likelihood is None else "log_likelihood"
        place = checked.place("model", kind)
        raise SpecError([Complaint(f"{path} has no function '{name}'", place, hint)])
    slices: dict[str, slice | int] = {}
    for parameter, where in zip(latent.parameters, latent.slices().values(), strict=True):
        slices[parameter.name] = where.start if parameter.size is None else where
    fixed = checked.meaning.fixed
    return PythonFunction(function, name, slices, fixed, model.array, loaded.settings)
