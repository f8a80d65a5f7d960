"""What was measured: the noise of each observable, in one experiment or in several."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import sympy

from nfanneal.errors import nearest
from nfanneal.model.expressions import Names, symbol
from nfanneal.model.latent import element_names
from nfanneal.model.noise import NOISE_MODELS
from nfanneal.spec.document import KeyPath
from nfanneal.spec.reader import Reader
from nfanneal.spec.schema import DataSpec, ExperimentSpec, ParameterSpec

OWN = ("constants", "inputs", "states", "start", "initial", "pre_equilibration", "reset", "events")
"""Sections of an experiment that not every kind of model has."""
PARTS, TRAJECTORIES = ("_time", "_cell"), ("_clean", "_at")
"""What the result file appends to an observable: with its data, and in predictions."""


def within(name: str, experiment: str) -> str:
    """What belongs to one experiment carries its name, as in `scale[control]`.

    The nameless experiment of a spec without any leaves names as they are.
    """
    return f"{name}[{experiment}]" if experiment else name


@dataclass(frozen=True)
class NoiseMeaning:
    """The noise of one observable: a name in `NOISE_MODELS` and its arguments, in order."""

    observable: str
    model: str
    arguments: tuple[sympy.Expr, ...]


@dataclass(frozen=True)
class ExperimentMeaning:
    """One experiment's noise, and what is different there.

    `instead` says what stands for parameters and constants; `numbers` are values that it has to
    itself, by names such as `dose[control]`; `initial` are its own initial values.
    """

    name: str = ""
    noise: tuple[NoiseMeaning, ...] = ()
    instead: Mapping[sympy.Symbol, sympy.Expr] = field(default_factory=dict)
    numbers: Mapping[str, float] = field(default_factory=dict)
    initial: Mapping[str, sympy.Expr] = field(default_factory=dict)


class MeasuredReader(Reader):
    """Reads the sections likelihood, data and experiments."""

    def experiments(self) -> tuple[ExperimentMeaning, ...]:
        """Every experiment; a nameless one if the spec names none; none for a log-likelihood."""
        spec = self._spec
        itself = spec.model.likelihood_key
        if itself is not None:
            for section in ("data", "likelihood", "experiments"):
                if section in spec.model_fields_set:
                    self.complain_key((section,), f"'{section}' is not used with model.{itself}")
            return ()
        shared = self._noises(spec.likelihood, ("likelihood",))
        self._check_stored_names()
        if spec.experiments:
            if spec.data is not None:
                self.complain_key(("data",), "with experiments, each has its own data section")
            self._check_names(spec.experiments, ("experiments",))
            return tuple(self._experiment(name, shared) for name in spec.experiments)
        if not spec.likelihood:
            self.complain_key((), "a likelihood is needed: {observable: {noise model: …}}")
        if spec.data is None:
            self.complain_key((), "data are needed: {file: …, time: …}")
        else:
            self._check_data(spec.data, spec.likelihood, ("data",))
        return (ExperimentMeaning(noise=tuple(shared.values())),)

    def check_axes(self) -> None:
        """Only observables and the time have axes of their own; parameters say theirs."""
        known = dict.fromkeys([*self._observables, *self._spec.time_names])
        for name in self._spec.axes:
            if name not in known:
                there = f"there are: {', '.join(known)}" if known else None
                hint = nearest(name, known) or there
                if name in self._parameters:
                    hint = f"write label and unit below parameters.{name}"
                message = f"'{name}' is neither an observable nor the time"
                self.complain_key(("axes", name), message, hint)

    def _experiment(self, name: str, shared: Mapping[str, NoiseMeaning]) -> ExperimentMeaning:
        given, path = self._spec.experiments[name], ("experiments", name)
        observed = given.observed or list(self._spec.likelihood)
        for i, observable in enumerate(given.observed or ()):
            if observable not in self._spec.likelihood:
                hint = nearest(observable, self._spec.likelihood)
                message = f"'{observable}' is not in the likelihood section"
                self.complain((*path, "observed", i), message, hint)
        noise = {n: shared[n] for n in observed if n in shared}
        noise |= self._noises(given.likelihood, (*path, "likelihood"))
        measured = {*observed, *given.likelihood}
        if not measured:
            self.complain_key(
                path, f"{name}: nothing was measured; the likelihood section says what"
            )
        self._check_data(given.data, measured, (*path, "data"))
        instead, numbers = self._own(name, given)
        initial = self._own_initial(given, path)
        return ExperimentMeaning(name, tuple(noise.values()), instead, numbers, initial)

    def _own(
        self, name: str, given: ExperimentSpec
    ) -> tuple[dict[sympy.Symbol, sympy.Expr], dict[str, float]]:
        """What stands for parameters and constants in an experiment, and its own numbers."""
        path: KeyPath = ("experiments", name)
        self._check_known(given.constants, self._constants, (*path, "constants"), "constant")
        self._check_known(given.parameters, self._parameters, (*path, "parameters"), "parameter")
        numbers = {within(c, name): value for c, value in given.constants.items()}
        own = {symbol(c): symbol(within(c, name)) for c in given.constants}
        own |= {
            symbol(f"{parameter}{element}"): symbol(f"{within(parameter, name)}{element}")
            for parameter, said in self._spec.parameters.items()
            if isinstance(said, ParameterSpec) and said.per and parameter not in given.parameters
            for element in element_names("", said.shape)
        }
        others: dict[sympy.Symbol, sympy.Expr] = {}
        for parameter, text in given.parameters.items():
            here = (*path, "parameters", parameter)
            if self._parameters.get(parameter) is not None:
                hint = "a vector parameter is shared, or each experiment's own (per: experiment)"
                self.complain(here, f"'{parameter}' is a vector", hint)
            elif isinstance(text, str):
                others |= self._other(parameter, text, here, own)
                self._check_own(others.get(symbol(parameter)), given, here)
            else:
                numbers[within(parameter, name)] = float(text)
                others[symbol(parameter)] = symbol(within(parameter, name))
        return own | others, numbers

    def _other(
        self, parameter: str, text: str, path: KeyPath, own: Mapping[sympy.Symbol, sympy.Expr]
    ) -> dict[sympy.Symbol, sympy.Expr]:
        """An expression that stands for a parameter."""
        model = self._spec.model
        if not model.transparent:
            message = f"{parameter}: the experiments of a {model.kind} model take numbers here"
            self.complain(path, message)
            return {}
        expression = self._expression(text, path, self._parameters | self._constants)
        return {} if expression is None else {symbol(parameter): expression.xreplace(own)}

    def _check_own(
        self, expression: sympy.Expr | None, given: ExperimentSpec, path: KeyPath
    ) -> None:
        """Where something stands for an experiment's own parameter, that has no value there."""
        for name, said in self._spec.parameters.items():
            gone = isinstance(said, ParameterSpec) and said.per and name in given.parameters
            if gone and expression is not None and symbol(name) in expression.free_symbols:
                message = f"'{name}' has no value of its own here: something else stands for it"
                self.complain(path, message, "write that instead")

    def _own_initial(self, given: ExperimentSpec, path: KeyPath) -> dict[str, sympy.Expr]:
        model = self._spec.model
        absent = [section for section in OWN if section not in model.in_experiments]
        for section in absent:
            if getattr(given, section) not in ({}, [], None):
                self.complain_key((*path, section), f"a {model.kind} model has no {section}")
        for section, what in (("inputs", "input"), ("states", "state")):
            if section not in absent:
                names = model.names_of(section)
                self._check_known(getattr(given, section), names, (*path, section), what)
        if "states" in absent:
            return {}
        anywhere = self._anywhere | self._plain
        return self._expressions(given.states, (*path, "states"), anywhere)

    def _check_known(
        self, names: Mapping[str, Any], known: Mapping[str, Any], path: KeyPath, what: str
    ) -> None:
        for name in names:
            if name not in known:
                self.complain_key(
                    (*path, name), f"the model has no {what} '{name}'", nearest(name, known)
                )

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
        self.complain_key((*section, name), message)

    def _check_data(self, said: DataSpec, measured: Collection[str], path: KeyPath) -> None:
        if (said.file is None) == (said.table is None):
            self.complain_key(path, "data need one of the two: file, or table")
        for name in said.columns:
            if name not in measured:
                message, hint = f"'{name}' has a column but no likelihood", nearest(name, measured)
                self.complain_key((*path, "columns", name), message, hint)

    @functools.cached_property
    def _observables(self) -> Mapping[str, Any]:
        known = self._spec.model.observable_names
        if known is not None:
            return known
        own = [said.likelihood for said in self._spec.experiments.values()]
        return {name: None for part in (self._spec.likelihood, *own) for name in part}

    @functools.cached_property
    def _noise_names(self) -> Names:
        return self._anywhere | self._plain | dict.fromkeys(self._observables)

    def _noises(self, section: Mapping[str, Any], path: KeyPath) -> dict[str, NoiseMeaning]:
        """The noise of each observable of a likelihood section at `path`."""
        found = {name: self._noise(name, given, (*path, name)) for name, given in section.items()}
        return {name: noise for name, noise in found.items() if noise is not None}

    def _noise(self, name: str, given: Any, path: KeyPath) -> NoiseMeaning | None:
        known = self._observables
        if name not in known:
            hint = nearest(name, known) or f"observables: {', '.join(known)}"
            if name in self._spec.model.names_of("states"):
                hint = f"add `{name}: {name}` to model.observables, which replace the states"
            self.complain_key(path, f"no observable '{name}'", hint)
        if isinstance(given, str):
            given = {given: {}}
        if not isinstance(given, dict) or len(given) != 1:
            self.complain(
                path, f"{'.'.join(map(str, path))}: expected one {{noise model: arguments}}"
            )
            return None
        ((family, arguments),) = given.items()
        if family not in NOISE_MODELS:
            hint = nearest(family, NOISE_MODELS) or f"known: {', '.join(NOISE_MODELS)}"
            self.complain_key((*path, family), f"unknown noise model '{family}'", hint)
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
            self.complain(path, f"{family} takes {{{', '.join(wanted)}}}")
            return None
        for argument in given:
            if argument not in wanted:
                hint = nearest(argument, wanted) or f"it takes: {', '.join(wanted) or 'none'}"
                self.complain_key(path_of[argument], f"{family} has no '{argument}'", hint)
        missing = [argument for argument in wanted if argument not in given]
        if missing:
            self.complain_key(path, f"{family} needs {', '.join(missing)}")
            return None
        parsed = [self._expression(given[a], path_of[a], self._noise_names) for a in wanted]
        return tuple(p for p in parsed if p is not None) if None not in parsed else None
