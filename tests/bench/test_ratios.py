"""Benches of several problems together."""

import math

import pytest

from nfanneal.bench.samplers.ratios import geometric_mean, ratios
from nfanneal.bench.samplers.results import Bench, Score


def score(sampler, seconds, rate):
    nan = math.nan
    return Score(
        sampler, 3, 3, -1.0, 0.1, 0.1, 0.1, 100.0, 1000.0, 50.0, 1.0, seconds, rate, nan, ()
    )


def bench(*scores):
    return Bench("b", "", 2, (1,), 1.0, 1, (), scores, None, {}, {}, {})


def test_the_best_rival_is_who_takes_least_and_who_gives_most():
    others = score("a", 8.0, 3.0), score("b", 20.0, 10.0), score("c", math.nan, math.nan)
    own = score("nfanneal (ess)", 2.0, 30.0), score("nfanneal (quick)", 1.0, 99.0)
    (found,) = ratios([bench(*own, *others)])
    assert (found.rival, found.faster) == ("a", 4.0)
    assert (found.ess_rival, found.more) == ("b", 3.0)
    assert found.calls == 1100.0


def test_without_a_rival_there_is_no_ratio():
    (found,) = ratios([bench(score("nfanneal (ess)", 2.0, 30.0))])
    assert found.rival == ""
    assert math.isnan(found.faster)


def test_means_are_of_the_numbers_there_are():
    assert geometric_mean([2.0, 8.0, math.nan]) == pytest.approx(4.0)
    assert math.isnan(geometric_mean([]))
