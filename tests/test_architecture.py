"""The way data takes shows in the imports, and start-up stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import nfanneal

ROOT = Path(nfanneal.__file__).parent
MODULES = sorted(p for p in ROOT.rglob("*.py") if "templates" not in p.parts)


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
