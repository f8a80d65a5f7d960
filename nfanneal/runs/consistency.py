"""Whether a model is a function of its parameters: draws asked twice, and in other company.

Random numbers in a model, a mean over the wrong axis, draws that come back in another order: all of
them give an evidence that looks like any other.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nfanneal.arrays import Array
from nfanneal.errors import ResultError
from nfanneal.model.calls import Prediction
from nfanneal.model.executors import Pooled
from nfanneal.model.problem import Problem
from nfanneal.results.verdicts import SOLVER_SPREAD

SAME = 1e-6
"""Relative difference of two answers to one question that rounding may make."""
ASKED = 8
HALF_A_DIGIT = 2.0**-24
"""Relative error of a number of single precision."""


def whim(problem: Problem, z: Array) -> str:
    """What is wrong with a model's answers at z (n, d), in words; empty if nothing is."""
    once, part = _asked(problem, z, 0), len(z) // 2 + 1
    if problem.one_by_one:
        return _told(problem, z, once, _asked(problem, z, 1), NOT_A_FUNCTION)
    other = z[::-1]
    parts = (other[:part], other[part:-1], other[-1:])
    other_way = [_asked(problem, each, 1) for each in parts if len(each)]
    found = _told(problem, z, once, np.concatenate(other_way)[::-1], NOT_A_FUNCTION)
    if not found:
        return ""
    return (
        _told(problem, z, once, _asked(problem, z, 2), NOT_A_FUNCTION)
        or _told(problem, z, once, _asked(problem, z[::-1], 3)[::-1], MIXED_UP)
        or _told(
            problem, z, once, np.concatenate([_asked(problem, p[None], 4) for p in z]), COMPANY
        )
        or found
    )


def changed_mind(problem: Problem, z: Array, said: Array) -> str:
    """What is wrong where a model says something else at z (n, d) than it `said` (n,) at first."""
    return _told(problem, z, said, _asked(problem, z, 5), NOT_A_FUNCTION)


def anew(problem: Problem) -> int:
    """How often the probes have been asked, for a question that no memory is to answer."""
    known = len(problem.executor.memory) if isinstance(problem.executor, Pooled) else 0
    return ASKED_BEFORE + known if known else 0


def refuse_other_answers(problem: Problem, z: Array, said: Array) -> None:
    """The model is asked what it `said` (n,) at points z (n, d) before a run was stopped.

    Raises:
        ResultError: it says something else now.
    """
    wrong = _told(problem, z, said, _asked(problem, z, anew(problem)), OTHERWISE)
    if wrong:
        raise ResultError(wrong)


def refuse_another_model(problem: Problem) -> None:
    """A few draws are asked anew, where answers are known from before.

    Raises:
        ResultError: the answers are others now.
    """
    z = probes(problem)
    refuse_other_answers(problem, z, _asked(problem, z, 0))


def whim_of(problem: Problem, z: Array, said: Array, n: int) -> str:
    """The same of points z (m, d) of which log L was `said` (m,) among n draws or so."""
    if problem.one_by_one:
        return ""
    return _told(problem, z, said, _asked(problem, z, 6), COMPANY, n)


ASKED_BEFORE = 1000
"""A number of questions that no run gets to by itself."""
OTHERWISE = (
    "the model answers otherwise than it did before the run was stopped: at {where} the "
    "log-likelihood was {once:.6g}, now it is {again:.6g}; it, or something that it reads, has "
    "changed\nundo that, name another --output, or start afresh with --force"
)
UNASKED = (
    "the program has said a line more than it was asked for: its answers may be those of other "
    "draws. It must print one line for each question, or repeat the question's id in each answer"
)
NOT_A_FUNCTION = (
    "the model is not a function of its parameters: at {where} the log-likelihood was {once:.6g}, "
    "then {again:.6g}. Random numbers in a model bias the evidence, and no run could be repeated"
)
MIXED_UP = (
    "the model mixes up its draws: at {where} the log-likelihood was {once:.6g}, and "
    "{again:.6g} when the same draws came in another order. Row i of what it returns must be that "
    "of row i of its parameters"
)
TOO_ROUNDED = (
    "the model returns numbers of single precision (float32), whose rounding alone moves log L by "
    "{size:.2g} at these data: compute with float64 throughout"
)
COMPANY = (
    "what the model says of a draw depends on the others beside it: at {where} the log-likelihood "
    "was {once:.6g} among {n:,} draws, and {again:.6g} among few. Look for a mean, a sum or a "
    "maximum over all draws (axis 0)"
)


def probes(problem: Problem) -> Array:
    """Draws z (n, d) of the prior that a model is tried at; fewer if it is asked one by one."""
    n = ASKED // 2 if problem.one_by_one else ASKED
    return np.random.default_rng(0).standard_normal((n, problem.latent.dimension))


def _asked(problem: Problem, z: Array, again: int) -> Array:
    return problem.said_again(z, again).log_likelihood


def _told(problem: Problem, z: Array, once: Array, again: Array, text: str, n: int = ASKED) -> str:
    other = np.flatnonzero(~np.isclose(once, again, rtol=SAME, atol=SAME))
    if not len(other):
        return ""
    i = int(other[0])
    where = problem.latent.in_words(z[i])
    return text.format(where=where, once=once[i], again=again[i], n=n)


def too_rounded(problem: Problem, z: Array) -> str:
    """What is wrong where log L at z (n, d) is made of single precision that the data do not bear.

    By how much it moves when predictions are rounded once more to such numbers, at random.
    """
    if not single_precision(problem, z):
        return ""
    theta = problem.latent.from_latent(z)
    if problem.data is None:
        moved = HALF_A_DIGIT * _asked(problem, z, 0)
    else:
        found = problem.ask(Prediction(), theta)
        by = np.random.default_rng(0).uniform(-HALF_A_DIGIT, HALF_A_DIGIT, found.values.shape)
        rounded = replace(found, values=found.values * (1.0 + by))
        of = problem.data.of_predictions
        moved = of(theta, rounded).log_likelihood - of(theta, found).log_likelihood
    moved = moved[np.isfinite(moved)]
    size = float(np.sqrt(np.mean(moved**2))) if len(moved) else 0.0
    return TOO_ROUNDED.format(size=size) if size > SOLVER_SPREAD else ""


def single_precision(problem: Problem, z: Array) -> str:
    """A sentence if the model's numbers at z (n, d) have but half of their digits; else nothing."""
    if problem.data is None:
        values = _asked(problem, z, 0)
    else:
        values = problem.ask(Prediction(), problem.latent.from_latent(z)).values
    values = values[np.isfinite(values) & (values != np.round(values))]
    with np.errstate(over="ignore"):
        if not len(values) or not np.array_equal(values, values.astype(np.float32)):
            return ""
    return (
        "the model returns numbers of single precision (float32): its log-likelihood and gradients "
        "have seven digits. Compute with float64"
    )
