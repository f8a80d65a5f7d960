"""What a call of a program costs beside the program, and what many workers make of a wait."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nfanneal.model.calls import LogLikelihood
from nfanneal.model.executors import Pooled
from nfanneal.model.executors.threads import Threads
from nfanneal.model.likelihood import DirectLikelihood
from nfanneal.model.program import Command, Experiment, ProgramDensity, Programs
from nfanneal.model.program.command import escaped

ANSWERS = """\
import json, sys, time
sys.stdin.readline()
for line in sys.stdin:
    value = json.loads(line)["parameters"]["x"]
    if {wait}:
        time.sleep({wait})
    print(json.dumps({{"log_likelihood": -value * value}}), flush=True)
"""
WAIT = 0.2
"""Seconds that a slow program sleeps."""
CALLS = {"lines": 3000, "call": 200}
"""How many calls are made of a program that answers at once."""
ROUNDS = 8
"""Calls of each worker of a program that sleeps."""
CROWDS = (16, 64)


@dataclass(frozen=True)
class CallCost:
    """What calls cost: `protocol` and number of workers, seconds that the program sleeps.

    `own` is this process's processor time a call, `wall` the time from one answer to the next, in
    milliseconds; `efficiency` the share of the workers' time in which their programs sleep.
    """

    protocol: str
    workers: int
    wait: float
    calls: int
    own: float
    wall: float
    efficiency: float


def call_costs() -> Iterator[CallCost]:
    """Both ways to call a program, one that answers at once and one that sleeps."""
    for protocol in ("lines", "call"):
        yield _cost(protocol, 1, 0.0, CALLS[protocol])
    for protocol in ("lines", "call"):
        for workers in CROWDS:
            yield _cost(protocol, workers, WAIT, ROUNDS * workers)


def _cost(protocol: str, workers: int, wait: float, calls: int) -> CallCost:
    likelihood = DirectLikelihood(ProgramDensity(_programs(protocol, wait)))
    ask = Pooled(Threads(workers))
    theta = np.random.default_rng(0).standard_normal((workers + calls, 1))
    ask(likelihood, LogLikelihood(), theta[:workers])  # all programs have been started then
    start, cpu = time.perf_counter(), time.process_time()
    ask(likelihood, LogLikelihood(), theta[workers:])
    wall, own = time.perf_counter() - start, time.process_time() - cpu
    likelihood.function.programs.close()  # type: ignore[attr-defined]
    share = calls * wait / (workers * wall)
    return CallCost(protocol, workers, wait, calls, 1e3 * own / calls, 1e3 * wall / calls, share)


def _programs(protocol: str, wait: float) -> Programs:
    experiment = Experiment("", {"x": 0}, {})
    if protocol == "lines":
        words = (sys.executable, "-S", "-E", "-c", escaped(ANSWERS.format(wait=wait)))
        command = Command(words, "", answers="number", stays=True)
    else:
        pause = f"sleep {wait}; " if wait else ""
        command = Command((f"{pause}echo {{x}}",), "", answers="number", shell=True)
    return Programs(command, (experiment,))
