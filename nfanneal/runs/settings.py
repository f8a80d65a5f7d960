"""How a problem is estimated: what the spec says, and defaults by the problem."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nfanneal.anneal.loop import LEAST_ESS
from nfanneal.anneal.settings import (
    AnnealSettings,
    FlowSettings,
    default_anneal_settings,
    default_flow_settings,
)
from nfanneal.errors import Complaint, SpecError
from nfanneal.model.problem import Problem
from nfanneal.spec.annealing import FIRST_SAMPLES, MOST_SAMPLES, PRESETS, USUAL, Preset
from nfanneal.spec.checked import CheckedSpec


@dataclass(frozen=True)
class Settings:
    """How to estimate: flow, annealing, the seed, and final draws: more than `samples`, up to

    `most_samples`, where fewer than `enough_ess` of them are effective. Where that is not reached,
    or an error of the log-evidence of `enough_error`, more effort is made. `fold`: all draws are
    moved into one of the posterior's equal modes."""

    flow: FlowSettings
    anneal: AnnealSettings
    samples: int
    most_samples: int
    enough_ess: float
    enough_error: float
    seed: int
    fold: bool = False


def build_settings(checked: CheckedSpec, problem: Problem) -> Settings:
    """Fill in defaults by the dimension and by what the model can give.

    Raises:
        SpecError: the objective needs gradients that the model does not have.
    """
    spec = checked.spec
    dimension = problem.latent.dimension
    given = checked.spec.anneal.model_dump(exclude={"preset"})
    annealing = default_anneal_settings(dimension, **given)
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
    output, preset = spec.output, _preset(checked)
    samples = output.samples
    return Settings(
        flow=_flow_settings(checked, dimension, annealing),
        anneal=annealing,
        samples=samples or FIRST_SAMPLES,
        most_samples=samples or MOST_SAMPLES,
        enough_ess=output.ess or min(preset.ess, samples * LEAST_ESS if samples else math.inf),
        enough_error=output.error or (math.inf if samples else preset.error),
        seed=spec.seed,
        fold=spec.output.symmetry == "fold",
    )


def _preset(checked: CheckedSpec) -> Preset:
    name = checked.spec.anneal.preset
    return USUAL if name is None else PRESETS[name]


def _flow_settings(checked: CheckedSpec, dimension: int, annealing: AnnealSettings) -> FlowSettings:
    flow = checked.spec.flow
    kind = flow.kind or ("coupling_nsf" if annealing.needs_gradient else None)
    return default_flow_settings(
        dimension,
        kind=kind,
        transforms=flow.transforms,
        bins=flow.bins,
        hidden=None if flow.hidden is None else tuple(flow.hidden),
    )
