"""Result files: round trip, other readers, damage."""

import decay
import h5py
import numpy as np
import pytest

import nfanneal
from nfanneal.anneal.proposals.base import log_standard_normal
from nfanneal.anneal.proposals.stored import restored
from nfanneal.anneal.weights import evidence
from nfanneal.errors import ResultError
from nfanneal.model.latent import LatentMap
from nfanneal.results import store
from nfanneal.spec.load import spec_from_text

SPEC = {
    "name": "tiny",
    "model": decay.MODEL,
    "parameters": {
        "n0": {"prior": {"lognormal": [0, 1]}, "label": "$n_0$", "unit": "mg"},
        "k": {"prior": {"halfnormal": 1}, "shape": 2},
    },
    "data": {"file": "data.csv", "time": "t"},
    "likelihood": {"n": {"normal": 0.2}},
    "anneal": {"draws": 512, "steps": 10, "max_rounds": 1},
    "output": {"samples": 400},
}


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "data.csv").write_text("t,n\n0,1.1\n1,0.6\n1,\n2,0.45\n")
    spec = {**SPEC, "data": {"file": str(folder / "data.csv"), "time": "t"}}
    return nfanneal.run(spec, threads=1)


@pytest.fixture
def path(result, tmp_path):
    store.write(result, tmp_path / "tiny.h5")
    return tmp_path / "tiny.h5"


def same(first, second):
    """Equality through nested dataclasses, mappings and arrays; nan equals nan."""
    if isinstance(first, np.ndarray):
        return first.dtype == second.dtype and np.array_equal(first, second, equal_nan=True)
    if hasattr(first, "__dataclass_fields__"):
        return all(same(getattr(first, f), getattr(second, f)) for f in first.__dataclass_fields__)
    if isinstance(first, dict):
        return set(first) == set(second) and all(same(first[k], second[k]) for k in first)
    if isinstance(first, float):
        return np.array_equal(first, second, equal_nan=True)
    return first == second


def test_a_result_comes_back_as_it_was(result, path):
    again = nfanneal.load(path)
    for name in result.__dataclass_fields__:
        if name != "flow":
            assert same(getattr(result, name), getattr(again, name)), name


def test_the_stored_flow_gives_the_stored_weights(result, path):
    """log_weight is log prior + log L − log q with q rebuilt from the file, to float32 accuracy."""
    again = nfanneal.load(path)
    proposal = restored(again.flow.layout, again.flow.arrays)
    latent = LatentMap(spec_from_text(result.spec_yaml, path.parent).meaning.free)
    z = latent.to_latent(again.draws.theta)
    log_ratio = log_standard_normal(z) - proposal.log_density(z)
    expected = again.draws.log_weight - again.draws.log_likelihood
    np.testing.assert_allclose(log_ratio, expected, atol=1e-3)


def test_weights_sum_to_the_evidence(result):
    d = result.draws
    told = result.diagnostics
    assert evidence(d.log_weight).log_evidence == told.weighted_log_evidence
    error = np.hypot(told.weighted_log_evidence_error, told.log_evidence_error)
    assert abs(told.log_evidence - told.weighted_log_evidence) < 3.0 * error
    np.testing.assert_allclose(d.log_prior + d.log_likelihood - d.log_proposal, d.log_weight)


def test_posterior_draws_are_weighted_draws(result):
    np.testing.assert_array_equal(result.posterior, result.draws.theta[result.posterior_index])
    assert len(result.posterior) == np.ceil(result.diagnostics.ess)


def test_arviz_and_xarray_open_it_without_warnings(path):
    arviz = pytest.importorskip("arviz", exc_type=ImportError)
    xarray = pytest.importorskip("xarray")
    data = arviz.from_netcdf(path)
    assert {"posterior", "log_likelihood", "observed_data", "weighted"} <= set(data.groups())
    assert data.posterior["k"].dims == ("chain", "draw", "k_dim_0")
    assert data.posterior["n0"].attrs["units"] == "mg"
    tree = xarray.open_datatree(path)
    tree.load()
    assert tree["weighted"]["log_weight"].shape == (1, 400)
    assert tree["history"]["beta"].values[0] == 0
    assert "log_evidence" in tree.attrs
    tree.close()


def test_no_dataset_that_readers_choke_on(path):
    with h5py.File(path) as file:
        file.visititems(check_dataset)


def check_dataset(name, item):
    if isinstance(item, h5py.Dataset):
        assert item.shape is not None, name
        assert item.dtype != np.float16, name
        assert item.is_scale or all(len(d) for d in item.dims), name


def test_writing_leaves_nothing_else_behind(path):
    assert [p.name for p in path.parent.iterdir()] == ["tiny.h5"]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda p: p.write_bytes(b"not hdf5 at all"), "not an HDF5 file"),
        (lambda p: p.write_bytes(b""), "the file is empty"),
        (lambda p: p.write_bytes(p.read_bytes()[:3000]), "cut off or damaged"),
        (lambda p: p.unlink(), "no such file"),
        (lambda p: remove(p, "weighted"), "damaged"),
        (lambda p: remove(p, "nfanneal/flow"), "damaged"),
        (lambda p: attribute(p, "created_by", "other"), "not a result of nfanneal"),
        (lambda p: attribute(p, "nfanneal_format", 99), "reads format 2"),
    ],
)
def test_damaged_files_are_one_clear_line(path, damage, words):
    damage(path)
    with pytest.raises(ResultError, match=words):
        store.read(path)


def remove(path, name):
    with h5py.File(path, "a") as file:
        del file[name]


def attribute(path, name, value):
    with h5py.File(path, "a") as file:
        file.attrs[name] = value


def test_a_folder_that_is_not_there(result, tmp_path):
    with pytest.raises(ResultError, match="cannot write here"):
        store.write(result, tmp_path / "nowhere" / "x.h5")
