"""Folded draws, and what comes after them: in one labelling, with the weights that they had."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import yaml
from commands import inside, run
from scipy.stats import norm

from nfanneal.anneal.exchanges import closed, exchanging, from_codes
from nfanneal.anneal.proposals.base import log_standard_normal
from nfanneal.anneal.proposals.symmetrized import Symmetrized
from nfanneal.anneal.weights import normalized
from nfanneal.errors import ResultError
from nfanneal.model.latent import LatentMap, Parameter
from nfanneal.model.priors import make_prior
from nfanneal.report.page import page
from nfanneal.report.summary import summary_json
from nfanneal.results import store
from nfanneal.results.combine import combine
from nfanneal.results.draws import WeightedDraws, in_latent
from nfanneal.results.prune import prune
from nfanneal.results.rebuild import first_difference, revived_problem, stored_proposal
from nfanneal.results.sample import sample
from nfanneal.results.symmetry import Symmetry, all_modes, folded, in_words, refuse_forged

LATENT = LatentMap(
    (
        Parameter("a", make_prior("gamma", [2, 1]), 2),
        Parameter("b", make_prior("normal", [0, 3])),
        Parameter("c", make_prior("lognormal", [0, 1])),
    )
)


def symmetry_of(*codes, d=4, is_folded=False):
    generators = from_codes(codes, d)
    group = closed(generators, 120)
    return Symmetry(group, generators, np.ones(len(codes), dtype=bool), is_folded, 100)


def draws_of(n, seed=0, latent=LATENT):
    """Draws of a wider normal with weights for a likelihood that is symmetric in all columns."""
    rng = np.random.default_rng(seed)
    z = 1.2 * rng.standard_normal((n, latent.dimension))
    theta = latent.from_latent(z)
    log_prior = latent.log_density(theta)
    log_q = log_standard_normal(z / 1.2) - z.shape[1] * np.log(1.2)
    log_likelihood = norm.logpdf(z**2, 1.0, 0.5).sum(axis=1)
    log_ratio = log_standard_normal(z) - log_q
    return WeightedDraws(
        theta, log_ratio + log_likelihood, log_prior, log_likelihood, log_prior - log_ratio
    )


SYMMETRIES = {
    "exchange": symmetry_of(exchanging(4, [(0, 1)])),
    "mirror": symmetry_of(exchanging(4, mirrored=[3])),
    "both": symmetry_of(exchanging(4, [(0, 1)]), exchanging(4, mirrored=[0, 2])),
}


@pytest.mark.parametrize("name", SYMMETRIES)
def test_folding_keeps_weights_and_densities(name):
    symmetry, draws = SYMMETRIES[name], draws_of(500)
    done = folded(draws, symmetry, LATENT)
    np.testing.assert_array_equal(done.log_weight, draws.log_weight)
    np.testing.assert_array_equal(done.log_likelihood, draws.log_likelihood)
    np.testing.assert_allclose(done.log_prior, LATENT.log_density(done.theta), rtol=1e-9)
    ratio = done.log_ratio + done.log_likelihood
    np.testing.assert_allclose(ratio, draws.log_weight, rtol=1e-9, atol=1e-9)
    z = in_latent(draws, LATENT).z
    expected = symmetry.group.applied(symmetry.group.smallest(z), z)
    np.testing.assert_allclose(in_latent(done, LATENT).z, expected, rtol=1e-7, atol=1e-7)
    again = folded(done, symmetry, LATENT)
    np.testing.assert_allclose(again.theta, done.theta, rtol=1e-12)


def test_exchanged_values_stay_as_they_are():
    draws = draws_of(200)
    done = folded(draws, SYMMETRIES["exchange"], LATENT)
    np.testing.assert_array_equal(done.theta[:, :2], np.sort(draws.theta[:, :2], axis=1))
    np.testing.assert_array_equal(done.theta[:, 2:], draws.theta[:, 2:])
    assert done.log_prior is draws.log_prior


@pytest.mark.parametrize("name", SYMMETRIES)
def test_all_modes_again(name):
    """Means of the columns within five errors of those before folding (false alarm 1e-5)."""
    symmetry, draws = SYMMETRIES[name], draws_of(20_000)
    done = folded(draws, symmetry, LATENT)
    whole = all_modes(done, replace(symmetry, folded=True), LATENT, 3)
    weights = normalized(draws.log_weight)
    z, before = in_latent(whole, LATENT).z, in_latent(draws, LATENT).z
    error = np.sqrt((weights**2) @ before**2)
    assert (np.abs(weights @ z) < 5 * error).all()  # of the exact mean 0
    np.testing.assert_array_equal(whole.log_weight, draws.log_weight)
    assert all_modes(done, symmetry, LATENT, 3) is done
    assert all_modes(done, None, LATENT, 3) is done


def test_draws_on_a_bound_are_not_mirrored():
    draws = draws_of(10)
    draws.theta[0, 0] = 0.0
    done = folded(draws, symmetry_of(exchanging(4, mirrored=[0])), LATENT)
    assert np.isfinite(done.log_weight).all()
    np.testing.assert_array_equal(done.theta[0], draws.theta[0])


def test_what_is_said():
    names = LATENT.column_names
    both = SYMMETRIES["both"]
    assert in_words(both, names) == (
        "a[0] and a[1] can be exchanged: 2 equal copies",
        "a[0] and b can be mirrored together at their priors' medians: 2 equal copies",
        "together: 8 equal copies of every point",
    )
    pairs = symmetry_of(exchanging(4, [(0, 1), (2, 3)]), is_folded=True)
    assert in_words(pairs, ["a[0]", "a[1]", "b[0]", "b[1]"]) == (
        "a[0] and a[1] can be exchanged together with b[0] and b[1]: 2 equal copies",
        "every draw has been moved to one of its copies (output.symmetry: fold)",
    )
    many = from_codes([exchanging(12, [(0, i)]) for i in range(1, 12)], 12)
    used = np.arange(11) < 4
    large = Symmetry(closed(many.rows(used), 120), many, used, False, 0)
    lines = in_words(large, [f"x{i}" for i in range(12)])
    assert lines[-2:] == (
        "and 3 more such exchanges",
        "together: more than 120 equal copies of every point, of which the final proposal "
        "knows 120",
    )


def test_forged_records_are_refused():
    good = SYMMETRIES["both"]
    refuse_forged(good, 4)
    for forged in (
        replace(good, group=replace(good.group, permutations=good.group.permutations * 0)),
        replace(good, group=replace(good.group, signs=good.group.signs * 2)),
        replace(good, generators=good.generators.rows([0])),
        replace(good, group=good.group.rows(slice(0))),
    ):
        with pytest.raises(ValueError, match="a symmetry"):
            refuse_forged(forged, 4)
    with pytest.raises(ValueError, match="of other columns"):
        refuse_forged(good, 5)


MODEL = """
import numpy as np


def log_likelihood(theta):
    mean, height = theta["mean"], theta["height"]
    far = (mean - 1.0) ** 2 / 0.02, (mean + 1.0) ** 2 / 0.02
    tall = (height - 2.0) ** 2 / 0.08, (height - 1.0) ** 2 / 0.08
    one = -0.5 * (far[0][:, 0] + tall[0][:, 0] + far[1][:, 1] + tall[1][:, 1])
    other = -0.5 * (far[0][:, 1] + tall[0][:, 1] + far[1][:, 0] + tall[1][:, 0])
    return np.logaddexp(one, other)
"""
SPEC = {
    "name": "two peaks",
    "model": {
        "kind": "python",
        "file": "model.py",
        "log_likelihood": "log_likelihood",
        "array": "numpy",
    },
    "parameters": {
        "mean": {"prior": {"normal": [0, 2]}, "shape": 2},
        "height": {"prior": {"lognormal": [0, 1]}, "shape": 2},
    },
    "anneal": {"draws": 1024, "steps": 20, "max_rounds": 2, "extra_rounds": 0, "walkers": 256},
    "output": {"samples": 2000},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two peaks in any order: keep.h5, fold.h5 (seed 1) and fold2.h5 (seed 2)."""
    folder = tmp_path_factory.mktemp("symmetry")
    (folder / "model.py").write_text(MODEL)
    (folder / "spec.yaml").write_text(yaml.safe_dump(SPEC, sort_keys=False))
    fold = ("--set", "output.symmetry=fold")
    for name, options in {"keep": (), "fold": fold, "fold2": (*fold, "--seed", 2)}.items():
        output = folder / f"{name}.h5"
        run("run", folder / "spec.yaml", "-o", output, "--quiet", "--threads", 1, *options,
            codes=(0, 5))  # fmt: skip
    return folder


@pytest.fixture
def results(made):
    return {name: store.read(made / f"{name}.h5") for name in ("keep", "fold", "fold2")}


def log_evidence():
    """Each order by itself: normals of the means, a lognormal prior over the heights."""
    x = np.linspace(1e-3, 8.0, 200_001)
    heights = []
    for centre in (2.0, 1.0):
        density = np.exp(-0.5 * (x - centre) ** 2 / 0.08 - 0.5 * np.log(x) ** 2) / x
        heights.append(np.log(np.trapezoid(density, x) / np.sqrt(2 * np.pi)))
    means = 2 * (norm.logpdf(1.0, 0.0, np.sqrt(4.02)) + 0.5 * np.log(2 * np.pi * 0.02))
    return means + sum(heights) + np.log(2)


def test_a_run_finds_and_keeps_both_modes(results):
    """Four standard errors; shares of the modes are exact by symmetry, but for the weights."""
    keep = results["keep"]
    assert keep.symmetry.copies == 2
    assert not keep.symmetry.folded
    lines = in_words(keep.symmetry, keep.columns.names)
    assert lines == (
        "mean[0] and mean[1] can be exchanged together with height[0] and height[1]: "
        "2 equal copies",
    )
    d = keep.diagnostics
    assert abs(d.log_evidence - log_evidence()) < 4 * d.log_evidence_error
    first = normalized(keep.draws.log_weight)[keep.draws.theta[:, 0] < 0].sum()
    assert abs(first - 0.5) < 4 * 0.5 / np.sqrt(d.ess)


def test_fold_moves_every_draw_into_one_labelling(results):
    keep, fold = results["keep"], results["fold"]
    assert fold.symmetry.folded
    for theta in (fold.draws.theta, fold.posterior):
        assert (theta[:, 0] <= theta[:, 1]).all()
    np.testing.assert_array_equal(fold.draws.log_weight, keep.draws.log_weight)
    np.testing.assert_array_equal(fold.posterior_index, keep.posterior_index)
    np.testing.assert_array_equal(fold.posterior, fold.draws.theta[fold.posterior_index])
    np.testing.assert_array_equal(
        np.sort(fold.draws.theta[:, :2]), np.sort(keep.draws.theta[:, :2])
    )
    assert repr(fold.diagnostics) == repr(keep.diagnostics)  # nan is nan
    mean, height = fold.summaries()["mean[0]"], fold.summaries()["height[0]"]
    assert abs(mean.mean + 1.0) < 0.1
    assert mean.sd < 0.3
    assert abs(height.mean - 0.98) < 0.2


def test_the_proposal_of_a_folded_result_is_that_of_its_draws(results, made):
    fold = results["fold"]
    problem = revived_problem(fold, made / "model.py")
    assert first_difference(fold, problem) is None
    z = problem.latent.to_latent(fold.draws.theta)
    log_q = stored_proposal(fold).log_density(z)
    expected = log_standard_normal(z) - log_q + fold.draws.log_likelihood
    np.testing.assert_allclose(fold.draws.log_weight, expected, rtol=1e-4, atol=1e-4)


def test_a_result_with_a_symmetry_comes_back(results, made, tmp_path):
    store.write(results["fold"], tmp_path / "again.h5")
    again = store.read(tmp_path / "again.h5").symmetry
    known = results["fold"].symmetry
    assert again.folded == known.folded
    assert again.n_evaluations == known.n_evaluations
    for name in ("group", "generators"):
        for field in ("permutations", "signs"):
            one, other = (getattr(getattr(s, name), field) for s in (again, known))
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype
    store.write(replace(results["keep"], symmetry=None), tmp_path / "none.h5")
    assert store.read(tmp_path / "none.h5").symmetry is None


def test_summary_and_page_say_so(made, results, capsys):
    code, out, _ = inside(capsys, "summary", made / "fold.h5")
    assert code in (0, 5)
    assert "Symmetry: mean[0] and mean[1] can be exchanged together with height[0] and" in out
    code, out, _ = inside(capsys, "summary", made / "fold.h5", "--json")
    said = json.loads(out)["symmetry"]
    assert said["copies"] == 2
    assert said["folded"]
    assert said["complete"]
    assert said["generators"] == [
        {
            "exchanged": [["mean[0]", "mean[1]"], ["height[0]", "height[1]"]],
            "mirrored": [],
            "copies": 2,
        }
    ]
    assert "<li>mean[0] and mean[1] can be exchanged" in page({"fold.h5": results["fold"]})
    none = replace(results["keep"], symmetry=None)
    assert summary_json(none)["symmetry"] is None
    assert "<h3>Symmetry</h3>" not in page({"keep.h5": none})


def test_fresh_draws_of_a_folded_result_are_folded(results, made):
    fold = results["fold"]
    for append in (False, True):
        more = sample(fold, 500, seed=3, append=append, model_file=made / "model.py")
        assert len(more.draws.theta) == 500 + append * 2000
        assert (more.draws.theta[:, 0] <= more.draws.theta[:, 1]).all()
        assert more.symmetry.folded
        d = more.diagnostics
        assert abs(d.log_evidence - log_evidence()) < 4 * d.log_evidence_error
    kept = sample(results["keep"], 500, seed=3, model_file=made / "model.py")
    assert 0 < (kept.draws.theta[:, 0] <= kept.draws.theta[:, 1]).sum() < 500


def test_a_pruned_result_keeps_its_symmetry(results):
    pruned = prune(results["fold"])
    assert pruned.symmetry is results["fold"].symmetry
    assert (pruned.posterior[:, 0] <= pruned.posterior[:, 1]).all()


def test_folded_results_are_combined_folded_others_are_not(results):
    names = ["a.h5", "b.h5"]
    both = combine([results["fold"], results["fold2"]], names)
    assert both.symmetry.folded
    assert (both.draws.theta[:, 0] <= both.draws.theta[:, 1]).all()
    mixed = combine([results["keep"], results["fold2"]], names)
    assert not mixed.symmetry.folded
    alone = replace(results["keep"], symmetry=None)
    without = combine([alone, results["fold2"]], names)
    for made in (both, mixed, without):
        d = made.diagnostics
        assert abs(d.log_evidence - log_evidence()) < 4 * d.log_evidence_error
    for made in (mixed, without):
        first = normalized(made.draws.log_weight)[made.draws.theta[:, 0] < 0].sum()
        assert abs(first - 0.5) < 4 * 0.5 / np.sqrt(made.diagnostics.ess)
    with pytest.raises(ResultError, match="same run"):
        combine([results["fold"], results["fold"]], names)


@pytest.fixture
def extended(made, tmp_path, capsys):
    """A finished result that is gone on from."""

    def extend(name, *options):
        for each in ("model.py", "spec.yaml"):
            shutil.copy(made / each, tmp_path)
        shutil.copy(made / f"{name}.h5", tmp_path / "x.h5")
        code, _, err = inside(capsys, "run", tmp_path / "spec.yaml", "-o", tmp_path / "x.h5",
                              "--threads", 1, "--resume", *options)  # fmt: skip
        assert code in (0, 5), err
        result = store.read(tmp_path / "x.h5")
        d = result.diagnostics
        assert abs(d.log_evidence - log_evidence()) < 4 * d.log_evidence_error
        return result

    return extend


FOLD = ("--set", "output.symmetry=fold")


def test_more_draws_of_a_folded_result(extended, results):
    after = extended("fold", "--target-ess", 3000, *FOLD)
    np.testing.assert_array_equal(after.draws.theta[:2000], results["fold"].draws.theta)
    assert (after.draws.theta[:, 0] <= after.draws.theta[:, 1]).all()
    assert after.symmetry.folded
    assert after.diagnostics.ess >= 3000


def test_a_folded_result_can_be_unfolded_and_the_other_way_round(extended, results):
    after = extended("fold", "--target-ess", 3000)
    assert not after.symmetry.folded
    first = normalized(after.draws.log_weight)[after.draws.theta[:, 0] < 0].sum()
    assert abs(first - 0.5) < 4 * 0.5 / np.sqrt(after.diagnostics.ess)
    after = extended("keep", "--target-ess", 3000, *FOLD)
    np.testing.assert_array_equal(after.draws.theta[:2000], results["fold"].draws.theta)
    assert after.symmetry.folded


def test_more_rounds_after_a_folded_result(extended, results):
    before = results["fold"]
    after = extended("fold", "--more-rounds", 1, *FOLD, "--set", "anneal.walkers=0")
    assert after.symmetry.folded
    assert (after.draws.theta[:, 0] <= after.draws.theta[:, 1]).all()
    proposal = stored_proposal(after)
    assert isinstance(proposal, Symmetrized)
    assert not any(isinstance(c, Symmetrized) for c in proposal.base.components)
    assert after.diagnostics.ess_fraction > 0.5 * before.diagnostics.ess_fraction
    evaluations = after.counts.n_likelihood_evaluations - before.counts.n_likelihood_evaluations
    assert evaluations == after.history.levels["n_evaluations"][-1] - (
        before.counts.n_likelihood_evaluations
    ) + len(after.draws.theta)  # the symmetry is known


CHAIN = {
    "name": "chain",
    "model": {
        "kind": "ode",
        "states": {"n": 1.0, "m": 0.0, "c": 0.0},
        "equations": {"n": "-k[0]*n", "m": "k[0]*n - k[1]*m", "c": "k[1]*m"},
    },
    "parameters": {"k": {"prior": {"lognormal": [0, 1]}, "shape": 2}},
    "data": {"file": "data.csv"},
    "likelihood": {"c": {"normal": 0.01}},
    "anneal": {
        "preset": "quick",
        "draws": 512,
        "steps": 10,
        "max_rounds": 1,
        "extra_rounds": 0,
        "walkers": 256,
    },
    "output": {"samples": 1000, "symmetry": "fold"},
}


def test_rate_constants_of_a_chain_can_be_exchanged(tmp_path, capsys):
    """The solutions differ on the way to what is observed, which agrees to the tolerance only."""
    t = np.linspace(0.5, 10.0, 20)
    c = 1.0 - (1.5 * np.exp(-0.3 * t) - 0.3 * np.exp(-1.5 * t)) / 1.2
    c += 0.01 * np.random.default_rng(0).standard_normal(20)
    rows = [f"{a},{b}" for a, b in zip(t, c, strict=True)]
    (tmp_path / "data.csv").write_text("\n".join(["t,c", *rows]) + "\n")
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(CHAIN, sort_keys=False))
    run("run", tmp_path / "spec.yaml", "-o", tmp_path / "x.h5", "--quiet", "--threads", 1,
        codes=(0, 5))  # fmt: skip
    result = store.read(tmp_path / "x.h5")
    assert in_words(result.symmetry, result.columns.names)[0] == (
        "k[0] and k[1] can be exchanged: 2 equal copies"
    )
    assert (result.posterior[:, 0] <= result.posterior[:, 1]).all()
    assert abs(result.summaries()["k[0]"].mean - 0.3) < 0.1
    assert abs(result.summaries()["k[1]"].mean - 1.5) < 0.5
    # log L of each posterior draw, from its data, is that of the draw
    pointwise = result.observed["c"].pointwise.sum(axis=1)
    held = result.draws.log_likelihood[result.posterior_index]
    np.testing.assert_allclose(pointwise, held, rtol=1e-5, atol=1e-5)
    assert first_difference(result, revived_problem(result)) is None
    more = sample(result, 300, seed=2)
    assert (more.draws.theta[:, 0] <= more.draws.theta[:, 1]).all()
