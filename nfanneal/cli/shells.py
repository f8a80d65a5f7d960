"""`nfanneal completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_NFANNEAL_COMPLETE"
"""Set while a shell asks what a line may go on with."""


@click.command("completion", epilog='Example: eval "$(nfanneal completion bash)"')
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print what makes SHELL complete commands, options and files on TAB.

    bash and zsh: add `eval "$(nfanneal completion bash)"` to ~/.bashrc, or the same with zsh to
    ~/.zshrc. fish: nfanneal completion fish > ~/.config/fish/completions/nfanneal.fish
    """
    made = get_completion_class(shell)
    assert made is not None
    program = context.find_root().command
    maker = made(program, {}, "nfanneal", VARIABLE)
    click.echo(maker.source_template % maker.source_vars())
