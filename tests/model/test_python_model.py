"""Models and likelihoods: Python functions, noise arguments, gradients, failures."""

import numpy as np
import pytest
import rising
import torch
from scipy import stats

from nfanneal.errors import DataError, ModelError, SpecError
from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.load import spec_from_text

DATA = "t,y,w\n0,1.0,2\n1,1.4,\n1,1.6,3\n2,2.2,5\n4,,9\n"
MODEL = """
import torch

def simulate(parameters, times):
    a, k, gain = parameters["a"], parameters["k"], parameters["gain"]
    y = a[:, None] + k[:, :1] * times + gain[:, None] * 0.1 * times**2
    return {"y": y, "w": torch.exp(0.3 * y) + k[:, 1:]}

def raises(parameters):
    raise RuntimeError("no such luck")

def wrong_shape(parameters):
    return parameters["k"]

def sometimes(parameters):
    a = parameters["a"]
    return torch.where(a > 1.0, torch.nan, torch.where(a > 0.0, -torch.inf, -(a**2)))
"""
SIMULATE = """
model: {kind: python, file: model.py, simulate: simulate}
parameters:
  a: {prior: {normal: [1, 1]}}
  k: {shape: 2, prior: {lognormal: [-1, 0.5]}}
  gain: 0.5
  s: {prior: {halfnormal: 1}}
data: {file: data.csv, time: t}
likelihood:
  y: {normal: {sigma: "sqrt(s**2 + (0.1*y)**2)"}}
  w: {negative_binomial: {phi: "1/s + k[1]"}}
"""
ODE = """
model:
  kind: ode
  states: {y: a, w: "1 + k[1]"}
  equations: {y: "k[0]*gain", w: "k[0]*w*where(t > 1, 1, 0.5)"}
parameters:
  a: {prior: {normal: [1, 1]}}
  k: {shape: 2, prior: {lognormal: [-1, 0.5]}}
  gain: 0.5
  s: {prior: {halfnormal: 1}}
data: {file: data.csv, time: t}
likelihood:
  y: {student_t: {df: 4, sigma: "s + 0.1*abs(y)"}}
  w: {negative_binomial: {phi: "1/s + k[1]"}}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data.csv").write_text(DATA)
    (tmp_path / "model.py").write_text(MODEL)
    return tmp_path


def problem(text, folder):
    return build_problem(spec_from_text(text, folder))


def latents(problem, n=6):
    return 0.5 * np.random.default_rng(0).standard_normal((n, problem.latent.dimension))


def test_likelihood_of_replicates_and_missing_cells_is_that_of_scipy(folder):
    p = problem(SIMULATE, folder)
    z = latents(p)
    theta = p.latent.from_latent(z)
    expected = np.zeros(len(z))
    for i, (a, k0, k1, s) in enumerate(theta):
        t = np.array([0.0, 1.0, 1.0, 2.0, 4.0])
        y = a + k0 * t + 0.05 * t**2
        w = np.exp(0.3 * y) + k1
        sd = np.sqrt(s**2 + (0.1 * y) ** 2)
        expected[i] = stats.norm(y[:4], sd[:4]).logpdf([1.0, 1.4, 1.6, 2.2]).sum()
        seen, phi = [0, 2, 3, 4], 1 / s + k1
        expected[i] += stats.nbinom(phi, phi / (phi + w[seen])).logpmf([2, 3, 5, 9]).sum()
    np.testing.assert_allclose(p.evaluate(z, False).log_likelihood, expected, rtol=1e-10)


@pytest.mark.parametrize("text", [SIMULATE, ODE], ids=["python", "ode"])
def test_gradient_in_the_latent_space(text, folder):
    """Against central differences: O(h²) error 1e-8, solver noise 1e-9/h at a tight tolerance."""
    tight = "model:\n  solver: {rtol: 1e-11, atol: 1e-12}\n"
    p = problem(text.replace("model:\n", tight, 1), folder)
    z = latents(p)
    exact = p.evaluate(z, True).gradient
    h = 1e-4
    for j in range(z.shape[1]):
        step = h * np.eye(z.shape[1])[j]
        up, down = (p.evaluate(z + s * step, False).log_likelihood for s in (1, -1))
        np.testing.assert_allclose(exact[:, j], (up - down) / (2 * h), rtol=2e-4, atol=2e-4)


def test_values_are_the_same_with_and_without_gradient(folder):
    for text in (SIMULATE, ODE):
        p = problem(text, folder)
        z = latents(p, 40)
        with_gradient = p.evaluate(z, True).log_likelihood
        np.testing.assert_allclose(with_gradient, p.evaluate(z, False).log_likelihood, rtol=1e-7)


def test_fisher_information_is_the_mean_outer_product_of_scores(folder):
    """400 simulated data sets at one θ: 5 standard errors of each entry (false alarm 1e-4)."""
    text = ODE.replace("student_t: {df: 4, sigma", "normal: {sigma").replace(
        'negative_binomial: {phi: "1/s + k[1]"}', "lognormal: {sigma: 0.3 + s}"
    )
    p = problem(text, folder)
    z = latents(p, 1)
    information = p.evaluate(z, True).information[0]
    theta = p.latent.from_latent(z)
    rng = np.random.default_rng(1)
    scores = []
    likelihood = p.likelihood
    for _ in range(400):
        replicate = likelihood.draw(theta, likelihood.predict(theta), rng)
        series = [s.__class__(**{**vars(s), "values": replicate[s.name][0]})
                  for s in likelihood.series]  # fmt: skip
        again = likelihood.__class__(likelihood.simulator, likelihood.times, series)
        values = again.evaluate(theta, True)
        scores.append(values.gradient[0] * p.latent.latent_slope(z, theta)[0])
    outer = np.einsum("ki,kj->kij", scores, scores)
    error = outer.std(axis=0) / np.sqrt(len(outer))
    assert np.all(np.abs(outer.mean(axis=0) - information) < 5 * error)


def test_a_numpy_model_has_no_gradient(folder):
    (folder / "model.py").write_text(
        "import numpy as np\n\ndef f(p):\n"
        "    assert isinstance(p['a'], np.ndarray)\n    return -p['a']**2\n"
    )
    p = problem(
        "model: {kind: python, file: model.py, log_likelihood: f, array: numpy}\n"
        "parameters: {a: {prior: {normal: [0, 1]}}}",
        folder,
    )
    assert not p.target.differentiable
    np.testing.assert_allclose(p.evaluate(np.array([[2.0]]), False).log_likelihood, [-4.0])


def test_nan_is_a_failure_and_minus_infinity_is_not(folder):
    p = problem(
        "model: {kind: python, file: model.py, log_likelihood: sometimes}\n"
        "parameters: {a: {prior: {normal: [0, 1]}}}",
        folder,
    )
    evaluation = p.evaluate(np.array([[2.0], [0.5], [-0.5]]), True)
    assert list(evaluation.failed) == [True, False, False]
    np.testing.assert_allclose(evaluation.log_likelihood, [-np.inf, -np.inf, -0.25])
    assert np.isfinite(evaluation.gradient).all()
    np.testing.assert_allclose(evaluation.gradient[:, 0], [0, 0, 1.0])


@pytest.mark.parametrize(
    ("function", "words"),
    [("raises", "raised RuntimeError: no such luck"), ("wrong_shape", "shape \\(8,\\)")],
)
def test_broken_functions_are_named(function, words, folder):
    text = (
        f"model: {{kind: python, file: model.py, log_likelihood: {function}}}\n"
        "parameters: {k: {shape: 2, prior: {normal: [0, 1]}}}"
    )
    with pytest.raises(ModelError, match=words):
        problem(text, folder).evaluate(np.zeros((8, 2)), False)


@pytest.mark.parametrize("array", ["numpy", "torch"])
@pytest.mark.parametrize("kind", ["log_likelihood", "simulate"])
@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("None", "returned None"),
        ("['a'] * 8", "returned .*, not real numbers|returned a list that is no array"),
        ("[{}] * 8", "returned .*, not real numbers|returned a list that is no array"),
        ("[True] * 8", "returned bool values, not real numbers"),
        ("[1j] * 8", "complex.* values, not real numbers"),
        ("sys.exit(0)", "raised SystemExit"),
    ],
)
def test_what_is_not_an_array_of_real_numbers_is_refused(array, kind, value, words, folder):
    value = f"{{'y': {value}}}" if kind == "simulate" and "[" in value else value
    (folder / "odd.py").write_text(f"import sys\n\ndef f(*_):\n    return {value}\n")
    text = (
        f"model: {{kind: python, file: odd.py, {kind}: f, array: {array}}}\n"
        "parameters: {k: {prior: {normal: [0, 1]}}}\n"
    )
    if kind == "simulate":
        text += "data: {file: data.csv, time: t}\nlikelihood: {y: {normal: 1}}\n"
    with pytest.raises(ModelError, match=words):
        problem(text, folder).evaluate(np.zeros((8, 1)), False)


@pytest.mark.parametrize(
    ("array", "body", "hint"),
    [
        ("torch", "scipy.stats.norm.logpdf(p['k'])", "set model.array: numpy"),
        ("torch", "np.where(p['k'] > 0, p['k'], 0).sum(1)", "set model.array: numpy"),
        ("numpy", "torch.exp(p['k'])", "set model.array: torch"),
    ],
)
def test_functions_for_the_other_kind_of_array_get_a_hint(array, body, hint, folder):
    text = f"import numpy as np, scipy.stats, torch\n\ndef f(p):\n    return {body}\n"
    (folder / "other.py").write_text(text)
    spec = (
        f"model: {{kind: python, file: other.py, log_likelihood: f, array: {array}}}\n"
        "parameters: {k: {prior: {normal: [0, 1]}}}\n"
    )
    with pytest.raises(ModelError, match=hint):
        problem(spec, folder).evaluate(np.zeros((8, 1)), array == "torch")


def test_files_and_functions_that_are_missing_are_placed(folder):
    text = "parameters: {k: {prior: {normal: [0, 1]}}}\nmodel:\n  kind: python\n"
    with pytest.raises(SpecError, match=r"spec:4:9: no such model file: .*none\.py"):
        problem(f"{text}  file: none.py\n  log_likelihood: f\n", folder)
    with pytest.raises(SpecError, match=r"spec:5:19: .* has no function 'absent'"):
        problem(f"{text}  file: model.py\n  log_likelihood: absent\n", folder)


def test_data_before_the_start_are_refused_at_its_place(folder):
    text = (
        "model:\n  kind: ode\n  start: 5\n  states: {y: 1}\n  equations: {y: -a*y}\n"
        "parameters: {a: {prior: {uniform: [0, 2]}}}\n"
        "data: {file: data.csv, time: t}\nlikelihood: {y: {normal: 0.1}}\n"
    )
    with pytest.raises(SpecError, match=r"spec:3:10: the data .* begin at .*, before"):
        problem(text, folder)


def test_data_that_the_noise_cannot_produce(folder):
    (folder / "data.csv").write_text(DATA.replace("3\n", "3.5\n"))
    with pytest.raises(DataError, match="negative_binomial noise needs a count"):
        problem(SIMULATE, folder)


def test_failing_trajectories_have_zero_likelihood(folder):
    text = """
model: {kind: ode, states: {y: 1}, equations: {y: a*y**2}}
parameters: {a: {prior: {uniform: [0, 2]}}}
data: {file: data.csv, time: t}
likelihood: {y: {normal: 0.1}}
"""
    p = problem(text, folder)
    evaluation = p.evaluate(np.array([[-3.0], [3.0]]), True)  # y blows up at t = 1/a
    assert list(evaluation.failed) == [False, True]
    assert evaluation.log_likelihood[1] == -np.inf
    assert np.all(evaluation.gradient[1] == 0)


def test_torch_and_chunks_do_not_matter(folder):
    p = problem(SIMULATE, folder)
    z = np.random.default_rng(3).standard_normal((5000, 4)) * 0.3
    whole = p.evaluate(z, True)
    part = p.evaluate(z[4900:], True)
    np.testing.assert_array_equal(whole.log_likelihood[4900:], part.log_likelihood)
    assert torch.is_grad_enabled()


ON_THE_EDGE = (
    f"model: {rising.MODEL}"
    + """
parameters: {a: {prior: {normal: [1, 1]}}}
data: {file: data.csv, time: t}
likelihood: {y: {normal: 1e-30}}
"""
)


def test_gradients_that_overflow_are_dropped_without_a_word(folder):
    """y = 0 stays 0, and ∂y/∂a is e^600 at the end: e^600·1e60 is beyond the largest number, in

    the gradient and in the information. Warnings are errors."""
    p = problem(ON_THE_EDGE, folder)
    found = p.evaluate(np.array([[-1.0]]), True)
    assert np.isfinite(found.log_likelihood[0])
    assert list(found.dropped) == [True]
    assert found.gradient[0] == 0.0
    assert found.information[0] == 0.0


def test_no_draws_have_no_values(folder):
    p = problem(ODE, folder)
    found = p.likelihood.evaluate(np.empty((0, p.latent.dimension)), True)
    assert found.log_likelihood.shape == (0,)
    assert found.gradient.shape == (0, p.latent.dimension)
