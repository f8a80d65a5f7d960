"""SBML files as text, for tests: what is in the model, and the frame around it."""

from __future__ import annotations

from pathlib import Path

from nfanneal.spec.sbml.model import sbml_of

NAMESPACES = {
    (2, 1): "http://www.sbml.org/sbml/level2",
    **{(2, v): f"http://www.sbml.org/sbml/level2/version{v}" for v in (2, 3, 4, 5)},
    **{(3, v): f"http://www.sbml.org/sbml/level3/version{v}/core" for v in (1, 2)},
}
HERE = Path("model.xml")
LISTS = ("FunctionDefinitions", "UnitDefinitions", "Compartments", "Species", "Parameters",
         "InitialAssignments", "Rules", "Constraints", "Reactions", "Events")  # fmt: skip


def file(level=3, version=2, attributes="", **lists):
    """A file whose lists hold the given text; each list starts on a line of its own, from 4."""
    parts = [f"<listOf{name}>{lists[name]}</listOf{name}>" for name in LISTS if name in lists]
    assert not set(lists) - set(LISTS)
    return "\n".join(
        (
            '<?xml version="1.0" encoding="UTF-8"?>',
            f'<sbml xmlns="{NAMESPACES[level, version]}" level="{level}" version="{version}">',
            f'<model id="a_model" {attributes}>',
            *parts,
            "</model></sbml>\n",
        )
    )


def read(text):
    """The model in the text of a file."""
    return sbml_of(text.encode(), HERE)


def math(content):
    """A formula; what is no element is a name or a number."""
    if not content.startswith("<"):
        number = content[:1].isdigit() or content[:1] in "-."
        content = f"<cn>{content}</cn>" if number else f"<ci>{content}</ci>"
    return f'<math xmlns="http://www.w3.org/1998/Math/MathML">{content}</math>'


def apply(operator, *operands):
    """An operator with operands: names, numbers, or elements."""
    inner = [math(o).split(">", 1)[1].removesuffix("</math>") for o in map(str, operands)]
    return f"<apply><{operator}/>{''.join(inner)}</apply>"


TIME = (
    '<csymbol encoding="text" definitionURL="http://www.sbml.org/sbml/symbols/time"> t </csymbol>'
)


def compartment(key="c", size=1, constant=True, extra=""):
    sized = "" if size is None else f'size="{size}"'
    return f'<compartment id="{key}" {sized} constant="{_word(constant)}" {extra}/>'


def species(key, where="c", amount=None, concentration=None, **flags):
    """A species of level 3; `only_amount`, `boundary`, `constant` are flags."""
    given = "" if amount is None else f'initialAmount="{amount}"'
    given += "" if concentration is None else f'initialConcentration="{concentration}"'
    extra = flags.pop("extra", "")
    shown = {
        "hasOnlySubstanceUnits": flags.pop("only_amount", False),
        "boundaryCondition": flags.pop("boundary", False),
        "constant": flags.pop("constant", False),
    }
    assert not flags
    said = " ".join(f'{k}="{_word(v)}"' for k, v in shown.items())
    return f'<species id="{key}" compartment="{where}" {given} {said} {extra}/>'


def parameter(key, value=None, constant=True, extra=""):
    given = "" if value is None else f'value="{value}"'
    return f'<parameter id="{key}" {given} constant="{_word(constant)}" {extra}/>'


def reference(key, stoichiometry=1, constant=True, extra=""):
    given = "" if stoichiometry is None else f'stoichiometry="{stoichiometry}"'
    return f'<speciesReference species="{key}" {given} constant="{_word(constant)}" {extra}/>'


def reaction(key, reactants, products, rate, local="", extra=""):
    """A reaction of level 3; `reactants` and `products` are references or ids."""
    sides = ""
    for name, side in (("Reactants", reactants), ("Products", products)):
        inner = "".join(r if r.startswith("<") else reference(r) for r in side)
        sides += f"<listOf{name}>{inner}</listOf{name}>" if inner else ""
    known = f"<listOfLocalParameters>{local}</listOfLocalParameters>" if local else ""
    law = "" if rate is None else f"<kineticLaw>{math(rate)}{known}</kineticLaw>"
    return f'<reaction id="{key}" reversible="false" {extra}>{sides}{law}</reaction>'


def assignment(key, content):
    return f'<assignmentRule variable="{key}">{math(content)}</assignmentRule>'


def rate(key, content):
    return f'<rateRule variable="{key}">{math(content)}</rateRule>'


def initially(key, content):
    return f'<initialAssignment symbol="{key}">{math(content)}</initialAssignment>'


def function(key, arguments, content):
    bound = "".join(f"<bvar><ci>{a}</ci></bvar>" for a in arguments)
    inner = math(content).split(">", 1)[1].removesuffix("</math>")
    return (
        f'<functionDefinition id="{key}">{math(f"<lambda>{bound}{inner}</lambda>")}'
        "</functionDefinition>"
    )


def event(key, trigger, assignments, *, extra="", after="", priority="", flags=None):
    """An event of level 3."""
    said = flags or 'initialValue="true" persistent="true"'
    delay = f"<delay>{math(after)}</delay>" if after else ""
    rank = f"<priority>{math(priority)}</priority>" if priority else ""
    inner = "".join(
        f'<eventAssignment variable="{k}">{math(v)}</eventAssignment>'
        for k, v in assignments.items()
    )
    return (
        f'<event id="{key}" useValuesFromTriggerTime="true" {extra}>'
        f"<trigger {said}>{math(trigger)}</trigger>{rank}{delay}"
        f"<listOfEventAssignments>{inner}</listOfEventAssignments></event>"
    )


def _word(flag):
    return "true" if flag else "false"
