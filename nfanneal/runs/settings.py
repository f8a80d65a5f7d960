"""How a problem is estimated: what the spec says, and defaults by the problem."""

from __future__ import annotations

from dataclasses import dataclass

from nfanneal.anneal.explore import walks
from nfanneal.anneal.proposals.architectures import FlowSettings, default_flow_settings
from nfanneal.anneal.settings import AnnealSettings, default_anneal_settings
from nfanneal.errors import Complaint, SpecError
from nfanneal.model.likelihood import Likelihood
from nfanneal.model.problem import Problem
from nfanneal.spec.checked import CheckedSpec


@dataclass(frozen=True)
class Settings:
    """How to estimate: flow, annealing, the seed, and final draws: more than `samples`, up to

    `most_samples`, where fewer than `enough_ess` of them are effective."""

    flow: FlowSettings
    anneal: AnnealSettings
    samples: int
    most_samples: int
    enough_ess: float
    seed: int


SAMPLES, QUICK_SAMPLES, MOST_SAMPLES = 10_000, 20_000, 100_000
"""Final draws if the spec says nothing of them; of the quick preset, fewer of whose are effective;

and at most, where too few are."""
ENOUGH_ESS, QUICK_ENOUGH_ESS = 4_000, 2_000
"""Effective draws that are enough: errors of log Z of 0.016 and 0.022."""


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
    samples = spec.output.samples
    quick = spec.anneal.preset == "quick"
    usual = QUICK_SAMPLES if quick else SAMPLES
    return Settings(
        flow=_flow_settings(checked, dimension, annealing),
        anneal=annealing,
        samples=samples or usual,
        most_samples=samples or MOST_SAMPLES,
        enough_ess=QUICK_ENOUGH_ESS if quick else ENOUGH_ESS,
        seed=spec.seed,
    )


def _anneal_settings(
    checked: CheckedSpec, dimension: int, likelihood: Likelihood
) -> AnnealSettings:
    spec = checked.spec.anneal
    given = spec.model_dump(exclude={"preset"})
    if spec.preset == "quick" and spec.moves is None and walks(likelihood):
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
        light=checked.spec.anneal.preset == "quick",
    )
