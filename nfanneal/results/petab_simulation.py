"""PEtab's table of simulations: what the model says where a problem has measurements."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nfanneal.errors import ResultError
from nfanneal.model import calls
from nfanneal.model.problem import Problem
from nfanneal.results.predict import predicting, times_of
from nfanneal.results.result import Result
from nfanneal.spec.importers import Imported, imported

MEASUREMENT, SIMULATION = "measurement", "simulation"


def petab_simulation(result: Result, problem: Problem, petab: Path) -> str:
    """The table of a PEtab problem's measurements, with `simulation` in place of `measurement`.

    Simulations are the observables without noise, on their natural scale, for the draw with the
    highest posterior density. All other columns, and the order of the rows, are the problem's.

    Raises:
        SpecError: the file is no PEtab problem that can be read.
        ResultError: the result is of another problem, or its model fails there.
    """
    made = imported(petab)
    if not made.rows:
        raise ResultError(f"{petab}: no PEtab problem with measurements")
    rows = list(_rows(made, _Simulated(result, problem)))
    header = dict.fromkeys(name for row in rows for name in row)
    out = io.StringIO()
    writer = csv.DictWriter(out, list(header), restval="", delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


class _Simulated:
    """Values at the best draw."""

    def __init__(self, result: Result, problem: Problem) -> None:
        draws = result.draws
        best = int(np.argmax(draws.log_prior + draws.log_likelihood))
        self._times = times_of(result, problem)
        self._names = list(predicting(problem).simulator.observables)
        call = calls.Prediction(tuple(self._times.values()))
        found = problem.ask_all(call, draws.theta[[best]])
        if found.failed[0]:
            raise ResultError("the model fails for the best draw")
        sizes = [len(own) for own in self._times.values()]
        parts = np.split(found.values[0], np.cumsum(sizes)[:-1])
        self._values = dict(zip(self._times, parts, strict=True))

    def at(self, experiment: str, observable: str, time: float) -> float:
        """The simulation of a datum."""
        at = np.flatnonzero(self._times.get(experiment, np.empty(0)) == time)
        if not len(at) or observable not in self._names:
            what = f"'{observable}' of '{experiment}' at {time:g}"
            raise ResultError(f"the result is of another problem: it has no data of {what}")
        return float(self._values[experiment][at[0], self._names.index(observable)])


def _rows(made: Imported, simulated: _Simulated) -> Iterator[dict[str, str]]:
    """The rows of all tables of measurements, by column."""
    for file in dict.fromkeys(place.file for place in made.rows):
        lines = Path(file).read_text(encoding="utf-8-sig").splitlines()
        first = next(line for line in lines if line.strip())
        header = [name.strip() for name in first.split("\t")]
        own = {place.line: said for place, said in made.rows.items() if place.file == file}
        for line in sorted(own):
            value = simulated.at(*own[line])
            cells = dict(zip(header, lines[line - 1].split("\t"), strict=False))
            said = "nan" if math.isnan(value) else repr(value)
            cells[MEASUREMENT] = said
            yield {SIMULATION if k == MEASUREMENT else k: v for k, v in cells.items() if k}
