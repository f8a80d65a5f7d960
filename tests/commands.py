"""Running the command line, inside the tests' process or in one of its own."""

from __future__ import annotations

import pytest
from processes import PYTHON, completed

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
    """Run the command in its own process: one that `--max-time` may end."""
    done = completed([*PYTHON, *arguments])
    assert done.returncode in codes, done.stderr


def begun(config, output):
    """Begin a run, and stop it when it has a checkpoint: slow machines still compile by then."""
    checkpoint = output.with_name(f"{output.name}.checkpoint")
    for limit in ("1s", "3s", "9s", "27s"):
        apart("run", config, "-o", output, "--quiet", "--max-time", limit, codes=(77,))
        if checkpoint.exists():
            return
    raise AssertionError(f"no {checkpoint}")
