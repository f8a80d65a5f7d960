"""What is shown while a run goes on."""

from __future__ import annotations

import math
import threading
import time

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from nfanneal.anneal.progress import Activity, Event, Expected, GoingOn, LevelInfo, seconds_left
from nfanneal.report.consoles import fitted
from nfanneal.report.quantities import lasting

SHOWN_LEVELS = 12


def level_line(info: LevelInfo, left: float = math.nan) -> str:
    """One plain line about a level, and about how many seconds are left."""
    rate = info.n_evaluations / info.seconds if info.seconds > 0 else 0.0
    return (
        f"level {info.level:3d}  beta {info.beta:9.3e}  ESS {info.truncated_ess:6.1%}  "
        f"log Z(beta) {info.log_evidence:11.3f}  evaluations {info.n_evaluations:9,d} "
        f"({rate:,.0f}/s)  {info.seconds:6.1f} s{'' if math.isnan(left) else f', {roughly(left)}'}"
    )


LONG = 3600.0
"""Seconds of a run that nobody waits for."""


def roughly(seconds: float) -> str:
    """How long it still takes, to one digit."""
    return f"about {lasting(seconds)} left"


def expected_line(event: Expected) -> str:
    """About what a run takes, in one plain line; where that is long, what to do."""
    evaluations = float(f"{event.evaluations:.1g}")
    line = (
        f"about {evaluations:,.0f} evaluations and {lasting(event.seconds)}, if the problem is "
        "as hard as others of its size: a third of it or three times as much are no surprise"
    )
    if event.seconds < LONG:
        return line
    return (
        f"{line}. It can be stopped and resumed at any time; anneal.preset: frugal makes fewer "
        "calls, --workers more of them at once, `nfanneal slurm` a job of it"
    )


def going_on_line(event: GoingOn) -> str:
    """One plain line about another stage."""
    if not event.effort:
        return f"not reached: {event.why}; no more effort is allowed"
    if event.patch:
        return f"not enough yet: {event.why}; drawing anew where the flow hardly draws, too"
    if event.part:
        return f"not enough yet: {event.why}; annealing a thin tail by itself"
    return f"not enough yet: {event.why}; going on with {event.effort} times the first effort"


QUIET_SECONDS = 60.0
"""A log hears of what is being done after so long without a line."""


class PlainProgress:
    """One line per level, for logs and pipes, and one a minute where a level takes longer.

    Between `with` and its end a thread sees to the latter, however long nothing is heard.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._levels: list[LevelInfo] = []
        self._start = self._last = time.monotonic()
        self._doing = Activity("starting", 0, 1)
        self._writing = threading.RLock()
        self._over = threading.Event()

    def __enter__(self) -> PlainProgress:
        threading.Thread(target=self._watch, name="a line a minute", daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()

    def __call__(self, event: Event) -> None:
        """Show a level, or that more effort is needed; what is being done only now and then."""
        if isinstance(event, LevelInfo):
            self._levels.append(event)
            self._write(level_line(event, seconds_left(self._levels)))
        elif isinstance(event, Expected):
            self._write(expected_line(event))
        elif isinstance(event, GoingOn):
            self._write(going_on_line(event))
        else:
            self._doing = event
            self.remind()

    def remind(self) -> None:
        """Say what is being done, if nothing was said for long."""
        with self._writing:
            now, doing = time.monotonic(), self._doing
            if now - self._last >= QUIET_SECONDS:
                share = f", {doing.done:,} of {doing.total:,}" if doing.total > 1 else ""
                self._write(f"  {doing.doing}{share}, {now - self._start:.0f} s")

    def _write(self, line: str) -> None:
        with self._writing:
            self._last = time.monotonic()
            self._console.print(line, soft_wrap=True, highlight=False)

    def _watch(self) -> None:
        while not self._over.wait(QUIET_SECONDS / 10.0):
            self.remind()


class LiveProgress:
    """A table of the last levels and what is being done now, redrawn in place."""

    def __init__(self, console: Console, name: str) -> None:
        self._levels: list[LevelInfo] = []
        self._name, self._console = name, console
        self._start = time.perf_counter()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
        )
        self._task = self._progress.add_task("starting", total=1)
        self._run = Progress(
            TextColumn("the whole run"),
            BarColumn(),
            TextColumn("{task.fields[elapsed]:.0f} s{task.fields[left]}"),
        )
        self._whole = self._run.add_task("", total=1.0, elapsed=0.0, left="")
        self._expected = math.nan
        self._live = Live(console=console, get_renderable=self.shown, refresh_per_second=4)

    def __enter__(self) -> LiveProgress:
        self._live.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.update(self._task, visible=False)
        self._run.update(self._whole, visible=False)
        self._live.__exit__(None, None, None)

    def __call__(self, event: Event) -> None:
        """Take in a level or an activity."""
        elapsed = time.perf_counter() - self._start
        if isinstance(event, LevelInfo):
            self._levels.append(event)
        elif isinstance(event, Expected):
            self._expected = elapsed + event.seconds
            self._live.console.print(expected_line(event), soft_wrap=True, highlight=False)
        elif isinstance(event, GoingOn):
            self._live.console.print(going_on_line(event), soft_wrap=True, highlight=False)
        elif isinstance(event, Activity):
            self._progress.update(
                self._task,
                description=event.doing,
                completed=event.done,
                total=max(event.total, 1),
            )
        left = self._left(elapsed)
        told = "" if math.isnan(left) else f", {roughly(left)}"
        whole = None if math.isnan(left) else elapsed + left
        self._run.update(self._whole, completed=elapsed, total=whole, elapsed=elapsed, left=told)

    def _left(self, elapsed: float) -> float:
        """Seconds that are left: by how β grows, and before it does by what was expected."""
        left = seconds_left(self._levels)
        return max(self._expected - elapsed, 1.0) if math.isnan(left) else left

    def shown(self) -> Group:
        """What is drawn at the moment."""
        table = Table(title=self._name, title_justify="left")
        for heading in ("level", "beta", "ESS", "log Z(beta)", "evaluations", "s", "per second"):
            table.add_column(heading, justify="right")
        for info in self._levels[-SHOWN_LEVELS:]:
            rate = info.n_evaluations / max(info.seconds, 1e-9)
            table.add_row(
                str(info.level),
                f"{info.beta:.3e}",
                f"{info.truncated_ess:.1%}",
                f"{info.log_evidence:.3f}",
                f"{info.n_evaluations:,}",
                f"{info.seconds:.1f}",
                f"{rate:,.0f}",
            )
        return Group(fitted(table, self._console.width)[0], self._progress, self._run)
