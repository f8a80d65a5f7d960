"""`nfanneal man`: the manual page, made of the help of all commands."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping

import click

from nfanneal.cli.main import LazyGroup
from nfanneal.version import __version__


@click.command("man", epilog="Example: nfanneal man > ~/.local/share/man/man1/nfanneal.1")
@click.pass_context
def command(context: click.Context) -> None:
    """Print the manual page, for `man`: the help of all commands."""
    root = context.find_root()
    program = root.command
    assert isinstance(program, LazyGroup)
    click.echo(manual(program, program.all_commands(root), __version__), nl=False)


def manual(program: click.Command, commands: Mapping[str, click.Command], version: str) -> str:
    """A page of section 1 in roff: the program's help, then each command's with its options."""
    lines = [
        f'.TH NFANNEAL 1 "" "nfanneal {version}" "User Commands"',
        ".SH NAME",
        f"nfanneal \\- {_escaped(_help(program).splitlines()[0])}",
        ".SH SYNOPSIS",
        ".B nfanneal",
        "COMMAND [OPTIONS] [ARGUMENTS]",
        ".SH DESCRIPTION",
        *_paragraphs(_help(program)),
        ".SH COMMANDS",
    ]
    for name, command in commands.items():
        lines += list(_section(name, command))
    lines += [".SH SEE ALSO", "`nfanneal guide` shows the pages of the guide."]
    return "\n".join(lines) + "\n"


def _section(name: str, command: click.Command) -> Iterator[str]:
    """A command: how it is called, what it does, its options, an example."""
    context = click.Context(command, info_name=name)
    pieces = " ".join(command.collect_usage_pieces(context))
    yield f".SS nfanneal {_escaped(f'{name} {pieces}')}"
    yield from _paragraphs(_help(command))
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and isinstance(parameter, click.Option):
            yield from (".TP", f".B {_escaped(record[0])}", _escaped(record[1]))
    if command.epilog:
        yield from (".PP", _escaped(command.epilog))


def _help(command: click.Command) -> str:
    return inspect.cleandoc(command.help or "")


def _paragraphs(text: str) -> Iterator[str]:
    """Paragraphs of a help text; those that begin with \\b keep their lines."""
    for paragraph in text.split("\n\n"):
        yield ".PP"
        if paragraph.startswith("\b"):
            yield from (".nf", *(_escaped(line) for line in paragraph.splitlines()[1:]), ".fi")
        else:
            yield _escaped(" ".join(paragraph.split()))


def _escaped(text: str) -> str:
    """Text that roff takes as it is: a line is no request, a hyphen no minus sign."""
    plain = text.replace("\\", "\\e").replace("-", "\\-")
    plain = "".join(c if c.isascii() else f"\\[u{ord(c):04X}]" for c in plain)
    return f"\\&{plain}" if plain[:1] in (".", "'") else plain
