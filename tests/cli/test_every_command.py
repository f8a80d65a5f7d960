"""Every command, as main.py lists them: without arguments, with --help, and on TAB."""

import os

import click
import pytest
from commands import inside
from processes import PYTHON, completed, script

from nfanneal.bench.solvers.engine import Throughput
from nfanneal.cli import engine
from nfanneal.cli.guide import TOPICS
from nfanneal.cli.main import COMMANDS, WITHIN
from nfanneal.cli.main import command as nfanneal

NAMES = [*COMMANDS, *WITHIN]
SHELLS = ["bash", "zsh", "fish"]


def found(name):
    """The command of this name, in a context of its own."""
    _, command, _ = nfanneal.resolve_command(click.Context(nfanneal), name.split())
    return command, click.Context(command)


def options(name):
    """The options of a command, --help too."""
    command, context = found(name)
    return [p for p in command.get_params(context) if isinstance(p, click.Option)]


def long_names(option):
    return [text for text in (*option.opts, *option.secondary_opts) if text.startswith("--")]


def asked(shell, words):
    """The environment in which a shell asks what the last of the words could become."""
    place = words[-1] if shell == "fish" else str(len(words))
    line = " ".join(["nfanneal", *words])
    return {"_NFANNEAL_COMPLETE": f"{shell}_complete", "COMP_WORDS": line, "COMP_CWORD": place}


def offers(shell, answer):
    """(type, value) of all that a shell was answered, and no other line."""
    lines = answer.removesuffix("\n").split("\n") if answer.strip("\n") else []
    if shell == "zsh":
        assert len(lines) % 3 == 0, answer
        pairs = list(zip(lines[::3], lines[1::3], strict=True))
    else:
        pairs = [tuple(line.split("\t")[0].split(",")) for line in lines]
    assert all(kind in ("plain", "file") for kind, _ in pairs), answer
    return pairs


@pytest.fixture
def tab(capsys, monkeypatch):
    """What TAB offers: its words and whether files are among them."""

    def press(shell, *words):
        for key, value in asked(shell, words).items():
            monkeypatch.setenv(key, value)
        code, out, err = inside(capsys)
        assert (code, err) == (0, ""), words
        pairs = offers(shell, out)
        return {value for kind, value in pairs if kind == "plain"}, ("file" in dict(pairs))

    return press


@pytest.fixture
def instant(monkeypatch):
    """What `bench engine` measures takes minutes: nothing is."""
    monkeypatch.setattr(engine, "costs", lambda *_: iter(()))
    monkeypatch.setattr(engine, "throughput", lambda name, _: Throughput(name, 1, 1, 0, 1))


@pytest.mark.parametrize("name", NAMES)
def test_without_arguments_a_command_works_or_tells_its_usage(
    name, capsys, tmp_path, monkeypatch, instant
):
    monkeypatch.chdir(tmp_path)
    code, out, err = inside(capsys, *name.split())
    if any(parameter.required for parameter in found(name)[0].params):
        assert (code, out) == (2, "")
        assert f"Usage: nfanneal {name} " in err
        assert "Error: Missing " in err
    else:
        assert code == 0, err
        assert out


@pytest.mark.parametrize("name", NAMES)
def test_help_has_an_example(name, capsys):
    code, out, err = inside(capsys, *name.split(), "--help")
    assert (code, err) == (0, "")
    assert f"nfanneal {name}" in out.split("Example:")[1]


@pytest.mark.parametrize("name", NAMES)
def test_help_is_another_way_to_write_it(name, capsys):
    assert inside(capsys, "help", *name.split()) == inside(capsys, *name.split(), "--help")


@pytest.mark.parametrize("name", NAMES)
def test_help_fits_sixty_columns(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    _, out, _ = inside(capsys, *name.split(), "--help")
    body, _, example = out.partition("Example:")
    kept = [line for line in body.splitlines() if not line.startswith("    ")]  # as written: \\b
    assert max(map(len, kept)) <= 60
    assert example


@pytest.mark.parametrize("name", NAMES)
def test_a_reader_that_goes_away_is_no_failure(name):
    """As in `nfanneal guide models | head -1`, of both streams."""
    for stream in ("stdout", "stderr"):
        read, write = os.pipe()
        os.close(read)
        words = [*name.split(), "--help"] if stream == "stdout" else [*name.split(), "--odd"]
        done = completed([*PYTHON, *words], **{stream: write})
        os.close(write)
        assert (done.returncode, done.stdout or done.stderr or "") == (2 * (stream != "stdout"), "")


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("name", NAMES)
def test_tab_offers_arguments_options_and_their_values(name, shell, tab):
    words = name.split()
    arguments = [p for p in found(name)[0].params if isinstance(p, click.Argument)]
    values = {"guide": set(TOPICS), "completion": set(SHELLS)}.get(name, set())
    assert tab(shell, *words, "") == (values, bool(arguments) and not values)
    tab(shell, *words, "x.yaml", "")
    tab(shell, *words, "--no-such-option", "")
    every = {text for option in options(name) for text in long_names(option)}
    assert tab(shell, *words, "--") == (every, False)
    for text in every:
        assert text in tab(shell, *words, text[:3])[0]
    for option in options(name):
        if not option.is_flag:
            offered_as_declared(option, *tab(shell, *words, option.opts[-1], ""))
            offered_as_declared(option, *tab(shell, *words, f"{option.opts[-1]}="))
            tab(shell, *words, option.opts[-1], "?", "")


def offered_as_declared(option, values, files):
    """Only values that it has, some at least; files where it takes one."""
    if isinstance(option.type, click.Choice):
        assert values
        assert values <= set(option.type.choices)
    elif isinstance(option.type, click.Path):
        assert files


@pytest.mark.parametrize("shell", SHELLS)
def test_tab_offers_commands(shell, tab):
    assert tab(shell, "") == (set(COMMANDS), False)
    for name in COMMANDS:
        assert name in tab(shell, name[:2])[0]
    for name in WITHIN:
        first, second = name.split()
        assert second in tab(shell, first, second[:2])[0]
    assert tab(shell, "--") == ({"--help", "--version"}, False)
    assert tab(shell, "rum", "") == (set(), False)
    assert tab(shell, "rum", "--") == (set(), False)


@pytest.mark.parametrize("shell", SHELLS)
def test_tab_offers_what_fits_there(shell, tab):
    """After --resume and among the words of `plot` and `bench` it depends on those before."""
    assert tab(shell, "run", "--resume", "") == ({"auto"}, True)
    assert tab(shell, "run", "--resume", "m") == (set(), True)
    assert tab(shell, "run", "x.yaml", "--resume", "") == ({"auto"}, False)
    assert tab(shell, "run", "x.yaml", "--resume", "auto", "--q") == ({"--quiet"}, False)
    assert tab(shell, "run", "x.yaml", "--resume", "--q") == ({"--quiet"}, False)
    assert tab(shell, "bench", "x") == (set(), True)
    assert tab(shell, "plot", "mod") == (set(), True)
    assert tab(shell, "plot", "x.h5", "mod") == ({"modes"}, True)
    assert tab(shell, "plot", "x.h5", "modes", "mod") == (set(), True)
    assert tab(shell, "plot", "x.h5", "--truth", "") == (set(), True)


def test_nfanneal_alone_tells_its_usage(capsys):
    code, out, err = inside(capsys)
    assert (out + err).startswith("Usage: nfanneal ")
    assert code == (2 if err else 0)  # click before 8.2 takes it for --help


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["rum"], "did you mean 'run'?"),
        (["model.yaml", "-o", "a b.h5"], "did you mean: nfanneal run model.yaml -o 'a b.h5'"),
        (["K.H5"], "did you mean: nfanneal summary K.H5"),
        (["model.xml"], "did you mean: nfanneal import model.xml"),
        (["help", "summry"], "did you mean 'summary'?"),
    ],
)
def test_what_is_no_command_is_answered_with_what_may_be_meant(words, hint, capsys):
    code, out, err = inside(capsys, *words)
    assert (code, out) == (2, "")
    assert err.rstrip().endswith(hint)


def test_a_result_in_place_of_a_spec_is_told_before_anything_is_overwritten(folder, capsys):
    for words in (["run"], ["run", "--force"], ["check"]):
        code, _, err = inside(capsys, words[0], folder / "ode.h5", *words[1:])
        assert (code, "is an HDF5 file, not a spec" in err) == (3, True), err


def test_a_spec_in_place_of_a_result_says_what_makes_one(tmp_path, capsys):
    spec = tmp_path / "m.yaml"
    spec.write_text("name: m\n")
    code, _, err = inside(capsys, "summary", spec)
    assert code == 3
    assert f"not an HDF5 file; `nfanneal run {spec}` makes one of it" in err


def test_help_alone_is_that_of_the_program(capsys):
    assert inside(capsys, "help") == inside(capsys, "--help")


def test_too_few_and_too_many_arguments_tell_the_usage(capsys):
    for words in (["run", "a", "b"], ["run", "--resume"], ["run", "--resume", "auto"],
                  ["bench", "engine", "extra"], ["bench", "--json"]):  # fmt: skip
        code, out, err = inside(capsys, *words)
        assert (code, out) == (2, ""), words
        assert err.startswith("Usage: nfanneal "), words


def test_a_shell_is_answered_by_a_process_of_its_own():
    done = completed(PYTHON, env=os.environ | asked("bash", ["ru"]))
    assert (done.returncode, done.stdout, done.stderr) == (0, "plain,run\n", "")


def test_commands_are_offered_without_importing_anything_heavy():
    code = (
        "import sys\nfrom nfanneal.cli import main\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert stop.code == 0\n"
        "heavy = {'torch', 'numba', 'scipy', 'sympy', 'h5py', 'pydantic', 'numpy'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = script(code, **asked("zsh", [""]))
    assert (done.returncode, done.stderr) == (0, "")
    assert {value for _, value in offers("zsh", done.stdout)} == set(COMMANDS)
