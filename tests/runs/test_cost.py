"""What a call of a model is found to cost, and the preset that follows from it."""

import time
from contextlib import contextmanager
from dataclasses import replace

import pytest
from copies import written

from nfanneal.model.executors.choice import Workers
from nfanneal.runs import cost
from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.load import load_spec

AUTO = ("preset: usual, ", "")
DEAR = 0.2
"""Seconds, so that no model here gets there by a busy machine alone."""


class FarAway:
    """Workers of a pool who are asked, and answer, by slow post."""

    def __init__(self, pool):
        self._pool, self.count, self.lost = pool, pool.count, pool.lost

    @contextmanager
    def opened(self, likelihood):
        with self._pool.opened(likelihood) as submit:
            yield lambda *asked: (time.sleep(1.5 * DEAR), submit(*asked))[1]

    def close(self):
        self._pool.close()


@pytest.fixture
def chosen(tmp_path, monkeypatch):
    """The preset taken for a model that first does `body`, asked by so many workers."""
    monkeypatch.setattr(cost, "DEAR", DEAR)

    def choose(body, count=1, said=AUTO, far=False):
        path = written(tmp_path / "model", body)
        path.write_text(path.read_text().replace(*said))
        problem = build_problem(load_spec(path), workers=Workers(count=count))
        if far:
            executor = replace(problem.executor, pool=FarAway(problem.executor.pool))
            problem = replace(problem, executor=executor)
        heard = []
        try:
            checked = load_spec(path)
            known = cost.cost_that_decides(checked, problem)
            return cost.by_cost(checked, known, heard.append).spec.anneal.preset, heard
        finally:
            problem.executor.pool.close()

    return choose


@pytest.mark.parametrize("count", [1, 3])
def test_dear_calls_are_spared_however_many_workers_share_them(chosen, count):
    preset, heard = chosen(f"time.sleep({1.2 * DEAR})", count)
    assert preset == "frugal"
    assert "a call of the model takes 0.24" in heard[0]
    assert "anneal.preset: usual would not" in heard[0]


def test_the_way_to_a_model_is_no_cost_of_it(chosen):
    assert chosen("pass", far=True) == ("usual", [])


def test_what_is_said_is_kept(chosen):
    assert chosen(f"time.sleep({1.2 * DEAR})", said=AUTO[:1] * 2) == ("usual", [])
