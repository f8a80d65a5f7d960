"""From a checked spec and its data to a problem and settings."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nfanneal.errors import Complaint, DataError, Location, SpecError
from nfanneal.model.calls import on_threads
from nfanneal.model.executors.choice import Workers
from nfanneal.model.expressions import symbol
from nfanneal.model.latent import LatentMap
from nfanneal.model.likelihood import DataLikelihood, Likelihood
from nfanneal.model.noise import NOISE_MODELS, check_support
from nfanneal.model.observations import Observations
from nfanneal.model.problem import Problem
from nfanneal.model.series import NoiseArguments, ObservedSeries
from nfanneal.model.simulator import Simulator
from nfanneal.runtime.limits import affordable_draws
from nfanneal.spec.build.numbers import known_numbers, substituted
from nfanneal.spec.build.workers import executor_of, refuse_workers
from nfanneal.spec.checked import CheckedSpec
from nfanneal.spec.events import start_of
from nfanneal.spec.experiments import ExperimentMeaning, NoiseMeaning, within
from nfanneal.spec.table import observations

PILOTS = 16
"""Draws of the prior that tell how large a model's states are."""
COPIES = 6
"""Arrays as large as a model's predictions, and their Jacobian, that an evaluation takes."""


def build_problem(
    checked: CheckedSpec,
    data: Mapping[str, Observations] | None = None,
    *,
    memory: int | None = None,
    workers: Workers | None = None,
    alone: bool = False,
) -> Problem:
    """Read the data unless they are given, compile or import the model, and put all together.

    The model is called with fewer draws at once where more would not fit into `memory` bytes
    (None: a share of the machine's, or of what its cgroup allows). `workers` ask it, or whoever is
    best for its kind; `alone`: this process does.

    Raises:
        DataError: the data file is missing or invalid, or does not fit the noise models.
        SpecError: the Python file or its function is missing, or the data begin too early.
        ModelError: importing the Python model raised.
        InputError: such a model cannot be asked by such workers, or they cannot be reached.
    """
    model = checked.spec.model
    if workers is not None:
        refuse_workers(model)  # before anything is compiled
    latent = LatentMap(checked.meaning.free)
    if model.likelihood_key is not None:
        likelihood: Likelihood = model.direct_likelihood(checked, latent)
    else:
        data = read_observations(checked) if data is None else data
        likelihood = _data_likelihood(checked, data, latent)
    chunk = affordable_draws(model.draws_per_call, _bytes_per_draw(likelihood, latent), memory)
    executor = on_threads if alone else executor_of(checked, data, workers)
    command = checked.spec.model.command_line(checked.folder)
    return Problem(checked.spec.name, latent, likelihood, chunk, executor, command=command)


def _bytes_per_draw(likelihood: Likelihood, latent: LatentMap) -> float:
    """What the arrays of an evaluation take; a user's own are not known."""
    if not isinstance(likelihood, DataLikelihood):
        return 8.0 * COPIES * latent.dimension
    derivatives = latent.dimension if likelihood.has_information else 1
    return 8.0 * COPIES * likelihood.cells * (1 + derivatives)


def _data_likelihood(
    checked: CheckedSpec, data: Mapping[str, Observations], latent: LatentMap
) -> DataLikelihood:
    _check_starts(checked, data)
    own = [data[e.name] for e in checked.meaning.experiments]
    times = tuple(each.times for each in own)
    pilots = np.random.default_rng(0).standard_normal((PILOTS, latent.dimension))
    simulator = checked.spec.model.simulator(checked, latent, own)
    simulator = simulator.prepared(latent.from_latent(pilots), times)
    return DataLikelihood(simulator, times, _series(checked, data, simulator, latent))


def _check_starts(checked: CheckedSpec, data: Mapping[str, Observations]) -> None:
    for experiment in checked.meaning.experiments:
        start, place = start_of(checked.spec, experiment.name)
        begin = data[experiment.name].times[0]
        if begin < start:
            first = f"{begin:g}, before the initial values at {'.'.join(place)} = {start:g}"
            message = f"the data ({checked.data_place(experiment.name)}) begin at {first}"
            hint = f"set {'.'.join(place)} to the time of the initial values"
            raise SpecError([Complaint(message, checked.place(*place), hint)])


def read_observations(checked: CheckedSpec) -> dict[str, Observations]:
    """The data of each experiment of a spec whose model predicts.

    Raises:
        DataError: a file is missing or invalid.
    """
    found = {}
    for experiment in checked.meaning.experiments:
        said = checked.data[experiment.name]
        names = [n.observable for n in experiment.noise]
        columns = {name: said.columns.get(name, name) for name in names}
        table = checked.data_table(experiment.name)
        own = found[experiment.name] = observations(table, said.time, columns)
        if own.times[-1] == np.inf and not checked.spec.model.settles:
            line = table.lines[int(np.argmax(table.column(said.time, infinite=True) == np.inf))]
            message = f"the model is {checked.spec.model.words}: it has no steady state to predict"
            hint = "data at time inf are for models of ordinary differential equations"
            raise DataError([Complaint(message, Location(table.path, line), hint)])
    return found


def _series(
    checked: CheckedSpec,
    data: Mapping[str, Observations],
    simulator: Simulator,
    latent: LatentMap,
) -> tuple[ObservedSeries, ...]:
    """The series of every experiment, whose times follow one another."""
    series: list[ObservedSeries] = []
    complaints: list[Complaint] = []
    first = 0
    for experiment in checked.meaning.experiments:
        own = data[experiment.name]
        for i, noise in enumerate(experiment.noise):
            problem = check_support(NOISE_MODELS[noise.model], own.values[i])
            if problem:
                file = checked.data_place(experiment.name)
                complaints.append(Complaint(f"{file}: '{noise.observable}': {problem}"))
            series.append(
                ObservedSeries(
                    name=within(noise.observable, experiment.name),
                    observable=simulator.observables.index(noise.observable),
                    time_index=first + own.time_index[i],
                    values=own.values[i],
                    noise=NOISE_MODELS[noise.model],
                    arguments=_arguments(checked, experiment, noise, simulator, latent),
                )
            )
        first += len(own.times)
    if complaints:
        raise DataError(complaints)
    return tuple(series)


def _arguments(
    checked: CheckedSpec,
    experiment: ExperimentMeaning,
    noise: NoiseMeaning,
    simulator: Simulator,
    latent: LatentMap,
) -> NoiseArguments:
    """The arguments of an observable's noise in an experiment, constants replaced by numbers."""
    columns = {symbol(name): i for i, name in enumerate(latent.column_names)}
    observables = {symbol(name): k for k, name in enumerate(simulator.observables)}
    own = ("experiments", experiment.name, "likelihood", noise.observable)
    stands = checked.document.places
    where = checked.place(*(own if own in stands else own[2:]))
    known = {k: v for k, v in known_numbers(checked).items() if symbol(k) not in observables}
    here = (e.xreplace(dict(experiment.instead)) for e in noise.arguments)
    expressions = tuple(substituted(e, known, where) for e in here)
    return NoiseArguments(expressions, columns, observables)
