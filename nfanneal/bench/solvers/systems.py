"""Well-known ODE systems that the solver is tested and timed on, with priors and output times.

Sources: Hairer & Wanner, Solving ODEs II, chapter IV (Robertson, Oregonator, van der Pol, HIRES);
Elowitz & Leibler (2000), doi:10.1038/35002125 (repressilator, here in log-states); Goodwin (1965),
doi:10.1016/0065-2571(65)90067-1; Prigogine & Lefever (1968), doi:10.1063/1.1668896 (Brusselator);
Ramsay et al. (2007), doi:10.1111/j.1467-9868.2007.00610.x (FitzHugh–Nagumo).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nfanneal.arrays import Array
from nfanneal.model.expressions import parse, symbol
from nfanneal.model.ode import OdeSystem, SolverSettings

Range = tuple[float, float, float]
"""A parameter's value near the mode, and its prior's lowest and highest."""

NEARBY = 0.02
"""Width of the draws near the mode, in widths of the prior."""


@dataclass(frozen=True)
class KnownSystem:
    """A system in texts: state → (initial value, equation), parameter → range, output times.

    A prior is log-uniform where its lowest value is positive, else uniform. The tolerances are
    those that a user would ask for. `observed` are the states to look at; all if there are none.
    """

    states: Mapping[str, tuple[str, str]]
    parameters: Mapping[str, Range]
    times: Array
    rtol: float = 1e-6
    atol: float = 1e-6
    stiff: bool = False
    observed: tuple[str, ...] = ()

    @cached_property
    def system(self) -> OdeSystem:
        """The system in symbols."""
        names = dict.fromkeys([*self.states, *self.parameters, "t"])
        return OdeSystem(
            time=symbol("t"),
            states=tuple(map(symbol, self.states)),
            parameters=tuple(map(symbol, self.parameters)),
            initial=tuple(parse(initial, names) for initial, _ in self.states.values()),
            equations=tuple(parse(equation, names) for _, equation in self.states.values()),
            observables=tuple(map(symbol, self.observed or self.states)),
        )

    @property
    def settings(self) -> SolverSettings:
        """Tolerances, and steps enough for every method."""
        return SolverSettings(self.rtol, self.atol, max_steps=100_000)

    @property
    def mode(self) -> Array:
        """The parameters that the system is known for, (p,)."""
        return np.array([near for near, _, _ in self.parameters.values()])

    def near_mode(self, n: int, rng: np.random.Generator) -> Array:
        """Draws (n, p) around the mode, which is the first of them."""
        away = NEARBY * rng.standard_normal((n, len(self.parameters)))
        away[0] = 0.0
        return self._placed(self._position(self.mode) + away)

    def from_prior(self, n: int, rng: np.random.Generator) -> Array:
        """Draws (n, p) from the prior."""
        return self._placed(rng.uniform(size=(n, len(self.parameters))))

    def _position(self, theta: Array) -> Array:
        """Where θ lies in its prior: 0 at the lowest, 1 at the highest."""
        _, low, high = np.array(list(self.parameters.values())).T
        log = low > 0.0
        with np.errstate(all="ignore"):
            return np.where(
                log, np.log(theta / low) / np.log(high / low), (theta - low) / (high - low)
            )

    def _placed(self, position: Array) -> Array:
        """The θ that lies at `position`."""
        _, low, high = np.array(list(self.parameters.values())).T
        log = low > 0.0
        with np.errstate(all="ignore"):
            return np.where(log, low * (high / low) ** position, low + (high - low) * position)


def _around(value: float, factor: float = 3.0) -> Range:
    return value, value / factor, value * factor


def _repressilator() -> KnownSystem:
    before = {1: 3, 2: 1, 3: 2}
    states = {
        f"x{i}": (
            "0.1823216" if i == 2 else "0",
            f"exp(s{i} - x{i})/(1 + exp(h{i}*x{j})) - {'1' if i == 1 else f'exp(d{i})'}",
        )
        for i, j in before.items()
    }
    strengths = {f"s{i}": (2.302585, -2.0, 5.0) for i in before}
    decays = {f"d{i}": (0.0, -3.0, 3.0) for i in (2, 3)}
    hills = {f"h{i}": (2.0, 0.0, 10.0) for i in before}
    return KnownSystem(states, strengths | decays | hills, np.linspace(0.5, 30.0, 60))


def _chain(length: int = 50, groups: int = 5) -> KnownSystem:
    """Species that become each other in turn, fed at a constant rate until nothing changes."""
    rates = [f"k{i * groups // length}" for i in range(length)]
    states = {"x0": ("0", f"feed - {rates[0]}*x0")}
    for i in range(1, length):
        states[f"x{i}"] = ("0", f"{rates[i - 1]}*x{i - 1} - {rates[i]}*x{i}")
    parameters = {f"k{g}": _around(1.0 + 0.5 * g) for g in range(groups)} | {"feed": _around(2.0)}
    observed = tuple(f"x{i}" for i in range(9, length, 10))
    return KnownSystem(states, parameters, np.linspace(5.0, 100.0, 20), observed=observed)


def _hires() -> KnownSystem:
    """High irradiance responses of photomorphogenesis."""
    states = {
        "y1": ("1", "-a*y1 + b*y2 + c*y3 + feed"),
        "y2": ("0", "a*y1 - (b + c)*y2"),
        "y3": ("0", "-(a + c)*y3 + b*y4 + e*y5"),
        "y4": ("0", "c*y2 + a*y3 - (b + d)*y4"),
        "y5": ("0", "-(a + e)*y5 + b*y6 + b*y7"),
        "y6": ("0", "-bind*y6*y8 + d*y4 + a*y5 - b*y6 + d*y7"),
        "y7": ("0", "bind*y6*y8 - (2*d + b)*y7"),
        "y8": ("0.0057", "-bind*y6*y8 + (2*d + b)*y7"),
    }
    known = {"a": 1.71, "b": 0.43, "c": 8.32, "d": 0.69, "e": 0.035, "bind": 280.0, "feed": 7e-4}
    parameters = {name: _around(value) for name, value in known.items()}
    times = np.linspace(16.0, 320.0, 20)
    return KnownSystem(states, parameters, times, atol=1e-9, stiff=True)


SYSTEMS: Mapping[str, KnownSystem] = {
    "repressilator": _repressilator(),
    "goodwin": KnownSystem(
        {
            "x": ("0.1", "a/(1 + z**n) - b*x"),
            "y": ("0.2", "c*x - d*y"),
            "z": ("2.5", "e*y - f*z"),
        },
        {
            "a": _around(2.0), "b": _around(0.3), "c": _around(0.5),
            "d": _around(0.3), "e": _around(0.5), "f": _around(0.3), "n": (10.0, 2.0, 14.0),
        },
        np.linspace(1.0, 60.0, 60),
    ),
    "brusselator": KnownSystem(
        {"x": ("x0", "a + x**2*y - (b + 1)*x"), "y": ("3", "b*x - x**2*y")},
        {"a": _around(1.0), "b": _around(3.0), "x0": _around(1.5)},
        np.linspace(0.5, 20.0, 40),
    ),
    "van_der_pol": KnownSystem(
        {"x": ("x0", "v"), "v": ("0", "mu*(1 - x**2)*v - x")},
        {"mu": _around(1.0), "x0": _around(2.0)},
        np.linspace(0.5, 20.0, 40),
    ),
    "lotka_volterra": KnownSystem(
        {"u": ("u0", "a*u - b*u*v"), "v": ("v0", "-c*v + d*u*v")},
        {
            "a": _around(0.55), "b": _around(0.28), "c": _around(0.8),
            "d": _around(0.24), "u0": _around(3.0), "v0": _around(0.6),
        },
        np.linspace(0.5, 20.0, 40),
    ),
    "fitzhugh_nagumo": KnownSystem(
        {"v": ("v0", "c*(v - v**3/3 + r)"), "r": ("r0", "-(v - a + b*r)/c")},
        {
            "a": _around(0.2), "b": _around(0.2), "c": _around(3.0),
            "v0": (-1.0, -2.0, 2.0), "r0": (1.0, -2.0, 2.0),
        },
        np.linspace(0.5, 20.0, 40),
    ),
    "sir": KnownSystem(
        {"s": ("763 - i0", "-b*s*i/763"), "i": ("i0", "b*s*i/763 - g*i")},
        {"b": _around(1.7), "g": _around(0.45), "i0": _around(1.0)},
        np.linspace(1.0, 14.0, 14),
    ),
    "chain": _chain(),
    "oregonator": KnownSystem(
        {
            "x": ("1", "s*(y + x*(1 - q*x - y))"),
            "y": ("2", "(z - (1 + x)*y)/s"),
            "z": ("3", "w*(x - z)"),
        },
        {"s": _around(77.27), "q": _around(8.375e-6), "w": _around(0.161)},
        np.linspace(30.0, 360.0, 12),
        stiff=True,
    ),
    "van_der_pol_stiff": KnownSystem(
        {"x": ("x0", "v"), "v": ("0", "mu*(1 - x**2)*v - x")},
        {"mu": _around(1000.0), "x0": (2.0, 1.2, 3.0)},
        np.array([*np.linspace(100.0, 700.0, 7), *np.linspace(900.0, 1500.0, 7)]),  # no jumps
        stiff=True,
    ),
    "robertson": KnownSystem(
        {
            "x": ("1", "-k1*x + k3*y*z"),
            "y": ("0", "k1*x - k3*y*z - k2*y**2"),
            "z": ("0", "k2*y**2"),
        },
        {"k1": _around(0.04), "k2": _around(3e7), "k3": _around(1e4)},
        0.4 * np.logspace(0.0, 11.0, 12),
        atol=1e-10,
        stiff=True,
    ),
    "hires": _hires(),
}  # fmt: skip
