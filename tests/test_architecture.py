"""The way data takes shows in the imports, and start-up stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import nfanneal

ROOT = Path(nfanneal.__file__).parent
MODULES = sorted(p for p in ROOT.rglob("*.py") if "templates" not in p.parts)
NUMERICS = {
    "expressions", "priors", "noise", "weights", "flow", "proposals", "models", "likelihood",
    "problem", "ode", "anneal", "autoregressive", "result", "estimate", "drawing", "compiled",
    "spline", "student", "sweep", "threads", "cgroups", "cores", "prune", "pythonfile", "modes",
    "bench",
}  # fmt: skip
HOMES = {
    "yaml": {"spec", "api"},
    "pydantic": {"spec"},
    "h5py": {"store"},
    "rich": {"report", "cli"},
    "click": {"cli"},
    "zuko": {"flow", "autoregressive"},
    "numba": {"compiled", "ode", "spline", "student", "threads"},
    "matplotlib": {"plots"},
    "corner": {"plots"},
    "arviz": {"compare"},
    "pyarrow": {"export"},
    **{peer: {"bench"} for peer in ("dynesty", "emcee", "nautilus", "pocomc", "ultranest")},
    **{peer: {"bench"} for peer in ("casadi", "diffrax", "jax", "roadrunner", "torchode")},
}


def part(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_libraries_have_one_home_and_arrows_point_one_way(path):
    for name in imports(path):
        library = name.split(".")[0]
        if library in HOMES:
            assert part(path) in HOMES[library], f"{path.name} imports {name}"
        if part(path) in NUMERICS and library == "nfanneal":
            used = name.split(".")[1]
            assert used in NUMERICS | {"errors", "version"}, f"{path.name} imports {name}"
        if part(path) == "anneal" and library == "nfanneal":
            assert name.split(".")[1] in {
                "anneal", "errors", "flow", "proposals", "threads", "weights",
            }  # fmt: skip


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_module_prints_or_outgrows_its_duty(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 420
    calls = [n.func.id for n in ast.walk(ast.parse(text))
             if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]  # fmt: skip
    assert "print" not in calls
    assert "eval" not in calls


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom nfanneal.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'numba', 'scipy', 'sympy', 'h5py', 'pydantic', 'numpy'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Commands" in done.stdout
