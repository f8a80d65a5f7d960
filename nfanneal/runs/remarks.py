"""What may be meant otherwise than it is taken, in words: no errors, and no reasons to distrust."""

from __future__ import annotations

from itertools import groupby

from nfanneal.model.problem import Problem
from nfanneal.model.simulator import Coincidence
from nfanneal.runs.consistency import probes, single_precision

SHORT = 1 / 500
"""Steps below this share of the span are worth a word."""
HOW_BEFORE = {
    "dose": ("a dose of", "say model.doses.{state}: {{…, after: data}}"),
    "event": ("an event that sets", "let it happen a little later"),
}
"""What jumps at the time of data, and how to say that these come first."""
SHOWN = 3
"""Times that are told one by one."""


def remarks(problem: Problem) -> list[str]:
    """Doses and events at the time of data, which see the state after them; half the digits."""
    data = problem.data
    z = probes(problem)
    if not problem.goes_by_steps:
        rough = single_precision(problem, z)
        return [rough] if rough else []
    if data is None:
        return []
    theta = problem.latent.from_latent(z)
    found = data.simulator.doses_at_data(theta, data.times)
    told = []
    by_cause = sorted(found, key=_cause)
    for (by, state), each in groupby(by_cause, key=_cause):
        times = sorted({one.time for one in each})
        listed = ", ".join(f"{time:g}" for time in times[:SHOWN])
        more = f" and {len(times) - SHOWN} more" if len(times) > SHOWN else ""
        what, advice = HOW_BEFORE[by]
        told.append(
            f"data at the time of {what} '{state}' ({listed}{more}) see the state after it; if "
            f"they were taken before, {advice.format(state=state)}"
        )
    return told + _short_steps(problem)


def _cause(found: Coincidence) -> tuple[str, str]:
    return found.by, found.state


def _short_steps(problem: Problem) -> list[str]:
    """Steps that are held far below the span by what the time does: that takes time."""
    shares = problem.data.simulator.longest_steps if problem.data else ()
    least = min(shares, default=1.0)
    if least > SHORT:
        return []
    return [
        f"steps of the solver are held to {least:.1g} of the time span, because the equations have "
        "narrow peaks or fast waves in time: that is slow. model.solver.max_step sets another limit"
    ]
