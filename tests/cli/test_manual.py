"""The manual page, completion for shells, and what a notebook shows."""

import html.parser
import re
import shutil
from dataclasses import replace

import click
import pytest
from commands import inside
from processes import PYTHON, completed

from nfanneal.cli.main import COMMANDS, WITHIN
from nfanneal.cli.main import command as nfanneal
from nfanneal.results import store


def test_the_manual_has_every_command_and_option(capsys):
    code, out, _ = inside(capsys, "man")
    assert code == 0
    parts = out.replace("\\-", "-").split(".SS nfanneal ")[1:]
    sections = {re.split(r" (?=[\[A-Z])|\n", part)[0]: part for part in parts}
    assert set(sections) == {*COMMANDS, *WITHIN}
    for name, text in sections.items():
        _, command, _ = nfanneal.resolve_command(click.Context(nfanneal), name.split())
        for option in command.params:
            if isinstance(option, click.Option):
                assert all(word in text for word in option.opts), (name, option.opts)


@pytest.mark.skipif(not shutil.which("groff"), reason="no groff")
def test_roff_has_no_complaint_about_it(capsys):
    _, out, _ = inside(capsys, "man")
    done = completed(["groff", "-man", "-Tutf8", "-ww"], out)
    assert (done.returncode, done.stderr) == (0, "")
    assert "log-evidence" in done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_of_the_shell(shell, capsys):
    code, out, _ = inside(capsys, "completion", shell)
    assert code == 0
    assert f"_NFANNEAL_COMPLETE={shell}_complete" in out
    if shutil.which(shell):
        assert completed([shell, "-n"], out).stderr == ""


def test_warnings_of_a_model_are_a_line_each_and_go_to_the_log(tmp_path):
    (tmp_path / "model.py").write_text(
        "import numpy as np\ndef f(p):\n    np.log(np.zeros(1))\n    return -p['x'] ** 2\n"
    )
    (tmp_path / "s.yaml").write_text(
        "model: {kind: python, file: model.py, log_likelihood: f, array: numpy}\n"
        "parameters: {x: {prior: {normal: [0, 1]}}}\n"
        "anneal: {draws: 64, steps: 2, max_rounds: 1, walkers: 0}\noutput: {samples: 100}\n"
    )
    words = ["run", tmp_path / "s.yaml", "-o", tmp_path / "s.h5", "--log", tmp_path / "log"]
    done = completed([*PYTHON, *words, "--quiet"])
    told = "Warning: model.py:3: divide by zero encountered in log (RuntimeWarning)"
    assert done.stderr.splitlines() == [told]
    assert told in (tmp_path / "log").read_text().splitlines()


def test_a_notebook_shows_what_is_escaped(folder):
    result = store.read(folder / "ode.h5")
    said = replace(result, name="<b>&", warnings=("<script>",))._repr_html_()
    opened = []

    class Reader(html.parser.HTMLParser):
        def handle_starttag(self, tag, attrs):
            opened.append(tag)

        def handle_endtag(self, tag):
            assert tag in opened

    Reader().feed(said)
    assert "script" not in opened
    assert "Do not trust" in said
    assert f"{result.diagnostics.log_evidence:.4f}" in said
    assert opened.count("tr") == 1 + len(result.columns.names)
    assert "No diagnostic speaks against" in replace(result, warnings=())._repr_html_()
