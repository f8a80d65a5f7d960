"""From a checked spec to a user's Python function."""

from __future__ import annotations

from pathlib import Path

from nfanneal.errors import Complaint, SpecError, nearest
from nfanneal.model.latent import LatentMap
from nfanneal.model.likelihood import DirectLikelihood
from nfanneal.model.python_file import load_python_file
from nfanneal.model.python_model import PythonFunction, PythonLikelihood, PythonSimulator
from nfanneal.spec.build.own_parameters import own_parameters
from nfanneal.spec.checked import CheckedSpec
from nfanneal.spec.experiments import ExperimentMeaning
from nfanneal.spec.kinds.python import PythonSpec


def python_likelihood(
    checked: CheckedSpec, model: PythonSpec, latent: LatentMap
) -> DirectLikelihood:
    """The log-likelihood that the user's function gives.

    Raises:
        SpecError: the file or its function is missing.
        ModelError: importing it raised.
    """
    function = _python_function(checked, model, str(model.log_likelihood), latent, None)
    return DirectLikelihood(PythonLikelihood(function))


def python_simulator(checked: CheckedSpec, model: PythonSpec, latent: LatentMap) -> PythonSimulator:
    """What the user's function predicts, in each experiment.

    Raises:
        SpecError: the file or its function is missing.
        ModelError: importing it raised.
    """
    experiments, name = checked.meaning.experiments, str(model.simulate)
    functions = tuple(_python_function(checked, model, name, latent, e) for e in experiments)
    names = dict.fromkeys(n.observable for e in experiments for n in e.noise)
    return PythonSimulator(functions, tuple(names))


def _python_function(
    checked: CheckedSpec,
    model: PythonSpec,
    name: str,
    latent: LatentMap,
    experiment: ExperimentMeaning | None,
) -> PythonFunction:
    """The user's function, of the parameters as they are in an experiment."""
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
    slices, fixed = own_parameters(checked, latent, experiment)
    return PythonFunction(function, name, slices, fixed, model.array, loaded.settings)
