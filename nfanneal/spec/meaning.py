"""What a spec means beyond its shape: names, priors, expressions and noise models, all checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import sympy

from nfanneal.errors import Complaint, nearest
from nfanneal.model.expressions import Names, parse
from nfanneal.model.latent import Parameter
from nfanneal.model.priors import PRIORS, make_prior
from nfanneal.spec.document import Document, KeyPath
from nfanneal.spec.events import TimingMeaning, TimingReader
from nfanneal.spec.experiments import ExperimentMeaning, MeasuredReader, within
from nfanneal.spec.schema import OdeSpec, ParameterSpec, PythonSpec, Spec

RESERVED = {"chain", "draw", "log_weight", "log_prior", "log_likelihood", "log_proposal"}
"""Names that the result file uses beside parameters."""


@dataclass(frozen=True)
class Meaning:
    """The parsed parts of a spec; expressions still hold constants and fixed parameters.

    A model that predicts has at least one experiment: a nameless one, if the spec names none.
    """

    free: tuple[Parameter, ...] = ()
    fixed: Mapping[str, float] = field(default_factory=dict)
    initial: Mapping[str, sympy.Expr] = field(default_factory=dict)
    equations: Mapping[str, sympy.Expr] = field(default_factory=dict)
    observables: Mapping[str, sympy.Expr] = field(default_factory=dict)
    experiments: tuple[ExperimentMeaning, ...] = ()
    timing: TimingMeaning = field(default_factory=TimingMeaning)


def find_meaning(spec: Spec, document: Document) -> tuple[Meaning, list[Complaint]]:
    """Parse every prior, expression and noise model of `spec`; complaints are placed."""
    reader = _Reader(spec, document)
    free, fixed = reader.parameters()
    initial, equations, observables = reader.model()
    experiments = reader.experiments()
    timing = reader.timing(experiments)
    meaning = Meaning(free, fixed, initial, equations, observables, experiments, timing)
    return meaning, reader.complaints


class _Reader(MeasuredReader, TimingReader):
    """Collects complaints while it reads the sections."""

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
                free += self._of_experiments(parameter, given)
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

    def _of_experiments(self, parameter: Parameter, given: ParameterSpec) -> list[Parameter]:
        """The parameter, or one for each experiment that has its own."""
        if given.per is None:
            return [parameter]
        if not self._spec.experiments:
            path = ("parameters", parameter.name, "per")
            self._complain_key(path, f"{parameter.name}: there are no experiments")
        return [
            replace(
                parameter,
                name=within(parameter.name, experiment),
                label=_label_within(parameter.label, experiment),
            )
            for experiment, said in self._spec.experiments.items()
            if parameter.name not in said.parameters
        ]

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
        inside: Names = anywhere | dict.fromkeys((*model.states, *model.inputs, model.time))
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
            ("model", "inputs"): model.inputs,
            ("model", "observables"): model.observables or {},
        }
        for path, names in sections.items():
            self._check_names(names, path)
        taken: dict[str, str] = {model.time: "the time"}
        taken |= dict.fromkeys(self._spec.parameters, "a parameter")
        if model.time in self._spec.parameters:
            self._complain_key(("parameters", model.time), f"'{model.time}' is the time's name")
        for path in (("model", "constants"), ("model", "inputs"), ("model", "states")):
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


def _are_numbers(arguments: Any) -> bool:
    values = arguments
    if isinstance(arguments, dict):
        values = list(arguments.values())
    elif not isinstance(arguments, list):
        values = [arguments]
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def _label_within(label: str | None, experiment: str) -> str | None:
    """A figure's name of one experiment's own parameter."""
    if label is None:
        return None
    if not (label.startswith("$") and label.endswith("$")):
        return within(label, experiment)
    upright = experiment.replace("_", r"\_")
    return rf"${label.strip('$')}\,[\mathrm{{{upright}}}]$"
