"""SBML by other means: formulas and derivatives computed from libsbml's trees with plain numbers.

Nothing of it goes through sympy, and functions are called, not written out. For compartments of
constant size, or with a rate rule.
"""

from __future__ import annotations

import math
import operator
from functools import reduce

import libsbml as lib

CALLS = {
    lib.AST_PLUS: lambda *xs: sum(xs),
    lib.AST_TIMES: lambda *xs: math.prod(xs),
    lib.AST_MINUS: lambda x, y=None: -x if y is None else x - y,
    lib.AST_DIVIDE: operator.truediv,
    lib.AST_POWER: operator.pow,
    lib.AST_FUNCTION_POWER: operator.pow,
    lib.AST_FUNCTION_EXP: math.exp,
    lib.AST_FUNCTION_LN: math.log,
    lib.AST_FUNCTION_LOG: lambda base, x: math.log(x) / math.log(base),
    lib.AST_FUNCTION_ROOT: lambda n, x: x ** (1 / n),
    lib.AST_FUNCTION_ABS: abs,
    lib.AST_FUNCTION_TANH: math.tanh,
    lib.AST_FUNCTION_SIN: math.sin,
    lib.AST_FUNCTION_COS: math.cos,
    lib.AST_FUNCTION_MIN: min,
    lib.AST_FUNCTION_MAX: max,
    lib.AST_RELATIONAL_GT: operator.gt,
    lib.AST_RELATIONAL_GEQ: operator.ge,
    lib.AST_RELATIONAL_LT: operator.lt,
    lib.AST_RELATIONAL_LEQ: operator.le,
    lib.AST_RELATIONAL_EQ: operator.eq,
    lib.AST_RELATIONAL_NEQ: operator.ne,
    lib.AST_LOGICAL_AND: lambda *xs: all(xs),
    lib.AST_LOGICAL_OR: lambda *xs: any(xs),
    lib.AST_LOGICAL_NOT: operator.not_,
    lib.AST_LOGICAL_XOR: lambda *xs: reduce(operator.xor, xs),
}
CONSTANTS = {lib.AST_CONSTANT_E: math.e, lib.AST_CONSTANT_PI: math.pi,
             lib.AST_CONSTANT_TRUE: True, lib.AST_CONSTANT_FALSE: False}  # fmt: skip


class Values:
    """A libsbml model at a time, with numbers for all ids that no assignment rule determines."""

    def __init__(self, model, numbers, time=0.0):
        self.model, self.numbers, self.time = model, numbers, time
        self.rules = {r.getVariable(): r for r in model.getListOfRules()}

    def of(self, key):
        rule = self.rules.get(key)
        if rule is not None and rule.isAssignment():
            return self.compute(rule.getMath())
        reaction = self.model.getReaction(key)
        return self.numbers[key] if reaction is None else self.rate(reaction)

    def rate(self, reaction):
        law = reaction.getKineticLaw()
        local = {p.getId(): p.getValue() for p in law.getListOfParameters()}
        local |= {p.getId(): p.getValue() for p in law.getListOfLocalParameters()}
        return self.compute(law.getMath(), local)

    def compute(self, node, scope=None):
        scope = scope or {}
        kind = node.getType()
        children = [node.getChild(i) for i in range(node.getNumChildren())]
        if kind in CONSTANTS:
            return CONSTANTS[kind]
        if node.isNumber():
            return node.getInteger() if kind == lib.AST_INTEGER else node.getReal()
        if kind == lib.AST_NAME_TIME:
            return self.time
        if kind == lib.AST_NAME:
            name = node.getName()
            return scope[name] if name in scope else self.of(name)
        if kind == lib.AST_FUNCTION_PIECEWISE:
            for value, condition in zip(children[::2], children[1::2], strict=False):
                if self.compute(condition, scope):
                    return self.compute(value, scope)
            return self.compute(children[-1], scope)
        given = [self.compute(child, scope) for child in children]
        if kind == lib.AST_FUNCTION:
            called = self.model.getFunctionDefinition(node.getName())
            names = [called.getArgument(i).getName() for i in range(called.getNumArguments())]
            return self.compute(called.getBody(), dict(zip(names, given, strict=True)))
        return CALLS[kind](*given)

    def derivatives(self):
        """d(id)/dt of all species that reactions change, and of all with a rate rule."""
        changes = {}
        for reaction in self.model.getListOfReactions():
            rate = self.rate(reaction)
            sides = [(r, -1) for r in reaction.getListOfReactants()]
            sides += [(r, 1) for r in reaction.getListOfProducts()]
            for reference, sign in sides:
                key = reference.getSpecies()
                if not self.model.getSpecies(key).getBoundaryCondition():
                    step = sign * reference.getStoichiometry() * rate
                    changes[key] = changes.get(key, 0.0) + step
        found = {key: self.compute(rule.getMath())
                 for key, rule in self.rules.items() if rule.isRate()}  # fmt: skip
        for key, change in changes.items():
            species = self.model.getSpecies(key)
            if not species.getHasOnlySubstanceUnits():
                where = species.getCompartment()
                size = self.of(where)
                found[key] = (change - self.of(key) * found.get(where, 0.0)) / size
            else:
                found[key] = change
        return found
