"""The `nfanneal` command: finds its subcommands lazily, turns errors into exit codes."""

from __future__ import annotations

import gc
import importlib
import logging
import os
import shlex
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

import click
from click.shell_completion import CompletionItem

from nfanneal.errors import STOPPING, ExitCode, NfannealError
from nfanneal.runtime.pipes import outlive_readers
from nfanneal.version import __version__

COMMANDS = {
    "run": "Estimate the posterior and the evidence; write them to an HDF5 file.",
    "check": "Validate a spec and try its likelihood on draws from the prior.",
    "evaluate": "Evaluate the posterior at one point: likelihood, prior, gradients, data.",
    "summary": "Show the evidence, the diagnostics and the parameters of a result.",
    "prune": "Take the largest weights out of a result, and say what that costs.",
    "sample": "Draw more from the flow of a result.",
    "predict": "Predict trajectories from a result, with and without noise.",
    "plot": "Draw figures of one or several results.",
    "compare": "Compare models of the same data by their evidence.",
    "diff": "Say what differs between two results: spec, data, numbers beyond errors.",
    "combine": "Pool several runs of one problem into one result.",
    "export": "Write a result for other programs: netCDF, CSV, Parquet, GetDist, JSON.",
    "report": "Write one HTML page about results, figures included.",
    "cite": "Print what to write of a result in a paper: methods, references, BibTeX.",
    "bench": "Run other samplers on the same likelihood, and say what each costs.",
    "slurm": "Print a batch script for SLURM that runs a spec.",
    "init": "Write a commented example to start from.",
    "import": "Make a spec of a model in SBML or of a PEtab problem.",
    "schema": "Print the JSON Schema of a spec, for editors.",
    "completion": "Print what makes a shell complete commands and options on TAB.",
    "man": "Print the manual page: the help of all commands.",
    "guide": "Show a page of the guide: models, results, clusters and more.",
}

WITHIN = {"bench engine": "engine", "bench calls": "calls"}
"""Commands of two words, and the module of each."""
FILES = {(".yaml", ".yml"): "run", (".h5", ".hdf5"): "summary", (".xml", ".sbml"): "import"}
"""What is done with files that are named in place of a command."""
MODULES = {"import": "import_", "completion": "shells"}
"""Commands whose modules are called otherwise."""


class LazyGroup(click.Group):
    """Imports a subcommand's module when it is used: torch takes seconds to import."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All command names."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, from `nfanneal.cli.NAME`."""
        if cmd_name not in COMMANDS:
            return None
        return self._command_in(MODULES.get(cmd_name, cmd_name))

    @staticmethod
    def _command_in(module: str) -> click.Command:
        command: click.Command = _imported(f"nfanneal.cli.{module}").command
        return command

    def all_commands(self, ctx: click.Context) -> dict[str, click.Command]:
        """Every command by its name, those of two words too; imports all of their modules."""
        found = {name: self.get_command(ctx, name) for name in COMMANDS}
        within = {name: self._command_in(module) for name, module in WITHIN.items()}
        return {name: each for name, each in (found | within).items() if each is not None}

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """What TAB offers: the commands, without importing them, or the options."""
        fitting = [
            CompletionItem(name, help=text)
            for name, text in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return [*fitting, *click.Command.shell_complete(self, ctx, incomplete)]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; a typo gets the nearest name, TAB after one gets nothing.

        `help` is another way to write --help.
        """
        if args[:1] == ["help"] and not ctx.resilient_parsing:
            if not args[1:]:
                click.echo(ctx.get_help())
                ctx.exit()
            return self.resolve_command(ctx, [*args[1:], "--help"])
        if inner := WITHIN.get(" ".join(args[:2])):
            return " ".join(args[:2]), self._command_in(inner), args[2:]
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            if ctx.resilient_parsing:
                return args[0], click.Command(args[0], add_help_option=False), []
            raise click.UsageError(f"no command '{args[0]}'{_meant(args)}", ctx)
        return super().resolve_command(ctx, args)


def _imported(name: str) -> Any:
    """A module; what it and its libraries consist of is no garbage, and never looked through.

    Python would search all of them for cycles again and again while they are imported: 0.5 s.
    """
    if name in sys.modules or not gc.isenabled():
        return importlib.import_module(name)
    gc.disable()
    try:
        module = importlib.import_module(name)
    finally:
        gc.enable()
    gc.freeze()
    return module


def _meant(args: list[str]) -> str:
    """What may have been meant by words that begin with no command."""
    from nfanneal.cli.words import nearest_word  # noqa: PLC0415

    for endings, name in FILES.items():
        if args[0].lower().endswith(endings):
            return f"; did you mean: nfanneal {name} {shlex.join(args)}"
    return nearest_word(args[0], COMMANDS)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: nfanneal init model.yaml, then nfanneal run model.yaml",
)
@click.version_option(__version__, prog_name="nfanneal")
def command() -> None:
    """Bayesian parameter estimation and model evidence by annealed normalizing flows.

    A YAML file states model, priors and data; `nfanneal run` trains a normalizing flow from the
    prior to the posterior and writes weighted draws and the log-evidence to an HDF5 file.

    Exit codes: 0 done, 2 usage, 3 invalid input, 4 the model failed everywhere, 5 finished but
    not to be trusted, 77 stopped with a checkpoint, 130 interrupted, 1 anything unexpected.
    """


def _show_log() -> None:
    """What takes long without an answer is said on stderr; `run --quiet` raises the level."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("nfanneal")
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.INFO)


def _tell(
    message: Warning | str, category: type[Warning], filename: str, lineno: int,
    file: TextIO | None = None, line: str | None = None,
) -> None:  # fmt: skip
    """A warning of Python's is one line that says where it comes from, in log files too."""
    _tell_once(f"Warning: {Path(filename).name}:{lineno}: {message} ({category.__name__})")


@cache
def _tell_once(text: str) -> None:
    """Libraries that look after warnings make Python forget which it has shown."""
    logging.getLogger("nfanneal").warning("%s", text)


@contextmanager
def _stoppable(arguments: list[str], *, ends: bool) -> Iterator[None]:
    """`run` is stopped with its own exit code from the start: libraries take seconds to import.

    If the process `ends` with it, signals are ignored afterwards: the exit code is decided.
    """
    if arguments[:1] != ["run"]:
        yield
        return
    before = {number: signal.signal(number, _stop) for number in STOPPING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if ends else handler)


def _stop(number: int, frame: FrameType | None) -> None:
    name = signal.Signals(number).name
    click.echo(f"{name}: stopped before the run began; the same command starts it", err=True)
    raise SystemExit(int(ExitCode.CHECKPOINTED))


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    ends = arguments is None
    arguments = sys.argv[1:] if arguments is None else arguments
    # torch's threads must sleep while they wait: on busy cores spinning ones stall each other
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if ends:
        outlive_readers()
        warnings.showwarning = _tell
    _show_log()
    try:
        with _stoppable(arguments, ends=ends):
            code: Any = command.main(arguments, prog_name="nfanneal", standalone_mode=False)
    except click.exceptions.Exit as error:
        code = error.exit_code
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        code = ExitCode.INTERRUPTED
    except NfannealError as error:
        click.echo(click.style("Error: ", fg="red") + str(error), err=True)
        code = error.exit_code
    sys.exit(int(code or 0))
