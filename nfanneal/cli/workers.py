"""What commands say of a model that is a program or a Python file: `--workers` and `--model`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


class WorkersType(click.ParamType):
    """A number of processes, or where workers are."""

    name = "workers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the text. Of an MPI job, the other ranks serve and end here."""
        from nfanneal.errors import InputError  # noqa: PLC0415
        from nfanneal.model.executors.choice import leads, workers_of  # noqa: PLC0415  (torch)
        from nfanneal.runtime.leaving import leave  # noqa: PLC0415

        try:
            workers = workers_of(str(value))
            if ctx is None or ctx.resilient_parsing:
                return workers
            leading = leads(workers)
        except InputError as error:
            self.fail(str(error), param, ctx)
        if not leading:
            ctx.exit(0)
        ctx.call_on_close(leave)
        return workers


workers_option = click.option(
    "--workers", type=WorkersType(), metavar="N|dask:…|mpi", is_eager=True,
    help="Processes that ask a program or a Python model: so many here, those of a Dask cluster, "
    "or the other ranks of an MPI job. [programs: all cores]",
)  # fmt: skip
"""To be put before the options of a command that asks a model; eager, so that of an MPI job only

the first rank goes on to what may be wrong with the others."""

model_option = click.option(
    "--model", type=click.Path(path_type=Path),
    help="The Python file or the program of such a model.",
)  # fmt: skip
"""For results: none holds the code that it was made with."""
