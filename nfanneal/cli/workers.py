"""The option `--workers`: who asks a model that is a program or a Python file."""

from __future__ import annotations

from typing import Any

import click


class WorkersType(click.ParamType):
    """A number of processes, or where workers are."""

    name = "workers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the text."""
        from nfanneal.errors import InputError  # noqa: PLC0415
        from nfanneal.model.executors.choice import workers_of  # noqa: PLC0415  (torch)

        try:
            return workers_of(str(value))
        except InputError as error:
            self.fail(str(error).removeprefix(f"--workers {value}: "), param, ctx)


workers_option = click.option(
    "--workers", type=WorkersType(), metavar="N",
    help="Processes that ask a program or a Python model. [programs: all cores]",
)  # fmt: skip
"""To be put before the options of a command that asks a model."""
