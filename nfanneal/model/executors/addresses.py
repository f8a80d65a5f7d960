"""Where a Dask scheduler is: an address, or the file that it wrote."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from nfanneal.errors import InputError

LARGEST_FILE = 10_000_000


def scheduler_address(text: str) -> str:
    """The address that a text is, such as `tcp://node7:8786` or `node7:8786`, or that a file has.

    Raises:
        InputError: it is neither, or the file cannot be read.
    """
    if re.fullmatch(r"[a-z]+://\S+", text):
        return text
    if text.endswith(".json") or Path(text).is_file():
        return _written(Path(text))
    if re.fullmatch(r"[^\s/:]+:[0-9]{1,5}|\[[0-9a-fA-F:.]+\]:[0-9]{1,5}", text):
        return f"tcp://{text}"
    raise InputError(
        f"'{text}' is neither an address such as tcp://node7:8786 nor a scheduler's file"
    )


def _written(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise InputError(f"{path}: too large for a scheduler's file")
        found: Any = json.loads(path.read_text())
    except FileNotFoundError:
        hint = f"start one: dask scheduler --scheduler-file {path}"
        raise InputError(f"{path}: no such scheduler's file; {hint}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError:
        raise InputError(f"{path}: is not the file of a Dask scheduler") from None
    address = found.get("address") if isinstance(found, dict) else None
    if not isinstance(address, str):
        raise InputError(f"{path}: is not the file of a Dask scheduler: it has no 'address'")
    return address
