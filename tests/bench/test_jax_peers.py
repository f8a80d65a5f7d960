"""What a function on the host raises, through the code that JAX made of it."""

from __future__ import annotations

import numpy as np
import pytest

from nfanneal.bench.samplers.jax_peers import HostFunction
from nfanneal.bench.samplers.meter import BudgetSpent, quiet
from nfanneal.bench.samplers.peers import PEERS


@pytest.mark.parametrize("error", [BudgetSpent("out of time"), KeyboardInterrupt(), ValueError()])
def test_what_a_callback_raises_is_what_jax_code_raises(error):
    """JAX gives an error of its own with the text of a traceback in place of ours."""
    jax = pytest.importorskip("jax", reason=PEERS["jaxns"].how_to_install)
    calls = []

    def half_of(points):
        calls.append(len(points))
        if len(calls) > 3:
            raise error
        return points.sum(axis=1) / 2.0

    host = HostFunction(half_of)
    of_point = host.traced()

    def go_on(x):
        return jax.lax.while_loop(lambda x: of_point(x) >= 0.0, lambda x: x + 1.0, x)

    with pytest.raises(type(error)) as caught, quiet(), host.unwrapped():
        jax.jit(jax.vmap(go_on))(np.ones((5, 2), dtype=np.float32)).block_until_ready()
    assert caught.value is error
    assert calls == [5] * 4


def test_errors_of_jax_itself_are_left_as_they_are():
    with pytest.raises(ZeroDivisionError), HostFunction(np.sum).unwrapped():
        raise ZeroDivisionError
