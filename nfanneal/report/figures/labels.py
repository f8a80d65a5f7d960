"""What axes are called, and what figures say of themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.mathtext import MathTextParser
from matplotlib.text import Text

from nfanneal.anneal.weights import effective_sample_size, normalized
from nfanneal.errors import ResultError
from nfanneal.model.latent import element_names
from nfanneal.results.result import Result
from nfanneal.spec.load import spec_from_text
from nfanneal.spec.schema import AxisSpec, Spec

LONGEST_TEXT = 100
NOTE = "note"
"""Marks texts that are worth saying beside the figure, too."""
FEW_DRAWS = 400
"""Effective draws below which a smooth density promises more than they hold."""


def drawable(text: str) -> str:
    """The text as matplotlib can draw it: what is no valid mathematics keeps its dollar signs."""
    text = text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"
    try:
        MathTextParser("path").parse(text)
    except (ValueError, RecursionError):
        return text.replace("$", r"\$")
    return text


def column_labels(result: Result) -> dict[str, str]:
    """Axis label of each column of θ: its label, and its unit if it has one."""
    parameters = result.columns.parameters
    labels = [label for p in parameters for label in element_names(p.label, p.size)]
    return {
        name: _with_unit(label, unit)
        for label, (name, unit) in zip(labels, result.columns.units.items(), strict=True)
    }


def time_label(result: Result) -> str:
    """The time's label or its own name, and its unit."""
    spec = _spec(result)
    names = spec.time_names
    said = next((spec.axes[name] for name in names if name in spec.axes), AxisSpec())
    own = names[-1] if names else "t"
    return _with_unit(said.label or ("time" if own == "t" else own), said.unit)


def observable_labels(result: Result) -> dict[str, str]:
    """Label and unit of the observables of which a result's spec says any."""
    axes = _spec(result).axes.items()
    return {name: _with_unit(said.label or name, said.unit) for name, said in axes}


def shown_name(source: str, results: Mapping[str, Result]) -> str:
    """The name of the result from a file, or the file's where names repeat."""
    names = [r.name for r in results.values()]
    own = results[source].name
    return drawable(own if names.count(own) == 1 else Path(source).stem)


def effective_draws(result: Result) -> float:
    """What the weighted draws are worth."""
    return effective_sample_size(normalized(result.draws.log_weight))


def few_draws(results: Mapping[str, Result]) -> list[str]:
    """What is to be said where results have few effective draws."""
    found = {source: effective_draws(result) for source, result in results.items()}
    return [
        f"{f'{shown_name(source, results)}: ' if len(results) > 1 else ''}"
        f"only {ess:,.0f} effective draw{'' if round(ess) == 1 else 's'}"
        for source, ess in found.items()
        if ess < FEW_DRAWS
    ]


def note_few(figure: Figure, results: Mapping[str, Result], more: str = "") -> None:
    """Say above a figure where there are few effective draws, and what else is to be said."""
    said = [*few_draws(results), *([more] if more else [])]
    if said:
        mark(figure.suptitle("\n".join(said), fontsize="small"))


def mark(text: Text) -> Text:
    """Make a text that is in a figure a note of it."""
    text.set_gid(NOTE)
    return text


def notes(figure: Figure) -> list[str]:
    """The notes of a figure, each on a line."""
    found = [text for text in figure.findobj(Text) if text.get_gid() == NOTE]
    return list(dict.fromkeys(" ".join(str(text.get_text()).split()) for text in found))


def chosen_columns(known: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """The wanted columns of θ; a vector's name stands for all of its elements.

    Raises:
        ResultError: there is no such column.
    """
    chosen: list[str] = []
    for name in wanted:
        found = [column for column in known if column == name or column.startswith(f"{name}[")]
        if not found:
            raise ResultError(f"no parameter '{name}'; there are: {', '.join(known)}")
        chosen += found
    return list(dict.fromkeys(chosen))


def _spec(result: Result) -> Spec:
    return spec_from_text(result.spec_yaml).spec


def _with_unit(label: str, unit: str | None) -> str:
    return drawable(f"{label} ({unit})" if unit else label)
