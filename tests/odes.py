"""Systems as texts, and one that tests of steps that fail share: compiled once."""

from nfanneal.model.expressions import parse, symbol
from nfanneal.model.ode import OdeSystem


def build(states, equations, parameters, initial, observables=None):
    """A system from texts; names are separated by spaces."""
    names = dict.fromkeys([*states.split(), *parameters.split(), "t"])

    def expressions(texts):
        return tuple(parse(text, names) for text in texts)

    return OdeSystem(
        symbol("t"),
        tuple(map(symbol, states.split())),
        tuple(map(symbol, parameters.split())),
        expressions(initial),
        expressions(equations),
        expressions(observables or states.split()),
    )


EDGES = build(
    "x u v",
    ["k*x**n", "where(t > 1.5, -1000*a*(u + log(u)), 0)", "-b*v*sqrt(v - 0.5)"],
    "k n x0 a b",
    ["x0", "5", "0.75"],
    ["x", "1e7*x", "u", "v"],
)
"""Three that do not meet, each at rest where its rate k, a or b is zero.

x grows, decays, blows up, or leaves the domain. u begins at t = 1.5, so that a long step arrives
there, and its stages are negative. v falls to where the root of a negative number begins.
"""
