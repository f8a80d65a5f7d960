"""Hostile and broken input: specs, expressions and data that must neither hang nor trace back."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest
from commands import inside
from fuzz.targets import SEEDS, TARGETS
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import script
from specs import BASE, edited

import nfanneal
from nfanneal.model.expressions import cost_of, parse, symbol, to_python
from nfanneal.spec.table import MOST_COLUMNS, MOST_LINES

DATA = "t,y\n0,0.1\n1,0.9\n"
LETTERS = "abcdefgh"


def bomb(first, repeat):
    """Nine times nine times … : eight levels of aliases."""
    lines = [f"{c}: &{c} {repeat(p)}\n" for p, c in pairwise(LETTERS)]
    return f"a: &a {first}\n{''.join(lines)}"


LISTS = bomb("[x, x, x, x, x, x, x, x, x]", lambda p: f"[{', '.join([f'*{p}'] * 9)}]")
MAPS = bomb("{k: v}", lambda p: f"{{{', '.join(f'k{i}: *{p}' for i in range(9))}}}")


@pytest.fixture
def check(tmp_path, capsys, monkeypatch):
    """`nfanneal check` on a spec of this text or bytes: its exit code and what it says."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d.csv").write_text(DATA)

    def command(content, *arguments):
        raw = content if isinstance(content, bytes) else content.encode()
        (tmp_path / "s.yaml").write_bytes(raw)
        code, out, err = inside(capsys, "check", "s.yaml", *arguments)
        assert code in (0, 3)
        assert bool(out) == (code == 0)
        return code, err

    return command


REFUSED = {
    "lists of aliases": (BASE + LISTS, "s.yaml:14:4: too many values"),
    "maps of aliases": (MAPS + BASE, "s.yaml:1:11: too many values"),
    "an alias of itself": (f"{BASE}z: &z [*z]\n", "s.yaml:14:4: nested too deeply"),
    "deep lists": (f"{BASE}z: {'[' * 100_000}", "s.yaml:14:53: nested too deeply"),
    "deep maps": (f"{BASE}z: {'{a: ' * 20_000}", "nested too deeply"),
    "deep indents": (BASE + "z:\n" + "".join(" " * i + "a:\n" for i in range(1, 500)), "s.yaml:63"),
    "many values": (f"{BASE}z: [{'1,' * 60_000}]\n", "too many values: a spec has at most"),
    "NUL": (edited(("decay", "de\0cay")), "s.yaml:1:9: not valid YAML: the character '\\x00'"),
    "NUL as an escape": (edited(("decay", r'"de\0cay"')), r"s.yaml:1:7: the character \x00"),
    "half a pair": (edited(("decay", r'"\ud800"')), r"s.yaml:1:7: the character \ud800"),
    "a terminal's escape": (edited(("decay", r'"\e[31m"')), r"s.yaml:1:7: the character \x1b"),
    "beyond Unicode": (edited(("decay", r'"\U00110000"')), "s.yaml:1:10: not valid YAML"),
    "far beyond Unicode": (edited(("decay", r'"\UFFFFFFFF"')), "s.yaml:1:10: not valid YAML"),
    "a huge version": (f"%YAML {'9' * 6000}.1\n---\n{BASE}", "s.yaml:1:7: not valid YAML"),
    "a tab": (edited(("    x: -k*x", "\tx: -k*x")), "s.yaml:6:1: not valid YAML: found character"),
    "a key twice": (f"{BASE}name: b\n", "s.yaml:14:1: the key 'name' stands here twice"),
    "Latin 1": (edited(("decay", "d\xe9cay")).encode("latin-1"), "s.yaml:1:8: not UTF-8 text"),
    "UTF-16": (BASE.encode("utf-16"), "s.yaml:1:1: not UTF-8 text (the byte 0xff)"),
    "a huge whole number": (f"{BASE}seed: 0x{'f' * 200_000}\n", "s.yaml:14:7: seed must be"),
    "beyond 64 bits": (f"{BASE}seed: {2**63}\n", "s.yaml:14:7: seed must be below 2^63"),
    "no float": (edited(("x0: 2", f"x0: {'9' * 400}")), "s.yaml:10:7: parameters.x0 must be"),
    "no prior's float": (edited(("[0, 1]", f"[0, {'9' * 400}]")), "k: expected numbers"),
    "a vector of millions": (edited(("{prior", "{shape: 1000000000, prior")), "at most 10000"),
    "draws without end": (f"{BASE}output: {{samples: 1e12}}\n", "must be at most 1e+08"),
    "no width": (f"{BASE}flow: {{hidden: [0]}}\n", "flow.hidden.0 must be at least 1"),
    "a long path": (edited(("d.csv", "d" * 5000)), "s.yaml:11:14: no data file can be called so"),
    "NUL in a path": (edited(("d.csv", r'"d\0"')), "s.yaml:11:14: no data file can be called so"),
    "code": (edited(("decay", "!!python/object/apply:os.system [ls]")), "s.yaml:1:7: the tag"),
    "a long tag": (f"{BASE}z: !{'x' * 10**6} 1\n", "s.yaml:14:4: the tag !xxx"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_hostile_specs_get_a_short_answer(check, name):
    content, words = REFUSED[name]
    code, err = check(content)
    assert code == 3
    assert words in err
    assert len(err) < 4000
    assert "\x1b" not in err.replace("\x1b[31mError: \x1b[0m", "")


@pytest.mark.parametrize(
    "content",
    [b"\xef\xbb\xbf" + BASE.encode(), BASE.replace("\n", "\r\n").encode(),
     edited(("decay", "🦠 décay")).encode(), f"{BASE}# {'x' * 1_000_000}\n".encode()],
    ids=["BOM", "CRLF", "Unicode", "a long comment"],
)  # fmt: skip
def test_odd_but_good_specs_are_read(check, content):
    assert check(content)[0] == 0


@pytest.mark.parametrize("size", [100_000_000, 100_000_000_000])
def test_large_files_are_refused_by_their_size(tmp_path, capsys, size):
    for name, what in (("s.yaml", "a file has at most 5,000,000"), ("d.csv", "a data file has")):
        with (tmp_path / "big").open("wb") as file:
            file.truncate(size + 1)
        if name == "s.yaml":
            arguments = ("check", tmp_path / "big")
        else:
            (tmp_path / "s.yaml").write_text(edited(("d.csv", "big")))
            arguments = ("check", tmp_path / "s.yaml")
        code, _, err = inside(capsys, *arguments)
        assert code == 3
        assert f"big: {size + 1:,} bytes; {what}" in err


def test_pipes_and_devices_are_not_waited_for(check, tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe")
    for file in (tmp_path / "pipe", "/dev/zero", "/dev/urandom"):
        code, _, err = inside(capsys, "check", file)
        assert code == 3
        assert "a pipe or a device, not a file" in err
        code, err = check(edited(("d.csv", str(file))))
        assert code == 3
        assert err.startswith("Error: s.yaml:11:14: a pipe or a device, not a file")
    model = f"{{kind: python, file: {tmp_path / 'pipe'}, log_likelihood: f}}"
    code, err = check(f"model: {model}\nparameters: {{x: {{prior: {{normal: [0, 1]}}}}}}\n")
    assert code == 3
    assert "s.yaml:1:29: a pipe or a device" in err


PYTHON = (
    "model: {kind: python, file: m.py, simulate: f}\nparameters: {k: {prior: {normal: [0, 1]}}}"
)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (edited(("{x: x0, y: 0}", "{y_time: x0, y: 0}"), ("    x: -k*x", "    y_time: -k"),
                ("k*x", "k"), ("  y: {normal: 0.3}", "  y: {normal: 1}\n  y_time: {normal: 1}")),
         "s.yaml:14:3: 'y_time' is what the result file calls a part of 'y'"),
        (edited(("  x0: 2", "  x0: 2\n  k_dim_0: {prior: {normal: [0, 1]}}"),
                ("k: {prior", "k: {shape: 2, prior"), ("-k*x", "-k[0]*x"), ("y: k*x", "y: k[1]*x")),
         "s.yaml:11:3: 'k_dim_0' is a name of the result file"),
        (f"{PYTHON}\ndata: {{file: d.csv}}\nlikelihood: {{../../y: {{normal: 1}}}}\n",
         "s.yaml:4:14: '../../y' is not a name"),
        (f"{PYTHON}\ndata: {{file: d.csv}}\nlikelihood: {{draw: {{normal: 1}}}}\n",
         "s.yaml:4:14: 'draw' is a name of the result file"),
    ],
    ids=["time", "dimension", "path", "draw"],
)  # fmt: skip
def test_names_that_the_result_file_could_not_hold(check, tmp_path, content, words):
    """These were only met once a run was over, and all was lost."""
    (tmp_path / "m.py").write_text("")
    code, err = check(content)
    assert code == 3
    assert words in err


def test_thousands_of_complaints_end(check):
    states = ", ".join(f"x{i}: 1" for i in range(2000))
    equations = ", ".join(f"x{i}: yy{i}" for i in range(2000))
    old = "\n    x: -k*x\n    y: k*x"
    changes = (("{x: x0, y: 0}", f"{{{states}}}"), (old, f" {{{equations}}}"))
    code, err = check(edited(*changes))
    assert code == 3
    assert "unknown name 'yy0'" in err
    assert err.rstrip().endswith("more")
    assert len(err.splitlines()) < 250


@pytest.mark.parametrize("override", ["a." * 5000 + "b=1", "name=" + "[" * 50_000, "name=\udcff"])
def test_hostile_overrides(check, override):
    code, err = check(BASE, "--set", override)
    assert code == 3
    assert "--set" in err
    assert len(err) < 2000


def nested(form, times, start="x"):
    for _ in range(times):
        start = form.format(start)
    return start


COSTLY = {
    "a product": "*".join(f"(x+{i})" for i in range(1, 1000)),
    "sines": "*".join(f"sin({i}*x)" for i in range(1, 700)),
    "powers": "*".join(f"(x**{i}+y)" for i in range(2, 600)),
    "deep minima": nested("min({}," + ",".join("xy" * 20) + ")", 70),
    "a tower": "9**9**9**9*x",
    "digits": "9" * 9000,
    "deep": "(" * 3000 + "x" + ")" * 3000,
}


@pytest.mark.parametrize("name", COSTLY)
def test_expressions_too_costly_are_refused_at_their_place(check, name):
    code, err = check(edited(("-k*x", COSTLY[name])))
    assert code == 3
    assert err.startswith("Error: s.yaml:6:")
    assert "model.equations.x" in err


@pytest.mark.parametrize(
    "text",
    ["exp(exp(exp(q)))*x", "exp(((q**64)**64)**64)*x", "sin(exp(exp(exp(q))))", "x*q/(q-1e4)",
             "where(x < 1, exp(exp(exp(exp(q)))), x)", "(q**64)**64*x"],
)  # fmt: skip
def test_constants_do_not_build_towers(check, text):
    """With the constant, sympy's own numbers would have 10^4342 digits, or be infinite."""
    with_constant = "model:\n  constants: {q: 1e4}"
    code, err = check(edited(("model:", with_constant), ("-k*x", text)))
    assert code == 3
    assert err.startswith("Error: s.yaml:7:8: with q = 10000, '")
    assert "is not a finite real number" in err


def test_a_fixed_parameter_does_not_either(check):
    code, err = check(edited(("-k*x", "exp(exp(exp(x0)))*x"), ("x0: 2", "x0: 30")))
    assert code == 3
    assert "s.yaml:6:8: with x0 = 30" in err


@pytest.mark.parametrize(
    "text",
    ["x*y*k", "(x+1)*(x+2)*(k+3)", "sin(x*k)**2/(1+x)", "hill(x, k, n)", "where(x < 1, k*x, n)",
     "min(x, y, k, n)", "*".join(f"(x+{i})" for i in range(1, 30))],
)  # fmt: skip
def test_costs_bound_the_derivatives_of_the_tree(text):
    """What is estimated without differentiating is no less than a third of what comes out."""
    expression = parse(text, dict.fromkeys(("x", "y", "k", "n")))
    nodes = sum(cost_of(expression.diff(symbol(name))).operations for name in ("x", "y", "k", "n"))
    assert nodes <= 3 * cost_of(expression).derivatives + 12


DATA_REFUSED = {
    "bytes of another encoding": (b"t,y\n0,1\n1,\xff\n", "d.csv:3:3: not UTF-8 text"),
    "NUL": ("t,y\n0,1\0\n", "d.csv:2: a NUL byte"),
    "only NUL": ("\0" * 1000, "d.csv:1: a NUL byte"),
    "ragged": ("t,y\n0,1\n1\n2,3,4\n", "d.csv:3: 1 cells, but the header has 2"),
    "empty": ("", "d.csv:1: the file is empty"),
    "a header only": ("t,y", "d.csv:1: a header, but no data"),
    "a column twice": ("t,y,y\n0,1,2\n", "d.csv:1: the header names 'y' more than once"),
    "an open quote": ('t,y\n0,"1\n1,2\n', 'is a quote (") never closed?'),
    "a huge cell": (f"t,y\n0,{'1' * 200_000}\n", "d.csv:2: not valid CSV"),
    "a huge number": (f"t,y\n0,{'1' * 100_000}\n", "d.csv:2: too large a number in column 'y'"),
    "a typographic minus": ("t,y\n0,\u22121\n", "hint: write -1"),
    "an escape": ("t,\x1b[31mz\n0,1\n", r"columns: t, \x1b[31mz"),
    "many columns": (",".join(map(str, range(MOST_COLUMNS + 1))), "10,001 columns"),
    "many delimiters": (f"t{',' * 5000}y\n1{',' * 5000}2\n", "… and 4,979 more"),
    "many names twice": (",".join(["t", "y", *("abc" * 3000)]), "the header names 'a' more than"),
    "many rows": ("t,y\n" + "0,1\n" * MOST_LINES, "a data file has at most 1,000,001"),
    "all rows wrong": ("t,y\n" + "x,x\n" * 20_000, "… and 39,980 more"),
    "one long row": (",".join("1" * 200_000), "d.csv:1: 200,000 columns"),
}  # fmt: skip


@pytest.mark.parametrize("name", DATA_REFUSED)
def test_hostile_data_get_a_short_answer(check, tmp_path, name):
    content, words = DATA_REFUSED[name]
    raw = content if isinstance(content, bytes) else content.encode()
    (tmp_path / "d.csv").write_bytes(raw)
    code, err = check(BASE)
    assert code == 3
    assert words in err
    assert len(err) < 4000


@pytest.mark.parametrize(
    "raw",
    [b"\xef\xbb\xbft,y\r\n0,1\r\n", b"t,y\r0,1\r", b'"t","y"\n"0","1"\n', b"t;y\n0;1\n"],
    ids=["BOM and CRLF", "CR", "quotes", "semicolons"],
)
def test_odd_but_good_data_are_read(check, tmp_path, raw):
    (tmp_path / "d.csv").write_bytes(raw)
    assert check(BASE)[0] == 0


def test_hostile_input_takes_no_gigabytes(tmp_path):
    """A process of its own, which may not have more memory than 3 GB in all."""
    (tmp_path / "s.yaml").write_text(BASE)
    with (tmp_path / "d.csv").open("w") as file:
        file.write("t,y\n")
        for _ in range(30):
            file.write("0,x\n" * 10_000)
    (tmp_path / "bomb.yaml").write_text(LISTS + BASE)
    here = str(Path(nfanneal.__file__).parent.parent)
    done = script(LIMITED, tmp_path / "s.yaml", tmp_path / "bomb.yaml", PYTHONPATH=here)
    assert done.returncode == 0, done.stderr
    assert "… and 299,980 more" in done.stderr
    assert "too many values" in done.stderr


LIMITED = """
import resource, sys
from nfanneal.cli.main import main
import nfanneal.cli.check
resource.setrlimit(resource.RLIMIT_DATA, (3 << 30, 3 << 30))
for spec in sys.argv[1:]:
    try:
        main(["check", spec])
    except SystemExit as stop:
        assert stop.code == 3
"""


def test_the_limit_of_that_test_bites():
    code = "import resource as r\nr.setrlimit(r.RLIMIT_DATA, (3 << 30,) * 2)\nb'x' * (4 << 30)"
    done = script(code)
    assert "MemoryError" in done.stderr


PIECES = (
    *(b"&a ", b"*a", b"[", b"{", b'"', b"\\", b"\t", b"\n", b"**", b"(", b"9" * 30, b"!!"),
    *(b"0x", b"1e999", b"\xed\xa0\x80", b": ", b"- ", b"\0", b"~"),
)


def mutations(name):
    """Seeds of a target with pieces cut out, doubled and put in, and arbitrary bytes."""
    seeds = st.sampled_from(SEEDS[name])
    piece = st.one_of(st.binary(max_size=8), st.sampled_from(PIECES))
    edits = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 5), piece), max_size=6)
    return st.one_of(st.binary(max_size=60), st.builds(mutated, seeds, edits))


def mutated(raw, edits):
    for at, cut, piece in edits:
        start = at % (len(raw) + 1)
        raw = raw[:start] + piece + raw[start + cut :]
    return raw


@pytest.mark.parametrize("name", TARGETS)
def test_mutated_input_is_refused_or_sound(name):
    @settings(deadline=None, max_examples=250)
    @given(mutations(name))
    def property_holds(raw):
        TARGETS[name](raw)

    property_holds()


@pytest.mark.parametrize("name", TARGETS)
def test_the_seeds_of_fuzzing_reach_deep(name):
    """Some seed of each is good, or the fuzzer would only ever see refusals."""
    for raw in SEEDS[name]:
        TARGETS[name](raw)


def test_long_sums_are_fine():
    text = "+".join(f"x**{i % 60 + 1}*y" for i in range(1, 800))
    names = {symbol("x"): "x", symbol("y"): "y"}
    assert to_python(parse(text, dict.fromkeys("xy")), names)
