"""A table of a folder of PEtab problems: what each says at its nominal point, and how fast.

    python tests/petab_collection.py COLLECTION [NAME …] [--run] [--seconds 600]

Each line is printed as soon as it is known. `--run` estimates, too, which takes minutes each.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

from nfanneal.arrays import Array
from nfanneal.errors import NfannealError
from nfanneal.model.calls import LogLikelihood
from nfanneal.model.problem import Problem
from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.load import load_spec

PYTHON = (sys.executable, "-m", "nfanneal")
STEP = 1e-4
"""Of differences, relative to a parameter."""
TIGHT = ("model.solver.rtol=1e-9",)
HEAD = ("problem", "parameters", "experiments", "log-likelihood", "petab's", "gradient off by",
        "per second", "evidence", "best", "exit")  # fmt: skip


def problems(collection: Path, names: list[str]) -> list[Path]:
    """The problems' YAML files: a folder's own, called as it is or `problem`."""
    found = []
    for folder in sorted(p for p in collection.iterdir() if p.is_dir()):
        if names and folder.name not in names:
            continue
        files = [folder / f"{folder.name}.yaml", folder / "problem.yaml", *folder.glob("*.yaml")]
        found += [file for file in files if file.is_file()][:1]
    return found


def command(*words: object, seconds: float | None = None) -> tuple[int, str, str]:
    """Run nfanneal: exit code (-1 where the time was over), stdout, the last line of stderr."""
    try:
        done = subprocess.run(
            [*PYTHON, *map(str, words)], capture_output=True, text=True, timeout=seconds,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return -1, "", f"not done after {seconds:g} s"
    last = done.stderr.strip().splitlines()[-1:] or [""]
    return done.returncode, done.stdout, last[0]


def theirs(path: Path) -> float | None:
    """petab's log-likelihood of the simulation that comes with a problem."""
    import pandas
    import petab.v1 as petab

    files = sorted(path.parent.glob("simulat*.tsv"))
    if not files:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            problem = petab.Problem.from_yaml(str(path))
            simulation = pandas.read_csv(files[0], sep="\t")
            simulation["observableParameters"] = problem.measurement_df.get("observableParameters")
            simulation["noiseParameters"] = problem.measurement_df.get("noiseParameters")
            return float(
                petab.calculate_llh(
                    problem.measurement_df, simulation, problem.observable_df, problem.parameter_df
                )
            )
        except (KeyError, IndexError, ValueError, TypeError):
            return None


def gradient_off(problem: Problem, theta: Array) -> float:
    """The largest difference of a gradient from differences, both by the parameters' logarithms.

    Relative to the largest of the gradient, or to 1 if that is larger.
    """
    (slope,) = problem.ask(LogLikelihood(gradient=True), theta).gradient
    sizes = np.maximum(np.abs(theta[0]), 1e-12)
    rows = [theta[0] + sign * STEP * size * unit
            for size, unit in zip(sizes, np.eye(len(sizes)), strict=True)
            for sign in (1, -1)]  # fmt: skip
    values = problem.ask_all(LogLikelihood(), np.array(rows)).log_likelihood.reshape(-1, 2)
    found = (values[:, 0] - values[:, 1]) / (2.0 * STEP)
    return float(np.abs(found - slope * sizes).max() / max(np.abs(slope * sizes).max(), 1.0))


def per_second(problem: Problem, theta: Array) -> float:
    """Gradients a second, of many draws at the nominal point; compilation does not count."""
    many = np.repeat(theta, 32, axis=0)
    start = time.perf_counter()
    problem.ask_all(LogLikelihood(gradient=True), many)
    return len(many) / (time.perf_counter() - start)


def row(path: Path, run: bool, seconds: float) -> list[str]:
    """The cells of a problem's line."""
    name = path.parent.name
    try:
        checked = load_spec(path, TIGHT)
        problem = build_problem(checked)
        if checked.nominal is None:
            return [name, "not all nominal values are known"]
        theta = np.array([list(checked.nominal.values())])
        found = problem.ask(LogLikelihood(), theta)
    except NfannealError as error:
        return [name, str(error).splitlines()[0][:200]]
    expected = theirs(path)
    cells = [
        name,
        str(theta.shape[1]),
        str(len(checked.meaning.experiments)),
        f"{found.log_likelihood[0]:.6f}",
        "" if expected is None else f"{expected:.6f}",
        f"{gradient_off(problem, theta):.1g}",
        f"{per_second(problem, theta):.0f}",
    ]
    if not run:
        return cells
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "r.h5"
        code, _, last = command("run", path, "-o", output, "--quiet", seconds=seconds)
        if not output.exists():
            return [*cells, last[:60], "", str(code)]
        return [*cells, *_evidence(output), str(code)]


def _evidence(output: Path) -> list[str]:
    import h5py

    _, out, _ = command("summary", output, "--json")
    said = json.loads(out)
    with h5py.File(output) as file:
        best = float(np.max(file["weighted/log_likelihood"][()]))
    return [f"{said['log_evidence']:.3f} ± {said['log_evidence_error']:.3f}", f"{best:.2f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("collection", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--run", action="store_true")
    parser.add_argument("--seconds", type=float, default=600.0)
    given = parser.parse_args()
    print("| " + " | ".join(HEAD) + " |")  # noqa: T201
    print("|" + " --- |" * len(HEAD), flush=True)  # noqa: T201
    for path in problems(given.collection, given.names):
        cells = row(path, given.run, given.seconds)
        cells += [""] * (len(HEAD) - len(cells))
        print("| " + " | ".join(cells) + " |", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
