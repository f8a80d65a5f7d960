"""Documents that can fail: every config loads, and what README and guide say of names is true."""

import re
import shutil
import subprocess
from importlib import resources
from pathlib import Path

import pytest

from nfanneal.anneal.scout import LOOKED_AT
from nfanneal.anneal.searches import MOST_LOOKED_AT
from nfanneal.cli.guide import TOPICS
from nfanneal.cli.main import COMMANDS
from nfanneal.errors import ExitCode
from nfanneal.model.noise import NOISE_MODELS
from nfanneal.model.priors import PRIORS
from nfanneal.spec import document, table
from nfanneal.spec.annealing import PRESETS, USUAL
from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.kinds.python import PythonSpec
from nfanneal.spec.load import load_spec, spec_from_text
from nfanneal.spec.reader import MOST_DERIVATIVES, MOST_OPERATIONS

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
GUIDE = {topic: Path(str(resources.files("nfanneal") / "guide" / f"{topic}.md"))
         for topic in TOPICS}  # fmt: skip
DOCUMENTS = [README, *GUIDE.values()]


@pytest.fixture(scope="session")
def compiled():
    """The program in C of two configs."""
    program = ROOT / "configs" / "programs" / "repressilator"
    if program.exists():
        return
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    command = [compiler, "-O2", "-o", str(program), f"{program}.c", "-lm"]
    subprocess.run(command, check=True)


@pytest.mark.parametrize("path", sorted((ROOT / "configs").rglob("*.yaml")), ids=lambda p: p.stem)
def test_every_config_loads_and_says_how_to_run_it(path, request):
    if path.stem.startswith("repressilator_c"):
        request.getfixturevalue("compiled")
    text = path.read_text()  # a pipeline simulates its data: they are not there
    checked = (
        spec_from_text(text, path.parent) if path.parent.name == "pipeline" else load_spec(path)
    )
    assert f"nfanneal run {path.relative_to(ROOT)}" in text
    if checked.spec.model.kind == "python":  # the others are compiled
        problem = build_problem(checked)
        assert problem.latent.dimension > 0


@pytest.mark.parametrize("path", [README, GUIDE["models"]], ids=lambda p: p.stem)
def test_the_spec_that_is_shown_is_the_config(path):
    text = re.search(r"```yaml\n(name: lotka.*?)```", path.read_text(), re.DOTALL).group(1)
    shown = spec_from_text(text, ROOT / "configs").spec
    real = load_spec(ROOT / "configs" / "lotka_volterra.yaml").spec
    assert shown.model == real.model
    assert shown.likelihood == real.likelihood
    assert {k: p.prior for k, p in shown.parameters.items()} == {
        k: p.prior for k, p in real.parameters.items()
    }


def test_every_prior_and_noise_model_is_named():
    for name in (*PRIORS, *NOISE_MODELS):
        assert f"`{name}" in GUIDE["models"].read_text()


def test_the_readme_names_every_command_page_and_exit_code():
    text = README.read_text()
    for name, what in COMMANDS.items():
        said = what[0].lower() + what[1:].removesuffix(".")
        assert f"| `nfanneal {name}` | {said} |" in text
    for topic in TOPICS:
        assert f"| [{topic}](nfanneal/guide/{topic}.md) |" in text
    codes = text.split("### Exit codes")[1].split("##")[0]
    for code in ExitCode:
        assert re.search(rf"(^|· ){int(code)} ", codes, re.MULTILINE)


def test_limits_that_are_named_are_those_of_the_program():
    said = {name: " ".join(path.read_text().split()) for name, path in GUIDE.items()}
    for words in (
        f"at most {document.LARGEST_FILE / 1e6:g} MB, {document.MOST_NODES:,} values and "
        f"{MOST_OPERATIONS:,} operations",
        f"derivatives may take {MOST_DERIVATIVES:,}",
        f"at most {table.LARGEST_FILE / 1e6:g} MB and a million lines",
    ):
        assert words in said["models"]
    assert table.MOST_LINES == 1_000_000 + 1  # the header
    batch = PythonSpec.model_validate({"kind": "python", "file": "f.py"}).draws_per_call
    assert f"called with {batch} draws at once (`model.batch`)" in said["stopping"]
    quick, thorough = PRESETS["quick"], PRESETS["thorough"]
    for words in (
        f"`output.ess` effective ones ({USUAL.ess:,})",
        f"`output.error` ({USUAL.error:g})",
        f"`anneal.preset: quick` wants {quick.ess:,} effective draws and an error of "
        f"{quick.error:g}",
        f"`thorough` {thorough.ess:,} and {thorough.error:g}",
        f"(of {LOOKED_AT['free']:,} draws for ODE models, {LOOKED_AT['gradients']:,} for others,",
        f"doubled, up to {MOST_LOOKED_AT:,}.",
    ):
        assert words in said["method"]


def prose(text):
    """The text without its code: `a[0](b)` is no link."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^(    .*\n)+", "", text, flags=re.MULTILINE)
    return re.sub(r"`[^`]*`", "", text)


def anchors(path):
    """What headings of the page are called in links, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", prose(path.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.stem)
def test_links_point_at_what_is_there(path):
    links = re.findall(r"\]\(([^)\s]+)\)", prose(path.read_text()))
    for link in links:
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        assert target.is_file(), link
        assert not anchor or anchor in anchors(target), link


def test_the_accuracy_table_is_where_it_is_written():
    (target,) = re.findall(r"--table=(\S+)", (ROOT / "Makefile").read_text())
    assert (ROOT / target).samefile(GUIDE["accuracy"])
    text = (ROOT / target).read_text()
    assert text.count("<!-- accuracy: written by `make accuracy` -->\n") == 1
    assert text.count("<!-- /accuracy -->\n") == 1
