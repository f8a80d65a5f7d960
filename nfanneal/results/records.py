"""What a result says of its parameters, of the evaluations it took, and of how it was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nfanneal.model.latent import element_names


@dataclass(frozen=True)
class NamedParameter:
    """A parameter of a result: its name, its length if it is a vector, its label and its unit."""

    name: str
    size: int | None
    label: str
    unit: str

    @property
    def names(self) -> tuple[str, ...]:
        """A name for each of its columns of θ: `k`, or `k[0]`, `k[1]`, …"""
        return element_names(self.name, self.size)


@dataclass(frozen=True)
class Columns:
    """The parameters that the columns of θ belong to, in order."""

    parameters: tuple[NamedParameter, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """A name for each column of θ."""
        return tuple(name for parameter in self.parameters for name in parameter.names)

    @property
    def units(self) -> dict[str, str]:
        """The unit of each column of θ."""
        return {name: p.unit for p in self.parameters for name in p.names}


@dataclass(frozen=True)
class Counts:
    """How often the model was asked, and how often it failed; files know these by the same names.

    `n_gradients_dropped` of the gradients were not finite where the likelihood was.
    """

    n_likelihood_evaluations: int
    n_gradient_evaluations: int
    n_failed: int
    n_gradients_dropped: int

    @property
    def failed_fraction(self) -> float:
        """The share of the likelihood's evaluations that failed."""
        return self.n_failed / max(self.n_likelihood_evaluations, 1)


@dataclass(frozen=True)
class Provenance:
    """How a result came to be.

    `origin` is the command that made it, `sources` the files that it was made from; `wall_time`
    is in seconds, and so is `profile`, by activity, since the run began or went on. `failures`
    counts why a model that was asked draw by draw gave no answer. `finished` is the time in UTC, by
    ISO 8601, and `host` the machine in words; both are empty in files from before they were kept.
    """

    seed: int
    wall_time: float
    versions: Mapping[str, str]
    command: str = ""
    origin: str = "run"
    sources: tuple[str, ...] = ()
    profile: Mapping[str, float] = field(default_factory=dict, compare=False)
    failures: Mapping[str, int] = field(default_factory=dict)
    finished: str = field(default="", compare=False)
    host: str = field(default="", compare=False)
