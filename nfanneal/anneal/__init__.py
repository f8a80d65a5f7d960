"""Annealed flow training: from the prior at β = 0 to a flow over the posterior at β = 1."""

from nfanneal.anneal.loop import AnnealResult, anneal, outcome_of
from nfanneal.anneal.settings import OBJECTIVES, AnnealSettings
from nfanneal.anneal.target import EVALUATION_CHUNK, Evaluation, Target

__all__ = [
    "EVALUATION_CHUNK",
    "OBJECTIVES",
    "AnnealResult",
    "AnnealSettings",
    "Evaluation",
    "Target",
    "anneal",
    "outcome_of",
]
