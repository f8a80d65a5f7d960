"""How a trajectory of each experiment begins: at given values or at a steady state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import sympy

from nfanneal.errors import nearest
from nfanneal.model.expressions import Names
from nfanneal.spec.document import KeyPath
from nfanneal.spec.experiments import ExperimentMeaning
from nfanneal.spec.kinds.ode import OdeSpec
from nfanneal.spec.reader import Reader
from nfanneal.spec.schema import ExperimentSpec


@dataclass(frozen=True)
class StartMeaning:
    """How an experiment's trajectory begins.

    With `steady`, at a steady state, found while constants and parameters have the values of
    `before`, expressions of parameters. Then some states take the values of `reset`, expressions
    of parameters and of the states as they are.
    """

    steady: bool = False
    before: Mapping[str, sympy.Expr] = field(default_factory=dict)
    reset: Mapping[str, sympy.Expr] = field(default_factory=dict)

    @property
    def expressions(self) -> tuple[sympy.Expr, ...]:
        """All of its expressions."""
        return (*self.before.values(), *self.reset.values())


class StartsReader(Reader):
    """Reads what a model and its experiments say of where trajectories begin."""

    def starts(
        self, model: OdeSpec, experiments: Sequence[ExperimentMeaning]
    ) -> tuple[StartMeaning, ...]:
        """The start of each experiment: what it says goes before what the model says."""
        shared = self._before(model.pre_equilibration, ("model", "pre_equilibration"))
        resets = self._resets(model, model.reset, ("model", "reset"))
        found = []
        for each in experiments:
            reset, said = resets, self._spec.experiments.get(each.name)
            if said is not None and said.reset is not None:
                own = self._resets(model, said.reset, ("experiments", each.name, "reset"))
                reset = {**resets, **own} if own else {}
            found.append(replace(self._start(model, each.name, shared), reset=reset))
        return tuple(found)

    def _resets(
        self, model: OdeSpec, given: Mapping[str, Any], path: KeyPath
    ) -> dict[str, sympy.Expr]:
        for name in given:
            if name not in model.states:
                hint = nearest(name, model.states)
                self.complain_key((*path, name), f"there is no state '{name}'", hint)
        names: Names = self._parameters | self._constants | dict.fromkeys(model.states)
        return self._expressions(given, path, names)

    def _start(self, model: OdeSpec, name: str, shared: Mapping[str, sympy.Expr]) -> StartMeaning:
        """The same without what is reset."""
        said, path = self._spec.experiments.get(name), ("experiments", name)
        if said is None:
            return StartMeaning(model.initial == "steady_state" or bool(shared), shared)
        own = self._before(said.pre_equilibration or {}, (*path, "pre_equilibration"))
        if said.initial == "given":
            if said.pre_equilibration:
                message = "there is nothing to equilibrate before given initial values"
                self.complain_key((*path, "pre_equilibration"), message)
            return StartMeaning()
        before = {} if _is_off(said) else {**shared, **own}
        steady = (said.initial or model.initial) == "steady_state" or bool(before)
        return StartMeaning(steady, before)

    def _before(self, given: Mapping[str, Any], path: KeyPath) -> dict[str, sympy.Expr]:
        names: Names = self._parameters | self._constants
        what = "constant or parameter"
        for name in given:
            if name not in names:
                message = f"there is no {what} '{name}'"
                self.complain_key((*path, name), message, nearest(name, names))
            elif names[name] is not None:
                self.complain_key((*path, name), f"'{name}' is a vector: only scalars can change")
        return self._expressions(given, path, names)


def _is_off(said: ExperimentSpec) -> bool:
    """Whether an empty mapping takes the place of the model's."""
    return said.pre_equilibration is not None and not said.pre_equilibration
