"""The Makefile pipeline's dependencies, with a stand-in for nfanneal that only makes its files."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

import pytest
from processes import completed

PIPELINE = Path(__file__).parents[2] / "configs" / "pipeline"
STAND_IN = """#!/bin/sh
echo "$@" >> log
case "$*" in *"$FAIL"*) [ -n "$FAIL" ] && exit 5;; esac
while [ $# -gt 0 ]; do [ "$1" = -o ] && touch "$2"; shift; done
"""

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="no make here")


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(PIPELINE, tmp_path / "p", ignore=shutil.ignore_patterns("out"))
    stand_in = tmp_path / "p" / "nfanneal"
    stand_in.write_text(STAND_IN)
    stand_in.chmod(0o755)
    return tmp_path / "p"


def make(folder, fail=""):
    """Run make: its exit code, and the words of each command that it ran."""
    (folder / "log").write_text("")
    command = ["make", "-j2", "NFANNEAL=./nfanneal", f"PYTHON={sys.executable}"]
    done = completed(command, cwd=folder, env={**os.environ, "FAIL": fail})
    return done.returncode, [line.split() for line in (folder / "log").read_text().splitlines()]


def names(commands):
    return sorted(words[0] for words in commands)


def test_everything_is_made_once(folder):
    code, commands = make(folder)
    assert code == 0
    counts = {name: names(commands).count(name) for name in names(commands)}
    assert counts == {"run": 6, "combine": 3, "prune": 3, "plot": 4, "compare": 1, "report": 1}
    assert make(folder) == (0, [])


def test_only_what_changed_is_made_again(folder):
    make(folder)
    later = time.time() + 5
    os.utime(folder / "gompertz.yaml", (later, later))
    code, commands = make(folder)
    assert code == 0
    runs = [words for words in commands if words[0] in ("run", "combine", "prune")]
    assert names(runs) == ["combine", "prune", "run", "run"]
    assert all("gompertz" in " ".join(words) for words in runs)


def test_a_failed_step_stops_it_and_leaves_nothing_half_made(folder):
    code, commands = make(folder, fail="run logistic.yaml")
    assert code != 0
    assert "compare" not in names(commands)
    assert not (folder / "out" / "comparison.json").exists()
    assert not (folder / "out" / "logistic.h5").exists()
