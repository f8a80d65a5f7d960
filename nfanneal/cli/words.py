"""Words that several commands say."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from nfanneal.errors import nearest
from nfanneal.runtime.limits import bytes_of


def nearest_word(word: str, known: Iterable[str]) -> str:
    """`; did you mean …?` if a known word is close, else the list of them."""
    known = list(known)
    hint = nearest(word, known) or f"there are: {', '.join(known)}"
    return f"; {hint}"


class Duration(click.ParamType):
    """Seconds, from a number of them or from `90s`, `10m`, `1.5h`, `2d`."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read the text; what is a number already stays one."""
        if isinstance(value, int | float):
            return float(value)
        from nfanneal.spec.fields import seconds_of  # noqa: PLC0415  (pydantic takes a while)

        seconds = seconds_of(str(value))
        if seconds is None:
            self.fail(f"'{value}' is not a time such as 90, 90s, 10m or 1h", param, ctx)
        return seconds


class Size(click.ParamType):
    """Bytes, from `8G`, `500M` or a number of them."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read the text; what is a number already stays one."""
        size = value if isinstance(value, int) else bytes_of(str(value))
        if size is None:
            self.fail(f"'{value}' is not a size such as 8G or 500M", param, ctx)
        return size


def listed_words(text: str, known: Iterable[str], option: str) -> tuple[str, ...]:
    """The words of `a,b,…`, each once and known; `none` is no word at all.

    Raises:
        click.UsageError: a word is not known.
    """
    known = list(known)
    if text.strip() == "none" and "none" not in known:
        return ()
    words = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    for word in words:
        if word not in known:
            raise click.UsageError(f"{option}: no '{word}'{nearest_word(word, known)}")
    return words
