"""A user's Python file: imported, and kept from changing how torch and numpy behave elsewhere."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from nfanneal.errors import ModelError

MOST_FRAMES = 8
"""A message shows at most so many lines of the user's code."""
HOME = Path(__file__).parents[1]


@dataclass(frozen=True)
class LibrarySettings:
    """What a user's file set for all of the process: torch's default dtype, numpy's errors.

    `errors` is empty if it set none: those of the caller hold then.
    """

    dtype: torch.dtype
    errors: Mapping[str, Any]

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Hold these for a while; afterwards all is as before, whatever is set meanwhile."""
        with kept_settings(), np.errstate(**self.errors):
            torch.set_default_dtype(self.dtype)
            yield


@contextmanager
def kept_settings() -> Iterator[None]:
    """Put torch's default dtype and gradient mode and numpy's error handling back afterwards.

    `torch.set_default_dtype(torch.float64)` in a model would leave the flow with two dtypes, and
    `numpy.seterr(all="raise")` would make every underflow of a weight an error.
    """
    dtype, gradients = torch.get_default_dtype(), torch.is_grad_enabled()
    try:
        with np.errstate():
            yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(gradients)


@dataclass(frozen=True)
class LoadedFile:
    """A user's module, and the settings that it made when it was imported."""

    module: ModuleType
    settings: LibrarySettings


def load_python_file(path: Path) -> LoadedFile:
    """Import a user's Python file; modules beside it can be imported from it.

    Raises:
        ModelError: the file is missing, or importing it raised.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such model file")
    spec = importlib.util.spec_from_file_location(f"nfanneal_model_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ModelError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    try:
        with kept_settings():
            before: Mapping[str, Any] = np.geterr()
            spec.loader.exec_module(module)
            errors: Mapping[str, Any] = np.geterr()
            settings = LibrarySettings(
                torch.get_default_dtype(), {} if errors == before else errors
            )
    except (Exception, SystemExit) as error:
        told = f"{path}: importing it raised {type(error).__name__}: {error}"
        raise ModelError(f"{told}\n{own_lines(error)}".rstrip()) from error
    finally:
        if str(path.parent) in sys.path:
            sys.path.remove(str(path.parent))
    return LoadedFile(module, settings)


def own_lines(error: BaseException) -> str:
    """The lines that an error passed on its way, without those of this package."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not _is_ours(f.filename)]
    lines = traceback.format_list(frames)
    if len(lines) > MOST_FRAMES:
        half = MOST_FRAMES // 2
        lines = [*lines[:half], "  …\n", *lines[-half:]]
    return "".join(lines)


def _is_ours(file: str) -> bool:
    return file.startswith("<frozen importlib") or Path(file).is_relative_to(HOME)
