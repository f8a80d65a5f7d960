"""The accuracy table: problems with a known evidence, default settings, through the command line.

`make accuracy` runs them, two at a time on a thread each, and writes the guide's table. Tolerances
are promises to users, not noise levels; each run's own error must also be right (see the tests of
calibration at the end). `pytest -m accuracy -rP --set anneal.scout=off --set anneal.moves=0` prints
the rows without scouting and moves.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from cases import CASES, ROOT, Case

import nfanneal
from nfanneal.results.result import Result

pytestmark = pytest.mark.accuracy

BEGIN, END = "<!-- accuracy: written by `make accuracy` -->\n", "<!-- /accuracy -->\n"
MOST_MEGABYTES = 2000
CALIBRATED = ("shells", "correlated_gaussian")
CALIBRATION_SEEDS = range(1, 21)


@dataclass(frozen=True)
class Run:
    """A finished run: its result, seconds of wall time, and peak memory in MB."""

    result: Result
    seconds: float
    megabytes: float


def run(config: str, overrides: tuple[str, ...], seed: int, output: Path) -> Run:
    """`nfanneal run` with one thread."""
    changes = [word for text in overrides for word in ("--set", text)]
    command = [sys.executable, "-m", "nfanneal", "run", ROOT / "configs" / f"{config}.yaml"]
    options = ["-o", output, "--quiet", "--threads", "1", "--seed", str(seed), *changes]
    clock = time.perf_counter()
    process = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode in (0, 5)
    seconds = time.perf_counter() - clock
    return Run(nfanneal.load(output), seconds, usage.ru_maxrss / 1000)


HEADING = (
    "| problem | log Z | estimate | largest error, allowed | and | ESS | evaluations (+ gradients) "
    "| s | MB |\n" + "| --- " * 9 + "|\n"
)


@dataclass(frozen=True)
class Chosen:
    """The cases and calibrations that this session runs: all, or those that `-k` left."""

    cases: tuple[Case, ...]
    calibrated: tuple[str, ...]
    changes: tuple[str, ...]

    def jobs(self) -> list[tuple[str, tuple[str, ...], int]]:
        """Every run that the tests need, the longest first."""
        wanted = [(c.config, c.overrides, seed) for c in reversed(self.cases) for seed in c.seeds]
        wanted += [(name, (), seed) for name in self.calibrated for seed in CALIBRATION_SEEDS]
        return list(dict.fromkeys(wanted))


@pytest.fixture(scope="module")
def chosen(request):
    """What the selected tests of this module are about."""
    asked = [item.callspec.params for item in request.session.items if item.path == request.path]
    return Chosen(
        tuple(params["case"] for params in asked if "case" in params),
        tuple(params["name"] for params in asked if "name" in params),
        tuple(request.config.getoption("--set")),
    )


@pytest.fixture(scope="module")
def runs(chosen, tmp_path_factory):
    """The runs as futures, by config, overrides and seed."""
    folder = tmp_path_factory.mktemp("accuracy")
    with ThreadPoolExecutor(2) as pool:
        yield {
            (name, changes, seed): pool.submit(
                run, name, (*changes, *chosen.changes), seed, folder / f"{i}.h5"
            )
            for i, (name, changes, seed) in enumerate(chosen.jobs())
        }
        pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="module")
def rows(request, chosen):
    """Rows of the table, written into the guide's when all tests have filled theirs.

    What was not chosen stays as it is there.
    """
    found: dict[str, str] = {}
    yield found
    target = request.config.getoption("--table")
    if target is not None and len(found) == len(chosen.cases) + len(chosen.calibrated):
        text = target.read_text()
        before, rest = text.split(BEGIN)
        old, after = rest.split(END)
        lines = old.splitlines(keepends=True)
        kept = {c.title: line for c in CASES for line in lines if line.startswith(f"| {c.title} |")}
        kept |= {
            n: line for n in CALIBRATED for line in lines if line.startswith(f"Errors of {n} ")
        }
        new = kept | found
        table = HEADING + "".join(new.get(c.title, "") for c in CASES)
        notes = "".join("\n" + new[name] for name in CALIBRATED if name in new)
        target.write_text(before + BEGIN + table + notes + END + after)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_evidence(runs, rows, case):
    done = [runs[case.config, case.overrides, seed].result() for seed in case.seeds]
    found = np.array([r.result.diagnostics.log_evidence for r in done])
    errors = [r.result.diagnostics.log_evidence_error for r in done]
    worst = float(np.abs(found - case.log_evidence).max())
    spread = f"{found.std(ddof=1):.4f} (sd of {len(done)})" if len(done) > 1 else f"{errors[0]:.4f}"
    least = min((r.result.diagnostics for r in done), key=lambda d: d.ess)
    evaluations = np.mean([r.result.counts.n_likelihood_evaluations for r in done])
    gradients = np.mean([r.result.counts.n_gradient_evaluations for r in done])
    seconds, megabytes = max(r.seconds for r in done), max(r.megabytes for r in done)
    try:
        also, holds = case.also(done[0].result), True
    except AssertionError:
        also, holds = "**not met**", False
    warned = sum(bool(r.result.warnings) for r in done)
    if warned:
        also += f"{'; ' if also else ''}{warned} of {len(done)} not to be trusted (exit code 5)"
    close = worst <= case.within
    bold = "" if close else "**"
    rows[case.title] = (
        f"| {case.title} | {case.log_evidence:.4f} | {found.mean():.4f} ± {spread} | "
        f"{bold}{worst:.4f}{bold}, {case.within:g} | {also} | "
        f"{least.ess:,.0f} of {least.n_samples:,} | "
        f"{evaluations / 1000:.0f}k + {gradients / 1000:.0f}k | {seconds:.0f} | {megabytes:.0f} |\n"
    )
    print(rows[case.title])
    assert close
    assert holds
    assert seconds <= case.most_seconds
    assert megabytes <= MOST_MEGABYTES
    assert case.hard or not warned


@pytest.mark.parametrize("name", CALIBRATED)
def test_reported_errors_are_right(runs, rows, name):
    """At least 17 of 20 seeds within 2 errors: a right error fails that with 0.2 % chance."""
    exact = next(c.log_evidence for c in CASES if c.config == name and not c.overrides)
    done = [runs[name, (), seed].result().result.diagnostics for seed in CALIBRATION_SEEDS]
    pulls = np.array([(d.log_evidence - exact) / d.log_evidence_error for d in done])
    rows[name] = (
        f"Errors of {name} over {len(pulls)} seeds: {np.sum(np.abs(pulls) < 2)} within 2 reported "
        f"standard errors, {np.sum(np.abs(pulls) < 1)} within 1.\n"
    )
    print(rows[name])
    assert np.sum(np.abs(pulls) < 2) >= 17
