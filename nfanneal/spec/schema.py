"""The schema of a spec: what sections and keys there are, and of which type."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from nfanneal.spec.annealing import AnnealSpec, FlowSpec
from nfanneal.spec.fields import Expression, Interval, Number, Section, Whole, Word

Finite = Annotated[Number, Field(allow_inf_nan=False)]


class SolverSpec(Section):
    """How trajectories are computed."""

    method: Literal["auto", "tsit5", "stiff"] = Field(
        "auto", description="explicit (tsit5), stiff (Rodas5P), or each where it takes fewer steps"
    )
    rtol: Finite = Field(1e-6, gt=0, lt=1, description="relative tolerance per step")
    atol: Finite = Field(1e-8, gt=0, description="absolute tolerance per step")
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


class ChangeSpec(Section):
    """A constant or parameter takes another value from a time on."""

    time: Expression = Field(description="when, an expression of parameters")
    value: Expression = Field(description="its value from then on, an expression of parameters")


def _list_of(kind: Any, words: str) -> BeforeValidator:
    """One mapping may stand without a list; `words` say what is expected."""

    def as_list(value: Any) -> Any:
        items = value if isinstance(value, list) else [value]
        if not all(isinstance(item, dict) for item in items):
            raise ValueError(f"must be {words}, or a list of such")
        return items

    return BeforeValidator(as_list, json_schema_input_type=kind | list[kind])


DoseList = Annotated[list[DoseSpec], _list_of(DoseSpec, "{time: …, amount: …}")]
ChangeList = Annotated[list[ChangeSpec], _list_of(ChangeSpec, "{time: …, value: …}")]


TIMED: dict[str, type[Section]] = {"inputs": InputSpec, "doses": DoseSpec, "changes": ChangeSpec}
"""Sections of an ODE model by names, and what they hold."""


class OdeSpec(Section):
    """A model of ordinary differential equations."""

    kind: Literal["ode"]
    time: Word = Field("t", description="name of the time in expressions")
    start: Finite = Field(0.0, description="time of the initial values")
    states: dict[str, Expression] = Field(
        min_length=1, description="state: initial value, an expression of parameters"
    )
    equations: dict[str, Expression] = Field(
        min_length=1, description="state: its derivative by time"
    )
    constants: dict[str, Finite] = Field({}, description="name: number")
    inputs: dict[str, InputSpec] = Field({}, description="name: a table of times and values")
    doses: dict[str, DoseList] = Field({}, description="state: what is added to it, and when")
    changes: dict[str, ChangeList] = Field(
        {}, description="constant or parameter: its values from certain times on"
    )
    initial: Literal["given", "steady_state"] = Field(
        "given", description="steady_state: start where nothing changes, found from the states"
    )
    pre_equilibration: dict[str, Expression] = Field(
        {}, description="constant or parameter: its value while the steady state is found"
    )
    positive: bool = Field(
        False, description="solve for the logarithms of the states, which are positive"
    )
    observables: dict[str, Expression] | None = Field(
        None, description="observable: expression; by default the states are observed"
    )
    solver: SolverSpec = SolverSpec()


class PythonSpec(Section):
    """A model in a Python file: give either log_likelihood or simulate."""

    kind: Literal["python"]
    file: Word = Field(description="the Python file, relative to this one")
    log_likelihood: Word | None = Field(
        None, description="function f(parameters) that returns one log-likelihood per draw"
    )
    simulate: Word | None = Field(
        None, description="function f(parameters, times) that returns {observable: (n, times)}"
    )
    array: Literal["torch", "numpy"] = Field(
        "torch", description="what the function works on; torch gives gradients"
    )
    batch: Whole = Field(
        512, ge=1, description="draws per call of the function; what a killed run loses at most"
    )


class ParameterSpec(Section):
    """A free parameter."""

    prior: dict[str, Any] = Field(description="{name: arguments}, such as {normal: [0, 1]}")
    shape: Whole | None = Field(None, ge=1, le=10_000, description="length of a vector parameter")
    per: Literal["experiment"] | None = Field(
        None, description="experiment: each experiment has its own, called name[experiment]"
    )
    label: Word | None = Field(None, description="how figures name it; may hold LaTeX")
    unit: Word | None = Field(None, description="its unit")


class DataSpec(Section):
    """Where the data are."""

    file: Word = Field(description="CSV or TSV file with a header, relative to this file")
    time: Word = Field("t", description="column of the times")
    columns: dict[str, Word] = Field(
        {}, description="observable: column; by default a column named like the observable"
    )


class ExperimentSpec(Section):
    """Data of their own, and what is different where they were measured."""

    data: DataSpec
    constants: dict[str, Finite] = Field({}, description="constant of the model: its number here")
    inputs: dict[str, InputSpec] = Field(
        {}, description="input of the model: what is different about its table here"
    )
    states: dict[str, Expression] = Field({}, description="state: its initial value here")
    start: Finite | None = Field(None, description="time of the initial values here")
    parameters: dict[str, Expression] = Field(
        {}, description="parameter: what stands for it here, such as k: 0 or k: k*fold"
    )
    observed: list[Word] | None = Field(
        None, min_length=1, description="those of the likelihood section that were measured here"
    )
    likelihood: dict[str, Any] = Field(
        {}, description="observable: its noise here, if it is not that of the likelihood section"
    )


class OutputSpec(Section):
    """What the result holds."""

    samples: Whole | None = Field(
        None,
        ge=100,
        le=100_000_000,
        description="fresh weighted draws of the final flow; by default 10,000 (preset "
        "quick: 20,000); where fewer than a tenth of them are effective, more: at most "
        "100,000, and at most as many as the annealing took",
    )
    checkpoint: Interval = Field(
        60.0,
        description="time between checkpoints, such as 60s or 5m; off writes them only when "
        "the run is stopped",
    )


def _parameter_kind(value: Any) -> str:
    return "free" if isinstance(value, dict | ParameterSpec) else "fixed"


def _model_kind(value: Any) -> str | None:
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return kind if kind in ("ode", "python") else None


AnyParameter = Annotated[
    Annotated[Finite, Tag("fixed")] | Annotated[ParameterSpec, Tag("free")],
    Discriminator(_parameter_kind),
]
AnyModel = Annotated[
    Annotated[OdeSpec, Tag("ode")] | Annotated[PythonSpec, Tag("python")],
    Discriminator(
        _model_kind,
        custom_error_type="model_kind",
        custom_error_message="model needs kind: ode or kind: python",
    ),
]


class Spec(Section):
    """A problem for nfanneal: model, priors, data, and how to estimate."""

    name: Word = Field("unnamed", description="name of the problem")
    model: AnyModel
    parameters: dict[str, AnyParameter] = Field(
        min_length=1, description="name: a number that fixes it, or {prior: …}"
    )
    data: DataSpec | None = None
    likelihood: dict[str, Any] = Field(
        {}, description="observable: {noise model: {argument: number or expression}}"
    )
    experiments: dict[str, ExperimentSpec] = Field(
        {}, description="name: its data, and what is different there; instead of data"
    )
    flow: FlowSpec = FlowSpec()
    anneal: AnnealSpec = AnnealSpec()
    output: OutputSpec = OutputSpec()
    seed: Whole = Field(1, ge=0, description="everything random follows from it")
