"""What differs between two results: their specs and data, and numbers beyond their errors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nfanneal.anneal.weights import normalized
from nfanneal.results.identity import SAME_DATA, changed_values, differences, result_identity
from nfanneal.results.result import Result

Number = tuple[float, float]
"""With its error."""
BEYOND = 4.0
"""So many errors apart, two numbers differ: chance does it in one of 16,000."""


@dataclass(frozen=True)
class Pair:
    """A number of both results, with its standard errors (for parameters, of Monte Carlo)."""

    name: str
    values: tuple[float, float]
    errors: tuple[float, float]

    @property
    def apart(self) -> float:
        """How many errors they are apart."""
        gap, error = abs(self.values[0] - self.values[1]), math.hypot(*self.errors)
        return 0.0 if gap == 0.0 else gap / error if error > 0.0 else math.inf

    @property
    def differs(self) -> bool:
        """Whether chance does not explain it."""
        return not self.apart <= BEYOND


@dataclass(frozen=True)
class Difference:
    """What differs: keys of the spec and versions in words, data, and pairs of numbers.

    `only` are parameters of one of them alone, by which.
    """

    spec: Mapping[str, str]
    versions: Mapping[str, str]
    same_data: bool
    numbers: tuple[Pair, ...]
    only: tuple[tuple[str, ...], tuple[str, ...]]

    @property
    def same_problem(self) -> bool:
        """Whether nothing but the seed and what steers a run differs: numbers should agree."""
        steering = ("seed", "anneal.", "flow.", "output.", "name")
        return self.same_data and all(key.startswith(steering) for key in self.spec)

    @property
    def at_odds(self) -> bool:
        """Whether two runs of one problem disagree on the evidence or on a mean.

        The errors of standard deviations are too small where tails are heavy.
        """
        telling = (pair for pair in self.numbers if not pair.name.startswith("sd "))
        return self.same_problem and any(pair.differs for pair in telling)


def difference(first: Result, second: Result) -> Difference:
    """Compare two results number by number.

    Raises:
        SpecError: the spec of one cannot be read any more.
    """
    identities = result_identity(first), result_identity(second)
    names = first.columns.names, second.columns.names
    return Difference(
        spec={
            key: f"{key}: {one} and {other}"
            for key, (one, other) in changed_values(*identities).items()
        },
        versions=_changed(first.provenance.versions, second.provenance.versions),
        same_data=not differences(*identities, SAME_DATA),
        numbers=tuple(_numbers(first, second)),
        only=(
            tuple(name for name in names[0] if name not in names[1]),
            tuple(name for name in names[1] if name not in names[0]),
        ),
    )


def _changed(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    return {
        name: f"{name}: {before.get(name, 'none')} and {now.get(name, 'none')}"
        for name in dict.fromkeys((*before, *now))
        if before.get(name) != now.get(name)
    }


def _numbers(first: Result, second: Result) -> list[Pair]:
    """The log-evidence, then mean and sd of each parameter that both have."""
    both = first, second
    evidence = [(r.diagnostics.log_evidence, r.diagnostics.log_evidence_error) for r in both]
    found = [_pair("log-evidence", evidence)]
    for name in first.columns.names:
        if name in second.columns.names:
            means, sds = zip(*(_moments(r, name) for r in both), strict=True)
            found += [_pair(f"mean {name}", means), _pair(f"sd {name}", sds)]
    return found


def _moments(result: Result, name: str) -> tuple[Number, Number]:
    """Mean and sd of a column of θ, each with its error, by the weights' own sums of squares."""
    weights = normalized(result.draws.log_weight)
    used = weights > 0.0
    x, w = result.draws.theta[used, result.columns.names.index(name)], weights[used]
    mean = float(w @ x)
    squares = (x - mean) ** 2
    variance = float(w @ squares)
    sd = math.sqrt(variance)
    error = math.sqrt(float(w**2 @ (squares - variance) ** 2))
    return (mean, math.sqrt(float(w**2 @ squares))), (sd, error / (2.0 * sd) if sd else 0.0)


def _pair(name: str, numbers: Sequence[Number]) -> Pair:
    (a, error_a), (b, error_b) = numbers
    return Pair(name, (a, b), (error_a, error_b))
