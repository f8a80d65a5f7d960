"""What may be meant otherwise than it is taken, in words: no errors, and no reasons to distrust."""

from __future__ import annotations

from itertools import groupby

from nfanneal.model.problem import Problem
from nfanneal.runs.consistency import probes, single_precision

SHORT = 1 / 500
"""Steps below this share of the span are worth a word."""
SHOWN = 3
"""Times that are told one by one."""


def remarks(problem: Problem) -> list[str]:
    """Doses at the time of data, which see the state after them; numbers of half the digits."""
    data = problem.data
    z = probes(problem)
    if not problem.goes_by_steps:
        rough = single_precision(problem, z)
        return [rough] if rough else []
    if data is None:
        return []
    theta = problem.latent.from_latent(z)
    found = data.simulator.doses_at_data(theta, data.times)
    found.sort(key=lambda each: each.state)
    told = []
    for state, each in groupby(found, key=lambda each: each.state):
        times = sorted({one.time for one in each})
        listed = ", ".join(f"{time:g}" for time in times[:SHOWN])
        more = f" and {len(times) - SHOWN} more" if len(times) > SHOWN else ""
        told.append(
            f"data at the time of a dose of '{state}' ({listed}{more}) see the state after it; if "
            f"they were taken before, say model.doses.{state}: {{…, after: data}}"
        )
    return told + _short_steps(problem)


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
