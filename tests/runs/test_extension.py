"""Finished results that are gone on from: more rounds, more draws, and what is refused."""

import os
import shutil
import signal

import numpy as np
import pytest
import yaml
from commands import inside
from regression import exact
from stopping import differences

from nfanneal.anneal.progress import LevelInfo
from nfanneal.report.progress import PlainProgress
from nfanneal.results import store


@pytest.fixture
def finished(whole, tmp_path):
    """A problem and its result, to be changed."""
    for name in ("slow.yaml", "model.py", "data.csv"):
        shutil.copy(whole / name, tmp_path)
    shutil.copy(whole / "whole.h5", tmp_path / "x.h5")
    return tmp_path


def extend(capsys, folder, *options, name="x.h5", spec="slow.yaml"):
    arguments = ("run", folder / spec, "-o", folder / name, "--threads", 1, *options)
    return inside(capsys, *arguments)


def test_more_rounds_train_further_and_draw_afresh(finished, capsys):
    before = store.read(finished / "x.h5")
    code, _, err = extend(capsys, finished, "--resume", "--more-rounds", 2)
    assert code == 0, err
    assert "going on from" in err
    after = store.read(finished / "x.h5")
    added = len(after.history.seconds) - len(before.history.seconds)
    assert added == 3  # draws of the old flows, of the first new one, and of the second
    assert len(after.history.losses) == len(before.history.losses) + 4 * 15
    np.testing.assert_array_equal(
        after.history.levels["beta"][:-added], before.history.levels["beta"]
    )
    assert not np.isin(after.draws.theta, before.draws.theta).any()
    assert after.counts.n_likelihood_evaluations > before.counts.n_likelihood_evaluations + 3 * 512
    d = after.diagnostics
    assert d.n_samples == 1000
    assert d.path_log_evidence == before.diagnostics.path_log_evidence
    gap = abs(d.log_evidence - before.diagnostics.log_evidence)
    assert gap < 4 * np.hypot(d.log_evidence_error, before.diagnostics.log_evidence_error)


def test_an_extension_that_is_stopped_ends_with_the_same_bits(finished, capsys, monkeypatch):
    options = ("--resume", "--more-rounds", 1, "--target-ess", 1500)
    shutil.copy(finished / "x.h5", finished / "y.h5")
    before = (finished / "y.h5").read_bytes()
    assert extend(capsys, finished, *options)[0] == 0
    show = PlainProgress.__call__

    def stopping(self, event):
        show(self, event)
        if isinstance(event, LevelInfo):
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patched:
        patched.setattr(PlainProgress, "__call__", stopping)
        code, _, err = extend(capsys, finished, *options, name="y.h5")
    assert code == 77, err
    assert (finished / "y.h5").read_bytes() == before
    code, _, err = extend(capsys, finished, "--resume", "--more-rounds", 3, name="y.h5")
    assert code == 3
    assert "was stopped with --more-rounds 1 and --target-ess 1500: --resume that first" in err
    code, _, err = extend(capsys, finished, "--resume", name="y.h5")
    assert code == 0, err
    assert differences(finished / "x.h5", finished / "y.h5") == []
    assert store.read(finished / "y.h5").diagnostics.ess >= 1500


def test_an_ess_is_reached_by_more_draws_of_the_same_flow(finished, capsys):
    before = store.read(finished / "x.h5")
    code, _, err = extend(capsys, finished, "--resume", "--target-ess", 2500)
    assert code == 0, err
    after = store.read(finished / "x.h5")
    np.testing.assert_array_equal(after.draws.theta[:1000], before.draws.theta)
    n = len(after.draws.theta)
    assert len(np.unique(after.draws.theta, axis=0)) == n
    assert 2500 <= after.diagnostics.ess < 2900
    assert (
        after.counts.n_likelihood_evaluations == before.counts.n_likelihood_evaluations + n - 1000
    )
    code, _, err = extend(capsys, finished, "--resume", "--target-ess", 2500)
    assert code == 0, err
    assert len(store.read(finished / "x.h5").draws.theta) == n


def test_the_evidence_of_an_extension_is_right(made, tmp_path, capsys):
    """Within four errors of the exact one (false alarm 1e-4)."""
    for name in ("line.yaml", "model.py", "data.csv"):
        shutil.copy(made / name, tmp_path)
    shutil.copy(made / "line0.h5", tmp_path / "x.h5")
    options = ("--resume", "--more-rounds", 1, "--target-ess", 6000, "--seed", 0)
    code, _, err = extend(capsys, tmp_path, *options, spec="line.yaml")
    assert code == 0, err
    d = store.read(tmp_path / "x.h5").diagnostics
    assert d.ess >= 6000
    assert abs(d.log_evidence - exact(True)) < 4 * d.log_evidence_error


def test_an_ode_goes_on_with_local_draws(made, tmp_path, capsys):
    for name in ("ode.yaml", "decay.csv"):
        shutil.copy(made / name, tmp_path)
    shutil.copy(made / "ode.h5", tmp_path / "x.h5")
    before = store.read(tmp_path / "x.h5")
    options = ("--resume", "--more-rounds", 1)
    code, _, err = extend(capsys, tmp_path, *options, spec="ode.yaml")
    assert code == 0, err
    after = store.read(tmp_path / "x.h5")
    assert after.counts.n_gradient_evaluations > before.counts.n_gradient_evaluations
    gap = abs(after.diagnostics.log_evidence - before.diagnostics.log_evidence)
    error = before.diagnostics.log_evidence_error
    assert gap < 4 * np.hypot(after.diagnostics.log_evidence_error, error)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"likelihood": {"y": {"normal": 0.4}}}, "likelihood.y.normal: 0.3 before, 0.4 now"),
        ({"seed": 2}, "seed: 1 before, 2 now"),
    ],
)
def test_another_problem_is_refused(change, words, finished, capsys):
    spec = yaml.safe_load((finished / "slow.yaml").read_text()) | change
    (finished / "slow.yaml").write_text(yaml.safe_dump(spec))
    code, _, err = extend(capsys, finished, "--resume", "--more-rounds", 1)
    assert code == 3
    assert words in err


def test_other_data_and_other_models_are_refused(finished, capsys):
    data = finished / "data.csv"
    was = data.read_text()
    data.write_text(was.replace("0.5", "0.6"))
    code, _, err = extend(capsys, finished, "--resume", "--target-ess", 2000)
    assert code == 3
    assert "of another model, or of other data: at the result's draw 0" in err
    data.write_text(was)
    model = finished / "model.py"
    model.write_text(model.read_text().replace('p["a"]', '2*p["a"]'))
    code, _, err = extend(capsys, finished, "--resume", "--target-ess", 2000)
    assert code == 3
    assert "of another model, or of other data" in err


def test_what_cannot_be_gone_on_from(finished, capsys):
    code, _, err = extend(capsys, finished, "--more-rounds", 1)
    assert code == 2
    assert "--more-rounds, --target-ess and --model-changed need --resume" in err
    code, _, err = extend(capsys, finished, "--resume", "--more-rounds", 1, name="none.h5")
    assert code == 3
    assert "nothing to resume" in err
    assert inside(capsys, "prune", finished / "x.h5", "-o", finished / "pruned.h5")[0] == 0
    code, _, err = extend(capsys, finished, "--resume", "--more-rounds", 1, name="pruned.h5")
    assert code == 3
    assert "only the result of a run can be gone on from" in err
