"""`nfanneal schema`."""

from __future__ import annotations

import json

import click

from nfanneal.spec.json_schema import json_schema


@click.command("schema", epilog="Example: nfanneal schema > nfanneal.schema.json")
def command() -> None:
    """Print the JSON Schema of a spec, for editors that check YAML while you type."""
    click.echo(json.dumps(json_schema(), indent=2))
