"""Running the command line inside the tests' process."""

from __future__ import annotations

import pytest

from nfanneal.cli.main import main


def inside(capsys, *arguments):
    """Run the command in this process: (exit code, stdout, stderr)."""
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return stop.value.code, captured.out, captured.err


def run(*arguments, codes=(0,)):
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    assert stop.value.code in codes, arguments
