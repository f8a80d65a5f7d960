"""Compiled modules on disk, keyed by their content, shared safely between processes.

A module is written once, atomically, under the hash of its text; numba keeps the machine code
beside it. A folder that cannot be written is replaced by one in the temporary directory.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import filelock
import llvmlite
import numba
import numpy as np

LOCK_SECONDS = 300.0


def cache_folder() -> Path:
    """The first of $NFANNEAL_CACHE_DIR, the user's cache, a temporary folder that is writable."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    user = os.getuid() if hasattr(os, "getuid") else 0
    private = Path(tempfile.gettempdir()) / f"nfanneal-{user}"
    chosen = os.environ.get("NFANNEAL_CACHE_DIR")
    for folder in [Path(chosen)] if chosen else [Path(home) / "nfanneal", private]:
        if _is_usable(folder):
            return folder
    return Path(tempfile.mkdtemp(prefix="nfanneal-"))


def _is_usable(folder: Path) -> bool:
    """Whether files can be made in `folder`, and nobody else can have put code there."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        owner = folder.stat().st_uid
    except OSError:
        return False
    return not hasattr(os, "getuid") or owner == os.getuid()


def key_of(source: str) -> str:
    """Hash of a module's text and of everything that its machine code depends on."""
    versions = (platform.python_version(), numba.__version__, llvmlite.__version__, np.__version__)
    text = "\n".join((*versions, platform.machine(), source))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def load_module(source: str) -> ModuleType:
    """Import the module of this source, compiled; from the cache where it is there."""
    name = f"nfanneal_kernel_{key_of(source)}"
    if name in sys.modules:
        return sys.modules[name]
    folder = cache_folder()
    path = folder / f"{name}.py"
    with _lock(folder / f"{name}.lock"):
        if not path.is_file() or path.read_text("utf-8") != source:
            _write_atomically(path, source)
        try:
            module = _import(name, path)
        except Exception:  # whatever a damaged cache raises: compile afresh
            _forget(path)
            module = _import(name, path)
    sys.modules[name] = module
    return module


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Let one process compile while others wait; go on without where locks do not work."""
    lock = filelock.FileLock(path, timeout=LOCK_SECONDS)
    try:
        lock.acquire()
    except (OSError, NotImplementedError, filelock.Timeout):
        yield
        return
    try:
        yield
    finally:
        lock.release()


def _write_atomically(path: Path, source: str) -> None:
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(source)
    Path(temporary).replace(path)


def _import(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot import {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", numba.NumbaWarning)
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _forget(path: Path) -> None:
    """Remove machine code of `path` that cannot be loaded."""
    for stale in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
        stale.unlink(missing_ok=True)
