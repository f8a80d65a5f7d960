"""What a model that predicts observables gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from nfanneal.arrays import Array, Bools
from nfanneal.model.counting import Counted

Pullback = Callable[[Array], Array]


@dataclass(frozen=True)
class Predictions:
    """Observables (n, m, k) at m times, failures (n,), and the pull-back of their gradients.

    The times of several experiments follow one another.

    `pullback` maps ∂S/∂observables (n, m, k) of a sum S over draws to ∂S/∂θ (n, p); None unless
    gradients were asked for. `jacobian` (n, m, k, p) is there only where it comes for free.
    `reasons` counts why draws failed. `overflowed` (n,) are draws whose derivatives are not known.
    """

    values: Array
    failed: Bools
    reasons: Mapping[str, int]
    pullback: Pullback | None = None
    jacobian: Array | None = None
    overflowed: Bools | None = None


@dataclass(frozen=True)
class Outcomes:
    """The share of a trajectory's steps that the stiff solver took, (n, experiments).

    `reached` (n,) is the time that the first trajectory to fail got to; nan where none did.
    """

    stiff: Array
    reached: Array


@dataclass(frozen=True)
class Coincidence:
    """What changes `state` at the time of a datum in an experiment, which sees the state after it.

    By a `dose`, or by an `event`.
    """

    experiment: int
    state: str
    time: float
    by: str = "dose"


class Uncharted:
    """What a simulator says of itself of whose steps and tolerances nothing is known."""

    has_jacobian = False
    by_parts = False
    by_steps = False
    resolution = 1e-12
    """Rounding, and a little of what a solver of the user's leaves."""
    longest_steps: tuple[float, ...] = ()
    counted: tuple[tuple[Counted, ...], ...] = ()

    def size(self, experiment: int, observable: int) -> float:
        """Nothing is known of it."""
        return 0.0

    def doses_at_data(self, theta: Array, times: Sequence[Array]) -> list[Coincidence]:
        """None is known."""
        return []

    def prepared(self, theta: Array, times: Sequence[Array]) -> Self:
        """It has no tolerances that would follow from pilot draws."""
        return self

    def outcomes(self, theta: Array, times: Sequence[Array]) -> Outcomes:
        """It takes no steps that could be told of.

        Raises:
            ValueError: always.
        """
        raise ValueError("this model does not go by steps")

    def tightened(self, factor: float) -> Self:
        """It has no tolerances that could be made smaller."""
        return self

    def precise(self, factor: float) -> Self:
        """Nor does it take steps."""
        return self

    def compile_all(self) -> None:
        """Nothing of it is compiled."""


class Simulator(Protocol):
    """A model that predicts observables."""

    @property
    def observables(self) -> tuple[str, ...]:
        """Names of the k observables."""

    @property
    def differentiable(self) -> bool:
        """Whether predictions come with a pull-back."""

    @property
    def has_jacobian(self) -> bool:
        """Whether they come with their Jacobian too."""

    @property
    def by_parts(self) -> bool:
        """Whether draws can be predicted a few at a time, on several threads at once."""

    @property
    def starts(self) -> tuple[float, ...]:
        """The time before which nothing is predicted, in each experiment; −inf if there is none."""

    @property
    def counted(self) -> tuple[tuple[Counted, ...], ...]:
        """The observables of each experiment that count since the datum before; () if none is."""

    @property
    def gradient_causes(self) -> str:
        """What to look for where gradients are not finite."""

    @property
    def by_steps(self) -> bool:
        """Whether trajectories are found step by step: their outcomes can be asked for."""

    def prepared(self, theta: Array, times: Sequence[Array]) -> Simulator:
        """The same with what pilot draws θ (n, p) tell of its scales, until each last time."""

    @property
    def resolution(self) -> float:
        """What of an observable's size is nothing: rounding, or what a solver leaves."""

    def size(self, experiment: int, observable: int) -> float:
        """How large the parts are that an observable is the sum of, as far as is known; or 0."""

    def doses_at_data(self, theta: Array, times: Sequence[Array]) -> list[Coincidence]:
        """Doses and events at the time of data, as far as that does not depend on θ (n, p)."""

    @property
    def longest_steps(self) -> tuple[float, ...]:
        """The longest step in each experiment, as a share of its time, where there is a limit."""

    def outcomes(self, theta: Array, times: Sequence[Array]) -> Outcomes:
        """How the trajectories of θ (n, p) go, for a model that goes by steps."""

    def tightened(self, factor: float) -> Simulator:
        """The same with tolerances so many times smaller, for a model that goes by steps."""

    def precise(self, factor: float) -> Simulator:
        """Likewise, with steps so short that nothing that happens in time is stepped over."""

    def compile_all(self) -> None:
        """Compile what a run may need and has not needed so far."""

    def predict(self, theta: Array, times: Sequence[Array], gradient: bool) -> Predictions:
        """Observables at each experiment's `times` for θ (n, p)."""
