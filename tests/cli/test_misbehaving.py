"""Models that misbehave, through the command line: what each ends with, and what is said of it."""

import json
import math

import h5py
import numpy as np
import pytest
from commands import inside
from scipy.integrate import quad

MODEL = """
import os
import numpy as np
import torch

def constant(p): return 0.0 * p["a"] - 3.0
def nan(p): return torch.where(p["a"] > 1.0, torch.nan, -(p["a"] - 0.5) ** 2)
def inf(p): return torch.where(p["a"] > 1.0, torch.inf, -(p["a"] - 0.5) ** 2)
def zero(p): return torch.where(p["a"] > 1.0, -torch.inf, -(p["a"] - 0.5) ** 2)
def cliff(p): return torch.where(p["a"] > 1.0, -1e308, -(p["a"] - 0.5) ** 2)
def rare(p): return torch.where(p["a"] > 3.0902, 0.0 * p["a"], -torch.inf)
def never(p): return p["a"] * torch.nan
def nowhere(p): return p["a"] * 0.0 - torch.inf
def slope(p): return torch.where(p["a"] > 0, torch.sqrt(p["a"]), 0.0) - p["a"] ** 2
def steep(p): return 1e-150 * torch.sin(1e290 * p["a"]) - p["a"] ** 2
def talks(p):
    print("what a model says")
    os.chdir("/")
    return -(p["a"] - 0.5) ** 2
def whims(p): return -p["a"] ** 2 + torch.rand(len(p["a"]))
def sparse(p): return (-p["a"] ** 2).to_sparse()
def single(p): return (-p["a"] ** 2).float()

def raises(p):
    if (p["a"] > 1.5).any():
        raise ValueError("no such luck")
    return -p["a"] ** 2

def crowd(p):
    if len(p["a"]) > 100:
        raise OverflowError("too many")
    return -p["a"] ** 2

def misnamed(p): return p["c"]
def recursive(p): return recursive(p)
def column(p): return p["a"][:, None]
def scalar(p): return p["a"].sum()
def truth(p): return p["a"] > 0
def imaginary(p): return p["a"] + 1j
def nothing(p): p["a"] * 2

def in_place(p):
    e = torch.exp(p["a"])
    found = -e**2
    e += 1
    return found

def constant_torch(p): return -torch.tensor(p["a"].numpy() ** 2)
"""
SPEC = """
name: odd
model: {{kind: python, file: {file}, log_likelihood: {function}}}
parameters: {{a: {{prior: {{normal: [0, 1]}}}}, b: {{prior: {{uniform: [0, 1]}}}}}}
anneal: {{draws: 256, steps: 5, batch: 64, max_rounds: 2, moves: 0}}
output: {{samples: 500}}
"""
ODE = """
name: blows-up
model: {kind: ode, states: {y: 1}, equations: {y: a*y**2}}
parameters: {a: {prior: {uniform: [-2, 2]}}}
data: {file: data.csv, time: t}
likelihood: {y: {normal: 0.1}}
anneal: {draws: 256, steps: 5, max_rounds: 2}
output: {samples: 500}
"""


@pytest.fixture
def spec(tmp_path):
    def written(function, file="model.py"):
        (tmp_path / "model.py").write_text(MODEL)
        path = tmp_path / "odd.yaml"
        path.write_text(SPEC.format(function=function, file=file))
        return path

    return written


def run(capsys, spec, *changes):
    """(exit code, stdout, stderr, the result file) of a run; the changes are `key=value`."""
    result = spec.with_suffix(".h5")
    words = [word for change in changes for word in ("--set", change)]
    return *inside(capsys, "run", spec, "-o", result, "--threads", 1, *words), result


def check(capsys, spec, seed=1):
    """(exit code, the report, stderr) of a check."""
    words = ("--set", f"seed={seed}", "--threads", 1, "--json")
    code, out, err = inside(capsys, "check", spec, *words)
    return code, json.loads(out) if out else {}, err


def summary(capsys, result):
    return json.loads(inside(capsys, "summary", result, "--json")[1])


def log_evidence(log_likelihood, low=-math.inf, high=math.inf):
    """log of the integral over a standard normal prior."""
    return math.log(
        quad(lambda a: math.exp(log_likelihood(a) - a * a / 2), low, high, epsabs=1e-12)[0]
        / math.sqrt(2 * math.pi)
    )


BUMP = log_evidence(lambda a: -((a - 0.5) ** 2), high=1.0)


def test_check_finds_a_model_that_answers_at_random(spec, capsys):
    code, report, _ = check(capsys, spec("whims"))
    assert code == 0
    (told,) = [w for w in report["warnings"] if "not a function of its parameters" in w]
    assert "at a = " in told
    code, report, _ = check(capsys, spec("single"))
    assert not any("not a function" in w for w in report["warnings"])


def test_a_model_that_prints_and_moves_leaves_stdout_and_the_result_alone(
    spec, capsys, monkeypatch
):
    path = spec("talks")
    monkeypatch.chdir(path.parent)
    code, report, err = check(capsys, path)
    assert code == 0
    assert report["failed_fraction"] == 0.0
    assert "what a model says" in err
    monkeypatch.chdir(path.parent)
    words = ("run", path.name, "-o", "here.h5", "--threads", 1, "--quiet")
    assert inside(capsys, *words)[:2] == (0, "")
    found = summary(capsys, path.parent / "here.h5")
    exact = log_evidence(lambda a: -((a - 0.5) ** 2))
    assert abs(found["log_evidence"] - exact) < 5 * found["log_evidence_error"]


@pytest.mark.parametrize(
    ("function", "expected", "failed"),
    [
        ("constant", -3.0, 0.0),
        ("single", log_evidence(lambda a: -a * a), 0.0),
        ("sparse", log_evidence(lambda a: -a * a), 0.0),
        ("nan", BUMP, 0.1587),
        ("inf", BUMP, 0.1587),
        ("zero", BUMP, 0.0),
        ("cliff", BUMP, 0.0),
    ],
)
def test_failures_and_cliffs_have_no_weight_and_are_counted(
    function, expected, failed, spec, capsys
):
    """log Z to 5 of its errors (false alarm 1e-6); 2048 draws find the failed share to 0.03."""
    path = spec(function)
    code, report, _ = check(capsys, path)
    assert code == 0
    assert report["failed_fraction"] == pytest.approx(failed, abs=0.03)
    assert any("fails at" in text for text in report["warnings"]) == (failed > 0)
    code, out, err, result = run(capsys, path)
    assert code == (5 if failed else 0), err
    assert ("fails next to draws that carry the posterior" in out) == (failed > 0)
    found = summary(capsys, result)
    assert abs(found["log_evidence"] - expected) < 5 * found["log_evidence_error"] + 1e-6
    assert (found["n_failed"] > 0) == (failed > 0)
    assert found["failed_fraction"] == found["n_failed"] / found["n_likelihood_evaluations"]
    if failed:
        assert found["first_failed"]["a"] > 1.0
        assert f"The model failed first at a = {found['first_failed']['a']:.6g}, b = " in out
    else:
        assert found["first_failed"] is None
        assert "failed first" not in out
    with h5py.File(result) as file:
        assert (file["nfanneal/failed_theta"][:, 0] > 1.0).all()
        assert not np.isposinf(file["weighted/log_weight"][()]).any()
        assert not np.isnan(file["weighted/log_weight"][()]).any()


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("never", "(256 of them because the model failed), such as a = "),
        ("nowhere", "(0 of them because the model failed), such as a = "),
    ],
)
def test_a_likelihood_that_is_zero_everywhere_ends_with_4(function, words, spec, capsys):
    path = spec(function)
    code, report, _ = check(capsys, path)
    assert code == 4
    assert report["failed_fraction"] + report["zero_fraction"] == 1.0
    code, _, err, result = run(capsys, path)
    assert code == 4
    assert words in err
    assert not result.exists()


def test_a_likelihood_that_is_zero_at_999_of_1000_draws(spec, capsys):
    """256 draws of seed 1 find nothing; more are drawn until some find it."""
    path = spec("rare")
    code, report, _ = check(capsys, path, seed=4)
    assert code == 0
    assert 0.996 < report["zero_fraction"] < 1.0
    assert any("the likelihood is zero at 99.8% of the prior" in t for t in report["warnings"])
    code, _, err, result = run(capsys, path, "anneal.steps=20")
    assert code in (0, 5), err
    found = summary(capsys, result)
    assert abs(found["log_evidence"] - math.log(0.001)) < 5 * found["log_evidence_error"]
    assert code == (0 if found["converged"] else 5)


@pytest.mark.parametrize("way", ["moves=1", "objective=hybrid", "objective=reverse_kl"])
@pytest.mark.parametrize(
    ("function", "log_likelihood", "share"),
    [
        ("slope", lambda a: math.sqrt(max(a, 0.0)) - a * a, 0.5),
        ("steep", lambda a: -a * a, 1.0),
    ],
)
def test_gradients_that_are_not_finite_are_dropped_and_counted(
    function, log_likelihood, share, way, spec, capsys
):
    """√a has a gradient of 0·∞ below 0; a sine of a huge argument one beyond all use."""
    path = spec(function)
    code, report, _ = check(capsys, path)
    assert code == 0
    assert report["dropped_gradient_fraction"] == pytest.approx(share, abs=0.05)
    assert any("gradient is not finite at" in text for text in report["warnings"])
    code, out, err, result = run(capsys, path, f"anneal.{way}", "anneal.target_ess=1")
    assert code == 0, err
    found = summary(capsys, result)
    assert 0 < found["n_gradients_dropped"] <= found["n_gradient_evaluations"]
    assert (found["n_gradients_dropped"] == found["n_gradient_evaluations"]) == (share == 1.0)
    assert f"{found['n_gradients_dropped']:,} gradients (" in out
    expected = log_evidence(log_likelihood)
    assert abs(found["log_evidence"] - expected) < 5 * found["log_evidence_error"]
    with h5py.File(result) as file:
        assert np.isfinite(file["history/loss"][()]).all()
        for name, array in file["nfanneal/flow"].items():
            assert name.startswith("size_") or not np.isnan(array[()]).any(), name


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("raises", ["'raises' raised ValueError: no such luck", 'model.py", line', "so at a ="]),
        ("crowd", ["raised OverflowError", "draws together, but not at half of them: a from"]),
        ("misnamed", ["raised KeyError: 'c'", "does so at a =", "the parameters are a, b"]),
        ("recursive", ["raised RecursionError", 'model.py", line', "does so at a ="]),
        ("column", ["returned shape (", "one log-likelihood per draw"]),
        ("scalar", ["returned shape ()", "one log-likelihood per draw"]),
        ("truth", ["returned bool values, not real numbers"]),
        ("imaginary", ["returned complex128 values, not real numbers"]),
        ("nothing", ["'nothing' returned None"]),
        ("in_place", ["'in_place' cannot be differentiated: torch raised", "array: numpy"]),
        ("constant_torch", ["raised RuntimeError: Can't call numpy()", "set model.array: numpy"]),
    ],
)  # fmt: skip
def test_a_function_that_is_wrong_is_named_with_its_line_and_a_point(function, words, spec, capsys):
    path = spec(function)
    moving = ("anneal.moves=1", "anneal.target_ess=1")
    for code, _, err, *rest in (check(capsys, path), run(capsys, path, *moving)):
        assert code == 4
        assert any(line.startswith("Error: ") for line in err.splitlines())
        assert "Traceback" not in err
        assert all(word in err for word in words), err
        assert not any(result.exists() for result in rest)


def test_the_point_that_is_named_is_one_where_the_function_raises(spec, capsys):
    err = check(capsys, spec("raises"))[2]
    assert float(err.split("does so at a = ")[1].split(",")[0]) > 1.5


def test_what_a_file_sets_for_torch_and_numpy_stays_in_it(spec, tmp_path, capsys):
    """The flow has its own dtype; weights may underflow; the function finds what its file set."""
    (tmp_path / "settings.py").write_text(
        "import numpy as np, torch\n"
        "torch.set_default_dtype(torch.float64)\n"
        "torch.set_grad_enabled(False)\n"
        "np.seterr(all='raise')\n\n"
        "def f(p):\n"
        "    assert torch.zeros(1).dtype == torch.float64 and np.geterr()['under'] == 'raise'\n"
        "    np.seterr(all='print')\n"
        "    torch.set_default_dtype(torch.float16)\n"
        "    return -50 * p['a'] ** 2\n"
    )
    code, _, err, result = run(
        capsys,
        spec("f", "settings.py"),
        "anneal.moves=1",
        "anneal.target_ess=1",
        "anneal.objective=hybrid",
    )
    assert code == 0, err
    found = summary(capsys, result)
    expected = log_evidence(lambda a: -50 * a * a)
    assert abs(found["log_evidence"] - expected) < 5 * found["log_evidence_error"]


def test_a_solver_that_fails_over_part_of_the_prior(tmp_path, capsys):
    """y' = a·y² from 1 blows up at t = 1/a: before the last datum, at t = 1, where a ≥ 1."""
    (tmp_path / "data.csv").write_text("t,y\n0.5,1.2\n1,1.5\n")
    path = tmp_path / "blows.yaml"
    path.write_text(ODE)
    code, report, _ = check(capsys, path)
    assert code == 0
    assert report["failed_fraction"] == pytest.approx(0.25, abs=0.04)
    assert any("first failure is at a = 1." in text for text in report["warnings"])
    code, out, err, result = run(capsys, path)
    assert code == 0, err
    found = summary(capsys, result)
    assert found["first_failed"]["a"] >= 1.0
    assert "The model failed first at a = 1." in out

    def likelihood(a):
        residuals = ((1 / (1 - a * t) - y) / 0.1 for t, y in ((0.5, 1.2), (1.0, 1.5)))
        return math.prod(math.exp(-r * r / 2) / (0.1 * math.sqrt(2 * math.pi)) for r in residuals)

    expected = math.log(quad(likelihood, -2, 1, points=[0.3], epsabs=1e-12)[0] / 4)
    assert abs(found["log_evidence"] - expected) < 5 * found["log_evidence_error"] + 1e-3
    result.unlink()
    code, _, err, _ = run(capsys, path, "model.solver.max_steps=1")
    assert code == 4
    assert "(256 of them because the model failed), such as a = " in err
