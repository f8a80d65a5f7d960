"""Results that the tests of the commands on results share."""

from __future__ import annotations

import shutil
from pathlib import Path

import hypothesis
import pytest
import yaml
from commands import run
from regression import MODEL, SEEDS, Y, linear_spec, write_data
from stopping import started, write_problem

hypothesis.settings.register_profile(
    "nfanneal", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("nfanneal")
"""How fast the machine is at the moment is no property of the program."""


def pytest_addoption(parser):
    parser.addoption("--table", type=Path, help="write the accuracy table into this file")
    parser.addoption(
        "--set", action="append", default=[], help="anneal.scout=off, say: for a table"
    )


@pytest.fixture(scope="module")
def own_cache(tmp_path_factory):
    """Nothing of the user's cache of compiled models is used or changed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NFANNEAL_CACHE_DIR", str(tmp_path_factory.mktemp("kernels")))
        patch.delenv("NUMBA_CACHE_DIR", raising=False)
        yield


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """line0 … line7.h5 (eight seeds), flat.h5, ode.h5 with a vector parameter and a unit, the

    same with seed 2 in ode2.h5, and hardly trained in poor.h5."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "model.py").write_text(MODEL)
    write_data(folder / "data.csv", Y)
    for function in ("line", "flat"):
        (folder / f"{function}.yaml").write_text(yaml.safe_dump(linear_spec(function)))
    quiet = ("--quiet", "--threads", "1")
    for seed in SEEDS:
        output = folder / f"line{seed}.h5"
        run("run", folder / "line.yaml", "-o", output, "--seed", seed, *quiet)
    run("run", folder / "flat.yaml", "-o", folder / "flat.h5", *quiet)
    ode = {
        "name": "decay",
        "model": {
            "kind": "ode",
            "states": {"n": "n0", "m": 0.0},
            "equations": {"n": "-k[0]*n", "m": "k[0]*n - k[1]*m"},
        },
        "parameters": {
            "n0": {"prior": {"lognormal": [0, 1]}, "label": "$n_0$", "unit": "mg"},
            "k": {"prior": {"halfnormal": 1}, "shape": 2, "unit": "1/h"},
        },
        "data": {"file": "decay.csv", "time": "t"},
        "likelihood": {"n": {"normal": 0.1}},
        "anneal": {"draws": 1024, "steps": 60, "max_rounds": 1},
        "output": {"samples": 3000},
    }
    (folder / "ode.yaml").write_text(yaml.safe_dump(ode, sort_keys=False))
    (folder / "decay.csv").write_text("t,n\n0,1.05\n1,0.66\n2,0.4\n2,0.35\n4,0.12\n")
    run("run", folder / "ode.yaml", "-o", folder / "ode.h5", *quiet)
    run("run", folder / "ode.yaml", "-o", folder / "ode2.h5", "--seed", "2", *quiet)
    hardly = ("--set", "anneal.max_levels=1", "--set", "anneal.scout=off", "--seed", "4")
    poor = ("-o", folder / "poor.h5", *hardly, *quiet)
    run("run", folder / "ode.yaml", *poor, codes=(0, 5))
    return folder


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """A slow problem, and whole.h5: the result of a run of it that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    process = started(write_problem(folder), "-o", folder / "whole.h5", "--quiet")
    assert process.communicate(timeout=120)[1] == ""
    assert process.returncode == 0
    return folder


@pytest.fixture
def folder(made, tmp_path):
    """A copy of the results, and nothing else: commands need no other file."""
    for path in made.glob("*.h5"):
        shutil.copy(path, tmp_path)
    return tmp_path
