"""Lines of YAML with comments, as importers write them."""

from __future__ import annotations

from typing import Any

import yaml

COLUMN = 40
"""Where comments begin, unless what they stand behind is longer."""
LONGEST = 500


def scalar(value: Any) -> str:
    """A word, an expression, a number, or a collection of such, as YAML on one line."""
    text = yaml.safe_dump(
        value, allow_unicode=True, width=10**9, default_flow_style=True, sort_keys=False
    )
    return str(text).removesuffix("\n").removesuffix("\n...")


def comment(text: str) -> str:
    """One line, whatever names of a file hold."""
    shown = " ".join(text.split())[:LONGEST]
    return "# " + "".join(c if c.isprintable() else "?" for c in shown)


def with_comment(text: str, about: str) -> str:
    """A line, and a comment behind it if there is anything to say."""
    return f"{text:<{COLUMN}}  {comment(about)}" if about else text
