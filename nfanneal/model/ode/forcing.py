"""How long steps may be where equations depend on the time itself, so that none misses anything.

A step looks at a few times only: a pulse between them is not there for it, and its error says
nothing. What depends on time and on no state is known beforehand; it is looked at on a fine grid,
and no step may be longer than what a line between its values resolves.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import sympy
from sympy.core.relational import Relational
from sympy.logic.boolalg import BooleanFunction

from nfanneal.arrays import Array
from nfanneal.model.expressions import compile_numpy
from nfanneal.model.expressions.functions import Where, compare
from nfanneal.model.ode.system import OdeSystem, with_stops

FINE, COARSE = 15, 2
"""Powers of two: the intervals of the fine grid, and the fewest that steps are held to."""
SHORTEST = 12
"""… and the most: shorter ones would take too long in all draws, and are the user's to ask for."""
RESOLVED, OVERSHOOT = 0.1, 0.2
"""Share of a term's deviation from its mean that lines between its values may miss; and of its
range, by which it may go beyond the values at both ends of an interval."""
SLIGHT = 1e-3
"""Share of its range by which a term may rise and fall between two times unseen."""


def longest_step(system: OdeSystem, phi: Array, start: float, end: float) -> float:
    """The longest step that resolves what depends on time from `start` to `end`; or infinity.

    At all but one of the draws φ (n, q) of the system's parameters: one may be anywhere.
    """
    stopping = with_stops(system)
    terms = sorted(set(forcing_terms(stopping)), key=str)
    if not terms or not len(phi) or not end > start:
        return np.inf
    values = compile_numpy(terms, (stopping.time, *stopping.parameters))
    times = np.linspace(start, end, 2**FINE + 1)
    needed = []
    for row in phi:
        with np.errstate(all="ignore"):
            found = values(times, *row)
        needed.append(max(intervals_needed(np.broadcast_to(v, times.shape)) for v in found))
    power = sorted(needed)[-2 if len(needed) > 1 else -1]
    return np.inf if power <= COARSE else (end - start) / 2 ** min(power, SHORTEST)


def forcing_terms(system: OdeSystem) -> Iterator[sympy.Expr]:
    """The largest parts of equations and conditions of events that depend on time, and on nothing

    else that moves.

    Switches turn with time alone: a function or a condition that holds one is looked at with what
    the switch stands for. What it only chooses between is looked at piece by piece, since the
    solver stops where it turns.
    """
    table = system.timetable
    turning = {
        switch.symbol: Where(compare(sympy.Ge, system.time, switch.time), sympy.S.One, sympy.S.Zero)
        for switch in table.switches
    }
    names = (name for name, _ in system.named)
    moving = {*system.states, *names, *table.held} - turning.keys()

    def parts(node: sympy.Basic) -> Iterator[sympy.Expr]:
        free = node.free_symbols
        if system.time not in free:
            return
        joins = isinstance(node, BooleanFunction)
        if free & moving or joins or (free & turning.keys() and _chooses(node, system.time)):
            for part in node.args:
                yield from parts(part)
        elif isinstance(node, Relational):
            yield Where(node.xreplace(turning), sympy.S.One, sympy.S.Zero)
        elif isinstance(node, sympy.Expr):
            whole = node.xreplace(turning)
            yield from (p for p in sympy.Add.make_args(whole) if system.time in p.free_symbols)

    for node in (*system.moving, *(trigger.turns for trigger in table.triggers)):
        yield from parts(node)


def _chooses(node: sympy.Basic, time: sympy.Symbol) -> bool:
    """Whether its parts, taken one by one, tell all that it does between stops."""
    if isinstance(node, Where):
        return time not in node.args[0].free_symbols
    return isinstance(node, sympy.Add | sympy.Mul | sympy.And | sympy.Or | sympy.Not)


def intervals_needed(values: Array) -> int:
    """The power of two of intervals whose ends tell of values (2^FINE + 1,) what lies between."""
    known = np.isfinite(values)
    if not known.all():
        values = np.where(known, values, 0.0)
    deviation, extent = float(np.abs(values - values.mean()).sum()), float(np.ptp(values))
    if not 0.0 < deviation < np.inf:
        return COARSE
    position = np.arange(len(values))
    passed = False
    for power in range(COARSE, FINE + 1):
        nodes = position[:: 2 ** (FINE - power)]
        lines = np.interp(position, nodes, values[nodes])
        missed = float(np.abs(values - lines)[:-1] @ _turns(values, power))
        seen = missed <= RESOLVED * deviation and _overshoot(values, power) <= OVERSHOOT * extent
        before, passed = passed, seen
        if before and passed:
            return power - 1
    return FINE


def _turns(values: Array, power: int) -> Array:
    """1. for each value (2^FINE,) near which they rise and fall within two intervals, else 0.

    Where they only rise or only fall, both ends tell of it, however fast it is: what decays from
    the start is seen by the first steps, and a jump by the step beyond it. A step begins anywhere:
    it lies within two intervals.
    """
    size = (len(values) - 1) // 2**power
    steps = np.diff(values).reshape(2**power, size)
    ways, far = np.abs(steps).sum(axis=1), steps.sum(axis=1)
    both = ways[:-1] + ways[1:] - np.abs(far[:-1] + far[1:]) > SLIGHT * np.ptp(values)
    near = np.append(both, False) | np.append(False, both)
    return np.repeat(near.astype(np.float64), size)


def _overshoot(values: Array, power: int) -> float:
    """How far values go beyond those at both ends of their interval; a jump between does not."""
    inside = values[:-1].reshape(2**power, -1)
    ends = np.stack([inside[:, 0], np.append(inside[1:, 0], values[-1])])
    above = inside.max(axis=1) - ends.max(axis=0)
    below = ends.min(axis=0) - inside.min(axis=1)
    return float(max(above.max(), below.max()))
