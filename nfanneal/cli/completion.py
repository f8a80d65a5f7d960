"""What TAB offers where the type of a value does not say it."""

from __future__ import annotations

from collections.abc import Iterable

from click.shell_completion import CompletionItem


def files_or(words: Iterable[str], incomplete: str) -> list[CompletionItem]:
    """Files, and the words that begin with what is typed.

    Files come first: bash forgets what it got before them. It shows no file where a word fits.
    """
    fitting = [CompletionItem(word) for word in words if word.startswith(incomplete)]
    return [CompletionItem(incomplete, type="file"), *fitting]
