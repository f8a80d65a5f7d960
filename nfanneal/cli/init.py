"""`nfanneal init`."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import click

from nfanneal.cli.files import refuse_existing, write_text

TEMPLATES = {
    "ode": {"ode.yaml": "{stem}.yaml", "data.csv": "{stem}.csv"},
    "python": {"python.yaml": "{stem}.yaml", "model.py": "{stem}.py"},
    "program": {
        "program.yaml": "{stem}.yaml",
        "model.sh": "{stem}.sh",
        "data.csv": "{stem}.csv",
    },
}
"""Files of each template, and what they are called beside a spec of that stem."""


@click.command("init", epilog="Example: nfanneal init growth.yaml --template ode")
@click.argument("spec", type=click.Path(path_type=Path), required=False)
@click.option(
    "--template", type=click.Choice(list(TEMPLATES)), default="ode", show_default=True,
    help="An ODE with data, a Python function, or a program.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Overwrite files.")
def command(spec: Path | None, template: str, force: bool) -> None:
    """Write a commented example SPEC and the files it needs; it runs as it is."""
    spec = spec or Path(f"{template}.yaml")
    folder = resources.files("nfanneal.cli").joinpath("templates")
    targets = {
        spec.with_name(name.format(stem=spec.stem)): folder.joinpath(source).read_text("utf-8")
        for source, name in TEMPLATES[template].items()
    }
    for path in targets:
        refuse_existing(path, force)
    for path, text in targets.items():
        write_text(path, text.replace("{stem}", spec.stem))
        click.echo(f"wrote {path}")
    click.echo(f"try: nfanneal check {spec}, then nfanneal run {spec}")
