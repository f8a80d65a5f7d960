"""Processes of this machine that ask: the same bits from any number, whatever becomes of them."""

import sys
import threading
import time
from pathlib import Path

import numpy as np
import programs
import pytest
from copies import ODD, draws, exact, problem
from processes import begin, end, gone, wait_until

from nfanneal.errors import ModelError
from nfanneal.model.calls import LogLikelihood
from nfanneal.model.executors.choice import Workers
from nfanneal.model.program.processes import EndedError, put_all_away
from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.load import load_spec

TWO = Workers(count=2)


@pytest.fixture
def asked(tmp_path):
    """Asks workers, and ends them: (evaluation, problem)."""
    opened = []

    def ask(theta, body="pass", workers=TWO, more="", name="model"):
        one = problem(tmp_path / name, body, workers, more)
        opened.append(one.executor.pool)
        return one.ask(LogLikelihood(), theta)

    yield ask
    for pool in opened:
        pool.close()


def test_any_number_of_them_gives_the_same_bits(asked, tmp_path):
    theta = draws(24)
    here = problem(tmp_path / "here").ask(LogLikelihood(), theta).log_likelihood
    np.testing.assert_allclose(here, exact(theta), rtol=1e-12)
    for count in (1, 7):
        found = asked(theta, workers=Workers(count=count))
        assert found.log_likelihood.tobytes() == here.tobytes()
        assert not found.failed.any()


def test_any_number_of_programs_gives_the_same_bits(tmp_path):
    path = programs.written(tmp_path, programs.staying(), more="protocol: lines")
    theta = draws(40)
    answers = []
    for count in (1, 2, 7):
        one = build_problem(load_spec(path), workers=Workers(count=count))
        answers.append(one.ask(LogLikelihood(), theta).log_likelihood.tobytes())
        one.likelihood.simulator.programs.close()
    assert len(set(answers)) == 1


def test_what_kills_its_worker_always_fails_alone(asked):
    """Also where it was asked together with others."""
    theta = draws(10, odd=(3,))
    body = f"if {ODD} in p['a']: os.kill(os.getpid(), signal.SIGKILL)"
    found = asked(theta, body, more=", batch: 4")
    assert found.failed.nonzero()[0].tolist() == [3]
    assert found.reasons == {"its worker was lost 3 times: it ended with signal SIGKILL": 1}
    np.testing.assert_array_equal(np.delete(found.log_likelihood, 3), exact(np.delete(theta, 3, 0)))


def test_what_a_lost_worker_had_is_asked_again(asked):
    theta = draws(10, odd=(3,))
    found = asked(theta, f"if a == {ODD} and once('lost'): os._exit(1)")
    np.testing.assert_array_equal(found.log_likelihood, exact(theta))


def test_a_draw_that_takes_too_long_is_ended_and_the_start_of_a_worker_does_not_count(asked):
    theta = draws(4, odd=(1,))
    found = asked(theta, f"if a == {ODD}: time.sleep(600)", more=", timeout: 1s")
    assert found.failed.tolist() == [False, True, False, False]
    assert found.reasons == {"its worker was lost 3 times: it took longer than 1 s": 1}


def test_what_a_model_raises_is_told_as_if_it_were_here(asked, tmp_path):
    theta = draws(6, odd=(4,))
    body = f"if {ODD} in p['a']: raise ValueError('no such place')"
    with pytest.raises(ModelError) as here:
        problem(tmp_path / "model", body).ask(LogLikelihood(), theta)
    with pytest.raises(ModelError) as there:
        asked(theta, body)
    assert "raised ValueError: no such place" in str(there.value)
    assert str(there.value) == str(here.value)


def test_calls_under_way_end_where_one_raises(asked, tmp_path):
    """Else the run would wait for hours to say what is wrong."""
    theta = draws(2, odd=(1,))
    body = f"""
    (HERE / f"pid{{os.getpid()}}").touch()
    if a == {ODD}:
        time.sleep(600)
    while len(list(HERE.glob("pid*"))) < 2:
        time.sleep(0.05)
    raise ValueError("at once")
    """
    with pytest.raises(ModelError, match="at once"):
        asked(theta, body)
    pids = [int(path.name[3:]) for path in (tmp_path / "model").glob("pid*")]
    assert len(pids) == 2
    wait_until(lambda: any(map(gone, pids)))


def test_a_file_that_cannot_be_imported_there_is_an_error(tmp_path):
    one = problem(tmp_path, workers=Workers(count=1))
    (tmp_path / "m.py").write_text("raise OSError('no luck')\n")
    with pytest.raises(ModelError, match=r"importing .* raised OSError: no luck"):
        one.ask(LogLikelihood(), draws(2))


ASKS = """\
import sys
from pathlib import Path
sys.path.insert(0, TESTS)
from copies import draws, problem
from nfanneal.model.calls import LogLikelihood
from nfanneal.model.executors.choice import Workers
body = "(HERE / 'pid').write_text(str(os.getpid())); (HERE / 'at_work').touch(); time.sleep(600)"
problem(Path(sys.argv[1]), body, Workers(count=1)).ask(LogLikelihood(), draws(1))
"""


def test_workers_end_with_a_run_that_is_killed_in_the_middle_of_a_draw(tmp_path):
    code = ASKS.replace("TESTS", repr(str(Path(__file__).parents[2])))
    process = begin([sys.executable, "-c", code, tmp_path / "model"], stderr=None)
    wait_until(lambda: (tmp_path / "model" / "at_work").exists() or process.poll() is not None)
    pid = int((tmp_path / "model" / "pid").read_text())
    assert not gone(pid)
    end(process)
    wait_until(lambda: gone(pid))


def test_programs_that_are_all_ended_have_said_nothing(tmp_path):
    """What is stopped must not be written down as a draw at which the program fails."""
    script = (
        "import sys, time\nopen(sys.argv[2] + '/calls', 'a').write('.')\n"
        "time.sleep(600)\nprint(-float(sys.argv[1]))\n"
    )
    more = 'command: [PYTHON, p.py, "{a}", "{here}"]\nanswer: number\nretries: 3'
    more = more.replace("PYTHON", sys.executable)
    one = programs.problem(tmp_path, script, more=more, number=True)
    told = []

    def ask():
        try:
            told.append(one.ask(LogLikelihood(), draws(1)))
        except ModelError as error:
            told.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    calls = tmp_path / "calls"
    wait_until(lambda: calls.exists() and calls.read_text() == ".")
    put_all_away()
    thread.join()
    assert isinstance(told[0], EndedError)
    assert calls.read_text() == "."


@pytest.mark.parametrize("protocol", ["call", "lines"])
def test_a_signal_that_slurm_sends_to_all_processes_fails_no_draw(tmp_path, protocol):
    """It is for the run, which stops; that the program dies of it says nothing of the draw."""
    kill = (
        f"import os, pathlib, signal\nmarker = pathlib.Path({str(tmp_path / 'hit')!r})\n"
        "if not marker.exists():\n    marker.touch()\n    os.kill(os.getpid(), signal.SIGUSR1)\n"
    )
    script, more = programs.staying(kill), "protocol: lines\nretries: 0"
    if protocol == "call":
        script = f"import sys\n{kill}print(-float(sys.argv[1]) ** 2)\n"
        more = f'command: [{sys.executable}, p.py, "{{a}}"]\nanswer: number\nretries: 0'
    one = programs.problem(tmp_path, script, more=more, number=protocol == "call")
    assert not one.ask(LogLikelihood(), draws(3)).failed.any()


def test_a_program_that_ended_while_it_waited_is_started_again(tmp_path):
    script = programs.staying() + f"    if a == {ODD}:\n        sys.exit(0)\n"
    one = programs.problem(tmp_path, script, more="protocol: lines\nretries: 0")
    theta = draws(6, odd=(2,))
    for row in theta:
        found = one.ask(LogLikelihood(), row[None])
        assert not found.failed.any()
        time.sleep(0.2 if row[0] == ODD else 0.0)
