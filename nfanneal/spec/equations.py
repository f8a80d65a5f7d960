"""The expressions of an ODE model: initial values, equations, observables, and their names."""

from __future__ import annotations

from collections.abc import Iterable

from nfanneal.errors import nearest
from nfanneal.model.expressions import Names, parse
from nfanneal.spec.document import KeyPath
from nfanneal.spec.kinds.kind import ModelMeaning
from nfanneal.spec.kinds.ode import OdeSpec
from nfanneal.spec.reader import Reader


class EquationsReader(Reader):
    """Reads the sections of an ODE model that hold expressions by name."""

    def equations(self, model: OdeSpec) -> ModelMeaning:
        """The parsed sections; complaints are collected."""
        self._check_ode_names(model)
        moving = (*model.states, *model.inputs, model.time)
        inside: Names = self._anywhere | dict.fromkeys((*moving, *model.expressions))
        self._read_named(model.expressions, ("model", "expressions"), inside, model.states)
        anywhere = self._anywhere | self._plain
        initial = self._expressions(model.states, ("model", "states"), anywhere)
        equations = self._expressions(model.equations, ("model", "equations"), inside)
        given = model.observables
        if given is None:
            names: Names = dict.fromkeys(model.states)
            observables = {s: parse(s, names) for s in names if s.isidentifier()}
        else:
            self._check_counts(model)
            observables, rates = {}, model.rates
            for name, text in given.items():
                path: KeyPath = ("model", "observables", name)
                path = (*path, "since_last") if name in rates else path
                expression = self._expression(rates.get(name, text), path, inside)
                if expression is not None:
                    observables[name] = expression
        return ModelMeaning(initial, equations, observables, self._named)

    def _check_counts(self, model: OdeSpec) -> None:
        """What is counted since the start never comes to rest, and is no state."""
        for name in model.rates:
            if name in model.states:
                message = f"'{name}' is a state: what is counted needs a name of its own"
                self.complain_key(("model", "observables", name), message)
        own = self._spec.experiments.values()
        steady = "steady_state" in (model.initial, *(each.initial for each in own))
        steady |= bool(model.pre_equilibration) or any(e.pre_equilibration for e in own)
        for name in model.rates if steady else ():
            message = f"'{name}' counts since the last datum, which has no steady state to start at"
            hint = "give the states' initial values"
            self.complain_key(("model", "observables", name), message, hint)

    def _check_ode_names(self, model: OdeSpec) -> None:
        sections: dict[KeyPath, Iterable[str]] = {
            ("model", "states"): model.states,
            ("model", "constants"): model.constants,
            ("model", "inputs"): model.inputs,
            ("model", "expressions"): model.expressions,
            ("model", "observables"): model.observables or {},
        }
        for path, names in sections.items():
            self._check_names(names, path)
        taken: dict[str, str] = {model.time: "the time"}
        taken |= dict.fromkeys(self._spec.parameters, "a parameter")
        if model.time in self._spec.parameters:
            self.complain_key(("parameters", model.time), f"'{model.time}' is the time's name")
        for path in list(sections)[:-1]:
            for name in sections[path]:
                if name in taken:
                    self.complain_key((*path, name), f"'{name}' is already {taken[name]}")
                taken[name] = f"one of the {path[1]}"
        for name, text in (model.observables or {}).items():
            is_itself = name in model.expressions and text == name
            if name in taken and name not in model.states and not is_itself:
                self.complain_key(("model", "observables", name), f"'{name}' is {taken[name]}")
        for state in model.states:
            if state not in model.equations:
                self.complain_key(("model", "states", state), f"state '{state}' has no equation")
        for name in model.equations:
            if name not in model.states:
                hint = nearest(name, model.states)
                path = ("model", "equations", name)
                self.complain_key(path, f"an equation for '{name}', which is no state", hint)
