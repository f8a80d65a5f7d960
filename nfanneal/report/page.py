"""One self-contained HTML page about results: verdict, numbers, figures, methods, spec."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePath

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from nfanneal.report.page_figures import ALL_BYTES, Drawer
from nfanneal.report.page_result import part_of
from nfanneal.report.page_together import together
from nfanneal.results.result import Result

FIGURES_OF_ONE = 7
"""About so many has a result, and two they have together."""


def page(results: Mapping[str, Result]) -> str:
    """The page for results by their file's path: how they compare first, if there are several.

    It needs no network, no other file and no script. Paths are shown as names.
    """
    labels = labels_of(results)
    named = {labels[path]: result for path, result in results.items()}
    idents = [f"r{i + 1}" for i in range(len(named))]
    most = ALL_BYTES // (FIGURES_OF_ONE * len(named) + 2)
    several = len(named) > 1
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            title=", ".join(dict.fromkeys(r.name for r in named.values())),
            together=together(named, idents, Drawer("all", most)) if several else None,
            parts=[
                part_of(label, result, Drawer(ident, most))
                for (label, result), ident in zip(named.items(), idents, strict=True)
            ],
        )
    )


def labels_of(paths: Iterable[str]) -> dict[str, str]:
    """Names of files that tell them apart: with folders above them only where names are the same.

    >>> labels_of(["/home/me/a/x.h5", "/home/me/b/x.h5", "/home/me/b/y.h5"])
    {'/home/me/a/x.h5': 'a/x.h5', '/home/me/b/x.h5': 'b/x.h5', '/home/me/b/y.h5': 'y.h5'}
    """
    known = {path: PurePath(path).parts for path in paths}
    labels = {}
    for path, parts in known.items():
        others = [other for name, other in known.items() if name != path]
        length = next(
            (n for n in range(1, len(parts)) if all(parts[-n:] != o[-n:] for o in others)),
            len(parts),
        )
        labels[path] = str(PurePath(*parts[-length:]))
    return labels


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("nfanneal.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["coded"] = coded
    return environment


def coded(text: str) -> Markup:
    """Text whose `words in backticks` are shown as code; escaped, as everything is."""
    pieces = str(escape(text)).split("`")
    if len(pieces) % 2 == 0:
        return Markup("`".join(pieces))
    return Markup("".join(f"<code>{p}</code>" if i % 2 else p for i, p in enumerate(pieces)))
