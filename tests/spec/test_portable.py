"""Specs, commands and texts without the folders of whoever wrote them."""

from __future__ import annotations

import pytest
import yaml

from nfanneal.spec.load import spec_from_text
from nfanneal.spec.portable import portable_command, portable_yaml, without_folders

SPEC = """
name: /a/b/c
model: {{kind: program, command: {command}, stdin: "in /home/me/in.txt"}}
parameters:
  k: {{prior: {{normal: [0, 1]}}, unit: /s/m, label: "/l/m/n"}}
experiments:
  low: {{data: {{file: "/home/me/my data/low.csv"}}}}
  high: {{data: {{table: "t,x\\n0,1"}}}}
likelihood: {{x: {{normal: {{sigma: 1}}}}}}
"""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no file '/home/me/x.csv'", "no file 'x.csv'"),
        ("/usr/bin/python3 /home/me/sim.py: exit 1", "python3 sim.py: exit 1"),
        ("at (/a/b/c.py:3)", "at (c.py:3)"),
        ("~/runs/a.h5", "a.h5"),
        ("in /home/me/", "in …"),
        ("1/day, mol/l/s, (a + b)/c/d, x[0]/y/z, 3 / 4 / 5", None),
        ("relative a/b/c.csv and ../a/b", None),
        ("https://doi.org/10.1/a", None),
        ("/tmp", None),
    ],
)
def test_paths_in_texts_are_names_and_quotients_stay(text, shown):
    assert without_folders(text) == (text if shown is None else shown)


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("nfanneal run /a/b/m.yaml -o '/a b/c/r.h5'", "nfanneal run m.yaml -o r.h5"),
        ("nfanneal run configs/m.yaml --set data.file=/x/y.csv", None),
        ("nfanneal run 'not closed /a/b/c", "nfanneal run 'not closed c"),
        ("nfanneal run m.yaml --set 'model.equations.x=-k*x/2'", None),
    ],
)
def test_commands_keep_all_but_folders(command, shown):
    expected = command.replace("/x/y.csv", "y.csv") if shown is None else shown
    assert portable_command(command) == expected


@pytest.mark.parametrize("command", ["[/usr/bin/python3, /home/me/sim.py, '{k}']", "[a]"])
def test_a_spec_names_its_files_and_is_else_as_it_was(command):
    text = SPEC.format(command=command)
    found, before = yaml.safe_load(portable_yaml(text)), yaml.safe_load(text)
    assert found["model"]["stdin"] == "in in.txt"
    assert found["experiments"]["low"]["data"]["file"] == "low.csv"
    names = {"/usr/bin/python3": "python3", "/home/me/sim.py": "sim.py"}
    assert found["model"]["command"] == [names.get(w, w) for w in before["model"]["command"]]
    for content in (found, before):
        content["model"] = content["experiments"]["low"] = None
    assert found == before


def test_what_is_no_spec_stays_text():
    assert portable_yaml("a: [") == "a: ["
    assert portable_yaml("in /a/b/c") == "in c"


def test_the_spec_of_a_result_reads_back(folder):
    from nfanneal.results import store

    shown = portable_yaml(store.read(folder / "ode.h5").spec_yaml)
    assert spec_from_text(shown).spec.data.file == "decay.csv"
