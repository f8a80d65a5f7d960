"""The house: its floors, where each library is at home, and who may call whom."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import nfanneal

ROOT = Path(nfanneal.__file__).parent
FLOORS = (
    {"errors", "arrays", "version"},
    {"target"},
    {"runtime"},
    {"model", "anneal"},
    {"spec"},
    {"results"},
    {"runs"},
    {"bench"},
    {"report"},
    {"api"},
    {"cli", "__init__"},
    {"__main__"},
)
"""Folders and files of the package, from the ground up: a room imports from lower floors only."""
HOMES = {
    "click": ("cli",),
    "rich": ("report",),
    "matplotlib": ("report/figures",),
    "mpl_toolkits": ("report/figures",),
    "jinja2": ("report",),
    "markupsafe": ("report",),
    "h5py": ("results/store", "runs/checkpoint_file.py"),
    "yaml": ("spec",),
    "pydantic": ("spec",),
    "zuko": ("anneal/proposals",),
    "numba": ("model/ode", "anneal/proposals", "runtime"),
    "llvmlite": ("model/ode", "runtime"),
    "sympy": ("model", "spec", "bench/solvers"),
    "torch": ("anneal", "model/python_model.py", "model/python_file.py", "runtime/threads.py",
              "results/sample.py", "runs", "bench"),
    "libsbml": ("spec/sbml",),
    "filelock": ("runtime",),
    "threadpoolctl": ("runtime", "bench"),
    "distributed": ("model/executors/dask.py",),
    "mpi4py": ("model/executors/mpi.py",),
    "arviz": ("results/compare.py",),
    "pyarrow": ("results/export.py",),
    **dict.fromkeys(("dynesty", "emcee", "nautilus", "pocomc", "ultranest", "tempest"),
                    ("bench/samplers",)),
    **dict.fromkeys(("blackjax", "jaxns", "tensorflow_probability"),
                    ("bench/samplers/jax_peers.py",)),
    "jax": ("bench/solvers", "bench/samplers/jax_peers.py"),
    **dict.fromkeys(("casadi", "diffrax", "roadrunner", "torchode"), ("bench/solvers",)),
}  # fmt: skip
"""The only places that import a library."""
KINDS_AT_HOME = ("spec/kinds", "spec/build", "spec/equations.py", "spec/events.py",
                 "spec/starts.py", "spec/triggers.py", "model/ode_model.py",
                 "model/python_model.py")  # fmt: skip
"""Where a model's kind has a name."""
KIND_NAMES = {"OdeSpec", "PythonSpec", "OdeSimulator", "PythonSimulator"}
SEAM = {"executor": ("model/problem.py",), "simulator.predict": ("model/likelihood.py",),
        "likelihood.evaluate": ("model/calls.py",)}  # fmt: skip
"""Calls of a model go through the executor: the only places that make each call."""


def modules() -> dict[str, str]:
    """The source of every module by its path below the package."""
    return {str(p.relative_to(ROOT)): p.read_text() for p in sorted(ROOT.rglob("*.py"))
            if "templates" not in p.parts}  # fmt: skip


def room(path: str) -> str:
    return Path(path).parts[0].removesuffix(".py")


def floor(name: str) -> int:
    return next(i for i, rooms in enumerate(FLOORS) if name in rooms)


def imports(tree: ast.AST) -> Iterator[str]:
    """Dotted names of all that is imported, wherever in the module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{a.name}" for a in node.names)


def is_at(path: str, places: tuple[str, ...]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places)


def complaints(path: str, source: str) -> list[str]:
    """What a module at `path` below the package does that the house forbids."""
    found, tree, own = [], ast.parse(source), floor(room(path))
    for name in imports(tree):
        library, *rest = name.split(".")
        if name.startswith("."):
            found.append(f"{path}: relative import {name}")
        elif library in HOMES and not is_at(path, HOMES[library]):
            found.append(f"{path}: {library} is at home in {', '.join(HOMES[library])}")
        elif library == "nfanneal" and rest:
            other = rest[0] if any(rest[0] in rooms for rooms in FLOORS) else "__init__"
            if other != room(path) and floor(other) >= own:
                found.append(f"{path}: imports {name}, which is not on a lower floor")
        if rest and rest[-1] in KIND_NAMES and not is_at(path, KINDS_AT_HOME):
            found.append(f"{path}: {rest[-1]}: ask the model what it can, not which kind it is")
    found += [f"{path}: {text}" for text in _calls(path, tree)]
    return found


def _calls(path: str, tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            for name, places in SEAM.items():
                if called.endswith(f".{name}") and not is_at(path, places):
                    yield f"{called}: models are called in {', '.join(places)} only"
            if called in ("print", "eval"):
                yield f"calls {called}"


def circle(graph: dict[str, set[str]]) -> list[str]:
    """A circle of a graph, if it has one."""
    done: set[str] = set()

    def visit(node: str, way: tuple[str, ...]) -> list[str]:
        if node in way:
            return [*way[way.index(node) :], node]
        if node in done:
            return []
        for other in sorted(graph.get(node, ())):
            if found := visit(other, (*way, node)):
                return found
        done.add(node)
        return []

    return next((found for node in sorted(graph) if (found := visit(node, ()))), [])


def loading(sources: dict[str, str]) -> dict[str, set[str]]:
    """Which modules are loaded by each when it is imported."""
    names = {p.removesuffix(".py").removesuffix("/__init__").replace("/", "."): p for p in sources}
    graph = {}
    for path, source in sources.items():
        body = [n for n in ast.parse(source).body if isinstance(n, ast.Import | ast.ImportFrom)]
        wanted = {i.removeprefix("nfanneal.") for n in body for i in imports(n)
                  if i.startswith("nfanneal.")}  # fmt: skip
        found = {names.get(w) or names.get(w.rpartition(".")[0]) for w in wanted}
        graph[path] = {p for p in found if p and p != path}
    return graph
