"""Compiled modules and their cache on disk: shared, damaged, planted, impossible."""

import importlib.util
import logging
import marshal
import os
import sys
import threading
from pathlib import Path

import pytest
from processes import begin, finish

from nfanneal.runtime import kernel_cache as compiled
from nfanneal.runtime.kernel_cache import cache_folder, load_module

SCRIPT = """
import numpy as np
from nfanneal.model.expressions import parse, symbol
from nfanneal.model.ode import OdeSystem, SolverSettings, compile_system
names = {"x": None, "k": None}
system = OdeSystem(symbol("t"), (symbol("x"),), (symbol("k"),), (parse("1", names),),
                   (parse("-k*x", names),), (symbol("x"),))
found = compile_system(system).solve(
    np.array([[1.0]]), np.array([1.0]), SolverSettings(1e-9, 1e-9), sensitivities=False)
print(f"{found.observables[0, 0, 0]:.6f}")
"""


SOURCE = """\
from numba import njit
CACHE = True

@njit('f8(f8)', cache=CACHE)
def solve(x):
    return 2.0 * x
"""
"""A module that compiles fast, laid out like a kernel."""
SMALL = f"""
from nfanneal.runtime.kernel_cache import load_module
print(load_module({SOURCE!r}, "a test").solve(21.0))
"""


def start(folder, code=SMALL, **environment):
    keep = {k: v for k, v in os.environ.items() if k not in ("NUMBA_CACHE_DIR", "TMPDIR")}
    keep |= {"NFANNEAL_CACHE_DIR": str(folder), **environment}
    return begin([sys.executable, "-W", "ignore", "-c", code], env=keep)


def printed(process):
    out, errors = finish(process)
    assert process.returncode == 0, errors
    return out


def test_processes_that_start_at_once_share_a_cold_cache(tmp_path):
    outs = [printed(process) for process in [start(tmp_path) for _ in range(4)]]
    assert outs == ["42.0\n"] * 4
    assert len(list(tmp_path.glob("*.py"))) == 1
    assert not list(tmp_path.glob(".*"))


@pytest.mark.long
def test_forty_processes_that_start_at_once_on_a_cold_cache_succeed(tmp_path):
    outs = [printed(process) for process in [start(tmp_path, SCRIPT) for _ in range(40)]]
    assert outs == ["0.367879\n"] * 40
    assert len(list(tmp_path.glob("*.py"))) == 1


@pytest.fixture(scope="module")
def source():
    return SOURCE


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NFANNEAL_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(compiled, "_loaded", {})
    return tmp_path


def load_afresh(source, monkeypatch):
    monkeypatch.setattr(compiled, "_loaded", {})
    return load_module(source, "a test").solve(21.0)


@pytest.mark.parametrize("ending", ["nbc", "nbi"])
@pytest.mark.parametrize("left", [0, 40, -10])
def test_damaged_machine_code_is_compiled_again(source, folder, monkeypatch, ending, left):
    assert load_module(source, "a test").solve(21.0) == 42.0
    (damaged,) = (folder / "__pycache__").glob(f"*.{ending}")
    damaged.write_bytes(damaged.read_bytes()[:left])
    assert load_afresh(source, monkeypatch) == 42.0


def test_damage_in_numbas_own_folder_is_survived(source, folder, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("numba.config.CACHE_DIR", str(folder / "numba"))
        assert load_module(source, "a test").solve(21.0) == 42.0
        for index in (folder / "numba").rglob("*.nbi"):
            index.write_bytes(b"junk")
        assert load_afresh(source, monkeypatch) == 42.0


def test_text_that_was_changed_is_put_right_and_never_run(source, folder, monkeypatch):
    load_module(source, "a test")
    (path,) = folder.glob("*.py")
    path.write_text("raise SystemExit('planted')\n")
    assert load_afresh(source, monkeypatch) == 42.0
    assert path.read_text() == source


def test_bytecode_beside_the_text_is_never_run(source, folder, monkeypatch):
    load_module(source, "a test")
    (path,) = folder.glob("*.py")
    state = path.stat()
    planted = compile("raise SystemExit('planted')", str(path), "exec")
    stamp = b"".join(
        int(n).to_bytes(4, "little") for n in (0, state.st_mtime, state.st_size)
    )  # fmt: skip
    target = Path(importlib.util.cache_from_source(str(path)))
    target.write_bytes(importlib.util.MAGIC_NUMBER + stamp + marshal.dumps(planted))
    assert load_afresh(source, monkeypatch) == 42.0


def test_folders_are_tried_in_turn(tmp_path, monkeypatch):
    monkeypatch.delenv("NFANNEAL_CACHE_DIR", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "nfanneal"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "nfanneal"
    (tmp_path / "a file").touch()
    monkeypatch.setenv("NFANNEAL_CACHE_DIR", str(tmp_path / "a file" / "inside"))
    private = cache_folder()
    assert private.parent == tmp_path / "tmp"
    assert private.stat().st_mode & 0o077 == 0
    private.chmod(0o777)
    assert cache_folder() is None


def test_without_any_folder_modules_are_compiled_in_memory(source, monkeypatch):
    monkeypatch.setattr(compiled, "cache_folder", lambda: None)
    assert load_afresh(source, monkeypatch) == 42.0


def test_a_home_that_cannot_be_written_is_no_obstacle(tmp_path):
    """A file stands where the folder would be: that stops even the superuser."""
    (tmp_path / ".cache").touch()
    (tmp_path / "tmp").mkdir()
    surroundings = {"HOME": str(tmp_path), "TMPDIR": str(tmp_path / "tmp"), "XDG_CACHE_HOME": ""}
    assert printed(start("", **surroundings)) == "42.0\n"
    assert list((tmp_path / "tmp").glob("nfanneal-*/*.py"))


def test_locks_that_do_not_work_are_done_without(source, folder, monkeypatch):
    def refuse(*_):
        raise NotImplementedError

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    assert load_afresh(source, monkeypatch) == 42.0


def test_a_kernel_that_does_not_compile_says_so(folder):
    with pytest.raises(NameError, match="nonsense"):
        load_module("CACHE = True\nnonsense\n", "a test")


def test_threads_that_load_at_once_get_the_same_module(source, folder):
    found = []

    def load():
        found.append(load_module(source, "a test"))

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(map(id, found))) == 1


def test_compiling_is_told_and_loading_is_not(source, folder, monkeypatch, caplog):
    monkeypatch.setattr(logging.getLogger("nfanneal"), "propagate", True)
    with caplog.at_level(logging.INFO, "nfanneal"):
        load_afresh(source, monkeypatch)
        assert "compiling a test to machine code" in caplog.text
        caplog.clear()
        load_afresh(source, monkeypatch)
    assert not caplog.text
