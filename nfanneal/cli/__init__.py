"""The command line: one module per command; errors become messages and exit codes."""

from nfanneal.cli.main import main

__all__ = ["main"]
