"""The schema of a spec: what sections and keys there are, and of which type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from pydantic import Discriminator, Field, Tag

from nfanneal.model.latent import Scale
from nfanneal.spec.annealing import MOST_SAMPLES, USUAL, AnnealSpec, FlowSpec
from nfanneal.spec.fields import Ends, Expression, Finite, Interval, Number, Section, Whole, Word
from nfanneal.spec.kinds import KINDS, ModelSpec
from nfanneal.spec.kinds.ode import EventList, InputSpec


class ParameterSpec(Section):
    """A free parameter."""

    prior: dict[str, Any] = Field(description="{name: arguments}, such as {normal: [0, 1]}")
    bounds: Ends | None = Field(
        None,
        description="[low, high]: the prior is cut to this interval and normalised anew; .inf and "
        "-.inf cut nothing off",
    )
    shape: Whole | None = Field(None, ge=1, le=10_000, description="length of a vector parameter")
    per: Literal["experiment"] | None = Field(
        None, description="experiment: each experiment has its own, called name[experiment]"
    )
    label: Word | None = Field(None, description="how figures name it; may hold LaTeX")
    unit: Word | None = Field(None, description="its unit")
    scale: Scale = Field(
        "linear",
        description="of the axis that figures draw it on: linear, or log or log10 for a positive "
        "one; nothing else depends on it",
    )


class DataSpec(Section):
    """Where the data are."""

    file: Word | None = Field(
        None, description="CSV or TSV file with a header, relative to this file"
    )
    table: Word | None = Field(None, description="the text of such a file, instead of one")
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
    events: EventList = Field([], description="events of this experiment alone")
    initial: Literal["given", "steady_state"] | None = Field(
        None, description="where trajectories start here, if not as the model says"
    )
    pre_equilibration: dict[str, Expression] | None = Field(
        None,
        description="values while the steady state is found here, which go before the model's; "
        "an empty mapping: none",
    )
    reset: dict[str, Expression] | None = Field(
        None,
        description="state: its value once the start is found here, which goes before the model's; "
        "an empty mapping: none",
    )
    parameters: dict[str, Expression] = Field(
        {}, description="parameter: what stands for it here, such as k: 0 or k: k*fold"
    )
    observed: list[Word] | None = Field(
        None, min_length=1, description="those of the likelihood section that were measured here"
    )
    likelihood: dict[str, Any] = Field(
        {}, description="observable: its noise here, if it is not that of the likelihood section"
    )


class AxisSpec(Section):
    """How figures name an observable or the time."""

    label: Word | None = Field(None, description="its name in figures; may hold LaTeX")
    unit: Word | None = Field(None, description="its unit")


class OutputSpec(Section):
    """What the result holds."""

    samples: Whole | None = Field(
        None,
        ge=100,
        le=100_000_000,
        description="fresh weighted draws of the final flow; by default as many as `ess` takes, at "
        f"most {MOST_SAMPLES:,}, and at most as many as the annealing took",
    )
    ess: Number | None = Field(
        None,
        gt=0,
        description=f"effective draws that are wanted, by default {USUAL.ess:,}, or a tenth of "
        "`samples` where that is given",
    )
    error: Number | None = Field(
        None,
        gt=0,
        description="error of the log-evidence that is wanted, by chance and by mass that the flow "
        "draws rarely each; more effort is made where the first is not enough; by default "
        f"{USUAL.error:g}, or none where `samples` is given",
    )
    symmetry: Literal["keep", "fold"] = Field(
        "keep",
        description="where exchanging parameters leaves the posterior as it is, draws are of all "
        "equal modes (keep) or moved into one (fold): the first exchanged parameter ascends, ties "
        "are decided by the next",
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
    return kind if isinstance(kind, str) and kind in KINDS else None


AnyParameter = Annotated[
    Annotated[Finite, Tag("fixed")] | Annotated[ParameterSpec, Tag("free")],
    Discriminator(_parameter_kind),
]
if TYPE_CHECKING:
    AnyModel = ModelSpec
else:
    AnyModel = Annotated[
        Union[tuple(Annotated[kind, Tag(name)] for name, kind in KINDS.items())],  # noqa: UP007
        Discriminator(
            _model_kind,
            custom_error_type="model_kind",
            custom_error_message=f"model needs {' or '.join(f'kind: {name}' for name in KINDS)}",
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
    axes: dict[str, AxisSpec] = Field(
        {}, description="observable, or the time by its name: its label and unit in figures"
    )
    flow: FlowSpec = FlowSpec()
    anneal: AnnealSpec = AnnealSpec()
    output: OutputSpec = OutputSpec()
    seed: Whole = Field(1, ge=0, description="everything random follows from it")

    @property
    def time_names(self) -> tuple[str, ...]:
        """What the time is called: in expressions, and in the data; the last is that of figures."""
        sections = [self.data, *(said.data for said in self.experiments.values())]
        columns = [section.time for section in sections if section is not None]
        own = self.model.time_name
        return tuple(dict.fromkeys([*([own] if own else []), *columns[:1]]))
