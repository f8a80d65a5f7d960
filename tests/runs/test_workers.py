"""Runs whose model is asked by workers: the same bits however many, killed or not; all told."""

import json
import os
import signal
import sys

import commands
import pytest
from commands import inside
from processes import PYTHON, begin, finish
from programs import staying, written
from stopping import differences, until

from nfanneal.results import store
from nfanneal.runs.answer_log import AnswerLog
from nfanneal.runs.checkpoint_file import answers_path

FEW = """\
anneal: {draws: 64, effort: 8, steps: 2, schedule: linear, levels: 1, max_rounds: 1, looks: 64,
  search_evaluations: 200, walkers: 0, moves: 0, preset: frugal}
output: {samples: 200, error: 5, ess: 10, checkpoint: 0.1s}
flow: {hidden: [16]}
"""
COUNTED = """\
with open("CALLS", "a") as calls:
    calls.write(f"{a!r} {b!r}\\n")
"""
PYTHON_MODEL = """\
import numpy as np
def line(p, times):
    return {"x": p["a"][:, None] + p["b"][:, None] * times}
"""
PYTHON_SPEC = """\
name: by a program
model: {kind: python, file: model.py, simulate: line, array: numpy}
parameters:
  a: {prior: {uniform: [-3, 3]}}
  b: {prior: {normal: [0, 1]}}
data: {file: d.csv}
likelihood: {x: {normal: 1}}
"""


def program(folder, body="", more="protocol: lines"):
    """A spec of a program that stays, with few draws; it writes down what it is asked."""
    folder.mkdir(exist_ok=True)
    script = staying(COUNTED.replace("CALLS", str(folder / "calls")) + body)
    path = written(folder, script, more=more)
    path.write_text(path.read_text().replace("normal: 0.1", "normal: 1") + FEW)
    return path


def run(spec, output, *options, codes=(0, 5)):
    words = ["run", spec, "-o", output, "--quiet", "--threads", 1, *options]
    commands.run(*words, codes=codes)


def calls(folder):
    return (folder / "calls").read_text().splitlines()


def test_any_number_of_programs_gives_the_same_bits(tmp_path):
    spec = program(tmp_path / "p")
    for workers in (1, 7):
        run(spec, tmp_path / f"{workers}.h5", "--workers", workers)
    one = tmp_path / "1.h5"
    assert differences(one, tmp_path / "7.h5") == []
    assert not answers_path(tmp_path / "1.h5").exists()


def test_a_python_model_in_processes_gives_the_same_bits_and_answers(tmp_path):
    folder = tmp_path / "p"
    spec = program(folder)
    (folder / "model.py").write_text(PYTHON_MODEL)
    (folder / "python.yaml").write_text(PYTHON_SPEC + FEW)
    for workers in (1, 3):
        run(folder / "python.yaml", tmp_path / f"{workers}.h5", "--workers", workers)
    assert differences(tmp_path / "1.h5", tmp_path / "3.h5") == []
    run(spec, tmp_path / "program.h5", "--workers", 2)
    found = store.read(tmp_path / "1.h5"), store.read(tmp_path / "program.h5")
    assert found[0].diagnostics.log_evidence == pytest.approx(found[1].diagnostics.log_evidence)


def test_a_killed_run_asks_nothing_again(tmp_path, capsys):
    spec = program(tmp_path / "p", "time.sleep(0.002)\n")
    run(spec, tmp_path / "whole.h5", "--workers", 2)
    whole = sorted(calls(tmp_path / "p"))
    for after in (5, 400):
        (tmp_path / "p" / "calls").unlink()
        output = tmp_path / f"{after}.h5"
        words = ["run", spec, "-o", output, "--quiet", "--threads", 1, "--workers", 3]
        process = begin([*PYTHON, *words])
        log = answers_path(output)
        until(lambda log=log, n=after: log.exists() and log.read_bytes().count(b"\n") > n, process)
        os.kill(process.pid, signal.SIGKILL)
        finish(process)
        assert log.exists()
        run(spec, output, "--workers", 7, "--resume")
        assert "answers of the model" in capsys.readouterr().err
        asked = calls(tmp_path / "p")
        # again: those that were under way, and four, to see that the model is the same
        assert len(asked) <= len(whole) + 3 + 4
        assert set(asked) == set(whole)
        assert differences(tmp_path / "whole.h5", output) == []
        assert not log.exists()


def test_what_is_torn_is_asked_again_and_answers_of_another_problem_stay(tmp_path, capsys):
    spec = program(tmp_path / "p")
    run(spec, tmp_path / "whole.h5", "--workers", 2)
    output = tmp_path / "other.h5"
    log = answers_path(output)
    log.write_text('{"nfanneal answers": 1, "problem": "anot')
    run(spec, output, "--workers", 2, "--resume")
    assert "answers of the model" not in capsys.readouterr().err
    assert differences(tmp_path / "whole.h5", output) == []
    text = '{"nfanneal answers": 1, "problem": "another"}\n{"key": "00"'
    log.write_text(text)
    code, _, said = inside(capsys, "run", spec, "-o", tmp_path / "other.h5", "--resume")
    assert code == 3
    assert "of another problem" in said
    assert log.read_text() == text


def test_a_model_that_changed_unseen_is_found_out_when_a_run_goes_on(tmp_path, capsys):
    """The file that the program reads is not named in the command."""
    factor = tmp_path / "factor"
    factor.write_text("1")
    body = f"f = float(open({str(factor)!r}).read())\ntime.sleep(0.01)\n"
    body += "answer = {'observables': {'x': [v * f for v in x]}}\n"
    spec = program(tmp_path / "p", body)
    output = tmp_path / "r.h5"
    process = begin([*PYTHON, "run", spec, "-o", output, "--quiet", "--threads", 1])
    log = answers_path(output)
    until(lambda: log.exists() and log.read_bytes().count(b"\n") > 40, process)
    os.kill(process.pid, signal.SIGKILL)
    finish(process)
    lines = log.read_bytes()
    factor.write_text("1.1")
    code, _, said = inside(capsys, "run", spec, "-o", output, "--resume")
    assert code == 3
    assert "answers otherwise" in said
    assert log.read_bytes().startswith(lines)


def test_a_run_beside_answers_that_were_left_is_refused(tmp_path, capsys):
    spec = program(tmp_path / "p")
    output = tmp_path / "r.h5"
    answers_path(output).write_text("{}\n")
    code, _, said = inside(capsys, "run", spec, "-o", output)
    assert code == 3
    assert "--resume" in said


def test_workers_that_are_killed_hang_or_talk_nonsense_do_not_change_the_answer(tmp_path):
    """Each of them happens once; the draw is asked again, and the result has the same bits."""
    run(program(tmp_path / "p"), tmp_path / "good.h5", "--workers", 2)
    body = ""
    for name, act in {
        "killed": "os.kill(os.getpid(), 9)",
        "hangs": "time.sleep(600)",
        "nonsense": "print('what?', flush=True)",
        "leaves": "sys.exit(3)",
    }.items():
        marker = str(tmp_path / name)
        body += f"if asked['id'] > 3 and not os.path.exists({marker!r}):\n"
        body += f"    open({marker!r}, 'w').close()\n    {act}\n"
    more = "protocol: lines\ntimeout: 5s\nretries: 4"
    bad = program(tmp_path / "p", body, more)
    run(bad, tmp_path / "bad.h5", "--workers", 2)
    good, found = store.read(tmp_path / "good.h5"), store.read(tmp_path / "bad.h5")
    assert (found.draws.log_weight == good.draws.log_weight).all()
    assert found.counts.n_failed == 0


def test_why_draws_failed_is_in_the_result_and_its_summary(tmp_path, capsys):
    spec = program(tmp_path / "p", "if a < -2:\n    sys.exit('too low')\n",
                   "protocol: lines\nretries: 0")  # fmt: skip
    run(spec, tmp_path / "r.h5", "--workers", 2)
    result = store.read(tmp_path / "r.h5")
    (reason,) = result.provenance.failures
    assert "exit status 1" in reason
    assert "too low" in reason
    _, out, _ = inside(capsys, "summary", tmp_path / "r.h5")
    assert "too low" in " ".join(out.split())
    told = json.loads(inside(capsys, "summary", tmp_path / "r.h5", "--json")[1])
    assert list(told["failures"]) == [reason]


def test_a_program_that_always_fails_ends_with_4_and_says_how(tmp_path, capsys):
    spec = program(tmp_path / "p", "print('no licence', file=sys.stderr); sys.exit(9)\n",
                   "protocol: lines\nretries: 0")  # fmt: skip
    code, _, said = inside(
        capsys, "run", spec, "-o", tmp_path / "r.h5", "--quiet", "--set", "anneal.effort=1"
    )
    assert code == 4
    for words in ("exit status 9", "no licence", f"{sys.executable} {tmp_path / 'p' / 'p.py'}"):
        assert words in said
    code, out, _ = inside(capsys, "check", spec)
    assert code == 4
    assert "no licence" in " ".join(out.split())


def test_a_program_with_random_numbers_is_told(tmp_path, capsys):
    import re

    spec = program(tmp_path / "p", "import random\nx[0] += random.random()\n")
    _, out, _ = inside(capsys, "check", spec)
    assert "not a function of its parameters" in " ".join(out.split())
    run(spec, tmp_path / "r.h5", codes=(5,))
    _, out, _ = inside(capsys, "check", spec, "--json", "--workers", 3)
    told = json.loads(out)
    assert re.fullmatch("3 at once", told["workers"])
    assert told["seconds_per_call"] > 0


def test_afterwards_a_program_runs_only_if_it_is_named(tmp_path, capsys):
    spec = program(tmp_path / "p")
    result = tmp_path / "r.h5"
    run(spec, result)
    code, _, said = inside(capsys, "predict", result, "--times", "0:3:1")
    assert code == 3
    assert "runs only if you name it: --model" in said
    script = tmp_path / "p" / "p.py"
    csv = tmp_path / "x.csv"
    words = ["predict", result, "--times", "0:3:1", "-o", csv.with_suffix(".h5")]
    words += ["--model", script, "--workers", 2]
    code, _, said = inside(capsys, *words)
    assert code == 0, said
    assert csv.read_text().count("\n") >= 4
    script.write_text(staying("x = [2 * v for v in x]\nanswer = {'observables': {'x': x}}"))
    code, _, said = inside(capsys, *words, "--force")
    assert code == 3
    assert "not the model of this result" in said
    code, _, said = inside(capsys, *words[:-3], tmp_path / "other.py", "--force")
    assert code == 3
    assert "no word of the command is called so" in said


@pytest.mark.parametrize("text", ["0", "-1", "many", "dask", "1.5", "mpi:x"])
def test_workers_that_cannot_be(tmp_path, capsys, text):
    code, _, said = inside(capsys, "check", tmp_path / "m.yaml", "--workers", text)
    assert code == 2
    assert "--workers" in said


def test_an_ode_model_needs_no_workers(tmp_path, capsys):
    path = tmp_path / "o.yaml"
    (tmp_path / "d.csv").write_text("t,x\n0,1\n1,2\n")
    path.write_text(
        "model: {kind: ode, states: {x: 1}, equations: {x: -k*x}}\n"
        "parameters: {k: {prior: {normal: [0, 1]}}}\ndata: {file: d.csv}\n"
        "likelihood: {x: {normal: 1}}\n"
    )
    code, _, said = inside(capsys, "check", path, "--workers", "2")
    assert code == 3
    assert "--threads" in said


def test_the_log_keeps_every_bit(tmp_path):
    import numpy as np

    from nfanneal.model.executors import Memory
    from nfanneal.model.simulator import Predictions
    from nfanneal.results.identity import Identity

    about = Identity("", known={})
    values = np.random.default_rng(1).standard_normal((1, 5, 2)) * 10.0 ** np.arange(-5, 5).reshape(
        1, 5, 2
    )
    values[0, 1, 1], values[0, 2, 0] = np.nan, np.inf
    answer = Predictions(values, np.array([True]), {"why: “so”\n": 1})
    memory, log = Memory(), AnswerLog(tmp_path / "r.h5")
    assert log.begin(memory, about) == 0
    memory.put(b"\x01\xff", answer)
    log.close()
    again = Memory()
    other = AnswerLog(tmp_path / "r.h5")
    assert other.begin(again, about) == 1
    found = again.get(b"\x01\xff")
    np.testing.assert_array_equal(found.values, values)
    assert found.values.tobytes() == values.tobytes()
    assert found.failed.tolist() == [True]
    assert found.reasons == answer.reasons
    other.close()
