"""The ranks of an MPI job: the first does the run, the others answer, and all end together."""

import os
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np
import programs
import pytest
from commands import run
from copies import ODD, draws, exact, problem, written
from processes import PYTHON, begin, completed, finish
from stopping import differences

from nfanneal.model.calls import LogLikelihood
from nfanneal.model.executors.choice import Workers
from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.load import load_spec

AS_ROOT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
           "OMPI_MCA_rmaps_base_oversubscribe": "1",
           "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe"}  # fmt: skip
"""What Open MPI wants to hear before it starts three processes of root's on two cores."""
RANKS = "from mpi4py import MPI; import sys; sys.exit(MPI.COMM_WORLD.size != 2)"


@pytest.fixture(scope="module")
def environment():
    return {**os.environ, **AS_ROOT}


@pytest.fixture(scope="module")
def mpiexec(environment):
    """The command that starts so many ranks, of the MPI that mpi4py finds."""
    pytest.importorskip("mpi4py", reason="nfanneal[mpi] is not installed")
    found = [Path(sys.executable).with_name("mpiexec"), shutil.which("mpiexec")]
    for path in found:
        if path and Path(path).exists():
            ranks = [path, "-n", 2, sys.executable, "-c", RANKS]
            if completed(ranks, env=environment).returncode == 0:
                return lambda n: (path, "-n", n)
    return pytest.skip("no mpiexec that belongs to mpi4py's MPI")


ASKED = """\
import sys
from pathlib import Path
import numpy as np
sys.path.insert(0, TESTS)
from copies import draws
from nfanneal.errors import ModelError
from nfanneal.model.calls import LogLikelihood
from nfanneal.model.executors.choice import leads, workers_of
from nfanneal.runtime.leaving import leave
from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.load import load_spec
if not leads(workers_of("mpi")):
    sys.exit(0)
for folder in sys.argv[1:]:
    folder = Path(folder)
    one = build_problem(load_spec(folder / 's.yaml'), workers=workers_of("mpi"))
    try:
        found = one.ask(LogLikelihood(), draws(12, odd=(4,)))
    except ModelError as error:
        (folder / "raised").write_text(str(error))
    else:
        np.save(folder / "found.npy", found.log_likelihood)
        (folder / "reasons").write_text(repr(found.reasons))
    one.executor.pool.close()
leave()
"""


def test_what_ranks_answer_is_what_is_answered_here(mpiexec, environment, tmp_path):
    """A Python model, a program, one that kills its process and one that raises, in one job."""
    bodies = {
        "python": "pass",
        "killer": f"if a == {ODD}: os.kill(os.getpid(), signal.SIGKILL)",
        "raises": f"if {ODD} in p['a']: raise ValueError('no such place')",
    }
    for name, body in bodies.items():
        written(tmp_path / name, body)
    (tmp_path / "program").mkdir()
    spec = programs.written(tmp_path / "program", programs.staying(), more="protocol: lines")
    spec.rename(tmp_path / "program" / "s.yaml")
    code = ASKED.replace("TESTS", repr(str(Path(__file__).parents[2])))
    folders = [tmp_path / name for name in (*bodies, "program")]
    done = completed([*mpiexec(3), sys.executable, "-c", code, *folders], env=environment)
    assert done.returncode == 0, done.stderr
    theta = draws(12, odd=(4,))
    found = {folder.name: folder / "found.npy" for folder in folders}
    here = problem(tmp_path / "python").ask(LogLikelihood(), theta)
    assert np.load(found["python"]).tobytes() == here.log_likelihood.tobytes()
    here = build_problem(load_spec(tmp_path / "program" / "s.yaml"), workers=Workers(count=1))
    here = here.ask(LogLikelihood(), theta)
    assert np.load(found["program"]).tobytes() == here.log_likelihood.tobytes()
    others = np.delete(theta, 4, axis=0)
    np.testing.assert_array_equal(np.delete(np.load(found["killer"]), 4), exact(others))
    assert (
        "lost 3 times: it ended with signal SIGKILL': 1"
        in (tmp_path / "killer" / "reasons").read_text()
    )
    told = (tmp_path / "raises" / "raised").read_text()
    assert told.startswith("the model function 'f' raised ValueError: no such place\n")
    assert f"it does so at a = {ODD:g}" in told


def test_a_run_of_ranks_is_that_of_processes_and_its_exit_code_is_that_of_the_job(
    mpiexec, environment, tmp_path
):
    spec, output = written(tmp_path), tmp_path / "ranks.h5"
    command = [*mpiexec(3), *PYTHON, "run", spec, "-o", output, "--workers", "mpi"]
    done = completed(command, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("written to") == 1
    run("run", spec, "-o", tmp_path / "here.h5", "--workers", 1, "--quiet")
    assert differences(tmp_path / "here.h5", output) == []
    again = completed(command, env=environment)
    assert again.returncode == 3
    assert again.stderr.count("already exists; use --force") == 1
    wrong = completed([*command, "--seed", "x"], env=environment)
    assert wrong.returncode == 2
    assert wrong.stderr.count("Invalid value for '--seed'") == 1


@pytest.mark.long
def test_a_signal_to_all_ranks_stops_the_run_and_it_goes_on(mpiexec, environment, tmp_path):
    """So SLURM sends it. What the ranks are at is ended with them."""
    spec = written(tmp_path, "if once('long'): (HERE / 'at_work').touch(); time.sleep(600)")
    output = tmp_path / "x.h5"
    command = [*mpiexec(3), *PYTHON, "run", spec, "-o", output, "--workers", "mpi", "--quiet"]
    process = begin([*command, "--resume", "auto"], env=environment)
    while process.poll() is None and not (tmp_path / "at_work").exists():
        time.sleep(0.05)
    ranks = [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline")
             if str(output).encode() in read(path) and b"mpiexec" not in read(path)]  # fmt: skip
    assert len(ranks) == 3
    for pid in ranks:
        os.kill(pid, signal.SIGUSR1)
    _, err = finish(process)
    assert process.returncode == 77, err
    assert "SIGUSR1: stopping" in err
    assert not (tmp_path / "x.h5.lock").exists()
    done = completed([*command, "--resume", "auto"], env=environment)
    assert done.returncode == 0, done.stderr
    run("run", spec, "-o", tmp_path / "here.h5", "--workers", 1, "--quiet")
    assert differences(tmp_path / "here.h5", output) == []


def read(path):
    try:
        return path.read_bytes()
    except OSError:  # it has ended
        return b""


def test_one_process_alone_is_told_how_to_start_several(mpiexec, environment, tmp_path):
    words = (*PYTHON, "check", written(tmp_path), "--workers", "mpi")
    for command in (words, (*mpiexec(1), *words)):
        done = completed(command, env=environment)
        assert done.returncode == 2
        assert "there is only one process: mpiexec -n 3 nfanneal" in done.stderr
