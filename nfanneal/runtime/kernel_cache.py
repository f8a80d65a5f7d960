"""Compiled modules with their machine code on disk, keyed by content, shared between processes.

A module's text is written under its hash, and numba keeps the machine code beside it. The text is
there for numba only: what runs is always the text that was generated here, never a file's. Where
no folder can be written, or what numba finds there is damaged, modules are compiled in memory.
"""

from __future__ import annotations

import gc
import hashlib
import logging
import os
import platform
import stat
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType

import filelock
import llvmlite
import numba
import numpy as np

from nfanneal.runtime.files import write_bytes
from nfanneal.version import __version__

LOGGER = logging.getLogger(__name__)
LOCK_SECONDS = 300.0
ON_DISK, IN_MEMORY = "CACHE = True\n", "CACHE = False\n"
"""The line of a module's text that says whether numba keeps its machine code."""

_loaded: dict[str, ModuleType] = {}
_one_at_a_time = threading.RLock()


def cache_folder() -> Path | None:
    """$NFANNEAL_CACHE_DIR, else the user's cache, else a private temporary folder; None if none

    can be written."""
    usable = (folder for folder in _candidates() if _is_usable(folder))
    return next(usable, None)


def _candidates() -> Iterator[Path]:
    if chosen := os.environ.get("NFANNEAL_CACHE_DIR"):
        yield Path(chosen)
    else:
        with suppress(RuntimeError):  # no home folder
            home = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
            yield Path(home) / "nfanneal"
    with suppress(FileNotFoundError):  # no temporary folder
        user = os.getuid() if hasattr(os, "getuid") else 0
        private = Path(tempfile.gettempdir()) / f"nfanneal-{user}"
        with suppress(OSError):
            private.mkdir(mode=0o700, exist_ok=True)
            if _is_private(private):
                yield private


def _is_private(folder: Path) -> bool:
    """Whether this is a folder, not a link to one, that its owner alone can write."""
    mode = folder.lstat().st_mode
    return stat.S_ISDIR(mode) and not (hasattr(os, "getuid") and mode & 0o022)


def _is_usable(folder: Path) -> bool:
    """Whether files can be made in `folder`, and it is the user's own: machine code is trusted."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        owner = folder.stat().st_uid
    except OSError:
        return False
    return not hasattr(os, "getuid") or owner == os.getuid()


def key_of(source: str) -> str:
    """Hash of a module's text and of everything else that its machine code depends on."""
    versions = (platform.python_version(), numba.__version__, llvmlite.__version__, np.__version__)
    text = "\n".join((__version__, *versions, platform.machine(), source))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def load_module(source: str, what: str) -> ModuleType:
    """The module of this source, compiled; its machine code from the cache where it is there.

    `what` it holds is told to the user while it is being compiled.
    """
    name = f"nfanneal_kernel_{key_of(source)}"
    with _one_at_a_time:
        if name not in _loaded:
            _loaded[name] = _load(name, source, what)
        return _loaded[name]


def _load(name: str, source: str, what: str) -> ModuleType:
    folder = cache_folder()
    if folder is None or not _has_machine_code(folder / f"{name}.py"):
        LOGGER.info("compiling %s to machine code (once, then it is cached)", what)
    if folder is None:
        return _run(name, source.replace(ON_DISK, IN_MEMORY), Path(f"<{name}>"))
    path = folder / f"{name}.py"
    try:
        with _lock(folder / f"{name}.lock", needed=not _has_machine_code(path)):
            return _from_disk(name, source, path)
    except Exception:  # whatever a damaged cache or an odd file system raises
        return _run(name, source.replace(ON_DISK, IN_MEMORY), Path(f"<{name}>"))


def _from_disk(name: str, source: str, path: Path) -> ModuleType:
    if not path.is_file() or path.read_bytes() != source.encode():
        write_bytes(path, source.encode())
    try:
        return _run(name, source, path)
    except Exception:  # damaged machine code raises all kinds: compile afresh
        for stale in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
            stale.unlink(missing_ok=True)
        return _run(name, source, path)


def _has_machine_code(path: Path) -> bool:
    """Whether numba has been here: then many processes can load at once."""
    return any((path.parent / "__pycache__").glob(f"{path.stem}.*.nbc"))


@contextmanager
def _lock(path: Path, needed: bool) -> Iterator[None]:
    """Let one process compile while others wait; go on without where locks do not work."""
    lock = filelock.FileLock(path, timeout=LOCK_SECONDS)
    try:
        if needed:
            lock.acquire()
    except (OSError, NotImplementedError, filelock.Timeout):
        yield
        return
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _no_collection() -> Iterator[None]:
    """Without Python's search for cyclic garbage, which takes a tenth of the time to compile."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _run(name: str, source: str, path: Path) -> ModuleType:
    """Execute the text as the module `name`; numba takes `path` for its file."""
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module  # numba looks it up
    try:
        with warnings.catch_warnings(), _no_collection():
            warnings.simplefilter("ignore", numba.NumbaWarning)
            exec(compile(source, str(path), "exec"), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    return module
