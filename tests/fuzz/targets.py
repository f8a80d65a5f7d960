"""What fuzzing feeds: bytes in; a clear complaint or a sound answer out, or an exception escapes.

Each target is run by atheris (`make fuzz`) and, for a few seconds, by hypothesis in the tests.
"""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import petab_tables
import sbml

from nfanneal.errors import DataError, InputError, SpecError
from nfanneal.model.expressions import (
    ExpressionError,
    cost_of,
    differentiate,
    parse,
    parse_condition,
    symbol,
    to_python,
    with_numbers,
)
from nfanneal.model.ode.triggers import as_number
from nfanneal.runtime.files import decoded
from nfanneal.spec.load import load_spec, spec_from_text
from nfanneal.spec.sbml.model import sbml_of, to_model_section
from nfanneal.spec.table import table_of

NAMES = dict.fromkeys(("x", "y", "t", "k", "n")) | {"v": 3}
RENAME = {symbol(name): name for name in NAMES} | {symbol(f"v[{i}]"): f"v{i}" for i in range(3)}
KNOWN = {symbol("k"): 1e4, symbol("n"): 0.5}
AFFORDABLE = 2_000
"""Derivatives of larger expressions take a fuzzer too long."""
BETWEEN = b"=====\n"
"""Between the tables of a PEtab problem."""
SEEDS = {
    "expression": (
        b"a1 / (1 + x3**h) - d1*x1", b"hill(x, k, n)*where(t > 5 and x < 1, min(x, y), v[2])",
        b"sqrt(x**2 + (k*y)**2)^0.5", b"log10(abs(x)) + exp(-tanh(sin(x)))", b"9**9**9*x - 1e-6/pi",
    ),
    "condition": (b"x > 3 and not t < k", b"0 < x <= y or hill(x, k, n) >= v[2]", b"not not x > 1"),
    "spec": (
        b"name: decay\nmodel:\n  kind: ode\n  states: {x: x0, y: 0}\n  equations:\n    x: -k*x\n"
        b"    y: k*x\nparameters:\n  k: {prior: {uniform: [0, 1]}}\n  x0: 2\ndata: {file: d.csv}\n"
        b"likelihood:\n  y: {normal: {sigma: 0.3}}\nseed: 2\n",
        b"model:\n  kind: ode\n  states: {x: 1}\n  equations: {x: -k*x}\n  events:\n"
        b"    - {when: x < c and not t < 2, set: {x: x + 1, c: c/2}, delay: 0.5, name: more}\n"
        b"parameters: {k: {prior: {uniform: [0, 1]}}, c: 0.3}\ndata: {file: d.csv}\n"
        b"likelihood: {x: {normal: 1}}\n",
        b"model: {kind: python, file: m.py, log_likelihood: f}\n"
        b"parameters: {x: {shape: 3, prior: {normal: [0, 1]}, label: '$x$'}}\n"
        b"flow: {kind: maf, hidden: [8]}\nanneal: {preset: quick, draws: 1e3}\n",
        b"%YAML 1.1\n---\na: &a !!str \"\\x41\\u00e9\"\nb: *a\nc: |\n  x\nd: [1e-6, .inf, 0x10]\n",
    ),
    "sbml": (
        sbml.file(
            FunctionDefinitions=sbml.function("f", ["x"], sbml.apply("tanh", "x")),
            Compartments=sbml.compartment("c", 2, constant=False),
            Species=sbml.species("A", amount=1) + sbml.species("B", concentration=2),
            Parameters=sbml.parameter("k", 3) + sbml.parameter("p", 1, constant=False),
            InitialAssignments=sbml.initially("k", sbml.apply("times", "2", "A")),
            Rules=sbml.rate("c", "p"),
            Reactions=sbml.reaction("r", ["A"], ["B"], "<apply><ci>f</ci><ci>A</ci></apply>"),
            Events=sbml.event("e", sbml.apply("gt", sbml.TIME, "k"), {"p": "2"}, after="1"),
        ).encode(),
        sbml.file(
            2, 4,
            Compartments='<compartment id="c" size="1"/>',
            Species='<species id="A" compartment="c" initialAmount="1"/>',
            Parameters='<parameter id="log" value="0.5" constant="false"/>',
            Rules=sbml.assignment("log", sbml.apply("power", "A", "1.5")),
        ).encode(),
    ),
    "petab": (BETWEEN.join(text.encode() for text in petab_tables.FIRST.values()),),
    "table": (
        b"t,x,y\n0,1,2\n1,,3\n", b'# why\n"t";"x"\n0;"1"\n1;NA\n', b"t\tx\r\n1e-3\t-2.5\r\n",
    ),
}  # fmt: skip


def expression(raw: bytes) -> None:
    """An expression is refused with a column inside it, or has finite source and derivatives."""
    text = raw.decode("utf-8", errors="surrogateescape")
    try:
        found = parse(text, NAMES)
    except ExpressionError as error:
        assert 1 <= error.column <= len(text) + 1
        assert error.message
        return
    to_python(found, RENAME)
    if cost_of(found).derivatives <= AFFORDABLE:
        for name in ("x", "k"):
            to_python(differentiate(found, symbol(name)), RENAME)
        with suppress(OverflowError, TypeError, ValueError, ZeroDivisionError):  # told as such
            to_python(with_numbers(found, KNOWN, {}), RENAME)


def condition(raw: bytes) -> None:
    """A condition is refused with a column inside it, or has finite source."""
    text = raw.decode("utf-8", errors="surrogateescape")
    try:
        found = parse_condition(text, NAMES)
    except ExpressionError as error:
        assert 1 <= error.column <= len(text) + 1
        assert error.message
        return
    to_python(as_number(found), RENAME)


def spec(raw: bytes) -> None:
    """A spec is refused with places inside it, or its resolved text means the same."""
    try:
        text = decoded(raw, Path("spec"), SpecError)
        checked = spec_from_text(text)
    except SpecError as error:
        assert str(error)
        for complaint in error.complaints:
            assert complaint.location is None or complaint.location.line >= 1
        return
    again = spec_from_text(checked.yaml)
    assert again.yaml == checked.yaml
    assert [p.name for p in again.meaning.free] == [p.name for p in checked.meaning.free]


def sbml_file(raw: bytes) -> None:
    """An SBML file is refused with lines inside it, or becomes text that is parsed again."""
    lines = raw.count(b"\n") + raw.count(b"\r") + 1
    try:
        model = sbml_of(raw, Path("model.xml"))
        section = to_model_section(model)
    except SpecError as error:
        assert str(error)
        for complaint in error.complaints:
            assert complaint.location is None or 1 <= complaint.location.line <= lines
        return
    names = dict.fromkeys([*model.initial, *model.unset, *model.assignments, model.time])
    for text in (*section["equations"].values(), *section.get("expressions", {}).values()):
        parse(text, names)


def table(raw: bytes) -> None:
    """A table is refused with lines inside it, or holds a number or a gap in every cell."""
    try:
        text = decoded(raw, Path("d.csv"), DataError)
        found = table_of(text, Path("d.csv"))
    except DataError as error:
        lines = raw.count(b"\n") + raw.count(b"\r") + 1
        for complaint in error.complaints:
            assert complaint.location is None or 1 <= complaint.location.line <= lines
        return
    assert found.values.shape == (len(found.lines), len(found.columns))
    assert not np.isneginf(found.values).any()
    endless = np.isinf(found.values).any(axis=0)
    assert {name for name, is_so in zip(found.columns, endless, strict=True) if is_so} == {
        *found.infinite
    }


def petab(raw: bytes) -> None:
    """A PEtab problem is refused with places in its files, or its spec reads as it was written."""
    tables = raw.split(BETWEEN)[: len(petab_tables.FIRST)]
    with tempfile.TemporaryDirectory() as folder:
        path = petab_tables.problem(Path(folder))
        for name, content in zip(petab_tables.FIRST, tables, strict=False):
            Path(folder, name).write_bytes(content)
        try:
            checked = load_spec(path)
        except InputError as error:
            assert error.complaints
            return
    assert spec_from_text(checked.yaml).spec == checked.spec


TARGETS = {
    "expression": expression, "condition": condition, "spec": spec, "table": table,
    "sbml": sbml_file, "petab": petab,
}  # fmt: skip
