"""Other samplers on the same likelihood: transforms, bridge, figures of merit, peers, command."""

from __future__ import annotations

import json
import math
import signal
from dataclasses import dataclass, replace

import numpy as np
import pytest
from commands import inside
from processes import PYTHON, begin, finish, script
from scipy.stats import multivariate_normal, norm

from nfanneal.anneal.weights import normalized
from nfanneal.bench.samplers import merit
from nfanneal.bench.samplers.meter import BudgetSpent, Meter
from nfanneal.bench.samplers.peers import PEERS, run_peer, stuck_walkers
from nfanneal.bench.samplers.race import Plan, by_schedule, own_name, race, score
from nfanneal.bench.samplers.results import Outcome, Run
from nfanneal.model.latent import LatentMap, Parameter
from nfanneal.model.likelihood import DirectLikelihood
from nfanneal.model.priors import make_prior
from nfanneal.model.problem import Problem
from nfanneal.report.bench import run_line
from nfanneal.report.figures.bench import bench_figure
from nfanneal.runs.settings import build_settings
from nfanneal.runtime.threads import set_threads
from nfanneal.spec.load import spec_from_text

SD = 0.3
EXACT = -2.0 * math.log(4.0)
INSTALL = PEERS["emcee"].how_to_install
NO_ERROR = {"tempest": 0.04}
"""Peers that report no error of their log-evidence: what it is here, by ten runs."""
SMALL = {
    "emcee": {"run": {"autocorrelation_times": 20}},
    "dynesty": {"sampler": {"nlive": 100}, "run": {"dlogz": 0.1}},
    "nautilus": {"sampler": {"n_live": 300, "n_networks": 1}, "run": {"n_eff": 500}},
    "pocomc": {
        "sampler": {
            "n_effective": 128,
            "n_active": 64,
            "flow": "nsf3",
            "train_config": {"epochs": 20},
        },
        "run": {"n_total": 256, "n_evidence": 256},
    },
    "ultranest": {"run": {"min_num_live_points": 50, "min_ess": 50}},
    "blackjax": {"sampler": {"num_delete": 25}, "run": {"num_live": 250}},
    "tempest": {"sampler": {"clustering": False}, "run": {"n_total": 1024}},
}
"""Settings that end in a second or two, JAX's compilation (five to thirty) aside.

With clusters, its default, Tempest 0.2.1 finds a tenth more than half of the evidence where half of
the prior has a likelihood of zero, by ten runs.
"""
MODEL = """
import math
def f(p):
    x = p["x"]
    return -0.5 * ((x / 0.3) ** 2).sum(1) - x.shape[1] * math.log(0.3 * math.sqrt(2 * math.pi))
"""
SPEC = """
name: normal
model: {kind: python, file: model.py, log_likelihood: f}
parameters: {x: {shape: 2, prior: {uniform: [-2, 2]}}}
anneal: {draws: 512, steps: 15, max_rounds: 1, walkers: 0}
output: {samples: 2000}
"""


@dataclass(frozen=True)
class Normal:
    """A normalised Gaussian of θ (n, d), of standard deviation 0.3; zero beyond `edge`."""

    edge: float = math.inf
    differentiable = False

    def evaluate(self, theta, gradient):
        log_likelihood = norm(0.0, SD).logpdf(theta).sum(axis=1)
        log_likelihood[theta[:, 0] > self.edge] = -np.inf
        return log_likelihood, None, {}


@pytest.fixture
def problem():
    """A Gaussian in two dimensions, in a box of ±2: its evidence is 1/16."""
    set_threads(1)
    latent = LatentMap((Parameter("x", make_prior("uniform", [-2, 2]), size=2),))
    return Problem("normal", latent, DirectLikelihood(Normal()))


@pytest.fixture
def settings(problem, tmp_path):
    (tmp_path / "model.py").write_text(MODEL)
    return build_settings(spec_from_text(SPEC, tmp_path, ["anneal.levels=3"]), problem)


def plan(**changes):
    return replace(Plan({}, (), (1,), 60.0, SMALL), **changes)


# ---------------------------------------------------------------------------------------- bridge


def test_the_price_of_a_tenth():
    assert merit.seconds_to_wanted_sd([10.0, 20.0, 60.0], 0.3) == pytest.approx(180.0)
    assert merit.seconds_to_wanted_sd([10.0, 20.0], 0.01) == 15.0  # no credit for shorter runs
    assert math.isnan(merit.seconds_to_wanted_sd([], 0.1))
    assert math.isnan(merit.seconds_to_wanted_sd([1.0], math.nan))


def test_a_run_is_judged_by_the_larger_of_spread_and_error():
    assert merit.evidence_sd([1.0, 2.0, 3.0], [0.1, 0.1, 0.1]) == pytest.approx(1.0)
    assert merit.evidence_sd([1.0, 1.1, 0.9], [0.5, 0.7, 0.6]) == pytest.approx(0.6)
    assert merit.evidence_sd([1.0, 3.0], [0.1, 0.3]) == pytest.approx(0.2)  # two say too little
    assert math.isnan(merit.spread([1.0]))


def test_effective_samples_per_second():
    assert merit.ess_per_second([100.0, 400.0, 90.0], [1.0, 2.0, 3.0]) == 100.0


def test_distance_of_shifted_marginals_is_the_shift():
    """Two normals a shift apart are that far apart, in standard deviations."""
    quantiles = norm.ppf((np.arange(4000) + 0.5) / 4000)
    reference = np.column_stack([5.0 * quantiles, quantiles])
    shifted = reference + np.array([2.0, 0.1])
    flat = np.zeros(4000)
    assert merit.marginal_distance(shifted, flat, reference, flat) == pytest.approx(0.4, rel=1e-3)
    assert merit.marginal_distance(reference, flat, reference, flat) == 0.0
    half = np.where(np.arange(4000) < 2000, 0.0, -np.inf)  # weights count: the lower half only
    moved = merit.marginal_distance(reference, half, reference, flat)
    assert moved == pytest.approx(math.sqrt(2.0 / math.pi), rel=1e-2)


def test_pooled_runs_weigh_by_their_own_estimates():
    """A run of twice the draws has no more say, one of e times the evidence has e times as much."""
    weights = np.exp(merit.pooled([np.zeros(10), np.ones(20)]))
    assert weights[:10].sum() == pytest.approx(1.0)
    assert weights[10:].sum() == pytest.approx(math.e)


def test_scores_leave_out_runs_that_failed():
    done = Run("a", 1, Outcome.DONE, log_evidence=-1.0, error=0.2, ess=100.0, n_likelihood=10,
               seconds=4.0, distance=0.1)  # fmt: skip
    runs = [
        done,
        replace(done, seed=2, log_evidence=-1.4, notes=("odd",)),
        Run("a", 3, Outcome.FAILED, "ValueError: no", seconds=1.0),
    ]
    found = score("a", runs)
    assert (found.n_runs, found.n_done) == (3, 2)
    assert found.log_evidence == pytest.approx(-1.2)
    assert found.seconds == 4.0
    assert found.seconds_to_wanted_sd == pytest.approx(16.0)
    assert found.ess_per_second == 25.0
    assert found.notes == ("1 of 3: ValueError: no", "1 of 3: odd")


# ----------------------------------------------------------------------------------------- peers


@pytest.mark.parametrize("name", PEERS)
def test_peers_find_the_evidence_and_the_posterior(name, problem, capfd, tmp_path, monkeypatch):
    pytest.importorskip(PEERS[name].module, reason=PEERS[name].how_to_install)
    monkeypatch.chdir(tmp_path)
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    drawn, meter = run_peer(name, problem, 1, changes=SMALL.get(name))
    assert math.isnan(drawn.error) == (name in NO_ERROR)
    error = NO_ERROR.get(name, drawn.error)
    assert abs(drawn.log_evidence - EXACT) < 5.0 * error
    assert 0.0 < error < 0.5
    weights = normalized(drawn.log_weight)
    assert drawn.theta.shape == (len(weights), 2)
    error = 5.0 * SD / math.sqrt(drawn.ess)
    np.testing.assert_allclose(weights @ drawn.theta, 0.0, atol=error)
    np.testing.assert_allclose(np.sqrt(weights @ drawn.theta**2), SD, atol=error)
    assert 20 < drawn.ess <= meter.calls
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


@pytest.mark.parametrize("name", PEERS)
def test_peers_cope_with_a_likelihood_of_zero(name, problem):
    """Nothing beyond 0 on the first axis: half of the evidence is left."""
    pytest.importorskip(PEERS[name].module, reason=PEERS[name].how_to_install)
    half = replace(problem, likelihood=DirectLikelihood(Normal(edge=0.0)))
    drawn, _ = run_peer(name, half, 2, changes=SMALL.get(name))
    error = NO_ERROR.get(name, drawn.error)
    assert abs(drawn.log_evidence - (EXACT - math.log(2.0))) < 5.0 * error
    assert drawn.theta[normalized(drawn.log_weight) > 0, 0].max() < 1e-9


def test_the_same_seed_gives_the_same_run(problem):
    pytest.importorskip("emcee", reason=INSTALL)
    first, again, other = (
        run_peer("emcee", problem, seed, changes=SMALL["emcee"])[0] for seed in (1, 1, 2)
    )
    assert first.log_evidence == again.log_evidence
    assert first.log_evidence != other.log_evidence


@pytest.mark.parametrize("name", ["blackjax", "tempest"])
def test_further_peers_follow_their_seed(name, problem):
    pytest.importorskip(PEERS[name].module, reason=PEERS[name].how_to_install)
    first, again, other = (
        run_peer(name, problem, seed, changes=SMALL.get(name))[0] for seed in (1, 1, 2)
    )
    assert first.log_evidence == again.log_evidence
    assert first.log_evidence != other.log_evidence


def test_emcee_tells_of_a_chain_that_is_too_short(problem):
    pytest.importorskip("emcee", reason=INSTALL)
    short = {"run": {"most_steps": 60}}
    drawn, meter = run_peer("emcee", problem, 1, changes=short)
    assert any("chain too short" in note for note in drawn.notes)
    assert meter.calls < 20_000


def test_walkers_that_are_stuck_are_counted():
    log_target = -np.random.default_rng(5).chisquare(3, (200, 64))
    assert stuck_walkers(log_target) == 0
    log_target[:, :3] -= 30.0
    assert stuck_walkers(log_target) == 3


def test_the_meter_counts_and_stops(problem):
    meter = Meter(problem)
    assert meter.point(np.zeros(2)) == pytest.approx(2.0 * norm(0.0, SD).logpdf(0.0))
    meter.at_theta(np.zeros((5000, 2)))
    assert meter.calls == 5001
    with pytest.raises(BudgetSpent, match="out of its budget of 0 s"):
        Meter(problem, budget=0.0).at_theta(np.zeros((1, 2)))


# ------------------------------------------------------------------------------------------ race


def test_a_spent_budget_is_a_row_that_says_so(problem, settings):
    installed = tuple(name for name in PEERS if PEERS[name].installed)
    bench = race(problem, plan(peers=installed, own=by_schedule(settings, ("ess",)), budget=1e-6))
    assert [run.message for run in bench.runs] == ["out of its budget of 1e-06 s"] * len(bench.runs)
    assert [run.outcome for run in bench.runs] == [Outcome.OUT_OF_BUDGET] * (1 + len(installed))
    assert all("out of its budget" in score.notes[0] for score in bench.scores)
    assert bench.reference is None
    assert not bench.trusted


def test_what_a_peer_raises_is_a_row(problem, monkeypatch):
    def broken(meter, seed, settings):
        raise ZeroDivisionError("of course\nand more")

    monkeypatch.setitem(PEERS, "emcee", replace(PEERS["dynesty"], module="json", run=broken))
    (run,) = race(problem, plan(peers=("emcee",))).runs
    assert run.outcome is Outcome.FAILED
    assert run.message == "ZeroDivisionError: of course"


def test_a_peer_that_is_not_installed_is_a_row(problem, monkeypatch):
    monkeypatch.setitem(PEERS, "emcee", replace(PEERS["emcee"], module="no_such_module"))
    (run,) = race(problem, plan(peers=("emcee",))).runs
    assert run.outcome is Outcome.NOT_INSTALLED
    assert run.message == "not installed: pip install 'nfanneal[bench]'"
    monkeypatch.setitem(PEERS, "jaxns", replace(PEERS["jaxns"], module="no_such_module"))
    (run,) = race(problem, plan(peers=("jaxns",))).runs
    assert run.message == "not installed: pip install 'nfanneal[bench-more]'"


def test_a_sampler_without_an_error_shows_none(capsys):
    done = Run("a", 1, Outcome.DONE, log_evidence=-1.0, ess=100.0, n_likelihood=10, seconds=4.0)
    assert "±" not in run_line(done)
    assert math.isnan(score("a", [done]).seconds_to_wanted_sd)
    three = [replace(done, seed=i, log_evidence=-1.0 - 0.2 * i) for i in range(3)]
    assert score("a", three).seconds_to_wanted_sd == pytest.approx(16.0)  # by their spread


def test_own_runs_are_those_of_run_and_the_reference_leaves_the_run_itself_out(problem, settings):
    bench = race(problem, plan(own=by_schedule(settings, ("ess", "linear")), seeds=(1, 2)))
    names = [own_name("ess"), own_name("linear")]
    assert [score.sampler for score in bench.scores] == names
    assert [run.sampler for run in bench.runs] == names * 2  # they take turns
    assert bench.settings[names[1]]["anneal"]["schedule"] == "linear"
    for run in bench.runs:
        assert abs(run.log_evidence - EXACT) < 5.0 * run.error
        assert run.path[-1][1] == 1.0
        assert run.n_likelihood > 2000
        assert 0.0 < run.distance < 0.2
    only = race(problem, plan(own=by_schedule(settings, ("ess",))))
    assert math.isnan(only.runs[0].distance)  # a run is no judge of itself


def test_a_figure_without_any_result_says_so(problem, settings):
    bench = race(problem, plan(own=by_schedule(settings, ("ess",)), budget=1e-6))
    axis = bench_figure(bench).axes[0]
    assert axis.texts[0].get_text() == "no run ended well"


def test_importing_nfanneal_imports_no_peer():
    code = "import nfanneal.cli.bench, sys; sys.exit(any(p in sys.modules for p in %r))"
    modules = [peer.module for peer in PEERS.values()]
    done = script(code % modules)
    assert done.returncode == 0, done.stderr


# --------------------------------------------------------------------------------------- command


@pytest.fixture
def spec(tmp_path):
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "normal.yaml").write_text(SPEC)
    return tmp_path / "normal.yaml"


def test_the_command(spec, tmp_path, capsys):
    pytest.importorskip("emcee", reason=INSTALL)
    words = ("bench", spec, "--against", "emcee", "--threads", "1", "--repeats", "2", "--seed", "5")
    files = ("-o", tmp_path / "b.json", "--figure", tmp_path / "b.pdf")
    code, out, err = inside(capsys, *words, *files)
    assert code == 0
    for text in ("normal: 2 parameters, 2 runs each, 1 thread", "log-evidence", "s to sd 0.1",
                 "ESS/s", "distance", "nfanneal (ess)", "emcee"):  # fmt: skip
        assert text in out
    assert max(len(line) for line in out.splitlines() if "│" in line) <= 80
    assert err.count("seed 5") == err.count("seed 6") == 2
    assert (tmp_path / "b.pdf").read_bytes().startswith(b"%PDF")
    found = json.loads((tmp_path / "b.json").read_text())
    assert {"name", "spec_digest", "dimension", "seeds", "budget", "threads", "runs", "samplers",
            "reference", "settings", "versions", "machine", "trusted"} <= set(found)  # fmt: skip
    assert found["seeds"] == [5, 6]
    assert found["threads"] == 1
    assert found["settings"]["emcee"]["sampler"]["nwalkers"] == 64
    assert "emcee" in found["versions"]
    assert len(found["runs"]) == 4
    for entry in found["samplers"].values():
        assert entry["log_evidence"] == pytest.approx(EXACT, abs=0.1)
        assert entry["seconds_to_wanted_sd"] >= entry["seconds"] > 0
    code, _, err = inside(capsys, *words, *files)
    assert code == 3
    assert "already exists; use --force" in err


def test_json_on_stdout_is_only_json_and_an_untrusted_reference_exits_5(spec, capsys):
    code, out, err = inside(capsys, "bench", spec, "--against", "none", "--repeats", "1",
                            "--threads", "1", "--set", "output.samples=120", "--json")  # fmt: skip
    assert code == 5
    found = json.loads(out)
    assert found["reference"]["trusted"] is False
    assert found["samplers"]["nfanneal (ess)"]["spread"] is None
    assert "not to be trusted" in found["samplers"]["nfanneal (ess)"]["notes"][0]
    assert "seed 1" in err


def test_what_runs_if_no_peer_is_named(capsys):
    """Those of the extra `bench`; the others, which need JAX or more, are named in the help."""
    _, out, _ = inside(capsys, "bench", "--help")
    words = " ".join(out.split())
    assert "[default: emcee,dynesty,nautilus,pocomc,ultranest]" in words
    assert "ultranest, blackjax, jaxns, tempest; `none`" in words


def test_the_budget_on_the_command_line(spec, capsys):
    code, out, _ = inside(capsys, "bench", spec, "--against", "none", "--repeats", "1",
                          "--threads", "1", "--budget", "0.001s")  # fmt: skip
    assert code == 5
    assert "out of its budget of 0.001 s" in out
    assert "there is no reference for the distances" in out


def test_a_preset_is_a_row_and_the_specs_own_keys_go_before_it(spec, capsys):
    words = ("--against", "none", "--repeats", "1", "--presets", "thorough", "--threads", "1")
    code, out, _ = inside(capsys, "bench", spec, *words, "--json")
    found = json.loads(out)
    assert code == 0
    assert list(found["samplers"]) == ["nfanneal (ess)", "nfanneal (thorough)"]
    usual, thorough = (found["settings"][name]["anneal"] for name in found["samplers"])
    assert (usual["effort"], thorough["effort"]) == (1, 4)
    assert usual["draws"] == thorough["draws"] == 512
    for entry in found["samplers"].values():
        assert entry["log_evidence"] == pytest.approx(EXACT, abs=5.0 * entry["error"])


def test_ctrl_c_ends_a_bench_with_the_runs_that_had_ended(spec, tmp_path):
    words = ("bench", spec, "--against", "none", "--repeats", "1000", "--threads", "1")
    process = begin([*PYTHON, *words, "-o", tmp_path / "b.json"])
    assert "nfanneal (ess)" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    out, err = finish(process)
    assert process.returncode == 130, err
    assert "interrupted: the table holds the runs that had ended" in err
    found = json.loads((tmp_path / "b.json").read_text())
    assert found["interrupted"]
    assert 1 <= len(found["runs"]) == found["samplers"]["nfanneal (ess)"]["n_done"] < 1000
    assert "nfanneal (ess)" in out


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--against", "dynasty"), "--against: no 'dynasty'; did you mean 'dynesty'?"),
        (("--schedules", "es"), "--schedules: no 'es'; did you mean 'ess'?"),
        (("--presets", "quik"), "--presets: no 'quik'; did you mean 'quick'?"),
        (("--budget", "soon"), "'soon' is not a time such as 90, 90s, 10m or 1h"),
        (("--figure", "b.txt"), "figures are .pdf, .eps, .svg, .png files"),
        (("-o", "b.pdf", "--figure", "b.pdf"), "are the same file"),
        (("--against", "none", "--schedules", ""), "nothing to run"),
    ],
)
def test_usage(words, text, spec, capsys):
    code, _, err = inside(capsys, "bench", spec, *words)
    assert code == 2
    assert text in err.replace("\n", " ")


def test_exact_evidence_of_the_tests():
    """The box holds all of the Gaussian but 1e-10."""
    inside_box = multivariate_normal(np.zeros(1), SD**2).cdf(2.0)
    assert 1.0 - inside_box < 1e-10
