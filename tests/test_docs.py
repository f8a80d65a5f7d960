"""Documents that can fail: every config loads, and the README's spec, names and codes are true."""

import re
from pathlib import Path

import pytest

from nfanneal.cli.main import COMMANDS
from nfanneal.errors import ExitCode
from nfanneal.model.noise import NOISE_MODELS
from nfanneal.model.priors import PRIORS
from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.load import load_spec, spec_from_text

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("path", sorted((ROOT / "configs").rglob("*.yaml")), ids=lambda p: p.stem)
def test_every_config_loads_and_says_how_to_run_it(path):
    text = path.read_text()  # a pipeline simulates its data: they are not there
    checked = (
        spec_from_text(text, path.parent) if path.parent.name == "pipeline" else load_spec(path)
    )
    assert f"nfanneal run {path.relative_to(ROOT)}" in text
    if checked.spec.model.kind == "python":  # the others are compiled
        problem = build_problem(checked)
        assert problem.latent.dimension > 0


def test_the_spec_of_the_readme_is_the_config():
    text = re.search(r"```yaml\n(name: lotka.*?)```", README, re.DOTALL).group(1)
    shown = spec_from_text(text, ROOT / "configs").spec
    real = load_spec(ROOT / "configs" / "lotka_volterra.yaml").spec
    assert shown.model == real.model
    assert shown.likelihood == real.likelihood
    assert {k: p.prior for k, p in shown.parameters.items()} == {
        k: p.prior for k, p in real.parameters.items()
    }


def test_the_readme_names_every_prior_noise_model_command_and_exit_code():
    for name in (*PRIORS, *NOISE_MODELS):
        assert f"`{name}" in README
    for name in COMMANDS:
        assert f"nfanneal {name}" in README
    codes = README.split("### Exit codes")[1].split("##")[0]
    for code in ExitCode:
        assert re.search(rf"(^|· ){int(code)} ", codes, re.MULTILINE)
