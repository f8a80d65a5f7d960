"""Models of ordinary differential equations, as a spec states them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from nfanneal.spec.fields import Expression, Finite, Section, Whole, Word
from nfanneal.spec.kinds.kind import ModelMeaning, ModelSpec

if TYPE_CHECKING:
    from nfanneal.model.latent import LatentMap
    from nfanneal.model.observations import Observations
    from nfanneal.model.ode_model import OdeSimulator
    from nfanneal.spec.checked import CheckedSpec
    from nfanneal.spec.events import TimingMeaning
    from nfanneal.spec.experiments import ExperimentMeaning
    from nfanneal.spec.meaning import SpecReader


SOLVERS = {"auto": ("Tsit5", "Rodas5P"), "tsit5": ("Tsit5",), "stiff": ("Rodas5P",)}
"""What each method of a solver is called where it was published."""


class SolverSpec(Section):
    """How trajectories are computed."""

    method: Literal["auto", "tsit5", "stiff"] = Field(
        "auto", description="explicit (tsit5), stiff (Rodas5P), or each where it takes fewer steps"
    )
    rtol: Finite = Field(1e-6, gt=0, lt=1, description="relative tolerance per step")
    atol: Finite | None = Field(
        None, gt=0, description="absolute tolerance per step; by default 1e-8 of a state's own size"
    )
    max_step: Finite | None = Field(
        None, gt=0, description="the longest step; by default one that resolves what time does"
    )
    max_steps: Whole = Field(10_000, ge=1, description="steps after which a trajectory fails")


class InputSpec(Section):
    """A known function of time, from a table: in a file, or given here."""

    file: Word | None = Field(None, description="CSV or TSV file with a header")
    time: Word = Field("t", description="column of the times")
    column: Word | None = Field(None, description="column of the values; by default its name")
    times: list[Finite] | None = Field(None, min_length=1, description="instead of a file")
    values: list[Finite] | None = Field(None, min_length=1, description="one for each time")
    kind: Literal["step", "linear"] = Field(
        "step", description="step: a value holds until the next; linear: on lines between them"
    )


class DoseSpec(Section):
    """An amount that is added to a state at a time, or repeatedly from then on."""

    time: Expression = Field(description="when, an expression of parameters")
    amount: Expression = Field(description="how much, an expression of parameters")
    every: Expression | None = Field(None, description="time from a dose to the next")
    count: Whole = Field(1, ge=1, le=1000, description="how many doses")
    after: Literal["data"] | None = Field(
        None, description="data: what was measured at its time was so before it"
    )


class ChangeSpec(Section):
    """A constant or parameter takes another value from a time on."""

    time: Expression = Field(description="when, an expression of parameters")
    value: Expression = Field(description="its value from then on, an expression of parameters")


class EventSpec(Section):
    """What happens where a condition turns from false to true."""

    when: Expression = Field(
        description="a condition of states, time, parameters and constants, such as x > 3"
    )
    set: dict[str, Expression] = Field(
        min_length=1, description="state, constant or parameter: its value from then on"
    )
    delay: Expression | None = Field(None, description="the assignment happens so much later")
    at_start: Literal["fire", "nothing"] = Field(
        "nothing", description="what a condition does that is true at the start"
    )
    values: Literal["at_trigger", "at_assignment"] | None = Field(
        None,
        description="of when the condition turned (default with a delay), or of the assignment",
    )
    persistent: bool = Field(
        True, description="false: given up where the condition turns false before the assignment"
    )
    priority: Annotated[float, Field(allow_inf_nan=False)] | Literal["first"] = Field(
        0.0, description="of those at one time the higher comes first; first: before others look"
    )
    name: Word | None = Field(None, description="how messages call it")


class CountSpec(Section):
    """An observable that counts what came since the datum before it."""

    since_last: Expression = Field(
        description="a rate: its integral since the datum before, or the start, is observed"
    )


def _observable_kind(value: Any) -> str:
    return "count" if isinstance(value, dict | CountSpec) else "expression"


AnyObservable = Annotated[
    Annotated[Expression, Tag("expression")] | Annotated[CountSpec, Tag("count")],
    Discriminator(_observable_kind),
]


def _list_of(kind: Any, words: str) -> BeforeValidator:
    """One mapping may stand without a list; `words` say what is expected."""

    def as_list(value: Any) -> Any:
        items = value if isinstance(value, list) else [value]
        if not all(isinstance(item, dict) for item in items):
            raise ValueError(f"must be {words}, or a list of such")
        return items

    return BeforeValidator(as_list, json_schema_input_type=kind | list[kind])


DoseList = Annotated[list[DoseSpec], _list_of(DoseSpec, "{time: …, amount: …}")]
EventList = Annotated[list[EventSpec], _list_of(EventSpec, "{when: …, set: {…}}")]
ChangeList = Annotated[list[ChangeSpec], _list_of(ChangeSpec, "{time: …, value: …}")]


class OdeSpec(ModelSpec):
    """A model of ordinary differential equations."""

    words: ClassVar[str] = "an ODE"
    sections: ClassVar[Mapping[str, type[Section]]] = {
        "inputs": InputSpec,
        "doses": DoseSpec,
        "changes": ChangeSpec,
        "events": EventSpec,
        "observables": CountSpec,
    }
    optional: ClassVar[tuple[str, ...]] = (
        "solver", "expressions", "inputs", "doses", "changes", "events", "initial",
        "pre_equilibration", "reset", "positive",
    )  # fmt: skip
    in_experiments: ClassVar[tuple[str, ...]] = (
        "constants", "inputs", "states", "start", "initial", "pre_equilibration", "reset", "events",
    )  # fmt: skip
    transparent: ClassVar[bool] = True
    settles: ClassVar[bool] = True

    kind: Literal["ode"]
    time: Word = Field("t", description="name of the time in expressions")
    start: Finite = Field(0.0, description="time of the initial values")
    states: dict[str, Expression] = Field(
        min_length=1, description="state: initial value, an expression of parameters"
    )
    equations: dict[str, Expression] = Field(
        min_length=1, description="state: its derivative by time"
    )
    expressions: dict[str, Expression] = Field(
        {}, description="name: expression, for use in equations, observables and each other"
    )
    constants: dict[str, Finite] = Field({}, description="name: number")
    inputs: dict[str, InputSpec] = Field({}, description="name: a table of times and values")
    doses: dict[str, DoseList] = Field({}, description="state: what is added to it, and when")
    changes: dict[str, ChangeList] = Field(
        {}, description="constant or parameter: its values from certain times on"
    )
    events: EventList = Field([], description="what happens where conditions turn true")
    initial: Literal["given", "steady_state"] = Field(
        "given", description="steady_state: start where nothing changes, found from the states"
    )
    pre_equilibration: dict[str, Expression] = Field(
        {}, description="constant or parameter: its value while the steady state is found"
    )
    reset: dict[str, Expression] = Field(
        {}, description="state: its value once the start is found, of states and parameters"
    )
    positive: bool = Field(
        False, description="solve for the logarithms of the states, which are positive"
    )
    observables: dict[str, AnyObservable] | None = Field(
        None,
        description="observable: expression, or {since_last: rate}; by default the states",
    )
    solver: SolverSpec = SolverSpec()

    @property
    def starts_at(self) -> float:
        """The time of the initial values."""
        return self.start

    @property
    def solvers(self) -> tuple[str, ...]:
        """Tsit5 or Rodas5P, or both: then either takes over where it needs fewer steps."""
        return SOLVERS[self.solver.method]

    @property
    def solved(self) -> str:
        """The solvers and their relative tolerance."""
        names = ", or by ".join(self.solvers)
        fewer = " where that takes fewer steps" if len(self.solvers) > 1 else ""
        comma = "," if fewer else ""
        return f"by {names}{fewer}{comma} with a relative tolerance of {self.solver.rtol:g}"

    @property
    def time_name(self) -> str:
        """What the time is called in expressions."""
        return self.time

    @property
    def observable_names(self) -> Mapping[str, Any]:
        """The observables; by default the states."""
        return self.states if self.observables is None else self.observables

    @property
    def rates(self) -> dict[str, str | float]:
        """The rates of the observables that count since the datum before."""
        given = (self.observables or {}).items()
        return {name: each.since_last for name, each in given if isinstance(each, CountSpec)}

    def read(self, reader: SpecReader) -> ModelMeaning:
        """Initial values, equations and observables."""
        return reader.equations(self)

    def read_timing(
        self, reader: SpecReader, experiments: Sequence[ExperimentMeaning]
    ) -> TimingMeaning:
        """Doses, changes, inputs and the state to start from."""
        return reader.timing(self, experiments)

    def simulator(
        self, checked: CheckedSpec, latent: LatentMap, data: Sequence[Observations]
    ) -> OdeSimulator:
        """The system, compiled once for all experiments."""
        from nfanneal.spec.build.ode_model import ode_simulator  # noqa: PLC0415  (compilers)

        return ode_simulator(checked, self, latent, data)
