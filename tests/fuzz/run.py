"""Fuzz one target with atheris: `python tests/fuzz/run.py expression -max_total_time=300`.

What follows the target's name goes to libFuzzer. A finding is written to `crash-…` in the current
folder; `python tests/fuzz/run.py TARGET crash-…` repeats it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parent.parent))  # what targets share with other tests

with atheris.instrument_imports(include=["nfanneal", "yaml"]):
    from targets import SEEDS, TARGETS


def main() -> None:
    """Run the target that the command line names, from its seeds."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in TARGETS:
        sys.exit(f"which target? {', '.join(TARGETS)}")
    with tempfile.TemporaryDirectory() as corpus:
        for i, seed in enumerate(SEEDS[name]):
            Path(corpus, str(i)).write_bytes(seed)
        limits = ["-timeout=20", "-rss_limit_mb=3000", "-max_len=4000"]
        rest = sys.argv[2:]
        given = [*rest, *([] if any(not a.startswith("-") for a in rest) else [corpus])]
        atheris.Setup([sys.argv[0], *limits, *given], TARGETS[name])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
