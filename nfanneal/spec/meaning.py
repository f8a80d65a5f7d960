"""What a spec means beyond its shape: names, priors, expressions and noise models, all checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import sympy

from nfanneal.errors import Complaint, nearest
from nfanneal.model.bounded import AnyPrior, bounded
from nfanneal.model.latent import Parameter
from nfanneal.model.priors import PRIORS, make_prior
from nfanneal.spec.document import Document, KeyPath
from nfanneal.spec.equations import EquationsReader
from nfanneal.spec.events import TimingMeaning, TimingReader
from nfanneal.spec.experiments import ExperimentMeaning, MeasuredReader, within
from nfanneal.spec.schema import ParameterSpec, Spec

RESERVED = {"chain", "draw", "log_weight", "log_prior", "log_likelihood", "log_proposal"}
"""Names that the result file uses beside parameters."""


@dataclass(frozen=True)
class Meaning:
    """The parsed parts of a spec; expressions still hold constants and fixed parameters.

    Equations and observables hold the names of those that are `named`, and so do these of others
    before them. Expressions with a name that hold no state stand written out.
    A model that predicts has at least one experiment: a nameless one, if the spec names none.
    """

    free: tuple[Parameter, ...] = ()
    fixed: Mapping[str, float] = field(default_factory=dict)
    initial: Mapping[str, sympy.Expr] = field(default_factory=dict)
    equations: Mapping[str, sympy.Expr] = field(default_factory=dict)
    observables: Mapping[str, sympy.Expr] = field(default_factory=dict)
    named: Mapping[str, sympy.Expr] = field(default_factory=dict)
    experiments: tuple[ExperimentMeaning, ...] = ()
    timing: TimingMeaning = field(default_factory=TimingMeaning)


def find_meaning(spec: Spec, document: Document) -> tuple[Meaning, list[Complaint]]:
    """Parse every prior, expression and noise model of `spec`; complaints are placed."""
    reader = SpecReader(spec, document)
    free, fixed = reader.parameters()
    model = spec.model.read(reader)
    experiments = reader.experiments()
    reader.check_axes()
    timing = spec.model.read_timing(reader, experiments) or TimingMeaning()
    meaning = Meaning(
        free, fixed, model.initial, model.equations, model.observables, model.named, experiments,
        timing,
    )  # fmt: skip
    return meaning, reader.complaints


class SpecReader(MeasuredReader, EquationsReader, TimingReader):
    """Collects complaints while it reads the sections."""

    def parameters(self) -> tuple[tuple[Parameter, ...], dict[str, float]]:
        """Free parameters with their priors, and fixed values."""
        free: list[Parameter] = []
        fixed: dict[str, float] = {}
        self._check_names(self._spec.parameters, ("parameters",))
        for name, given in self._spec.parameters.items():
            vector = self._parameters.get(name.removesuffix("_dim_0")) if "_dim_0" in name else None
            if name in RESERVED or vector is not None:
                self.complain_key(("parameters", name), f"'{name}' is a name of the result file")
            if not isinstance(given, ParameterSpec):
                fixed[name] = given
                continue
            parameter = self._free(name, given)
            if parameter is not None:
                free += self._of_experiments(parameter, given)
        if not free and not self.complaints:
            hint = "in place of a number, write a prior: k: {prior: {loguniform: [0.1, 10]}}"
            message = "no parameter has a prior: nothing to estimate"
            self.complain_key(("parameters",), message, hint)
        return tuple(free), fixed

    def _free(self, name: str, given: ParameterSpec) -> Parameter | None:
        path: KeyPath = ("parameters", name, "prior")
        if len(given.prior) != 1:
            self.complain(path, f"{name}: a prior is one name with its arguments")
            return None
        ((family, arguments),) = given.prior.items()
        if family not in PRIORS:
            hint = nearest(family, PRIORS) or f"known priors: {', '.join(PRIORS)}"
            self.complain_key((*path, family), f"{name}: unknown prior '{family}'", hint)
            return None
        if not _are_numbers(arguments):
            signature = ", ".join(PRIORS[family].arguments)
            self.complain((*path, family), f"{name}: expected numbers, {family}: [{signature}]")
            return None
        prior: AnyPrior
        try:
            prior = make_prior(family, arguments)
        except ValueError as error:
            self.complain((*path, family), f"{name}: {error}")
            return None
        if given.bounds is not None:
            try:
                prior = bounded(prior, *given.bounds)
            except ValueError as error:
                self.complain(("parameters", name, "bounds"), f"{name}: {error}")
                return None
        if given.scale != "linear" and prior.support[0] < 0.0:
            message = f"{name}: a {given.scale} axis has no negative numbers, the prior does"
            self.complain(("parameters", name, "scale"), message, "say bounds: [0, .inf] if so")
        return Parameter(name, prior, given.shape, given.label, given.unit, given.scale)

    def _of_experiments(self, parameter: Parameter, given: ParameterSpec) -> list[Parameter]:
        """The parameter, or one for each experiment that has its own."""
        if given.per is None:
            return [parameter]
        if not self._spec.experiments:
            path = ("parameters", parameter.name, "per")
            self.complain_key(path, f"{parameter.name}: there are no experiments")
        return [
            replace(
                parameter,
                name=within(parameter.name, experiment),
                label=_label_within(parameter.label, experiment),
            )
            for experiment, said in self._spec.experiments.items()
            if parameter.name not in said.parameters
        ]


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
