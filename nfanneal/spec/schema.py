"""The schema of a spec: what sections and keys there are, and of which type."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from nfanneal.spec.fields import Expression, Interval, Number, Section, Whole, Word
from nfanneal.spec.settings import AnnealSpec, FlowSpec

Finite = Annotated[Number, Field(allow_inf_nan=False)]


class SolverSpec(Section):
    """How trajectories are computed."""

    method: Literal["auto", "tsit5"] = Field("auto", description="auto chooses; today it is tsit5")
    rtol: Finite = Field(1e-6, gt=0, lt=1, description="relative tolerance per step")
    atol: Finite = Field(1e-8, gt=0, description="absolute tolerance per step")
    max_steps: Whole = Field(10_000, ge=1, description="steps after which a trajectory fails")


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
    label: Word | None = Field(None, description="how figures name it; may hold LaTeX")
    unit: Word | None = Field(None, description="its unit")


class DataSpec(Section):
    """Where the data are."""

    file: Word = Field(description="CSV or TSV file with a header, relative to this file")
    time: Word = Field("t", description="column of the times")
    columns: dict[str, Word] = Field(
        {}, description="observable: column; by default a column named like the observable"
    )


class OutputSpec(Section):
    """What the result holds."""

    samples: Whole = Field(
        10_000, ge=100, le=100_000_000, description="fresh weighted draws of the final flow"
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
    flow: FlowSpec = FlowSpec()
    anneal: AnnealSpec = AnnealSpec()
    output: OutputSpec = OutputSpec()
    seed: Whole = Field(1, ge=0, description="everything random follows from it")
