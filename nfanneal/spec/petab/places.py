"""Where the parts of a spec that was made from a PEtab problem stand in the problem's files."""

from __future__ import annotations

from collections.abc import Mapping

from nfanneal.errors import Location
from nfanneal.spec.document import KeyPath
from nfanneal.spec.petab.problem import PetabExperiment, PetabProblem
from nfanneal.spec.sbml.contents import SbmlModel

_OF_MODEL = ("states", "constants", "equations", "expressions")


def places_of(
    mapping: Mapping[str, object], problem: PetabProblem, model: SbmlModel
) -> dict[KeyPath, Location]:
    """The place in a file of keys of the spec; what stands within one is at the same place."""
    found: dict[KeyPath, Location] = {("model",): Location(model.path, 1, 1)}
    for name, line in model.lines.items():
        found |= {("model", section, name): Location(model.path, line) for section in _OF_MODEL}
    for i, event in enumerate(model.events):
        found["model", "events", i] = Location(model.path, event.line)
    found |= {("parameters", p.name): p.place for p in problem.parameters}
    observables = {o.name: o.place for o in problem.observables}
    for name in _keys(mapping, "model", "observables"):
        place = _of_observable(name, observables)
        if place is not None:
            found["model", "observables", name] = found["likelihood", name] = place
    data = {each.experiment: each.place for each in reversed(problem.measurements)}
    for experiment in problem.experiments:
        place = _of_experiment(experiment) or data.get(experiment.name)
        if place is not None:
            found["experiments", experiment.name] = place
        if experiment.name in data:
            found["experiments", experiment.name, "data"] = data[experiment.name]
    return found


def _keys(mapping: object, *path: str) -> list[str]:
    for key in path:
        mapping = mapping.get(key, {}) if isinstance(mapping, Mapping) else {}
    return list(mapping) if isinstance(mapping, Mapping) else []


def _of_observable(name: str, known: Mapping[str, Location]) -> Location | None:
    """That of an observable, of its noise, or of one of several that it has become."""
    plain = name if name in known else name.removeprefix("noise_of_")
    fitting = [each for each in known if plain == each or plain.startswith(f"{each}_")]
    return known[max(fitting, key=len)] if fitting else None


def _of_experiment(experiment: PetabExperiment) -> Location | None:
    periods = (experiment.before, *experiment.periods)
    return next((p.place for p in periods if p is not None and p.place is not None), None)
