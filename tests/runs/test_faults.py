"""Full disks, folders that are gone, two runs into one output: words, exit codes, nothing lost."""

import errno
import fcntl
import json
import os
import resource
import shutil
import signal
import socket
import threading
from pathlib import Path

import pytest
from commands import inside
from processes import finish
from stopping import differences, once_written, started, stopped, until

from nfanneal.errors import OutputError, ResultError
from nfanneal.results import store
from nfanneal.runs import checkpoint_file
from nfanneal.runs import output_lock as claim
from nfanneal.runs.checkpoint_file import checkpoint_path, previous_path, read_checkpoint


def test_a_full_disk_is_told_and_the_run_goes_on_once_there_is_space(whole, tmp_path, capsys):
    """A limit on the size of files stands for it: from the second checkpoint on nothing fits."""
    spec, output = whole / "slow.yaml", tmp_path / "x.h5"
    process = started(spec, "-o", output)
    until(previous_path(output).exists, process)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1000, 1000))
    _, said = finish(process)
    assert process.returncode == 1, said
    assert f"Warning: no checkpoint: {output}.checkpoint: writing failed: File too large" in said
    assert "the run goes on" in said
    assert f"Error: {output}: writing failed: File too large; the limit on the size" in said
    assert "once that is mended, go on with:\n  nfanneal run" in said
    assert "Traceback" not in said
    assert not output.exists()
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["x.h5.checkpoint", "x.h5.checkpoint.previous"]
    for path in (checkpoint_path(output), previous_path(output)):
        read_checkpoint(path)
    go_on = ("run", spec, "-o", output, "--resume", "--quiet", "--threads", 1)
    assert inside(capsys, *go_on)[0] == 0
    assert differences(whole / "whole.h5", output) == []


def test_a_result_that_could_not_be_written_is_all_in_the_checkpoint(whole, tmp_path, capsys):
    """A folder is in the way of the result, not of the checkpoints: nothing is asked again."""
    spec, output = whole / "slow.yaml", tmp_path / "x.h5"

    def be_in_the_way():
        output.mkdir()
        (output / "file").touch()

    with once_written(checkpoint_path(output), be_in_the_way):
        code, _, said = inside(capsys, "run", spec, "-o", output, "--threads", 1)
    assert code == 1, said
    assert f"Error: {output}: writing failed: Is a directory" in said
    shutil.rmtree(output)
    answers = read_checkpoint(checkpoint_path(output)).layout["run"]["answers"]
    assert [names for _, names in answers][-1] == ["values", "failed"]
    go_on = ("run", spec, "-o", output, "--resume", "--quiet", "--threads", 1)
    assert inside(capsys, *go_on)[0] == 0
    assert differences(whole / "whole.h5", output) == []


def test_a_folder_that_is_gone(whole, tmp_path, capsys):
    folder = tmp_path / "gone"
    folder.mkdir()
    words = ("run", whole / "slow.yaml", "-o", folder / "x.h5", "--threads", 1)
    with once_written(checkpoint_path(folder / "x.h5"), lambda: shutil.rmtree(folder)):
        code, _, said = inside(capsys, *words)
    assert code == 1, said
    assert f"Error: {folder}/x.h5: cannot write here: No such file or directory" in said
    assert "Traceback" not in said


def test_a_folder_where_nothing_can_be_written_is_told_at_once(whole, capsys):
    """Not even root writes in /proc."""
    code, _, err = inside(capsys, "run", whole / "slow.yaml", "-o", "/proc/x.h5")
    assert code == 1
    assert "Error: /proc/x.h5: cannot write here: " in err


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_what_cannot_be_synced_is_not_there_and_what_was_there_is(
    number, whole, tmp_path, monkeypatch
):
    result = store.read(whole / "whole.h5")
    output = tmp_path / "x.h5"
    plain = checkpoint_file.Plain({"number": 1}, {})
    for _ in range(2):
        checkpoint_file.write_checkpoint(plain, output)
    store.write(result, output)
    kept = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def failing(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(OutputError, match=rf"x\.h5: writing failed: {os.strerror(number)}"):
        store.write(result, output)
    with pytest.raises(OutputError, match=r"x\.h5\.checkpoint: writing failed"):
        checkpoint_file.write_checkpoint(checkpoint_file.Plain({"number": 2}, {}), output)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == kept


def test_a_second_run_into_one_output_is_refused(whole, tmp_path, capsys):
    spec, output = whole / "slow.yaml", tmp_path / "x.h5"
    process = started(spec, "-o", output)
    until(output.with_name("x.h5.lock").exists, process)
    code, _, err = inside(capsys, "run", spec, "-o", output, "--force")
    assert code == 3
    assert f"another run (process {process.pid} on {socket.gethostname()}) is writing it" in err
    until(checkpoint_path(output).exists, process)
    code, _, err = inside(capsys, "run", spec, "-o", output)
    assert code == 3
    assert "is writing it" in err
    assert "--force" not in err
    assert stopped(process, signal.SIGKILL)[0] == -9
    assert output.with_name("x.h5.lock").exists()
    code, _, err = inside(capsys, "run", spec, "-o", output, "--resume", "auto", "--threads", 1)
    assert code == 0, err
    assert differences(whole / "whole.h5", output) == []
    assert not output.with_name("x.h5.lock").exists()


def elsewhere(output):
    """The claim of a run on another host."""
    path = output.with_name(f"{output.name}.lock")
    path.write_text(json.dumps({"host": "node17", "place": "-", "pid": 1, "token": "x"}))
    return path


def test_a_run_on_another_host_is_refused_while_it_gives_signs_of_life(tmp_path, monkeypatch):
    monkeypatch.setattr(claim, "SILENCE", 5.0)
    path = elsewhere(tmp_path / "x.h5")
    beating = threading.Timer(0.5, lambda: os.utime(path))
    beating.start()
    said = []
    with pytest.raises(ResultError, match="process 1 on node17"):
        claim.claim(tmp_path / "x.h5", said.append)
    beating.join()
    assert "a run on node17 may be writing; looking for a sign of life" in said[0]


def test_a_silent_run_on_another_host_is_gone(tmp_path, monkeypatch):
    monkeypatch.setattr(claim, "SILENCE", 1.0)
    path = elsewhere(tmp_path / "x.h5")
    held = claim.claim(tmp_path / "x.h5", lambda text: None)
    held.beat()
    assert json.loads(path.read_text())["pid"] == os.getpid()
    path.write_text(json.dumps({"host": "node18", "token": "y"}))
    with pytest.raises(ResultError, match="another run has taken over"):
        held.check()
    held.release()
    assert path.exists()


def test_a_number_that_another_process_has_now_is_no_claim(tmp_path):
    path = tmp_path / "x.h5.lock"
    first = claim.claim(tmp_path / "x.h5", lambda text: None)
    about = json.loads(path.read_text())
    with pytest.raises(ResultError, match="another run"):
        claim.claim(tmp_path / "x.h5", lambda text: None)
    path.write_text(json.dumps({**about, "began": about["began"] - 1}))
    claim.claim(tmp_path / "x.h5", lambda text: None)
    with pytest.raises(ResultError, match="another run has taken over"):
        first.beat()


def test_a_run_whose_claim_was_taken_writes_no_more(whole, tmp_path, capsys):
    spec, output = whole / "slow.yaml", tmp_path / "x.h5"
    with once_written(checkpoint_path(output), lambda: elsewhere(output)):
        code, _, said = inside(capsys, "run", spec, "-o", output, "--threads", 1)
    assert code == 3, said
    assert "another run has taken over; this one writes no more" in said
    assert not output.exists()
    assert "node17" in output.with_name("x.h5.lock").read_text()


def test_no_lock_of_hdf5_is_taken_or_waited_for(whole, tmp_path):
    """Such locks fail on file systems without them; another program may hold one."""
    copy = shutil.copy(whole / "whole.h5", tmp_path)
    with Path(copy).open("rb+") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert store.read(Path(copy)).name == "slow"


def test_leftovers_of_a_killed_write_are_removed(whole, tmp_path, capsys):
    leftover = tmp_path / ".x.h5.checkpoint.abcdefgh"
    leftover.write_bytes(b"half")
    (tmp_path / ".x.h5.unrelated").write_bytes(b"a user's")
    options = ("--threads", 1, "--quiet")
    code, _, err = inside(capsys, "run", whole / "slow.yaml", "-o", tmp_path / "x.h5", *options)
    assert code == 0, err
    assert not leftover.exists()
    assert (tmp_path / ".x.h5.unrelated").exists()


def test_files_that_cannot_be_removed_are_told_or_left(tmp_path, monkeypatch):
    output = tmp_path / "x.h5"
    held = claim.claim(output, lambda text: None)
    checkpoint_file.write_checkpoint(checkpoint_file.Plain({}, {}), output)

    def failing(path, missing_ok=False):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", failing)
        held.release()
        with pytest.raises(OutputError, match=r"x\.h5\.checkpoint: cannot be removed: Read-only"):
            checkpoint_file.remove_checkpoints(output)
    assert output.with_name("x.h5.lock").exists()
