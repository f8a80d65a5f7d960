"""What a spec means beyond its shape: names, priors, expressions and noise models, all checked."""

from __future__ import annotations

import functools
import keyword
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import sympy

from nfanneal.errors import Complaint, Location
from nfanneal.expressions import FUNCTIONS, Cost, ExpressionError, Names, cost_of, nearest, parse
from nfanneal.noise import NOISE_MODELS
from nfanneal.priors import PRIORS, Parameter, make_prior
from nfanneal.spec.document import Document, KeyPath
from nfanneal.spec.schema import OdeSpec, ParameterSpec, PythonSpec, Spec

PARTS, TRAJECTORIES = ("_time", "_cell"), ("_clean", "_at")
"""What the result file appends to an observable: with its data, and in predictions."""
MOST_COMPLAINTS = 100
"""Nobody reads more: expressions after so many complaints are not looked at."""
MOST_OPERATIONS, MOST_DERIVATIVES = 20_000, 300_000
"""Of all expressions together: a model so large takes minutes to be compiled."""
DEEPEST = 150
RESERVED = {"chain", "draw", "log_weight", "log_prior", "log_likelihood", "log_proposal"}
"""Names that the result file uses beside parameters."""


@dataclass(frozen=True)
class NoiseMeaning:
    """The noise of one observable: a name in `NOISE_MODELS` and its arguments, in order."""

    observable: str
    model: str
    arguments: tuple[sympy.Expr, ...]


@dataclass(frozen=True)
class Meaning:
    """The parsed parts of a spec; expressions still hold constants and fixed parameters."""

    free: tuple[Parameter, ...] = ()
    fixed: Mapping[str, float] = field(default_factory=dict)
    initial: Mapping[str, sympy.Expr] = field(default_factory=dict)
    equations: Mapping[str, sympy.Expr] = field(default_factory=dict)
    observables: Mapping[str, sympy.Expr] = field(default_factory=dict)
    noise: tuple[NoiseMeaning, ...] = ()


def find_meaning(spec: Spec, document: Document) -> tuple[Meaning, list[Complaint]]:
    """Parse every prior, expression and noise model of `spec`; complaints are placed."""
    reader = _Reader(spec, document)
    free, fixed = reader.parameters()
    initial, equations, observables = reader.model()
    noise = reader.likelihood()
    return Meaning(free, fixed, initial, equations, observables, noise), reader.complaints


class _Reader:
    """Collects complaints while it reads the sections."""

    def __init__(self, spec: Spec, document: Document) -> None:
        self.complaints: list[Complaint] = []
        self._cost = Cost()
        self._spec = spec
        self._document = document
        self._parameters: dict[str, int | None] = {
            name: p.shape if isinstance(p, ParameterSpec) else None
            for name, p in spec.parameters.items()
        }
        ode = spec.model if isinstance(spec.model, OdeSpec) else None
        self._constants: dict[str, int | None] = dict.fromkeys(ode.constants) if ode else {}

    def _complain(self, path: KeyPath, message: str, hint: str | None = None) -> None:
        self.complaints.append(Complaint(message, self._document.place(path).value, hint))

    def _complain_key(self, path: KeyPath, message: str, hint: str | None = None) -> None:
        self.complaints.append(Complaint(message, self._document.place(path).key, hint))

    def _check_names(self, names: Iterable[str], path: KeyPath) -> None:
        for name in names:
            if not name.isidentifier() or keyword.iskeyword(name):
                self._complain_key(
                    (*path, name), f"'{name}' is not a name: use letters, digits and _"
                )
            elif name in FUNCTIONS:
                self._complain_key((*path, name), f"'{name}' is a function of expressions")

    def parameters(self) -> tuple[tuple[Parameter, ...], dict[str, float]]:
        """Free parameters with their priors, and fixed values."""
        free: list[Parameter] = []
        fixed: dict[str, float] = {}
        self._check_names(self._spec.parameters, ("parameters",))
        for name, given in self._spec.parameters.items():
            vector = self._parameters.get(name.removesuffix("_dim_0")) if "_dim_0" in name else None
            if name in RESERVED or vector is not None:
                self._complain_key(("parameters", name), f"'{name}' is a name of the result file")
            if not isinstance(given, ParameterSpec):
                fixed[name] = given
                continue
            parameter = self._free(name, given)
            if parameter is not None:
                free.append(parameter)
        if not free and not self.complaints:
            self._complain_key(("parameters",), "no parameter has a prior: nothing to estimate")
        return tuple(free), fixed

    def _free(self, name: str, given: ParameterSpec) -> Parameter | None:
        path: KeyPath = ("parameters", name, "prior")
        if len(given.prior) != 1:
            self._complain(path, f"{name}: a prior is one name with its arguments")
            return None
        ((family, arguments),) = given.prior.items()
        if family not in PRIORS:
            hint = nearest(family, PRIORS) or f"known priors: {', '.join(PRIORS)}"
            self._complain_key((*path, family), f"{name}: unknown prior '{family}'", hint)
            return None
        if not _are_numbers(arguments):
            signature = ", ".join(PRIORS[family].arguments)
            self._complain((*path, family), f"{name}: expected numbers, {family}: [{signature}]")
            return None
        try:
            prior = make_prior(family, arguments)
        except ValueError as error:
            self._complain((*path, family), f"{name}: {error}")
            return None
        return Parameter(name, prior, given.shape, given.label, given.unit)

    def model(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """Initial values, equations and observables of an ODE; empty for a Python model."""
        model = self._spec.model
        if isinstance(model, PythonSpec):
            if (model.log_likelihood is None) == (model.simulate is None):
                self._complain_key(
                    ("model",), "a python model needs either log_likelihood or simulate"
                )
            return {}, {}, {}
        self._check_ode_names(model)
        anywhere = self._parameters | self._constants
        inside: Names = anywhere | dict.fromkeys(model.states) | {model.time: None}
        initial = self._expressions(model.states, ("model", "states"), anywhere)
        equations = self._expressions(model.equations, ("model", "equations"), inside)
        given = model.observables
        if given is None:
            names: Names = dict.fromkeys(model.states)
            observables = {s: parse(s, names) for s in names if s.isidentifier()}
        else:
            observables = self._expressions(given, ("model", "observables"), inside)
        return initial, equations, observables

    def _check_ode_names(self, model: OdeSpec) -> None:
        sections: dict[KeyPath, Iterable[str]] = {
            ("model", "states"): model.states,
            ("model", "constants"): model.constants,
            ("model", "observables"): model.observables or {},
        }
        for path, names in sections.items():
            self._check_names(names, path)
        taken: dict[str, str] = {model.time: "the time"}
        taken |= dict.fromkeys(self._spec.parameters, "a parameter")
        if model.time in self._spec.parameters:
            self._complain_key(("parameters", model.time), f"'{model.time}' is the time's name")
        for path in (("model", "constants"), ("model", "states")):
            for name in sections[path]:
                if name in taken:
                    self._complain_key((*path, name), f"'{name}' is already {taken[name]}")
                taken[name] = f"one of the {path[1]}"
        for name in model.observables or {}:
            if name in taken and name not in model.states:
                self._complain_key(("model", "observables", name), f"'{name}' is {taken[name]}")
        for state in model.states:
            if state not in model.equations:
                self._complain_key(("model", "states", state), f"state '{state}' has no equation")
        for name in model.equations:
            if name not in model.states:
                hint = nearest(name, model.states)
                path = ("model", "equations", name)
                self._complain_key(path, f"an equation for '{name}', which is no state", hint)

    def _expressions(
        self, given: Mapping[str, Any], path: KeyPath, names: Names
    ) -> dict[str, sympy.Expr]:
        found = {}
        for key, text in given.items():
            expression = self._expression(text, (*path, key), names)
            if expression is not None:
                found[key] = expression
        return found

    def _expression(self, text: Any, path: KeyPath, names: Names) -> sympy.Expr | None:
        """Parse one expression; errors are placed at the exact column where that is known."""
        if len(self.complaints) >= MOST_COMPLAINTS or self._cost.operations > MOST_OPERATIONS:
            return None
        try:
            return self._affordable(parse(text, names), path)
        except ExpressionError as error:
            place = self._document.place(path)
            where = place.value
            if place.plain and where.column is not None:
                where = Location(where.file, where.line, where.column + error.column - 1)
            shown = f"'{error.text}': " if error.text not in error.message else ""
            dotted = ".".join(map(str, path))
            hint = error.hint
            if error.text == getattr(self._spec.model, "time", None) and error.text not in names:
                hint = "the time stands in equations and observables only"
            self.complaints.append(Complaint(f"{dotted}: {shown}{error.message}", where, hint))
            return None

    def _affordable(self, expression: sympy.Expr, path: KeyPath) -> sympy.Expr | None:
        """The expression, if those so far can be differentiated and compiled within minutes."""
        cost = cost_of(expression)
        dotted = ".".join(map(str, path))
        if cost.depth > DEEPEST:
            self._complain(path, f"{dotted}: nested more than {DEEPEST} levels deep, once expanded")
            return None
        if self._cost.derivatives + cost.derivatives > MOST_DERIVATIVES:
            hint = "split long products, or make parts of them states"
            message = f"the derivatives up to here would have more than {MOST_DERIVATIVES:,} terms"
            self._complain(path, f"{dotted}: {message}", hint)
            return None
        self._cost += cost
        if self._cost.operations > MOST_OPERATIONS:
            message = f"the expressions up to here have more than {MOST_OPERATIONS:,} operations"
            self._complain(path, f"{dotted}: {message}")
        return expression

    def likelihood(self) -> tuple[NoiseMeaning, ...]:
        """The noise of each observable that has data."""
        spec = self._spec
        if isinstance(spec.model, PythonSpec) and spec.model.log_likelihood is not None:
            for section in ("data", "likelihood"):
                if section in spec.model_fields_set:
                    self._complain_key(
                        (section,), f"'{section}' is not used with model.log_likelihood"
                    )
            return ()
        if not spec.likelihood:
            self._complain_key((), "a likelihood is needed: {observable: {noise model: …}}")
        if spec.data is None:
            self._complain_key((), "data are needed: {file: …, time: …}")
        noise = [self._noise(name, given) for name, given in spec.likelihood.items()]
        self._check_stored_names()
        self._check_data_columns()
        return tuple(n for n in noise if n is not None)

    def _check_stored_names(self) -> None:
        """The result file holds arrays beside each observable, whose names must be free."""
        for section, suffixes in (
            (self._spec.likelihood, PARTS),
            (self._observables, TRAJECTORIES),
        ):
            parts = {f"{name}{suffix}": name for name in section for suffix in suffixes}
            for name in section:
                if name in parts:
                    message = f"'{name}' is what the result file calls a part of '{parts[name]}'"
                    self._complain_observable(name, message)
        for name in self._observables:
            if name in ("chain", "draw"):
                self._complain_observable(name, f"'{name}' is a name of the result file")
            elif "/" in name or name in ("", "."):
                self._complain_observable(name, f"'{name}' is not a name: leave out '/' and '.'")

    def _complain_observable(self, name: str, message: str) -> None:
        is_used = name in self._spec.likelihood
        section: KeyPath = ("likelihood",) if is_used else ("model", "observables")
        self._complain_key((*section, name), message)

    def _check_data_columns(self) -> None:
        if self._spec.data is None:
            return
        for name in self._spec.data.columns:
            if name not in self._spec.likelihood:
                hint = nearest(name, self._spec.likelihood)
                path = ("data", "columns", name)
                self._complain_key(path, f"'{name}' has a column but no likelihood", hint)

    @functools.cached_property
    def _observables(self) -> Mapping[str, Any]:
        model = self._spec.model
        if isinstance(model, PythonSpec):
            return self._spec.likelihood
        return model.states if model.observables is None else model.observables

    @functools.cached_property
    def _noise_names(self) -> Names:
        return self._parameters | self._constants | dict.fromkeys(self._observables)

    def _noise(self, name: str, given: Any) -> NoiseMeaning | None:
        path: KeyPath = ("likelihood", name)
        known = self._observables
        if name not in known:
            hint = nearest(name, known) or f"observables: {', '.join(known)}"
            self._complain_key(path, f"no observable '{name}'", hint)
        if isinstance(given, str):
            given = {given: {}}
        if not isinstance(given, dict) or len(given) != 1:
            self._complain(path, f"likelihood.{name}: expected one {{noise model: arguments}}")
            return None
        ((family, arguments),) = given.items()
        if family not in NOISE_MODELS:
            hint = nearest(family, NOISE_MODELS) or f"known: {', '.join(NOISE_MODELS)}"
            self._complain_key((*path, family), f"unknown noise model '{family}'", hint)
            return None
        parsed = self._noise_arguments(family, arguments, (*path, family))
        return NoiseMeaning(name, family, parsed) if parsed is not None and name in known else None

    def _noise_arguments(
        self, family: str, given: Any, path: KeyPath
    ) -> tuple[sympy.Expr, ...] | None:
        wanted = NOISE_MODELS[family].arguments
        if given is None:
            given = {}
        if isinstance(given, str | int | float) and len(wanted) == 1:
            given, path_of = {wanted[0]: given}, {wanted[0]: path}
        elif isinstance(given, dict):
            path_of = {argument: (*path, argument) for argument in given}
        else:
            self._complain(path, f"{family} takes {{{', '.join(wanted)}}}")
            return None
        for argument in given:
            if argument not in wanted:
                hint = nearest(argument, wanted) or f"it takes: {', '.join(wanted) or 'none'}"
                self._complain_key(path_of[argument], f"{family} has no '{argument}'", hint)
        missing = [argument for argument in wanted if argument not in given]
        if missing:
            self._complain_key(path, f"{family} needs {', '.join(missing)}")
            return None
        parsed = [self._expression(given[a], path_of[a], self._noise_names) for a in wanted]
        return tuple(p for p in parsed if p is not None) if None not in parsed else None


def _are_numbers(arguments: Any) -> bool:
    values = arguments
    if isinstance(arguments, dict):
        values = list(arguments.values())
    elif not isinstance(arguments, list):
        values = [arguments]
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
