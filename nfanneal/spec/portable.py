"""What is shown to others, without the folders of whoever wrote it: files go by their names."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import yaml

from nfanneal.spec.checked import yaml_of

ABSOLUTE = re.compile(r"(?<![\w)\]}/.~\-])~?/(?:[^\s/'\"`:;,()<>]+/)+([^\s/'\"`:;,()<>]*)")
"""A path of two names or more that starts at the root or at home, within other text."""
FILES = ("file", "command", "stdin")
"""Keys of a spec's sections that hold paths, or words with paths in them."""


def without_folders(text: str) -> str:
    """The text with the last names of absolute paths in the place of these.

    >>> without_folders("no file '/home/me/data/x.csv', 1/day, (a)/b/c")
    "no file 'x.csv', 1/day, (a)/b/c"
    """
    return ABSOLUTE.sub(lambda found: found[1] or "…", text)


def portable_command(command: str) -> str:
    """A command line whose absolute paths are names of files; relative ones stay."""
    try:
        words = shlex.split(command)
    except ValueError:
        return without_folders(command)
    return shlex.join(_word(word) for word in words)


def portable_yaml(text: str) -> str:
    """The YAML of a spec whose absolute paths are names of files; other text if it is no YAML."""
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError:
        return without_folders(text)
    if not isinstance(content, Mapping):
        return without_folders(text)
    return yaml_of(_portable(content))


def _portable(content: Mapping[str, Any]) -> dict[str, Any]:
    """The sections of data, model and experiments with names of files."""
    changed = dict(content)
    for name in ("data", "model"):
        if isinstance(content.get(name), Mapping):
            changed[name] = _section(content[name])
    if isinstance(content.get("experiments"), Mapping):
        changed["experiments"] = {
            key: _portable(own) if isinstance(own, Mapping) else own
            for key, own in content["experiments"].items()
        }
    return changed


def _section(section: Mapping[str, Any]) -> dict[str, Any]:
    changed = dict(section)
    for key in FILES:
        match section.get(key):
            case str(text):
                changed[key] = _word(text) if key == "file" else without_folders(text)
            case [*words]:
                changed[key] = [_word(word) if isinstance(word, str) else word for word in words]
    return changed


def _word(word: str) -> str:
    """A word that may be a path, or hold one, as `--set data.file=/a/b.csv` does."""
    before, equals, after = word.partition("=")
    if equals and _is_path(after):
        return f"{before}={PurePath(after).name}"
    return PurePath(word).name if _is_path(word) else without_folders(word)


def _is_path(text: str) -> bool:
    return text.startswith(("/", "~/")) and "\n" not in text and len(PurePath(text).parts) > 2
