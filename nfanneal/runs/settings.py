"""How a problem is estimated: what the spec says, and defaults by the problem."""

from __future__ import annotations

from dataclasses import dataclass

from nfanneal.anneal.explore import walks
from nfanneal.anneal.settings import (
    AnnealSettings,
    FlowSettings,
    default_anneal_settings,
    default_flow_settings,
)
from nfanneal.errors import Complaint, SpecError
from nfanneal.model.likelihood import Likelihood
from nfanneal.model.problem import Problem
from nfanneal.spec.annealing import MOST_SAMPLES, PRESETS, USUAL, Preset
from nfanneal.spec.checked import CheckedSpec


@dataclass(frozen=True)
class Settings:
    """How to estimate: flow, annealing, the seed, and final draws: more than `samples`, up to

    `most_samples`, where fewer than `enough_ess` of them are effective. `fold`: all of them are
    moved into one of the posterior's equal modes."""

    flow: FlowSettings
    anneal: AnnealSettings
    samples: int
    most_samples: int
    enough_ess: float
    seed: int
    fold: bool = False


def build_settings(checked: CheckedSpec, problem: Problem) -> Settings:
    """Fill in defaults by the dimension and by what the model can give.

    Raises:
        SpecError: the objective needs gradients that the model does not have.
    """
    spec = checked.spec
    dimension = problem.latent.dimension
    annealing = _anneal_settings(checked, dimension, problem.likelihood)
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
    samples, preset = spec.output.samples, _preset(checked)
    return Settings(
        flow=_flow_settings(checked, dimension, annealing),
        anneal=annealing,
        samples=samples or preset.samples,
        most_samples=samples or MOST_SAMPLES,
        enough_ess=preset.enough_ess,
        seed=spec.seed,
        fold=spec.output.symmetry == "fold",
    )


def _preset(checked: CheckedSpec) -> Preset:
    name = checked.spec.anneal.preset
    return USUAL if name is None else PRESETS[name]


def _anneal_settings(
    checked: CheckedSpec, dimension: int, likelihood: Likelihood
) -> AnnealSettings:
    spec = checked.spec.anneal
    given = spec.model_dump(exclude={"preset"})
    if not _preset(checked).walk and spec.moves is None and walks(likelihood):
        given["moves"] = 0  # a walk takes many evaluations
    scouting = likelihood.has_information and spec.scout == "auto"
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
        light=_preset(checked).light,
    )
