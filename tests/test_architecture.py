"""The way data takes shows in the imports, and start-up stays light."""

import ast
import re

import pytest
from architecture import FLOORS, ROOT, circle, complaints, floor, loading, modules, room
from processes import script

MODULES = modules()
FORBIDDEN = {
    "an import upwards": ("results/store/writing.py", "from nfanneal.cli.main import main"),
    "one inside a function": ("model/noise.py", "def f():\n    import nfanneal.spec.load"),
    "a neighbour on the same floor": ("model/noise.py", "from nfanneal.anneal import weights"),
    "the other neighbour": ("anneal/pool.py", "from nfanneal.model.problem import Problem"),
    "the package itself": ("spec/load.py", "import nfanneal\nfrom nfanneal import load"),
    "a relative import": ("anneal/pool.py", "from .weights import truncated"),
    "a library away from home": ("runs/estimate.py", "import h5py"),
    "a library in a folder beside its home": ("results/export.py", "import h5py"),
    "YAML in numerics": ("model/noise.py", "from yaml import safe_load"),
    "a model's kind": ("runs/check.py", "from nfanneal.model.ode_model import OdeSimulator"),
    "a call past the seam": ("runs/check.py", "found = problem.likelihood.evaluate(theta, False)"),
    "another one": ("results/predict.py", "found = data.simulator.predict(theta, times, False)"),
    "printing": ("anneal/loop.py", "print(1)"),
}


@pytest.mark.parametrize("path", MODULES)
def test_libraries_have_one_home_and_arrows_point_down(path):
    assert complaints(path, MODULES[path]) == []


@pytest.mark.parametrize("what", FORBIDDEN)
def test_what_is_forbidden_is_found(what):
    path, source = FORBIDDEN[what]
    assert path in MODULES
    assert len(complaints(path, source)) == 1


def test_every_room_has_a_floor():
    ranked = [name for rooms in FLOORS for name in rooms]
    assert sorted(ranked) == sorted({room(path) for path in MODULES})


def test_no_import_goes_round_in_a_circle():
    assert circle(loading(MODULES)) == []
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]


def test_modules_do_not_outgrow_their_duty():
    assert [path for path, source in MODULES.items() if len(source.splitlines()) > 420] == []


def test_every_folder_says_what_it_is():
    folders = {p.parent for p in ROOT.rglob("*.py") if "templates" not in p.parts}
    for folder in folders:
        assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text())), folder


def test_the_page_for_developers_names_files_and_floors_that_exist():
    page = (ROOT / "README.md").read_text()
    paths = re.findall(r"`((?:nfanneal|tests)/[\w/.]+)`", page)
    paths += [f"nfanneal/{path}" for path in re.findall(r"`(\w+/[\w/]+\.py)`", page)
              if not path.startswith(("nfanneal/", "tests/"))]  # fmt: skip
    assert len(paths) > 30
    assert [path for path in paths if not (ROOT.parent / path).exists()] == []
    house = page.split("```")[1]
    shown = [line.split()[0].removesuffix(".py") for line in house.strip().splitlines()]
    shown += ["arrays", "errors"]
    assert all(re.search(rf"\b{name}\.py", house) for name in ("arrays", "errors"))
    floors = [floor(name) for name in shown]
    assert floors == sorted(floors, reverse=True)
    assert set(shown) == {name for rooms in FLOORS for name in rooms} - {
        "api", "version", "__init__", "__main__",
    }  # fmt: skip


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom nfanneal.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'numba', 'scipy', 'sympy', 'h5py', 'pydantic', 'numpy', 'rich'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = script(code)
    assert done.returncode == 0, done.stderr
    assert "Commands" in done.stdout
