"""What a PEtab problem says, the same for both versions of the format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import sympy

from nfanneal.errors import Location
from nfanneal.model.expressions import symbol


@dataclass(frozen=True)
class PetabParameter:
    """A row of the parameter table: estimated where it has a prior, else its nominal value.

    `prior` is as in a spec: {name: arguments}; it is cut to `bounds`. `label` is its id in the
    table, if its name is another one.
    """

    name: str
    place: Location
    nominal: float | None = None
    prior: Mapping[str, Any] | None = None
    bounds: tuple[float, float] | None = None
    scale: str = "linear"
    label: str | None = None


@dataclass(frozen=True)
class PetabObservable:
    """What is measured, and its noise: a noise model, and the one argument that it takes."""

    name: str
    place: Location
    formula: sympy.Expr
    noise: str
    argument: sympy.Expr
    placeholders: tuple[str, ...] = ()
    noise_placeholders: tuple[str, ...] = ()


@dataclass(frozen=True)
class Period:
    """From a time on, targets have other values; None: that of the model."""

    time: float
    changes: Mapping[str, sympy.Expr | None] = field(default_factory=dict)
    place: Location | None = None


@dataclass(frozen=True)
class PetabExperiment:
    """Periods one after the other, maybe from the steady state that an earlier one reaches.

    If it `keeps`, what one period sets holds in the next as well; else that is as in the model.
    """

    name: str
    periods: tuple[Period, ...]
    before: Period | None = None
    keeps: bool = False


@dataclass(frozen=True)
class Measurement:
    """A datum, and what stands for its observable's placeholders."""

    observable: str
    experiment: str
    time: float
    value: float
    place: Location
    overrides: tuple[sympy.Expr, ...] = ()
    noise_overrides: tuple[sympy.Expr, ...] = ()


@dataclass(frozen=True)
class Files:
    """The files of a problem."""

    model: Path
    parameters: tuple[Path, ...]
    conditions: tuple[Path, ...]
    observables: tuple[Path, ...]
    measurements: tuple[Path, ...]
    experiments: tuple[Path, ...] = ()
    mappings: tuple[Path, ...] = ()


@dataclass(frozen=True)
class PetabProblem:
    """A problem as its tables state it; nothing is resolved."""

    name: str
    model_file: Path
    parameters: tuple[PetabParameter, ...]
    observables: tuple[PetabObservable, ...]
    experiments: tuple[PetabExperiment, ...]
    measurements: tuple[Measurement, ...]
    aliases: Mapping[str, str] = field(default_factory=dict)


def with_names(problem: PetabProblem, names: Mapping[str, str]) -> PetabProblem:
    """The problem with other names for some of the model's or of the parameters."""
    if not names:
        return problem
    symbols = {symbol(old): symbol(new) for old, new in names.items()}

    def period(given: Period | None) -> Period | None:
        if given is None:
            return None
        changes = {
            names.get(target, target): None if value is None else value.xreplace(symbols)
            for target, value in given.changes.items()
        }
        return replace(given, changes=changes)

    return replace(
        problem,
        parameters=tuple(
            replace(p, name=names[p.name], label=p.name) if p.name in names else p
            for p in problem.parameters
        ),
        observables=tuple(
            replace(o, formula=o.formula.xreplace(symbols), argument=o.argument.xreplace(symbols))
            for o in problem.observables
        ),
        experiments=tuple(
            replace(
                e,
                periods=tuple(p for p in map(period, e.periods) if p is not None),
                before=period(e.before),
            )
            for e in problem.experiments
        ),
        measurements=tuple(
            replace(
                m,
                overrides=tuple(e.xreplace(symbols) for e in m.overrides),
                noise_overrides=tuple(e.xreplace(symbols) for e in m.noise_overrides),
            )
            for m in problem.measurements
        ),
    )
