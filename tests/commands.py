"""Running the command line, inside the tests' process or in one of its own."""

from __future__ import annotations

import subprocess
import sys

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


def apart(*arguments, codes=(0,)):
    """Run the command in its own process: one that `--max-time` may end while it compiles."""
    command = [sys.executable, "-m", "nfanneal", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in codes, done.stderr
