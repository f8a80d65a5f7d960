"""Models that are programs: what they are told, what they may answer, what becomes of failures."""

import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from processes import gone, wait_until
from programs import TIMES, problem, staying, written
from scipy import stats
from specs import complaints

from nfanneal.errors import ModelError
from nfanneal.model.calls import LogLikelihood, Prediction
from nfanneal.model.executors.threads import Threads
from nfanneal.model.program import once as once_a_draw
from nfanneal.runtime import leaving

THETA = np.array([[1.5, -0.3], [0.7, 0.2], [-1.25, 1e-7]])
ONCE = "import json, sys\nimport math\n"
LINES = "protocol: lines"


def exact(theta):
    """log L of a + b·t under the noise of the data."""
    t = np.array(TIMES)
    mean = theta[:, :1] + theta[:, 1:2] * t
    return stats.norm.logpdf(1.5 - 0.3 * t, mean, 0.1).sum(axis=1)


def said(folder, script, *, theta=THETA, **more):
    return problem(folder, script, **more).ask(LogLikelihood(), theta)


def reasons(folder, script, **more):
    """Why all draws failed."""
    found = said(folder, script, **more)
    assert found.failed.all()
    assert np.isneginf(found.log_likelihood).all()
    assert sum(found.reasons.values()) == len(THETA)
    return "; ".join(found.reasons)


# --- one call a draw


def test_calls_that_begin_at_once_share_a_folder_that_goes(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    leaving.leave()  # that of earlier calls
    together = threading.Barrier(16)

    def begin(_):
        together.wait()
        return once_a_draw._folder()

    with ThreadPoolExecutor(16) as threads:
        assert len(set(threads.map(begin, range(16)))) == 1
    assert len(list(tmp_path.iterdir())) == 1
    leaving.leave()
    assert not list(tmp_path.iterdir())
    assert not leaving._calls


def test_a_shell_gets_folders_with_spaces_as_one_word(tmp_path, monkeypatch):
    spaced = tmp_path / "a b"
    spaced.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(spaced))
    leaving.leave()
    script = "print('x')\nfor t in open(sys.argv[1]): print(1.0)\nopen(sys.argv[2]).read()\n"
    command = f"{sys.executable} {{here}}/p.py {{times}} {{dir}}/stdin {{a}} && cat {{times}} >&2"
    found = said(tmp_path, ONCE + script, more=f"command: '{command}'\nshell: true")
    leaving.leave()
    assert not found.failed.any()


def test_a_reason_does_not_name_the_folder_of_its_call(tmp_path):
    body = "print('cannot read', os.getcwd() + '/x', '\\x1b[31m', file=sys.stderr); sys.exit(1)\n"
    told = reasons(tmp_path, **once(body))
    assert "stderr: cannot read {dir}/x" in told
    assert ";" not in told.split("stderr")[1]  # all draws failed for one reason
    assert told.isprintable()


@pytest.mark.parametrize(
    "script, more",
    [
        (  # arguments, table on stdout without times
            "a, b = map(float, sys.argv[1:3])\n"
            "print('x')\n"
            "for t in open(sys.argv[3]): print(repr(a + b * float(t)))\n",
            'command: [{python}, p.py, "{a}", "{b}", "{times}"]',
        ),
        (  # a file of parameters, and one for the answer
            "p = json.load(open('p.json'))\n"
            "with open(sys.argv[1], 'w') as out:\n"
            "    out.write('t,x\\n')\n"
            "    for t in reversed(open(sys.argv[2]).read().split()):\n"
            '        out.write(f\'{t},{p["a"] + p["b"] * float(t)!r}\\n\')\n'
            "print('noise on stdout')\n",
            'command: [{python}, p.py, "{out}", "{times}"]\nparameters: p.json',
        ),
        (  # standard input, a shell, the environment
            "import os\na, b = map(float, sys.stdin.readline().split())\n"
            "assert os.environ['MY_VARIABLE'] == '7'\n"
            "print('x')\n"
            "for t in open('times.txt'): print(repr(a + b * float(t)))\n",
            "command: 'exec {python} {here}/p.py && false'\nshell: true\n"
            'stdin: "{a} {b}\\n"\nenvironment: {MY_VARIABLE: 7}',
        ),
    ],
    ids=["arguments", "files", "shell"],
)
def test_a_program_called_for_each_draw(tmp_path, script, more):
    found = said(tmp_path, ONCE + script, more=more.replace("{python}", sys.executable))
    assert not found.failed.any(), found.reasons
    np.testing.assert_array_equal(found.log_likelihood, _as_a_line(tmp_path))
    np.testing.assert_allclose(found.log_likelihood, exact(THETA), rtol=1e-12)


def _as_a_line(folder):
    """The same model as a program that stays: the bits must be the same."""
    other = folder / "other"
    other.mkdir()
    return said(other, staying(), more=LINES).log_likelihood


def test_each_call_has_a_folder_of_its_own_that_goes(tmp_path):
    script = (
        "import os\nassert sorted(os.listdir()) == ['stderr', 'stdin', 'stdout', 'times.txt']\n"
        "open('left', 'w').write('x')\nopen(sys.argv[2], 'a').write(os.getcwd() + '\\n')\n"
        "print(-0.5 * float(sys.argv[1]) ** 2)\n"
    )
    more = f'command: [{sys.executable}, p.py, "{{a}}", "{{here}}/folders"]\nanswer: number'
    found = said(tmp_path, ONCE + script, more=more, number=True)
    np.testing.assert_array_equal(found.log_likelihood, -0.5 * THETA[:, 0] ** 2)
    folders = (tmp_path / "folders").read_text().split()
    assert len(set(folders)) == len(THETA)
    assert not any(Path(folder).exists() for folder in folders)


def once(body, *, seconds=None, retries=0):
    command = f'command: [{sys.executable}, p.py, "{{a}}"]'
    limit = f"\ntimeout: {seconds}s" if seconds else ""
    return {
        "script": ONCE + "import os, signal, time\n" + body,
        "more": f"{command}{limit}\nretries: {retries}\nanswer: number",
        "number": True,
    }


@pytest.mark.parametrize(
    ("body", "seconds", "why"),
    [
        ("sys.exit('no such luck')\n", None, "exit status 1; stderr: no such luck"),
        ("os.kill(os.getpid(), signal.SIGSEGV)\n", None, "ended with signal SIGSEGV"),
        ("print('hm', file=sys.stderr, flush=True); time.sleep(60)\n", 0.5,
         "took longer than 0.5 s; stderr: hm"),
        ("print('nothing')\n", None, "answered 'nothing', not a log-likelihood"),
        ("pass\n", None, "answered nothing"),
        ("sys.stdout.buffer.write(bytes([255, 254]))\n", None, "is no text"),
        ("print(math.nan)\n", None, "nan or \\+infinity"),
    ],
    ids=["status", "signal", "time", "garbage", "silence", "bytes", "nan"],
)  # fmt: skip
def test_failed_calls_are_counted_and_told(tmp_path, body, seconds, why):
    import re

    assert re.search(why, reasons(tmp_path, **once(body, seconds=seconds)))


def test_a_zero_likelihood_is_no_failure(tmp_path):
    found = said(tmp_path, **once("print('-inf')\n"))
    assert not found.failed.any()
    assert np.isneginf(found.log_likelihood).all()


@pytest.mark.parametrize(
    ("first", "again"),
    [("os.kill(os.getpid(), signal.SIGKILL)", True), ("time.sleep(60)", True),
     ("sys.exit(3)", False)],
    ids=["crash", "hang", "status"],
)  # fmt: skip
def test_an_accident_is_asked_again_a_program_s_own_no_is_not(tmp_path, first, again):
    marker = tmp_path / "called"
    body = f"if not os.path.exists({str(marker)!r}):\n"
    body += f"    open({str(marker)!r}, 'w').close()\n    {first}\nprint(-1.0)\n"
    found = said(tmp_path, theta=THETA[:1], **once(body, seconds=1, retries=1))
    assert found.failed[0] != again


def test_what_a_call_leaves_running_is_ended(tmp_path):
    body = (
        "import subprocess\nchild = subprocess.Popen(['sleep', '600'])\n"
        f"open({str(tmp_path / 'pids')!r}, 'a').write(f'{{child.pid}}\\n')\nprint(-1.0)\n"
    )
    assert not said(tmp_path, **once(body)).failed.any()
    pids = list(map(int, (tmp_path / "pids").read_text().split()))
    assert pids
    wait_until(lambda: all(map(gone, pids)))


# --- a program that stays


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("answer = {'error': f'a is {a}'}", "the program says: a is 1.5"),
        ("answer['observables']['x'][1] = math.nan", "nan or infinity"),
        ("answer['observables']['x'][1] = None", "nan or infinity"),
        ("answer['observables']['x'].pop()", "3 values of 'x' for 4 times"),
        ("answer = {'observables': {'y': x}}", "no values of 'x'"),
        ("answer = {}", "has no 'observables'"),
        ("answer = [1, 2]", "answered '\\[1, 2\\]', not a line of JSON"),
        ("print('Warning: hm')", "answered 'Warning: hm', not a line of JSON"),
        ("print('oh', file=sys.stderr); sys.exit(7)",
         "exit status 7 instead of answering; stderr: oh"),
        ("os.kill(os.getpid(), 9)", "signal SIGKILL instead of answering"),
        ("answer['observables']['x'][1] = 'two'", "'two' as 'x', no number"),
        ("answer['id'] = asked['id'] - 1", "answered another question"),
        ("answer['observables']['x'][1] = 10**400", "nan or infinity"),
        ("print('[' * 200000)", "not a line of JSON"),
    ],
)  # fmt: skip
def test_what_a_staying_program_may_do_wrong(tmp_path, body, why):
    import re

    assert re.search(why, reasons(tmp_path, staying(body), more=LINES + "\nretries: 0"))


def test_an_error_that_is_none_is_none(tmp_path):
    found = said(tmp_path, staying("answer['error'] = None"), more=LINES)
    np.testing.assert_allclose(found.log_likelihood, exact(THETA))


def test_other_draws_are_not_touched_by_one_that_fails(tmp_path):
    for body in ("sys.exit(1)", "answer = {'error': 'no'}", "print('x')", "time.sleep(60)"):
        folder = tmp_path / body[:5].strip()
        folder.mkdir()
        script = staying(f"if a == 0.7:\n    {body}")
        found = said(folder, script, more=LINES + "\nretries: 0\ntimeout: 1s")
        assert found.failed.tolist() == [False, True, False]
        np.testing.assert_allclose(found.log_likelihood[[0, 2]], exact(THETA)[[0, 2]])


def test_a_line_too_many_does_not_shift_the_answers(tmp_path):
    """An answer must not be taken for that of the next draw."""
    twice = "if a == 1.5:\n    print(json.dumps(answer), flush=True)"
    script = staying(f"answer['id'] = asked['id']\n{twice}")
    theta = np.repeat(THETA, 8, axis=0) + np.arange(24)[:, None] * 1e-3
    theta[0] = THETA[0]
    one = problem(tmp_path, script, more=LINES)
    one = replace(one, executor=replace(one.executor, pool=Threads(1)))
    answer = one.ask(LogLikelihood(), theta)
    good = ~answer.failed
    assert good.sum() >= 22
    np.testing.assert_allclose(answer.log_likelihood[good], exact(theta)[good])


def test_a_line_too_many_ends_all_where_answers_do_not_say_whose_they_are(tmp_path):
    """It may come so late that each draw gets the answer of the one before: none is believed."""
    script = staying("if a == 1.5:\n    print(json.dumps(answer), flush=True)\ntime.sleep(0.01)")
    theta = np.repeat(THETA, 8, axis=0) + np.arange(24)[:, None] * 1e-3
    theta[0] = THETA[0]
    one = problem(tmp_path, script, more=LINES)
    one = replace(one, executor=replace(one.executor, pool=Threads(1)))
    one.ask(LogLikelihood(), theta)
    assert one.speaks_unasked
    with pytest.raises(ModelError, match="not asked for") as told:
        one.ask(LogLikelihood(), theta + 1.0)
    assert "repeat the question's id" in str(told.value)


@pytest.mark.parametrize("late", [0.0, 0.03])
def test_a_program_that_has_said_too_much_by_the_end_is_found(tmp_path, late):
    good = problem(tmp_path, staying("time.sleep(0.01)"), more=LINES)
    good.ask(LogLikelihood(), THETA)
    assert not good.speaks_unasked
    (tmp_path / "bad").mkdir()
    body = f"print(json.dumps(answer), flush=True)\ntime.sleep({late})"
    bad = problem(tmp_path / "bad", staying(body), more=LINES)
    bad.ask(LogLikelihood(), THETA[:1])
    assert bad.speaks_unasked


def test_a_program_is_started_once_for_many_draws_and_ends_with_its_input(tmp_path):
    script = f"import os\nopen({str(tmp_path / 'starts')!r}, 'a').write(f'{{os.getpid()}}\\n')\n"
    theta = THETA[0] + np.arange(40)[:, None] * 1e-3
    one = problem(tmp_path, script + staying(), more=LINES)
    one.ask(LogLikelihood(), theta)
    pids = [int(p) for p in (tmp_path / "starts").read_text().split()]
    assert 1 <= len(pids) <= one.executor.pool.count
    one.likelihood.simulator.programs.close()
    wait_until(lambda: all(map(gone, pids)))


def test_gradients_of_a_program(tmp_path):
    script = staying(
        "answer = {'log_likelihood': -a * a - b}\n"
        "if asked.get('gradient'):\n    answer['gradient'] = {'a': -2 * a, 'b': -1}"
    )
    more = LINES + "\nanswer: number\ngradient: true"
    one = problem(tmp_path, script, more=more, number=True)
    found = one.ask(LogLikelihood(gradient=True), THETA)
    np.testing.assert_array_equal(found.log_likelihood, -(THETA[:, 0] ** 2) - THETA[:, 1])
    np.testing.assert_array_equal(found.gradient[:, 0], -2 * THETA[:, 0])
    assert one.target.differentiable


SEVERAL = """\
model: {kind: program, command: [PYTHON, p.py], protocol: PROTOCOL}
parameters:
  a: {prior: {uniform: [-3, 3]}}
  w: {shape: 2, prior: {normal: [0, 1]}, per: experiment}
  c: 4
experiments:
  low: {data: {file: low.csv}, parameters: {c: 5}}
  high: {data: {file: high.csv, time: hours}}
likelihood: {x: {normal: 0.1}}
"""
ONE_OF_SEVERAL = """\
import json, sys
p = json.load(open('p.json'))
shift = {'low': 0.0, 'high': 100.0}[sys.argv[1]]
print('x')
for t in open('times.txt'):
    print(p['a'] + p['w'][0] + p['w'][1] * float(t) + p['c'] + shift)
"""
ALL_OF_SEVERAL = """\
import json, sys
start = json.loads(sys.stdin.readline())["experiments"]
for line in sys.stdin:
    asked, found = json.loads(line), {}
    for name, said in start.items():
        p = asked["parameters"] | asked["experiments"][name]
        shift = {'low': 0.0, 'high': 100.0}[name]
        found[name] = {"x": [p['a'] + p['w'][0] + p['w'][1] * t + p['c'] + shift
                             for t in said["times"]]}
    print(json.dumps({"experiments": found}), flush=True)
"""


@pytest.mark.parametrize("protocol", ["call", "lines"])
def test_experiments_have_their_own_parameters_and_times(tmp_path, protocol):
    from nfanneal.spec.build.problem import build_problem
    from nfanneal.spec.load import load_spec

    (tmp_path / "low.csv").write_text("t,x\n0,1\n1,2\n3,4\n")
    (tmp_path / "high.csv").write_text("hours,x\n0,1\n2,2\n")
    (tmp_path / "p.py").write_text(ONE_OF_SEVERAL if protocol == "call" else ALL_OF_SEVERAL)
    text = SEVERAL.replace("PYTHON", sys.executable).replace("PROTOCOL", protocol)
    if protocol == "call":
        text = text.replace("p.py]", 'p.py, "{experiment}"], parameters: p.json')
    (tmp_path / "s.yaml").write_text(text)
    one = build_problem(load_spec(tmp_path / "s.yaml"))
    a, low, high = 0.5, np.array([1.0, 2.0]), np.array([3.0, -1.0])
    theta = np.array([[a, *low, *high]])
    assert one.latent.column_names == ("a", "w[low][0]", "w[low][1]", "w[high][0]", "w[high][1]")
    found = one.ask(Prediction(), theta).values[0, :, 0]
    expected = [a + 1 + 2 * t + 5 for t in (0, 1, 3)] + [a + 3 - t + 104 for t in (0, 2)]
    np.testing.assert_allclose(found, expected)
    other = one.ask(Prediction((np.array([1.0]), np.array([0.5, 4.0]))), theta).values[0, :, 0]
    expected = [a + 1 + 2 + 5] + [a + 3 - t + 104 for t in (0.5, 4.0)]
    np.testing.assert_allclose(other, expected)


# --- what is wrong with a spec is said at its place


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ('command: [sh, "{k}", "{aa}"]', "{k} stands for nothing"),
        ('command: [sh, "{aa}"]', "did you mean 'a'?"),
        ('command: [sh, "{a"]', "a single {"),
        ("command: [sh]", "never told the parameters"),
        ('command: [sh, "{a}"]\n  protocol: lines', "parameters come by standard input"),
        ('command: [sh, "{a}"]\n  timeout: soon', "must be a time such as"),
        ('command: [sh, "{a}"]\n  gradient: true', "gradients need protocol: lines"),
        ("command: [sh]\n  parameters: p.toml", "must end with one of"),
        ("command: [sh]\n  parameters: a/p.json", "no name for such a file"),
        ('command: ["sh {a}", x]\n  shell: true', "one line of text"),
        ("command: []", "command"),
        ('command: [sh, "{a}"]\n  environment: {"A=B": x}', "'A=B' is no name of a variable"),
    ],
)
def test_complaints(model, told):
    text = (
        f"model:\n  kind: program\n  {model}\nparameters: {{a: {{prior: {{normal: [0, 1]}}}}}}\n"
        "data: {file: d.csv}\nlikelihood: {x: {normal: 1}}\n"
    )
    found = "\n".join(complaints(text))
    assert told in found
    assert found.startswith("spec:3:" if "\n" not in model else "spec:")


@pytest.mark.parametrize("name", ["out", "times", "dir", "here", "experiment"])
def test_a_parameter_is_not_taken_for_what_a_program_is_given(name):
    text = (
        f"model: {{kind: program, command: [sh, '{{{name}}}']}}\n"
        f"parameters: {{{name}: {{prior: {{normal: [0, 1]}}}}}}\n"
        "data: {file: d.csv}\nlikelihood: {x: {normal: 1}}\n"
    )
    found = "\n".join(complaints(text))
    assert found.startswith("spec:1:")
    assert f"{{{name}}} could be the parameter '{name}'" in found


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ('[no-such-program, "{a}"]', "no such program: 'no-such-program'"),
        ('[./not-there, "{a}"]', "no such program: './not-there'"),
        ('["sh -c", "{a}"]', "as words of their own"),
        ('[./d.csv, "{a}"]', "chmod +x"),
    ],
)
def test_a_program_that_cannot_run_is_told_before_anything(tmp_path, command, told):
    from nfanneal.errors import SpecError
    from nfanneal.spec.load import load_spec

    path = written(tmp_path, "", more=f"command: {command}")
    (tmp_path / "d.csv").chmod(0o644)
    with pytest.raises(SpecError, match=r"spec\.yaml:4:12: ") as caught:
        load_spec(path)
    assert told in str(caught.value)


def test_a_program_that_went_away_is_an_error_of_the_model(tmp_path):
    script = tmp_path / "gone.sh"
    script.write_text("#!/bin/sh\necho -1\n")
    script.chmod(0o755)
    one = problem(tmp_path, "", more='command: [./gone.sh, "{a}"]\nanswer: number', number=True)
    script.unlink()
    with pytest.raises(ModelError, match=r"cannot be started: .*gone\.sh: No such file"):
        one.ask(LogLikelihood(), THETA)
