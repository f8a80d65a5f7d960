"""The manual page, completion for shells, and what a notebook shows."""

import html.parser
import re
import shutil
from dataclasses import replace

import click
import pytest
from commands import inside
from processes import completed

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
