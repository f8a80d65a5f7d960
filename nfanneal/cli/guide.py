"""`nfanneal guide`."""

from __future__ import annotations

import sys
from importlib import resources

import click

from nfanneal.cli.words import nearest_word
from nfanneal.report.consoles import console
from nfanneal.report.guide import laid_out

TOPICS = (
    "models",
    "experiments",
    "events",
    "programs",
    "petab",
    "sbml",
    "solver",
    "results",
    "stopping",
    "afterwards",
    "cluster",
    "method",
    "accuracy",
    "comparison",
    "bench",
)
"""The pages of `nfanneal/guide/`, in the order in which to read them."""


def _fitting(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    return [topic for topic in TOPICS if topic.startswith(incomplete)]


@click.command("guide", epilog="Example: nfanneal guide models")
@click.argument("topic", required=False, shell_complete=_fitting)
def command(topic: str | None) -> None:
    """Show the guide's page on TOPIC; without one, list the topics.

    On a terminal the page is laid out for its width, and shown by $PAGER (or less); elsewhere
    it is the Markdown text.
    """
    if topic is None:
        _list_topics()
    elif topic not in TOPICS:
        raise click.UsageError(f"no topic '{topic}'{nearest_word(topic, TOPICS)}")
    elif sys.stdout.isatty():
        click.echo_via_pager(laid_out(_page(topic).decode("utf-8"), console()))
    else:
        click.echo(_page(topic), nl=False)


def _list_topics() -> None:
    width = max(map(len, TOPICS))
    for topic in TOPICS:
        heading = _page(topic).decode("utf-8").splitlines()[0].removeprefix("# ")
        click.echo(f"{topic:<{width}}  {heading}")


def _page(topic: str) -> bytes:
    return resources.files("nfanneal").joinpath("guide", f"{topic}.md").read_bytes()
