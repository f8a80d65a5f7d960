"""Small programs for tests: scripts that answer, fail, hang and lie, and specs that call them."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

from nfanneal.model.problem import Problem
from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.load import load_spec

TIMES = (0.0, 0.5, 1.0, 2.0)
DATA = "t,x\n" + "".join(f"{t},{1.5 - 0.3 * t}\n" for t in TIMES)
SPEC = """\
name: by a program
model:
  kind: program
  command: {command}
{more}
parameters:
  a: {{prior: {{uniform: [-3, 3]}}}}
  b: {{prior: {{normal: [0, 1]}}}}
{data}"""
MEASURED = "data: {file: d.csv}\nlikelihood: {x: {normal: 0.1}}\n"
STAYS = """\
import json, math, os, sys, time
start = json.loads(sys.stdin.readline())
times = start["experiments"].get("", {"times": []})["times"]
for line in sys.stdin:
    asked = json.loads(line)
    p = asked["parameters"]
    a, b = p["a"], p["b"]
    x = [a + b * t for t in times]
    answer = {"observables": {"x": x}}
"""
SAYS = "    print(json.dumps(answer), flush=True)\n"


def staying(body: str = "") -> str:
    """A program that predicts a + b·t line by line; `body` may change what it does with a draw."""
    return STAYS + textwrap.indent(textwrap.dedent(body) + "\n", "    ") + SAYS


def written(
    folder: Path, script: str, *, more: str = "", number: bool = False, name="p.py"
) -> Path:
    """A spec beside a Python script, which `command` calls; more lines of the model section."""
    (folder / name).write_text(script)
    (folder / "d.csv").write_text(DATA)
    command = f"[{sys.executable}, {name}]"
    lines = textwrap.indent(textwrap.dedent(more).strip(), "  ")
    if "command:" in more:
        text = SPEC.replace("  command: {command}\n", "").format(
            more=lines, data="" if number else MEASURED
        )
    else:
        text = SPEC.format(command=command, more=lines, data="" if number else MEASURED)
    path = folder / "spec.yaml"
    path.write_text(text)
    return path


def problem(folder: Path, script: str = "", **more) -> Problem:
    """The problem of such a spec."""
    return build_problem(load_spec(written(folder, script, **more)))
