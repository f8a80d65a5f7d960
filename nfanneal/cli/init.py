"""`nfanneal init`."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import click

from nfanneal.cli.files import refuse_existing, write_text

TEMPLATES = {
    "ode": {"ode.yaml": "{stem}.yaml", "data.csv": "{stem}.csv"},
    "python": {"python.yaml": "{stem}.yaml", "model.py": "{stem}.py"},
    "pk": {"pk.yaml": "{stem}.yaml"},
    "epidemic": {"epidemic.yaml": "{stem}.yaml", "epidemic.csv": "{stem}.csv"},
    "program": {
        "program.yaml": "{stem}.yaml",
        "model.sh": "{stem}.sh",
        "data.csv": "{stem}.csv",
    },
}
"""Files of each template, and what they are called beside a spec of that stem."""
SCHEMA = "nfanneal.schema.json"
EDITORS = f"# yaml-language-server: $schema={SCHEMA}\n"
"""The line by which editors know what a spec may hold."""


@click.command("init", epilog="Example: nfanneal init growth.yaml --template ode")
@click.argument("spec", type=click.Path(path_type=Path), required=False)
@click.option(
    "--template", type=click.Choice(list(TEMPLATES)), default="ode", show_default=True,
    help="An ODE with data, a Python function, pharmacokinetics of three subjects, daily counts of "
    "an epidemic, or a program.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Overwrite files.")
def command(spec: Path | None, template: str, force: bool) -> None:
    """Write a commented example SPEC and the files it needs; it runs as it is.

    Beside it goes the schema that editors complete and check a spec by, if it is not there.
    """
    spec = spec or Path(f"{template}.yaml")
    spec = spec if spec.suffix else spec.with_suffix(".yaml")
    folder = resources.files("nfanneal.cli").joinpath("templates")
    targets = {
        spec.with_name(name.format(stem=spec.stem)): folder.joinpath(source).read_text("utf-8")
        for source, name in TEMPLATES[template].items()
    }
    for path in targets:
        refuse_existing(path, force)
    for path, text in targets.items():
        head = EDITORS if path == spec else ""
        write_text(path, head + text.replace("{stem}", spec.stem))
        click.echo(f"wrote {path}")
    schema = spec.with_name(SCHEMA)
    if not schema.exists():
        from nfanneal.spec.json_schema import json_schema  # noqa: PLC0415  (numba takes a while)

        write_text(schema, json.dumps(json_schema()) + "\n")
        click.echo(f"wrote {schema}")
    click.echo(f"try: nfanneal check {spec}, then nfanneal run {spec}")
