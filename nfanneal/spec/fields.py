"""Types of a spec's values: numbers that are numbers, expressions, closed sections."""

from __future__ import annotations

import math
import re
import stat
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

LARGEST_WHOLE = 2**63
"""Result files, and the generators of random numbers, have 64 bits."""


class Section(BaseModel):
    """A mapping whose keys are all known."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a number")
    return float(value)


def _ends(value: Any) -> Any:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError("must be two numbers, [low, high]; .inf and -.inf are numbers too")
    return value


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a whole number")
    if not math.isfinite(value) or value != int(value):
        raise ValueError("must be a whole number")
    if abs(value) >= LARGEST_WHOLE:
        raise ValueError("must be below 2^63")
    return int(value)


def _expression(value: Any) -> str | float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("must be a number or an expression")
    return value


def _word(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("must be text")
    return str(value)


SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds_of(text: str) -> float | None:
    """Seconds of `90`, `90s`, `10m`, `1.5h` or `2d`; None if it is no such time."""
    found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*([smhd]?)", text.strip())
    if not found or not float(found[1]) > 0:
        return None
    return float(found[1]) * SECONDS[found[2]]


def _duration(value: Any) -> float:
    seconds = None if isinstance(value, bool) else seconds_of(str(value))
    if seconds is None:
        raise ValueError("must be a time such as 60, 60s or 5m")
    return seconds


def _interval(value: Any) -> str | float:
    if value is False or value == "off":
        return "off"
    seconds = None if isinstance(value, bool) else seconds_of(str(value))
    if seconds is None:
        raise ValueError("must be a time such as 60, 60s or 5m, or off")
    return seconds


def wrong_with(path: Path, section: str) -> str | None:
    """Why this can be no data or model file: a pipe may block, a device may never end."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return f"no such {section} file"
    except (OSError, ValueError) as error:
        return f"no {section} file can be called so ({getattr(error, 'strerror', None) or error})"
    if stat.S_ISDIR(mode):
        return "a folder, not a file"
    return None if stat.S_ISREG(mode) else "a pipe or a device, not a file"


Interval = Annotated[
    Any, BeforeValidator(_interval), WithJsonSchema({"type": ["number", "string"]})
]
"""Seconds, or the word `off`."""
Seconds = Annotated[
    float, BeforeValidator(_duration), WithJsonSchema({"type": ["number", "string"]})
]
"""Seconds, or a text such as 60s or 5m."""
Number = Annotated[float, BeforeValidator(_number)]
Finite = Annotated[Number, Field(allow_inf_nan=False)]
Ends = Annotated[
    list[Number],
    BeforeValidator(_ends),
    WithJsonSchema({"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}),
]
"""An interval: its two ends, which may be infinite."""
Whole = Annotated[int, BeforeValidator(_whole)]
Word = Annotated[str, BeforeValidator(_word)]
Expression = Annotated[
    Any, BeforeValidator(_expression), WithJsonSchema({"type": ["number", "string"]})
]
