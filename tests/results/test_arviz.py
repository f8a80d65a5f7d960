"""What ArviZ makes of a result: its plots and tables, with experiments as a dimension."""

import warnings

import numpy as np
import pytest
from commands import inside, run

from nfanneal.results import store

SPEC = """
name: two tubes
model:
  kind: ode
  states: {n: n0}
  equations: {n: -k*n}
parameters:
  n0: {prior: {lognormal: [0, 1]}, per: experiment, unit: mg}
  k: {prior: {halfnormal: 1}}
  sigma: {prior: {halfnormal: 0.3}}
experiments:
  cold: {data: {table: "t,n\\n0,1.1\\n1,0.6\\n2,0.45\\n"}}
  warm: {data: {table: "t,n\\n0,2.1\\n3,0.2\\n"}}
likelihood: {n: {normal: {sigma: sigma}}}
anneal: {draws: 256, steps: 10, max_rounds: 1}
output: {samples: 400}
"""
PLOTS = {
    "plot_trace": {}, "plot_posterior": {}, "plot_forest": {}, "plot_density": {}, "plot_ess": {},
    "plot_pair": {}, "plot_rank": {}, "plot_autocorr": {}, "plot_mcse": {}, "plot_violin": {},
    "plot_ppc": {"num_pp_samples": 20}, "plot_bpv": {}, "plot_loo_pit": {"y": "n"},
}  # fmt: skip
"""What suits draws of one chain, and replicates of data."""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("arviz")
    (folder / "s.yaml").write_text(SPEC)
    run("run", folder / "s.yaml", "-o", folder / "s.h5", "--quiet", codes=(0, 5))
    run("export", folder / "s.h5", "--to", "netcdf")
    return folder


@pytest.fixture
def arviz():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ArviZ announces its next version
        return pytest.importorskip("arviz", exc_type=ImportError)


def test_experiments_are_a_dimension_and_times_are_constant(files, arviz):
    result, data = store.read(files / "s.h5"), arviz.from_netcdf(files / "s.nc")
    posterior = data["posterior"]
    assert set(posterior.data_vars) == {"n0", "k", "sigma"}
    assert posterior["n0"].dims == ("chain", "draw", "experiment")
    assert list(posterior["experiment"].values) == ["cold", "warm"]
    names = list(result.columns.names)
    for name in ("cold", "warm"):
        np.testing.assert_array_equal(
            posterior["n0"].sel(experiment=name).values[0],
            result.posterior[:, names.index(f"n0[{name}]")],
        )
    constant = data["constant_data"]
    np.testing.assert_array_equal(constant["n_time"].values, [0, 1, 2, 0, 3])
    assert list(constant["n_experiment"].values) == ["cold"] * 3 + ["warm"] * 2
    np.testing.assert_array_equal(data["observed_data"]["n"].values, [1.1, 0.6, 0.45, 2.1, 0.2])
    for group, field in (("posterior_predictive", "replicates"), ("log_likelihood", "pointwise")):
        joined = [getattr(result.observed[f"n[{name}]"], field) for name in ("cold", "warm")]
        np.testing.assert_array_equal(data[group]["n"].values[0], np.concatenate(joined, axis=1))
    assert posterior["n0"].attrs["units"] == "mg"


@pytest.mark.filterwarnings("ignore:Estimated shape parameter")  # each of five data counts
def test_leave_one_out_and_summary_are_of_all_experiments(files, arviz):
    data = arviz.from_netcdf(files / "s.nc")
    assert arviz.loo(data).n_data_points == 5
    assert list(arviz.summary(data).index) == ["n0[cold]", "n0[warm]", "k", "sigma"]


@pytest.mark.parametrize("ending", ["nc", "h5"])
@pytest.mark.parametrize("plot", PLOTS)
def test_plots_that_suit_work(plot, ending, files, arviz):
    data, options = arviz.from_netcdf(files / f"s.{ending}"), dict(PLOTS[plot])
    if ending == "h5" and "y" in options:
        options["y"] = "n[cold]"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import matplotlib.pyplot as plt

        plt.switch_backend("agg")
        assert getattr(arviz, plot)(data, **options) is not None
        plt.close("all")


def test_a_result_without_experiments_has_its_own_names(folder, capsys, arviz):
    assert inside(capsys, "export", folder / "ode.h5", "--to", "netcdf")[0] == 0
    data, result = arviz.from_netcdf(folder / "ode.nc"), store.read(folder / "ode.h5")
    assert set(data["posterior"].data_vars) == {"n0", "k"}
    assert "n_experiment" not in data["constant_data"]
    np.testing.assert_array_equal(data["constant_data"]["n_time"], result.observed["n"].times)
    np.testing.assert_array_equal(data["posterior"]["k"].values[0], result.posterior[:, 1:])
