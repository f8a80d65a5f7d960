"""The guide: its pages are listed, shown as they are, and laid out on a terminal."""

import os
import pty
import re
import tomllib
from contextlib import suppress
from fnmatch import fnmatch
from importlib import resources
from io import StringIO
from pathlib import Path

import pytest
from commands import inside
from processes import PYTHON, begin, completed, finish
from rich.console import Console

import nfanneal
from nfanneal.cli.guide import TOPICS
from nfanneal.report.guide import laid_out

PAGES = resources.files("nfanneal").joinpath("guide")
PACKAGE = Path(nfanneal.__file__).parent


def page(topic):
    return PAGES.joinpath(f"{topic}.md").read_text("utf-8")


def in_a_terminal(*arguments, **environment):
    """What the command shows on a terminal of its own."""
    ours, its = pty.openpty()
    given = os.environ | {"TERM": "xterm"} | environment
    shown = b""
    process = begin([*PYTHON, *arguments], stdin=its, stdout=its, stderr=its, env=given)
    os.close(its)
    with suppress(OSError):  # what Linux says when the other side is closed
        while piece := os.read(ours, 4096):
            shown += piece
    finish(process)
    os.close(ours)
    assert process.returncode == 0, shown
    return shown.decode().replace("\r\n", "\n")


def test_every_page_is_listed_with_its_heading(capsys):
    assert {f"{topic}.md" for topic in TOPICS} == {path.name for path in PAGES.iterdir()}
    code, out, _ = inside(capsys, "guide")
    assert code == 0
    listed = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert listed == {topic: page(topic).split("\n")[0].removeprefix("# ") for topic in TOPICS}
    assert max(map(len, out.splitlines())) <= 60


@pytest.mark.parametrize("topic", TOPICS)
def test_a_page_is_printed_as_it_is(topic, capsysbinary):
    code, out, err = inside(capsysbinary, "guide", topic)
    assert (code, err) == (0, b"")
    assert out == PAGES.joinpath(f"{topic}.md").read_bytes()


def test_a_page_goes_to_a_pipe_in_any_encoding():
    given = os.environ | {"PYTHONIOENCODING": "ascii", "FORCE_COLOR": "1"}
    done = completed([*PYTHON, "guide", "method"], env=given, text=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode() == page("method")


def test_a_topic_that_is_not_there(capsys):
    code, out, err = inside(capsys, "guide", "modles")
    assert (code, out) == (2, "")
    assert "no topic 'modles'; did you mean 'models'?" in err
    code, _, err = inside(capsys, "guide", "../models.py")
    assert code == 2
    code, _, err = inside(capsys, "guide", "xyz")
    assert code == 2
    assert all(topic in err for topic in TOPICS)


def test_a_terminal_gets_the_page_through_the_pager():
    shown = in_a_terminal("guide", "cluster", PAGER="tr a-z A-Z", COLUMNS="60")
    assert "ON MANY CORES AND ON A CLUSTER" in shown
    assert "CHECKPOINT (STOPPING.MD)" in " ".join(shown.split())
    assert "`" not in shown
    assert max(map(len, shown.splitlines())) <= 60


def cells(text):
    """The cells of the page's tables, without marks of code."""
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    found = [cell.strip() for row in rows for cell in row.strip("|").split("|")]
    return [re.sub(r"[`*]", "", cell) for cell in found if set(cell) - set("- ")]


@pytest.mark.parametrize("width", [60, 80, 100, 200])
@pytest.mark.parametrize("topic", TOPICS)
def test_tables_are_cut_nowhere(topic, width):
    shown = laid_out(page(topic), Console(file=StringIO(), width=width))
    assert max(len(line) for line in shown.splitlines()) <= width
    assert shown.count("…") == page(topic).count("…")
    words = set(re.findall(r"[^\s·]+", shown.replace(": ", " ")))
    for cell in cells(page(topic)):
        assert {word.removesuffix(":") for word in cell.split()} <= words, cell


def test_the_package_brings_the_pages_along():
    """Every file that is no module is among the package's data."""
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["nfanneal"]
    files = [path.relative_to(PACKAGE) for path in PACKAGE.rglob("*") if path.is_file()]
    data = [str(file) for file in files if file.suffix not in (".py", ".pyc")]
    assert {f"guide/{topic}.md" for topic in TOPICS} <= set(data)
    for file in data:
        assert any(fnmatch(file, pattern) for pattern in patterns), file
