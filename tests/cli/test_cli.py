"""The command line: exit codes and words."""

import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml
from commands import inside
from processes import PYTHON, completed, script

from nfanneal.cli.init import TEMPLATES
from nfanneal.cli.main import COMMANDS
from nfanneal.spec.json_schema import json_schema
from nfanneal.spec.load import load_spec

QUICK = [
    "--set", "anneal.draws=512", "--set", "anneal.steps=10", "--set", "output.samples=1000",
    "--set", "anneal.max_rounds=1", "--set", "anneal.walkers=256", "--threads", "1",
]  # fmt: skip
SHORT = [*QUICK, "--set", "anneal.max_levels=2"]
"""For what does not depend on how good the result is."""


@pytest.fixture
def terminal(tmp_path, monkeypatch, capsys):
    """Runs commands in a folder, `apart` in a process of their own: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def typed(*words, apart):
        if not apart:
            return inside(capsys, *words)
        done = completed([*PYTHON, *words])
        return done.returncode, done.stdout, done.stderr

    return typed


@pytest.fixture
def ode(tmp_path, capsys):
    inside(capsys, "init", tmp_path / "growth.yaml")
    return tmp_path / "growth.yaml"


def edited(path, **changes):
    """Write a changed copy of a spec; keys are written a__b for a.b."""
    content = yaml.safe_load(path.read_text())
    for key, value in changes.items():
        *parents, last = key.split("__")
        target = content
        for parent in parents:
            target = target[parent]
        target[last] = value
    copy = path.with_name("edited.yaml")
    copy.write_text(yaml.safe_dump(content, sort_keys=False))  # the same system, compiled
    return copy


def test_a_tolerance_that_makes_the_likelihood_rough_is_told(capsys):
    hares = Path(__file__).parents[2] / "configs" / "lotka_volterra.yaml"
    told = "the gradient differs from finite differences"
    for tolerance, rough in ((1e-6, False), (1e-2, True)):
        loose = [f"--set=model.solver.{name}={tolerance}" for name in ("rtol", "atol")]
        loose.append("--set=model.solver.method=tsit5")  # the other one need not be compiled
        _, out, _ = inside(capsys, "check", hares, "--json", *loose)
        assert any(told in warning for warning in json.loads(out)["warnings"]) == rough


def test_a_tolerance_that_changes_the_likelihood_is_told(tmp_path, capsys):
    """A hyperbola, read to a millionth: the system of test_misbehaving.py, compiled once."""
    rows = [f"{t},{1.0 / (1.0 + t)}" for t in range(12)]
    (tmp_path / "falls.csv").write_text("\n".join(["t,y", *rows]))
    (tmp_path / "falls.yaml").write_text("""
model: {kind: ode, states: {y: 1}, equations: {y: a*y**2}}
parameters: {a: {prior: {normal: [-1, 1.0e-5]}}}
data: {file: falls.csv, time: t}
likelihood: {y: {normal: 1.0e-6}}
""")
    for tolerance, coarse in ((1e-9, False), (1e-4, True)):
        settings = [f"--set=model.solver.{name}={tolerance}" for name in ("rtol", "atol")]
        _, out, _ = inside(capsys, "check", tmp_path / "falls.yaml", "--json", *settings)
        warnings = json.loads(out)["warnings"]
        assert any("100 times as precise" in warning for warning in warnings) == coarse


def test_what_a_command_imports_is_no_garbage():
    code = (
        "import gc, sys; from nfanneal.cli.main import command; "
        "command.get_command(None, 'schema'); "
        "print(gc.isenabled(), gc.get_freeze_count() > 10_000)"
    )
    assert script(code).stdout.split() == ["True", "True"]


def test_help_lists_the_commands(capsys):
    code, out, _ = inside(capsys, "--help")
    assert code == 0
    assert all(name in out for name in COMMANDS)


def test_a_typo_gets_the_nearest_command(capsys):
    code, _, err = inside(capsys, "rum")
    assert code == 2
    assert "did you mean 'run'?" in err


@pytest.mark.parametrize(("template", "apart"), [("ode", True), ("python", False)])
def test_init_check_run_summary(template, apart, terminal):
    """The first ten minutes of a new user."""
    assert terminal("init", "--template", template, apart=False)[0] == 0
    spec = f"{template}.yaml"
    code, out, err = terminal("check", spec, "--json", apart=False)
    assert code == 0, err
    report = json.loads(out)
    assert {"parameters", "n_data", "evaluations_per_second", "gradients_per_second",
            "failed_fraction", "warnings"} <= set(report)  # fmt: skip
    code, out, err = terminal("run", spec, *SHORT, apart=apart)
    assert code in (0, 5), err
    assert "log-evidence" in out
    assert err.count("\nlevel") >= 2
    told, out, _ = terminal("summary", f"{template}.h5", "--json", apart=False)
    assert told == code
    found = json.loads(out)
    assert {"name", "log_evidence", "log_evidence_error", "ess", "ess_fraction", "n_samples",
            "n_likelihood_evaluations", "n_gradient_evaluations", "n_failed", "wall_time_s",
            "converged", "warnings", "parameters"} <= set(found)  # fmt: skip
    for numbers in found["parameters"].values():
        assert set(numbers) == {"mean", "sd", "median", "q05", "q95"}
    code, _, err = terminal("run", spec, *SHORT, apart=False)
    assert code == 3
    assert "already exists; use --force" in err


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_template_is_sound_and_has_the_line_for_editors(template, tmp_path, capsys):
    """The spec fits the schema beside it, which has no complaint that the program does not have."""
    path = tmp_path / "mine.yaml"
    assert inside(capsys, "init", path, "--template", template)[0] == 0
    first = path.read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=nfanneal.schema.json"
    schema = json.loads((tmp_path / "nfanneal.schema.json").read_text())
    assert schema == json_schema()
    checked = load_spec(path)
    assert checked.warnings == ()
    assert inside(capsys, "init", tmp_path / "other.yaml", "--template", template)[0] == 0


def test_init_does_not_overwrite(ode, capsys):
    code, _, err = inside(capsys, "init", ode)
    assert code == 3
    assert "already exists" in err


def test_same_seed_and_threads_give_identical_datasets(ode, tmp_path, capsys):
    for name in ("a.h5", "b.h5"):
        inside(capsys, "run", ode, "-o", tmp_path / name, *SHORT, "--quiet")
    inside(capsys, "run", ode, "-o", tmp_path / "c.h5", *SHORT, "--quiet", "--seed", "2")
    first, second, other = (datasets(tmp_path / n) for n in ("a.h5", "b.h5", "c.h5"))
    assert first == second
    assert first["weighted/log_weight"] != other["weighted/log_weight"]


def datasets(path):
    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                found.update({name: item[()].tobytes()}) if isinstance(item, h5py.Dataset) else None
            )
        )
    return found


def test_quiet_prints_nothing(ode, tmp_path, capsys):
    code, out, err = inside(capsys, "run", ode, "-o", tmp_path / "q.h5", *SHORT, "--quiet")
    assert code in (0, 5)
    assert (out, err) == ("", "")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model__equations": {"n": "r*n*(1 - n/KK)"}}, "unknown name 'KK'"),
        ({"model__equations": {"n": "__import__('os')"}}, "unknown function '__import__'"),
        ({"parameters__r": {"prior": {"uniformm": [0, 1]}}}, "did you mean 'uniform'"),
        ({"likelihood": {"m": {"normal": 1}}}, "no observable 'm'"),
        ({"data__file": "."}, "a folder, not a file: "),
        ({"data__time": "time"}, "no column 'time'"),
        ({"modle": 1}, "unknown key 'modle'"),
    ],
)
def test_invalid_specs_exit_3(changes, words, ode, capsys):
    code, _, err = inside(capsys, "check", edited(ode, **changes))
    assert code == 3
    assert words in err


def test_all_complaints_come_at_once_with_their_places(ode, capsys):
    text = ode.read_text().replace("(1 - n/K)", "(1 - n/KK)")
    text = text.replace("{normal: {", "{nromal: {")
    ode.write_text(text)
    code, _, err = inside(capsys, "check", ode)
    assert code == 3
    lines = text.splitlines()
    row = next(i for i, line in enumerate(lines, 1) if "KK" in line)
    assert f"growth.yaml:{row}:{lines[row - 1].index('KK') + 1}: " in err
    row = next(i for i, line in enumerate(lines, 1) if "{nromal" in line)
    assert f"growth.yaml:{row}:{lines[row - 1].index('nromal') + 1}: " in err


def test_missing_files_are_placed_among_the_other_complaints(ode, capsys):
    text = ode.read_text().replace("{normal: {", "{nromal: {").replace("growth.csv", "none.csv")
    ode.write_text(text)
    row = next(i for i, line in enumerate(text.splitlines(), 1) if "file: none.csv" in line)
    code, _, err = inside(capsys, "check", ode)
    assert code == 3
    column = text.splitlines()[row - 1].index("none.csv") + 1
    assert f"growth.yaml:{row}:{column}: no such data file: " in err
    assert "unknown noise model 'nromal'" in err
    _, _, err = inside(capsys, "check", ode, "--set", "data.file=other.csv")
    assert "--set data.file=other.csv: no such data file: " in err


def test_what_is_not_a_spec_is_named(tmp_path, capsys):
    (tmp_path / "r.h5").write_bytes(b"\x89HDF\r\n" + bytes(6_000_000))
    for path, words in ((tmp_path, "is a folder"), (tmp_path / "r.h5", "is an HDF5 file")):
        code, _, err = inside(capsys, "check", path)
        assert code == 3
        assert f"{path}: {words}, not a spec" in err
        assert "hint: " in err


def test_overrides_are_checked_too(ode, capsys):
    code, _, err = inside(capsys, "check", ode, "--set", "anneal.drawz=5", "--set", "seed=abc")
    assert code == 3
    assert "unknown key 'drawz'" in err
    assert "did you mean 'draws'?" in err
    assert "seed" in err


def test_a_likelihood_of_zero_everywhere_exits_4(tmp_path, capsys):
    (tmp_path / "m.py").write_text("def f(p):\n    return p['x'] * 0 - float('inf')\n")
    spec = tmp_path / "zero.yaml"
    spec.write_text(
        "model: {kind: python, file: m.py, log_likelihood: f}\n"
        "parameters: {x: {prior: {normal: [0, 1]}}}\n"
    )
    assert inside(capsys, "check", spec)[0] == 4
    code, _, err = inside(capsys, "run", spec, "-o", tmp_path / "z.h5", "--quiet")
    assert code == 4
    assert "likelihood is zero at all" in err
    assert not (tmp_path / "z.h5").exists()


def test_what_was_wanted_and_not_reached_is_said_at_the_end(tmp_path, capsys):
    (tmp_path / "m.py").write_text("def f(p):\n    return -0.5 * (p['x'] ** 2).sum(1)\n")
    spec = tmp_path / "easy.yaml"
    spec.write_text(
        "model: {kind: python, file: m.py, log_likelihood: f}\n"
        "parameters: {x: {shape: 2, prior: {normal: [0, 1]}}}\n"
        "anneal: {draws: 256, effort: 8, steps: 5, scout: off}\n"
        "output: {ess: 10}\n"
    )
    run = ("run", spec, "-o", tmp_path / "e.h5", "--force")
    code, _, err = inside(capsys, *run, "--set", "output.error=1e-4")
    assert code == 0
    assert re.search(
        r"Not reached: an error of [\d.]+, not 0.0001. Raise anneal.draws$", err.strip()
    )
    assert inside(capsys, *run, "--set", "output.error=1e-4", "--quiet") == (0, "", "")
    assert "Not reached" not in inside(capsys, *run, "--set", "output.error=1.0")[2]


def test_a_result_not_to_be_trusted_exits_5_and_is_written(tmp_path, capsys):
    """No annealing, one round, few points, forty modes: the diagnostics must object."""
    (tmp_path / "m.py").write_text(
        "import torch\n\ndef f(p):\n    return -0.5 * ((p['x'] - 3.0) ** 2).sum(1) * 1e6\n"
    )
    spec = tmp_path / "spike.yaml"
    spec.write_text(
        "model: {kind: python, file: m.py, log_likelihood: f}\n"
        "parameters: {x: {shape: 4, prior: {normal: [0, 1]}}}\n"
        "anneal: {schedule: none, draws: 256, steps: 5, max_rounds: 1, scout: off}\n"
        "output: {samples: 500}\n"
    )
    code, out, _ = inside(capsys, "run", spec, "-o", tmp_path / "s.h5")
    assert code == 5
    assert "Warning" in out
    assert "Do not trust this result" in out
    assert (tmp_path / "s.h5").exists()


def test_reverse_kl_needs_a_gradient(tmp_path, capsys):
    (tmp_path / "m.py").write_text("def f(p):\n    return -p['x'] ** 2\n")
    spec = tmp_path / "n.yaml"
    spec.write_text(
        "model: {kind: python, file: m.py, log_likelihood: f, array: numpy}\n"
        "parameters: {x: {prior: {normal: [0, 1]}}}\nanneal: {objective: reverse_kl}\n"
    )
    code, _, err = inside(capsys, "run", spec, "-o", tmp_path / "n.h5")
    assert code == 3
    assert "needs gradients" in err


def test_schema_is_json_schema(capsys):
    code, out, _ = inside(capsys, "schema")
    assert code == 0
    schema = json.loads(out)
    assert "parameters" in schema["properties"]
    assert schema["additionalProperties"] is False


def test_summary_of_something_else(tmp_path, capsys):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = np.zeros(3)
    code, _, err = inside(capsys, "summary", tmp_path / "other.h5")
    assert code == 3
    assert "not a result of nfanneal" in err


def test_failures_are_counted_and_kept(tmp_path, capsys):
    (tmp_path / "m.py").write_text(
        "import torch\n\ndef f(p):\n    x = p['x']\n"
        "    return torch.where(x > 0, torch.nan, -0.5 * (x + 1) ** 2)\n"
    )
    spec = tmp_path / "half.yaml"
    spec.write_text(
        "model: {kind: python, file: m.py, log_likelihood: f}\n"
        "parameters: {x: {prior: {normal: [0, 1]}}}\n"
    )
    inside(capsys, "run", spec, "-o", tmp_path / "h.h5", *QUICK, "--quiet")
    _, out, _ = inside(capsys, "summary", tmp_path / "h.h5", "--json")
    found = json.loads(out)
    with h5py.File(tmp_path / "h.h5") as file:
        failed = file["nfanneal/failed_theta"][()]
    assert found["n_failed"] >= 200
    assert np.all(failed > 0)
    # ∫_{x<0} N(x; 0, 1)·exp(−(x+1)²/2) dx = exp(−1/4)/√2·Φ(1/√2)
    exact = np.log(np.exp(-0.25) / np.sqrt(2) * 0.7602499)
    assert abs(found["log_evidence"] - exact) < max(5 * found["log_evidence_error"], 1e-3)


def test_check_tells_which_trajectories_are_stiff_and_why_others_fail(ode, capsys):
    stiff = edited(ode, model__solver={"method": "stiff"})
    code, out, _ = inside(capsys, "check", stiff, "--json")
    report = json.loads(out)
    assert (code, report["stiff_fraction"], report["failures"]) == (0, 1.0, {})
    hurried = edited(ode, model__solver={"max_steps": 1})
    code, out, _ = inside(capsys, "check", hurried, "--json")
    report = json.loads(out)
    assert (code, report["stiff_fraction"]) == (4, 0.0)
    assert report["failures"] == {"TOO_MANY_STEPS": report["n_draws"]}
    assert "its trajectory got to the time" in report["warnings"][1]
