"""What tests share: compiled kernels, and the results that commands on results are tried on."""

from __future__ import annotations

import io
import os
import shutil
import signal
import time
from contextlib import redirect_stderr, suppress
from pathlib import Path

import decay
import filelock
import hypothesis
import pytest
import yaml
from commands import run
from processes import end_all
from regression import MODEL, SEEDS, Y, linear_spec, write_data
from stopping import write_problem

KERNELS = Path(".pytest_cache", "kernels")
"""Under the root of the checkout: `make clean` removes it."""
KEPT_SECONDS = 14 * 86400.0
hypothesis.settings.register_profile(
    "nfanneal", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("nfanneal")
"""How fast the machine is at the moment is no property of the program."""


def pytest_configure():
    """A shell's background jobs ignore Ctrl-C, and so would the processes that tests start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_sessionstart(session):
    """Kernels of systems and solvers that have changed since are never asked for again."""
    if not hasattr(session.config, "workerinput"):
        for path in (session.config.rootpath / KERNELS).rglob("*.*"):
            with suppress(FileNotFoundError):  # another session removes them, too
                if time.time() - path.stat().st_mtime > KEPT_SECONDS:
                    path.unlink()


@pytest.fixture(scope="session", autouse=True)
def kernels(pytestconfig):
    """What is compiled, is compiled once for all workers, and for later sessions.

    Its key is all that it is compiled from. The user's own cache is neither used nor changed.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NFANNEAL_CACHE_DIR", str(pytestconfig.rootpath / KERNELS))
        patch.delenv("NUMBA_CACHE_DIR", raising=False)
        yield


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Workers share the cores: more threads than these wait for each other, busily."""
    from nfanneal.runtime.threads import set_threads  # heavy, for the process that only waits

    set_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NFANNEAL_THREADS", "1")
        yield


@pytest.fixture(autouse=True)
def no_process_stays():
    """A test that fails leaves none behind."""
    yield
    end_all()


def made_once(factory, name, make):
    """The folder that `make` fills, once for all workers of a session."""
    base = factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, done = base / name, base / f"{name}.done"
    with filelock.FileLock(base / f"{name}.lock"):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """line0 … line7.h5 (eight seeds), flat.h5, ode.h5 with a vector parameter and a unit, the

    same with seed 2 in ode2.h5, and hardly trained in poor.h5."""
    return made_once(tmp_path_factory, "made", make_results)


def make_results(folder):
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
        "model": decay.MODEL,
        "parameters": {
            "n0": {"prior": {"lognormal": [0, 1]}, "label": "$n_0$", "unit": "mg"},
            "k": {"prior": {"halfnormal": 1}, "shape": 2, "unit": "1/h"},
        },
        "data": {"file": "decay.csv", "time": "t"},
        "likelihood": {"n": {"normal": 0.1}},
        "anneal": {"draws": 1024, "steps": 20, "max_rounds": 1, "walkers": 256},
        "output": {"samples": 3000},
    }
    (folder / "ode.yaml").write_text(yaml.safe_dump(ode, sort_keys=False))
    (folder / "decay.csv").write_text("t,n\n0,1.05\n1,0.66\n2,0.4\n2,0.35\n4,0.12\n")
    run("run", folder / "ode.yaml", "-o", folder / "ode.h5", *quiet)
    run("run", folder / "ode.yaml", "-o", folder / "ode2.h5", "--seed", "2", *quiet)
    hardly = ("--set", "anneal.max_levels=1", "--set", "anneal.scout=off", "--seed", "4")
    poor = ("-o", folder / "poor.h5", *hardly, *quiet)
    run("run", folder / "ode.yaml", *poor, codes=(0, 5))


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """A slow problem, and whole.h5: the result of a run of it that nothing disturbed."""
    return made_once(tmp_path_factory, "whole", make_whole)


def make_whole(folder):
    said = io.StringIO()
    with redirect_stderr(said):
        run("run", write_problem(folder), "-o", folder / "whole.h5", "--quiet", "--threads", 1)
    assert said.getvalue() == ""


@pytest.fixture
def folder(made, tmp_path):
    """A copy of the results, and nothing else: commands need no other file."""
    for path in made.glob("*.h5"):
        shutil.copy(path, tmp_path)
    return tmp_path
