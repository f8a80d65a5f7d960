"""The accuracy table: problems with a known evidence, default settings, through the command line.

    python tests/accuracy/table.py [-k PATTERN] [--seeds 3] [--most-seconds 3600] [--calibration]

runs every case of `cases.py` as every kind that it has, with each seed, two at a time on a thread
each, and prints the table. Every run adds a line to `build/accuracy.jsonl`: what stands there for
the same package is not run again but with `--fresh`, so that the table can be stopped and gone on
with. A run that takes too long is killed and recorded as not done. `--table FILE` also writes all
rows that there are into the guide's page, where others stay; `--render` runs nothing.

Tolerances are promises to users, not noise levels. Each run's own error must also be right: below
the table stands how far the estimates lie from the exact values, in units of their errors, and
`--calibration` measures that with 20 seeds of the cheap cases.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cases import CASES, ROOT, Case

import nfanneal

RECORDS = ROOT / "build" / "accuracy.jsonl"
BEGIN, END = "<!-- accuracy: written by `make accuracy` -->\n", "<!-- /accuracy -->\n"
MOST_MEGABYTES = 2000
CALIBRATION_SEEDS = 20
WRONG_ERRORS, WRONG_NATS = 4.0, 0.05
HEADING = (
    "| problem | as | log Z | z of each seed | largest error, allowed | exit codes | and | ESS "
    "| evaluations (+ gradients) | s | MB |\n" + "| --- " * 11 + "|\n"
)
CALIBRATION_HEADING = (
    "| problem | as | seeds | mean z | sd of z | within 2 errors | exit code 0 |\n"
    + "| --- " * 7
    + "|\n"
)


@dataclass(frozen=True)
class Job:
    """One run: a case as one of its kinds, with a seed."""

    case: Case
    kind: str
    seed: int

    @property
    def name(self) -> str:
        """What `-k` looks at."""
        return f"{self.case.title} {self.kind}"


@dataclass(frozen=True)
class Record:
    """What a run came to: a line of the file of records.

    `exit_code` is None where the run was killed because it took too long.
    """

    title: str
    kind: str
    seed: int
    package: str
    exit_code: int | None
    seconds: float
    megabytes: float
    log_evidence: float = math.nan
    error: float = math.nan
    ess: float = math.nan
    n_samples: int = 0
    pareto_k: float = math.nan
    evaluations: int = 0
    gradients: int = 0
    also: str = ""
    holds: bool = True
    shares: tuple[float, ...] = ()

    @property
    def done(self) -> bool:
        """There is an estimate."""
        return self.exit_code in (0, 5)

    def away(self, case: Case) -> float:
        """Estimate less exact value."""
        return self.log_evidence - case.log_evidence

    def z(self, case: Case) -> float:
        """The same in units of the reported error."""
        return self.away(case) / self.error

    def wrong(self, case: Case) -> bool:
        """Far off, and no diagnostic said so."""
        far = abs(self.away(case)) > WRONG_NATS and abs(self.z(case)) > WRONG_ERRORS
        return self.exit_code == 0 and far


def package_key(changes: Sequence[str]) -> str:
    """The commit that last changed the package, what is not committed yet, and `--set` changes."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    parts = [git("log", "-1", "--format=%h", "--", "nfanneal")]
    different = git("diff", "HEAD", "--", "nfanneal")
    if different:
        parts.append(hashlib.sha256(different.encode()).hexdigest()[:8])
    return "+".join([*parts, *changes])


def run(job: Job, package: str, changes: Sequence[str], most_seconds: float) -> Record:
    """`nfanneal run` with one thread."""
    case, sets = job.case, [*job.case.changes(job.kind), *changes]
    command = [sys.executable, "-m", "nfanneal", "run", str(case.spec(job.kind))]
    command += [word for text in sets for word in ("--set", text)]
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "result.h5"
        command += ["-o", str(output), "--quiet", "--threads", "1", "--seed", str(job.seed)]
        clock = time.perf_counter()
        told = Path(folder) / "stderr"
        with told.open("wb") as file:
            process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=file)
        timer = threading.Timer(most_seconds, process.kill)
        timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        late = not timer.is_alive()
        timer.cancel()
        code = process.returncode = os.waitstatus_to_exitcode(status)
        cost = round(time.perf_counter() - clock, 1), round(usage.ru_maxrss / 1000)
        head = (case.title, job.kind, job.seed, package, None if late and code < 0 else code, *cost)
        if code not in (0, 5):
            return Record(*head, also=told.read_text(errors="replace").strip()[-300:])
        return Record(*head, **_found(case, output))


def _found(case: Case, output: Path) -> dict[str, Any]:
    """What the result file says."""
    result = nfanneal.load(output)
    d, check = result.diagnostics, case.also(result)
    return {
        "log_evidence": d.log_evidence,
        "error": d.log_evidence_error,
        "ess": d.ess,
        "n_samples": d.n_samples,
        "pareto_k": d.pareto_k,
        "evaluations": result.counts.n_likelihood_evaluations,
        "gradients": result.counts.n_gradient_evaluations,
        "also": check.text,
        "holds": check.holds,
        "shares": tuple(float(share) for share in check.shares),
    }


def read(path: Path, package: str) -> dict[tuple[str, str, int], Record]:
    """The last record of each run of this package; a line that was cut off does not count."""
    found = {}
    for line in path.read_text().splitlines() if path.is_file() else []:
        try:
            record = Record(**json.loads(line))
        except (ValueError, TypeError):
            continue
        if record.package == package:
            found[record.title, record.kind, record.seed] = record
    return found


def jobs(pattern: str, seeds: int, calibration: bool) -> list[Job]:
    """What the options choose; all cases' first seeds come first."""
    chosen = [
        Job(case, kind, seed)
        for seed in range(1, (CALIBRATION_SEEDS if calibration else seeds) + 1)
        for case in CASES
        for kind in (case.kinds[:1] if calibration else case.kinds)
        if case.cheap or not calibration
    ]
    return [job for job in chosen if re.search(pattern, job.name)]


def run_all(wanted: Iterable[Job], options: argparse.Namespace, package: str) -> None:
    """Run what has no record yet, and add its lines to the file."""
    known = {} if options.fresh else read(options.records, package)
    missing = [j for j in wanted if (j.case.title, j.kind, j.seed) not in known]
    options.records.parent.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(options.at_once) as pool, options.records.open("a") as file:
        waiting = [
            pool.submit(run, job, package, options.set, options.most_seconds) for job in missing
        ]
        try:
            for number, done in enumerate(as_completed(waiting), 1):
                record = done.result()
                file.write(json.dumps(asdict(record), ensure_ascii=False) + "\n")
                file.flush()
                print(f"{number} of {len(missing)}: {in_words(record)}", flush=True)
        finally:
            pool.shutdown(cancel_futures=True)


def in_words(record: Record) -> str:
    """A line about a run."""
    case = next(c for c in CASES if c.title == record.title)
    head = f"{record.title}, {record.kind}, seed {record.seed}: "
    if not record.done:
        told = "not done" if record.exit_code is None else f"exit code {record.exit_code}"
        return f"{head}{told} after {record.seconds:.0f} s; {record.also}"
    return (
        f"{head}{record.log_evidence:.4f} ± {record.error:.4f}, z {record.z(case):+.1f}, exit code "
        f"{record.exit_code}, {record.seconds:.0f} s; {record.also}"
    )


def row(case: Case, kind: str, runs: Sequence[Record]) -> str:
    """A line of the table."""
    done = [r for r in runs if r.done]
    codes = ", ".join("not done" if r.exit_code is None else str(r.exit_code) for r in runs)
    head = f"| {case.title} | {kind} | {case.log_evidence:.4f} |"
    if not done:
        seconds = max(r.seconds for r in runs)
        return f"{head}  |  | {codes} |  |  |  | {seconds:.0f} |  |\n"
    zs = ", ".join(f"**{r.z(case):+.1f}**" if r.wrong(case) else f"{r.z(case):+.1f}" for r in done)
    worst = max(abs(r.away(case)) for r in done)
    bold = "" if worst <= case.within else "**"
    also = next((r for r in done if not r.holds), done[0])
    text = also.also if also.holds else f"**not met: {also.also}**"
    least = min(done, key=lambda r: r.ess)
    evaluations, gradients = (
        np.mean([getattr(r, name) for r in done]) / 1000 for name in ("evaluations", "gradients")
    )
    return (
        f"{head} {zs} | {bold}{worst:.4f}{bold}, {case.within:g} | {codes} | {text} | "
        f"{least.ess:,.0f} of {least.n_samples:,} | {evaluations:.0f}k + {gradients:.0f}k | "
        f"{max(r.seconds for r in done):.0f} | {max(r.megabytes for r in done):.0f} |\n"
    )


def calibration_row(case: Case, kind: str, runs: Sequence[Record]) -> str:
    """A line of the second table."""
    z = np.array([r.z(case) for r in runs if r.done])
    spread = f"{z.std(ddof=1):.2f}" if len(z) > 1 else ""
    mean = f"{z.mean():+.2f}" if len(z) else ""
    trusted = sum(r.exit_code == 0 for r in runs)
    return (
        f"| {case.title} | {kind} | {len(runs)} | {mean} | {spread} | "
        f"{np.sum(np.abs(z) < 2)} | {trusted} |\n"
    )


def in_all(pairs: Sequence[tuple[Case, Record]]) -> str:
    """What the table says as a whole."""
    codes = [record.exit_code for _, record in pairs]
    wrong = [f"{r.title}, {r.kind}, seed {r.seed}" for c, r in pairs if r.wrong(c)]
    named = f": {'; '.join(wrong)}" if wrong else ""
    lines = [
        f"{len(pairs)} runs: {codes.count(0)} ended with exit code 0, {codes.count(5)} with 5 (not "
        f"to be trusted), {codes.count(None)} were not done in time.",
        f"Wrong with exit code 0, by more than {WRONG_ERRORS:g} errors and {WRONG_NATS:g}: "
        f"{len(wrong)}{named}.",
    ]
    for words, among in (("all runs", (0, 5)), ("those with exit code 0", (0,))):
        z = np.array([record.z(case) for case, record in pairs if record.exit_code in among])
        if len(z) > 1:
            lines.append(
                f"z = (estimate − exact)/error of {words}: mean {z.mean():+.2f}, sd "
                f"{z.std(ddof=1):.2f}, {np.mean(np.abs(z) < 2):.0%} within 2."
            )
    return "\n" + "\n\n".join(lines) + "\n"


def render(
    records: dict[tuple[str, str, int], Record], options: argparse.Namespace, pattern: str
) -> str:
    """The table, or the calibration's, from the records of what the options and `-k` choose."""
    pairs = [
        (job, records[job.case.title, job.kind, job.seed])
        for job in jobs(pattern, options.seeds, options.calibration)
        if (job.case.title, job.kind, job.seed) in records
    ]
    lines = []
    for case in CASES:
        for kind in case.kinds:
            runs = [r for job, r in pairs if (job.case, job.kind) == (case, kind)]
            if runs:
                lines.append((calibration_row if options.calibration else row)(case, kind, runs))
    heading = CALIBRATION_HEADING if options.calibration else HEADING
    return heading + "".join(lines) + in_all([(job.case, record) for job, record in pairs])


def with_table(page: str, table: str) -> str:
    """The page with a table in place of the one with the same heading; rows not in it stay."""
    before, rest = page.split(BEGIN)
    old, after = rest.split(END)
    tables = {}
    for heading in (HEADING, CALIBRATION_HEADING):
        start = old.find(heading)
        ends = [old.find(h) for h in (HEADING, CALIBRATION_HEADING) if old.find(h) > start]
        there = old[start : min(ends, default=len(old))] if start >= 0 else ""
        tables[heading] = _merged(there, table) if table.startswith(heading) else there
    both = [text.strip("\n") + "\n" for text in tables.values() if text]
    return before + BEGIN + "\n".join(both) + END + after


def _merged(old: str, new: str) -> str:
    """Rows of both, the new one first choice, in the order of the cases; the rest is the new's."""

    def rows(text: str) -> dict[tuple[str, str], str]:
        cells = [(line.split(" | "), line) for line in text.splitlines(keepends=True)[2:]]
        return {(c[0][2:], c[1]): line for c, line in cells if line.startswith("| ")}

    found = rows(old) | rows(new)
    order = [(case.title, kind) for case in CASES for kind in case.kinds]
    head, rest = new.splitlines(keepends=True)[:2], new[new.index("\n\n") :]
    return "".join([*head, *(found[key] for key in order if key in found)]) + rest


def complaints(pairs: Sequence[tuple[Case, Record]]) -> list[str]:
    """What does not hold of the runs."""
    told = []
    for case, r in pairs:
        checks = {
            "ended with an error": not r.done and r.exit_code is not None,
            f"is off by more than {case.within:g}": r.done and not abs(r.away(case)) <= case.within,
            "is wrong and does not say so": r.wrong(case),
            f"has other modes: {r.also}": not r.holds,
            "is not to be trusted": r.exit_code == 5 and not case.hard,
            "took too long": r.exit_code is None or r.seconds > case.most_seconds,
            "took too much memory": r.megabytes > MOST_MEGABYTES,
        }
        told += [
            f"{r.title}, {r.kind}, seed {r.seed} {text}" for text, is_so in checks.items() if is_so
        ]
    return told


def options_of(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description="The accuracy table.")
    parser.add_argument("-k", default="", metavar="PATTERN", help="cases whose name and kind match")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--most-seconds", type=float, default=3600.0, help="of each run")
    parser.add_argument("--at-once", type=int, default=2, help="runs at a time, a thread each")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--calibration", action="store_true", help="20 seeds of the cheap cases")
    parser.add_argument("--fresh", action="store_true", help="run again what has a record")
    parser.add_argument("--render", action="store_true", help="run nothing")
    parser.add_argument("--records", type=Path, default=RECORDS)
    parser.add_argument("--table", type=Path, help="write the table into this page")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Run, print the table, and say what does not hold; 1 if anything does not."""
    options = options_of(arguments)
    package = package_key(options.set)
    wanted = jobs(options.k, options.seeds, options.calibration)
    if not options.render:
        run_all(wanted, options, package)
    records = read(options.records, package)
    print(render(records, options, options.k))
    if options.table is not None:
        table = render(records, options, "")
        options.table.write_text(with_table(options.table.read_text(), table))
    keys = [(job.case, (job.case.title, job.kind, job.seed)) for job in wanted]
    told = complaints([(case, records[key]) for case, key in keys if key in records])
    print("\n".join(told))
    return int(bool(told))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
