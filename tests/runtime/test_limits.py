"""Batches of a model that fit into the memory that there is."""

import numpy as np
import pytest
from commands import inside
from stopping import differences, write_problem

from nfanneal.errors import ModelError
from nfanneal.runtime import limits
from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.load import load_spec, spec_from_text

ODE = """
model: {kind: ode, states: {y: 1}, equations: {y: a*y**2}}
parameters: {a: {prior: {uniform: [-1, 0]}}}
data: {file: data.csv, time: t}
likelihood: {y: {normal: 0.1}}
"""
"""The system of tests/cli/test_misbehaving.py: compiled once."""


@pytest.mark.parametrize(
    ("text", "size"),
    [("8G", 8 * 2**30), ("500M", 500 * 2**20), ("2.5GiB", 2.5 * 2**30), ("1kb", 1024), ("77", 77)],
)
def test_sizes(text, size):
    assert limits.bytes_of(text) == size


@pytest.mark.parametrize("text", ["", "G", "-1G", "0", "8X", "nan", "inf", "1e400"])
def test_no_sizes(text):
    assert limits.bytes_of(text) is None


def test_the_tightest_control_group_counts(tmp_path):
    (tmp_path / "proc/self").mkdir(parents=True)
    membership = tmp_path / "proc/self/cgroup"
    mount = tmp_path / "sys/fs/cgroup"
    for place, text in (("a", "max"), ("a/b", "3000"), ("a/b/c", "5000")):
        (mount / place).mkdir(parents=True, exist_ok=True)
        (mount / place / "memory.max").write_text(f"{text}\n")
    membership.write_text("0::/a/b/c\n")
    assert limits.default_bytes(tmp_path) == 2400
    membership.write_text("0::/a\n")
    assert limits.default_bytes(tmp_path) == limits.default_bytes(tmp_path / "none") > 10**8
    old = mount / "memory" / "slurm" / "job"
    old.mkdir(parents=True)
    (old / "memory.limit_in_bytes").write_text("7000\n")
    membership.write_text("5:cpu,cpuacct:/x\n4:memory:/slurm/job\n")
    assert limits.default_bytes(tmp_path) == 5600


def test_a_large_model_is_called_with_fewer_draws(tmp_path):
    rows = "\n".join(f"{i / 100},1" for i in range(2000))
    (tmp_path / "data.csv").write_text(f"t,y\n{rows}\n")
    checked = spec_from_text(ODE, tmp_path)
    assert build_problem(checked, memory=2**36).chunk == 4096
    few = build_problem(checked, memory=2**28)
    assert few.chunk == 128  # 2000 times, values and one derivative, six copies: 192 kB a draw
    assert build_problem(checked, memory=1).chunk == 16
    z = np.linspace(-2, 2, 300)[:, None]
    np.testing.assert_array_equal(
        few.evaluate(z, False).log_likelihood,
        build_problem(checked, memory=2**36).evaluate(z, False).log_likelihood,
    )


GREEDY = """
import numpy as np
def line(p, times):
    if len(p["a"]) > {most}:
        raise MemoryError
    return {{"y": p["a"][:, None] + p["b"][:, None] * times}}
"""


def test_a_model_that_runs_out_of_memory_gets_fewer_draws(whole, tmp_path, capsys):
    spec = write_problem(tmp_path)
    (tmp_path / "model.py").write_text(GREEDY.format(most=10))
    options = ("-o", tmp_path / "x.h5", "--threads", 1, "--quiet", "--max-memory", "1G")
    code, _, err = inside(capsys, "run", spec, *options)
    assert code == 0, err
    assert differences(whole / "whole.h5", tmp_path / "x.h5") == ["/@spec_yaml"]  # the folder
    (tmp_path / "model.py").write_text(GREEDY.format(most=0))
    with pytest.raises(ModelError, match="not enough memory to evaluate the model at one draw"):
        build_problem(load_spec(spec)).evaluate(np.zeros((4, 2)), False)


def test_a_wrong_size_is_told(tmp_path, capsys):
    code, _, err = inside(capsys, "run", write_problem(tmp_path), "--max-memory", "lots")
    assert code == 2
    assert "'lots' is not a size such as 8G or 500M" in err
