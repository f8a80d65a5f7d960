"""From a checked spec to a program that can be asked."""

from __future__ import annotations

from nfanneal.model.latent import LatentMap
from nfanneal.model.likelihood import DirectLikelihood
from nfanneal.model.program import (
    Command,
    Experiment,
    ProgramDensity,
    Programs,
    ProgramSimulator,
)
from nfanneal.spec.build.own_parameters import own_parameters
from nfanneal.spec.checked import CheckedSpec
from nfanneal.spec.kinds.program import ProgramSpec


def program_likelihood(
    checked: CheckedSpec, model: ProgramSpec, latent: LatentMap
) -> DirectLikelihood:
    """The log-likelihood that the program gives."""
    slices, fixed = own_parameters(checked, latent, None)
    programs = Programs(_command(checked, model), (Experiment("", slices, fixed),))
    return DirectLikelihood(ProgramDensity(programs))


def program_simulator(
    checked: CheckedSpec, model: ProgramSpec, latent: LatentMap
) -> ProgramSimulator:
    """What the program predicts, in each experiment; its times are not known yet."""
    experiments = tuple(
        Experiment(e.name, *own_parameters(checked, latent, e), time=checked.data[e.name].time)
        for e in checked.meaning.experiments
    )
    names = dict.fromkeys(n.observable for e in checked.meaning.experiments for n in e.noise)
    return ProgramSimulator(Programs(_command(checked, model), experiments, tuple(names)))


def _command(checked: CheckedSpec, model: ProgramSpec) -> Command:
    placed = model.placed(checked.folder)
    return Command(
        words=tuple(placed["command"]),
        here=str(checked.folder.resolve()),
        answers=model.answer,
        stays=model.protocol == "lines",
        shell=model.shell,
        stdin=placed.get("stdin", ""),
        parameters=model.parameters,
        environment=model.environment,
        seconds=model.longest,
        retries=model.retries,
        gradient=model.gradient,
    )
