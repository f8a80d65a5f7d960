"""Commands on results: conjugate regressions with exact answers, and an ODE."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from dataclasses import replace
from importlib import resources
from pathlib import Path

import h5py
import numpy as np
import pytest
from commands import inside, run
from editing import forged
from regression import SEEDS, exact, exact_leave_one_out, posterior_draws

from nfanneal.results import store
from nfanneal.results.combine import combine
from nfanneal.results.compare import leave_one_out


def test_bayes_factor_of_nested_conjugate_models(folder, capsys):
    code, out, _ = inside(
        capsys, "compare", folder / "flat.h5", folder / "line0.h5", "--json", "--prior-odds", "3,1"
    )
    assert code == 0
    best, other = json.loads(out)["models"]
    assert (best["name"], other["name"]) == ("line", "flat")
    truth = exact(True) - exact(False)
    # 4 standard errors: a false alarm in 16,000
    error = other["log_bayes_factor_error"]
    assert other["log_bayes_factor"] == pytest.approx(truth, abs=4.0 * error)
    odds = np.exp(other["log_bayes_factor"]) / 3.0
    assert best["probability"] == pytest.approx(odds / (1.0 + odds), rel=1e-9)
    assert best["loo"]["elpd"] > other["loo"]["elpd"]


def test_leave_one_out_is_that_of_exact_draws(folder):
    """Means over eight runs and over eight sets of draws from the conjugate posterior.

    Within 4 standard errors of their difference: a false alarm in 1,000 (t). The closed form is no
    yardstick: with so few draws the estimator itself is 0.03 to 0.07 too high.
    """
    results = [store.read(folder / f"line{seed}.h5") for seed in SEEDS]
    found = np.array([leave_one_out(result).elpd for result in results])
    exact_draws = []
    for seed, result in zip(SEEDS, results, strict=True):
        theta, pointwise = posterior_draws(len(result.posterior), seed)
        observed = {"y": replace(result.observed["y"], pointwise=pointwise)}
        exact_draws.append(leave_one_out(replace(result, posterior=theta, observed=observed)).elpd)
    gap = found - exact_draws
    error = np.std(gap, ddof=1) / np.sqrt(len(gap))
    assert abs(np.mean(gap)) < 4.0 * error
    assert np.mean(exact_draws) == pytest.approx(exact_leave_one_out(True), abs=0.15)


def test_results_without_data_are_compared_with_a_warning(folder, capsys):
    for name in ("a", "b"):
        (folder / f"{name}.py").write_text("def f(p):\n    return -p['x'] ** 2\n")
        (folder / f"{name}.yaml").write_text(
            f"model: {{kind: python, file: {name}.py, log_likelihood: f}}\n"
            "parameters: {x: {prior: {normal: [0, 1]}}}\n"
            "anneal: {draws: 256, steps: 10, max_rounds: 1}\n"
        )
        run("run", folder / f"{name}.yaml", "-o", folder / f"{name}.h5", "--quiet")
    code, out, _ = inside(capsys, "compare", folder / "a.h5", folder / "b.h5")
    assert code == 0
    assert "not all of the results hold data" in out


def test_compare_in_words_and_what_it_refuses(folder, capsys):
    code, out, _ = inside(capsys, "compare", folder / "line0.h5", folder / "flat.h5")
    assert code == 0
    assert re.search(r"(positive|strong|very strong) \(Kass & Raftery\)", out)
    code, _, err = inside(capsys, "compare", folder / "line0.h5", folder / "ode.h5")
    assert code == 3
    assert "not the data of" in err
    assert inside(capsys, "compare", folder / "line0.h5", folder / "ode.h5", "--any-data")[0] == 0
    assert inside(capsys, "compare", folder / "line0.h5")[0] == 3
    assert inside(capsys, "compare", folder / "line0.h5", folder / "line0.h5")[0] == 3
    two = (folder / "line0.h5", folder / "flat.h5")
    assert inside(capsys, "compare", *two, "--prior-odds", "1")[0] == 3
    assert inside(capsys, "compare", *two, "--prior-odds", "1,x")[0] == 2


def test_eight_runs_combined(made, folder, capsys):
    runs = [folder / f"line{seed}.h5" for seed in SEEDS]
    model = ("--model", made / "model.py")
    code, out, _ = inside(capsys, "combine", *runs, "-o", folder / "all.h5", "--json", *model)
    assert code == 0
    found = json.loads(out)
    single = min(r["log_evidence_error"] for r in found["runs"])
    assert found["log_evidence_error"] <= 0.5 * single
    # 4 standard errors: a false alarm in 16,000
    error = 4.0 * found["log_evidence_error"]
    assert found["log_evidence"] == pytest.approx(exact(True), abs=error)
    assert found["p_value"] > 0.01
    assert found["n_samples"] == 8 * 2000
    both = store.read(folder / "all.h5")
    d = both.draws
    np.testing.assert_allclose(d.log_prior + d.log_likelihood - d.log_proposal, d.log_weight)
    code, out, _ = inside(capsys, "summary", folder / "all.h5", "--json")
    assert json.loads(out)["log_evidence"] == found["log_evidence"]


def test_a_draw_on_a_bound_of_its_prior_does_not_spoil_the_others(folder):
    """k[0] = 0, whose prior is halfnormal, has a density but no latent point, n0 = 0 neither."""
    results = [store.read(folder / name) for name in ("ode.h5", "ode2.h5")]
    plain = combine(results, ["a", "b"])
    bad = results[0].draws
    lightest = np.argsort(bad.log_weight)[:2]
    theta, log_prior = bad.theta.copy(), bad.log_prior.copy()
    log_proposal = bad.log_proposal.copy()
    theta[lightest[0], 1] = 0.0
    theta[lightest[1], 0] = 0.0
    log_prior[lightest[1]] = log_proposal[lightest[1]] = -np.inf
    draws = replace(bad, theta=theta, log_prior=log_prior, log_proposal=log_proposal)
    found = combine([replace(results[0], draws=draws), results[1]], ["a", "b"])
    assert not np.isnan(found.draws.log_weight).any()
    assert found.draws.log_weight[lightest[1]] == -np.inf
    expected = plain.diagnostics.log_evidence
    assert found.diagnostics.log_evidence == pytest.approx(expected, abs=1e-4)


def test_runs_that_disagree_are_found_out(made, folder, capsys):
    with forged(folder / "line1.h5") as file:
        file.attrs["log_evidence"] += 1.0
    code, out, _ = inside(
        capsys, "combine", folder / "line0.h5", folder / "line1.h5", "-o", folder / "two.h5",
        "--model", made / "model.py",
    )  # fmt: skip
    assert code == 5
    assert "the runs disagree" in out


def test_combine_refuses_other_problems_and_the_same_run(folder, capsys):
    one = folder / "line0.h5"
    for other, words in (("flat.h5", "another problem"), ("line0.h5", "the same run")):
        code, _, err = inside(capsys, "combine", one, folder / other, "-o", folder / "x.h5")
        assert code == 3
        assert words in err
        assert not (folder / "x.h5").exists()


def test_pruning_writes_a_new_file_that_says_what_happened(folder, capsys):
    before = (folder / "poor.h5").read_bytes()
    code, out, _ = inside(capsys, "prune", folder / "poor.h5", "--max-bias", "0.05", "--json")
    assert code in (0, 5)
    assert (folder / "poor.h5").read_bytes() == before
    found = json.loads(out)
    old, new = store.read(folder / "poor.h5"), store.read(folder / "poor.pruned.h5")
    assert found["n_changed"] == len(new.pruning.changed) > 0
    assert found["bias"] <= 0.05
    assert found["after"]["ess"] > found["before"]["ess"]
    gap = old.diagnostics.weighted_log_evidence - new.diagnostics.log_evidence
    assert gap == pytest.approx(found["bias"])
    np.testing.assert_array_equal(new.pruning.original_log_weight, old.draws.log_weight)
    assert np.isneginf(new.draws.log_weight[new.pruning.changed]).all()
    assert not set(new.posterior_index) & set(new.pruning.changed)
    np.testing.assert_array_equal(new.posterior, new.draws.theta[new.posterior_index])
    assert len(new.observed["n"].pointwise) == len(new.posterior)
    code, _, err = inside(capsys, "prune", folder / "poor.pruned.h5")
    assert code == 3
    assert "pruned already" in err
    for method in ("psis", "truncate"):
        args = ("prune", folder / "poor.h5", "--method", method, "--force")
        assert inside(capsys, *args)[0] in (0, 5)


def test_fresh_draws_from_the_saved_flow(folder, capsys):
    code, out, _ = inside(capsys, "sample", folder / "ode.h5", "-n", 12_000, "--json")
    assert code == 0
    found = json.loads(out)
    old, new = store.read(folder / "ode.h5"), store.read(folder / "ode.sample.h5")
    assert found["n_samples"] == 12_000 == len(new.draws.log_weight)
    error = np.hypot(old.diagnostics.log_evidence_error, found["log_evidence_error"])
    # 4 standard errors: a false alarm in 16,000
    assert found["log_evidence"] == pytest.approx(old.diagnostics.log_evidence, abs=4 * error)
    resampled = ("sample", folder / "ode.h5", "-n", 500, "--resampled", "--force")
    assert inside(capsys, *resampled)[0] == 0
    assert len(store.read(folder / "ode.sample.h5").posterior) == 500


def test_fresh_draws_know_nothing_of_an_earlier_pruning(folder, capsys):
    inside(capsys, "prune", folder / "poor.h5", "--max-bias", "0.05")
    pruned = folder / "poor.pruned.h5"
    assert inside(capsys, "sample", pruned, "-n", 100, "--append")[0] == 3
    inside(capsys, "sample", pruned, "-n", 100)
    fresh = store.read(folder / "poor.pruned.sample.h5")
    assert fresh.pruning is None
    assert np.isfinite(fresh.draws.log_weight).all()
    assert inside(capsys, "prune", folder / "poor.pruned.sample.h5")[0] in (0, 5)


def test_fresh_draws_after_the_old_ones(folder, capsys):
    append = ("sample", folder / "ode.h5", "-n", 500, "--append")
    assert inside(capsys, *append)[0] == 0
    old, new = store.read(folder / "ode.h5"), store.read(folder / "ode.sample.h5")
    assert len(new.draws.log_weight) == 3500
    np.testing.assert_array_equal(new.draws.theta[:3000], old.draws.theta)
    assert new.counts.n_likelihood_evaluations == old.counts.n_likelihood_evaluations + 500


def test_pruning_warns_of_a_mode_that_the_flow_under_covers(folder, capsys):
    """Two even modes, the second with 1 % of the draws."""
    rng = np.random.default_rng(0)
    second = rng.random(2000) < 0.01
    a, b = rng.standard_normal((2, 2000))
    a = a + np.where(second, 4.0, -4.0)
    near = np.stack([-0.5 * (a - 4.0) ** 2, -0.5 * (a + 4.0) ** 2])
    target = np.logaddexp(*near) - np.log(2.0)
    proposal = np.logaddexp(near[0] + np.log(0.01), near[1] + np.log(0.99))
    with forged(folder / "line0.h5") as file:
        file["weighted/a"][0], file["weighted/b"][0] = a, b
        file["weighted/log_weight"][0] = target - proposal
    code, out, _ = inside(capsys, "prune", folder / "line0.h5")
    assert code == 5
    assert "lie together" in out


def test_the_commands_of_the_guide(folder, capsys, monkeypatch):
    """Every nfanneal line of the page on what comes after a run, on results of such names."""
    names = {"model": "ode", "a": "ode", "b": "ode2", "seed1": "ode", "seed2": "ode2"}
    names |= {"linear": "line0", "quadratic": "flat"}
    for name, source in names.items():
        shutil.copy(folder / f"{source}.h5", folder / f"{name}.h5")
    page = resources.files("nfanneal").joinpath("guide", "afterwards.md").read_text("utf-8")
    commands = re.findall(r"^    (nfanneal [^#|\n]*)", page, re.MULTILINE)
    assert len(commands) >= 8
    monkeypatch.chdir(folder)
    for command in commands:
        words = command.replace("100000", "2000").split()[1:]
        words = [w for word in words for w in (sorted(map(str, Path().glob(word))) or [word])]
        assert inside(capsys, *words)[0] == 0, command


def test_a_python_model_runs_only_if_it_is_named(made, folder, capsys):
    code, _, err = inside(capsys, "sample", folder / "line0.h5", "-n", 100)
    assert code == 3
    assert "--model" in err
    named = ("sample", folder / "line0.h5", "-n", 100, "--model", made / "model.py")
    assert inside(capsys, *named)[0] in (0, 5)  # a hundred draws are too few to trust


def test_a_changed_python_model_is_refused(made, folder, capsys):
    text = (made / "model.py").read_text()
    (folder / "changed.py").write_text(f"{text}\n\n_old = line\n\n\ndef line(p, t):\n"
                                       "    return {'y': 1.01 * _old(p, t)['y']}\n")  # fmt: skip
    one, two = folder / "line0.h5", folder / "line1.h5"
    named = ("--model", folder / "changed.py", "-o", folder / "x.h5")
    for command in (("sample", one, "-n", 100), ("combine", one, two), ("predict", one)):
        code, _, err = inside(capsys, *command, *named)
        assert code == 3
        assert "changed.py: not the model of this result: at the result's draw" in err
    code, _, err = inside(capsys, "sample", one, "-n", 100, "--model", folder / "none.py")
    assert (code, "none.py: no such file" in err) == (3, True)
    code, _, err = inside(capsys, "predict", folder / "ode.h5", "--model", folder / "changed.py")
    assert (code, "the model is an ODE" in err) == (3, True)


def test_a_result_is_never_overwritten_by_what_reads_it(folder, capsys):
    ode = folder / "ode.h5"
    before = ode.read_bytes()
    several = ("combine", ode, folder / "ode2.h5")
    for command in (("prune", ode), ("sample", ode, "-n", 100), ("predict", ode), several):
        code, _, err = inside(capsys, *command, "-o", ode, "--force")
        assert code == 3
        assert "is what the command reads" in err
    assert ode.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("prune", "--max-bias", "nan"), "not a number"),
        (("prune", "--method", "psis", "--max-bias", "0.1"), "does not apply"),
        (("predict", "--times=-1,0,1"), "before 0, where the model starts"),
        (("predict", "--times", "0:1e9:1e-3"), "more than 100,000 times"),
        (("predict", "--times", "3:1:1"), "neither START:STOP, START:STOP:STEP nor a"),
        (("predict", "--times", "30:0"), "neither START:STOP, START:STOP:STEP nor a"),
        (("predict", "--times", "0:"), "neither START:STOP, START:STOP:STEP nor a"),
    ],
)
def test_what_options_refuse(folder, capsys, arguments, words):
    command, *options = arguments
    code, _, err = inside(capsys, command, folder / "ode.h5", *options)
    assert code == 2
    assert words in err


def test_a_poor_path_does_not_blunt_a_good_one(folder):
    """Path log-evidences are averaged by their precision."""
    results = [store.read(folder / f"line{seed}.h5") for seed in (0, 1)]
    told = ((-5.0, 0.1), (-8.0, 1.0))
    results = [
        replace(r, diagnostics=replace(r.diagnostics, path_log_evidence=z,
                                       path_log_evidence_error=e))
        for r, (z, e) in zip(results, told, strict=True)
    ]  # fmt: skip
    observed = [replace(r, observed={}) for r in results]
    both = combine(observed, ("a", "b")).diagnostics
    assert both.path_log_evidence == pytest.approx((100 * -5.0 + 1 * -8.0) / 101)
    assert both.path_log_evidence_error == pytest.approx(101**-0.5)


def test_predictions_match_the_closed_form(folder, capsys):
    code, _, _ = inside(
        capsys, "predict", folder / "ode.h5", "--times", "0:4:0.5", "--prior",
        "--observables", "n", "-n", 400,
    )  # fmt: skip
    assert code == 0
    with h5py.File(folder / "ode.predictions.h5") as file:
        clean, noisy = file["predictions/n_clean"][0], file["predictions/n"][0]
        times = file["predictions/n_at"][()]
        assert file["prior_predictions/n_clean"].shape == (1, 400, 9)
        assert "m_clean" not in file["predictions"]
    result = store.read(folder / "ode.h5")
    text = (folder / "ode.predictions.csv").read_text()
    assert inside(capsys, "predict", folder / "ode.h5", "--times", "1:3", "--force")[0] == 0
    with h5py.File(folder / "ode.predictions.h5") as file:
        np.testing.assert_allclose(file["predictions/n_at"][()], np.linspace(1, 3, 200))
    rng = np.random.default_rng(1)
    rows = np.sort(rng.permutation(len(result.posterior))[:400])
    n0, k = result.posterior[rows, 0], result.posterior[rows, 1]
    np.testing.assert_allclose(clean, n0[:, None] * np.exp(-np.outer(k, times)), rtol=1e-4)
    # 3,600 normal residuals: their sd is known to 1.2 %; 4 standard errors
    assert np.std(noisy - clean) == pytest.approx(0.1, rel=0.05)
    rows = list(csv.DictReader(io.StringIO(text)))
    first = next(r for r in rows if r["from"] == "posterior" and r["noise"] == "without")
    assert float(first["mean"]) == pytest.approx(n0.mean())
    assert {r["from"] for r in rows} == {"posterior", "prior"}
    for bad in ("a", "0:1:2:3", "0:1:0", "0:1:-1"):
        arguments = ("predict", folder / "ode.h5", "--times", bad, "--force")
        assert inside(capsys, *arguments)[0] == 2
    odd = ("predict", folder / "ode.h5", "--observables", "q", "--force")
    assert inside(capsys, *odd)[0] == 2


@pytest.mark.parametrize(
    "command",
    [
        ("prune",), ("plot", "corner"), ("sample", "-n", "10"), ("predict",), ("summary",),
        ("export", "--to", "csv"), ("report",),
    ],
    ids=lambda c: c[0],
)  # fmt: skip
@pytest.mark.parametrize("damage", ["text", "other", "older", "truncated", "missing", "absent"])
def test_wrong_files_give_one_clear_line(folder, capsys, monkeypatch, command, damage):
    monkeypatch.chdir(folder)
    for path in folder.glob("*.h5"):
        if path.name != "ode.h5":
            path.unlink()
    path = folder / "ode.h5"
    if damage == "text":
        path.write_text("not HDF5")
    elif damage == "other":
        with h5py.File(path, "w") as file:
            file["x"] = 1
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:20_000])
    elif damage == "absent":
        path.unlink()
    else:
        with h5py.File(path, "r+") as file:
            if damage == "older":
                file.attrs["nfanneal_format"] = 0
            else:
                del file["weighted"]
    before = set(folder.iterdir())
    name, *rest = command
    code, out, err = inside(capsys, name, path, *rest)
    assert code == 3
    assert not out
    assert len(err.strip().splitlines()) == 1
    assert err.startswith("Error: ")
    assert "ode.h5" in err
    assert set(folder.iterdir()) == before


@pytest.mark.parametrize("command", ["compare", "combine"])
@pytest.mark.parametrize("damage", ["text", "missing", "absent"])
def test_one_wrong_file_among_several(folder, capsys, command, damage):
    path = folder / "ode2.h5"
    if damage == "text":
        path.write_text("not HDF5")
    elif damage == "absent":
        path.unlink()
    else:
        with h5py.File(path, "r+") as file:
            del file["posterior"]
    output = ["-o", folder / "all.h5"] if command == "combine" else []
    code, out, err = inside(capsys, command, folder / "ode.h5", path, *output)
    assert code == 3
    assert not out
    assert len(err.strip().splitlines()) == 1
    assert "ode2.h5" in err
    assert not (folder / "all.h5").exists()


@pytest.mark.parametrize("command", ["prune", "sample", "predict", "export", "plot"])
def test_nothing_is_overwritten_unasked(folder, capsys, command):
    target = folder / "there.h5"
    target.write_text("precious")
    arguments = {"sample": ["-n", "10"], "export": ["--to", "csv"], "plot": ["corner"]}
    if command == "plot":
        target = target.rename(folder / "there.pdf")
    words = [command, folder / "ode.h5", *arguments.get(command, []), "-o", target]
    code, _, err = inside(capsys, *words)
    assert code == 3
    assert "--force" in err
    assert target.read_text() == "precious"
