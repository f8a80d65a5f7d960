"""Nested samplers on JAX, which call the compiled likelihood back on the host.

They run on the CPU in double precision. JAX evaluates all chains of a batch until the last of them
is ready, and every point of them is a call that was made and counts.
"""

from __future__ import annotations

import logging.config
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nfanneal.arrays import Array
from nfanneal.bench.samplers.meter import Meter
from nfanneal.bench.samplers.peer import FURTHER, Drawn, Peer, Settings, weighted


@dataclass
class HostFunction:
    """A function of batches of points, n × d to n, as a function of one point that JAX can trace.

    JAX wraps what it raises into an error of its own, by way of a text; `raised` keeps it.
    """

    of_batch: Callable[[Array], Array]
    raised: BaseException | None = field(default=None, init=False)

    def traced(self) -> Callable[[Any], Any]:
        """The function for JAX; mapped over points, it is called once for all of them."""
        import jax

        shape = jax.ShapeDtypeStruct((), np.float64)

        def on_host(points: Any) -> Array:
            rows = np.asarray(points, dtype=float)
            try:
                return self.of_batch(rows.reshape(-1, rows.shape[-1])).reshape(rows.shape[:-1])
            except BaseException as error:
                self.raised = error
                raise

        def of_point(point: Any) -> Any:
            return jax.pure_callback(on_host, shape, point, vmap_method="broadcast_all")

        return of_point

    @contextmanager
    def unwrapped(self) -> Iterator[None]:
        """Raise what the function raised in place of JAX's error about it."""
        try:
            yield
        except Exception:
            if self.raised is not None:
                raise self.raised from None
            raise


@contextmanager
def _on_the_cpu() -> Iterator[None]:
    """Double precision, where the likelihood is; what was compiled goes with the run."""
    import jax

    jax.config.update("jax_enable_x64", True)
    try:
        with jax.default_device(jax.local_devices(backend="cpu")[0]):
            yield
    finally:
        jax.clear_caches()


@contextmanager
def _logging_left_alone() -> Iterator[None]:
    """JAXNS, when imported, takes over all logging and opens a file in the working directory."""
    configure = logging.config.dictConfig
    logging.config.dictConfig = lambda config: None
    try:
        yield
    finally:
        logging.config.dictConfig = configure


def _blackjax(meter: Meter, seed: int, settings: Settings) -> Drawn:
    """Nested slice sampling. Source: Yallup, Kroupa and Handley (2026), arXiv:2601.23252.

    It asks for the prior's density, and sees the latent space. Log Z and its error are mean and
    standard deviation over simulated volumes.
    """
    import blackjax
    import jax
    from blackjax.ns import utils

    jnp, run, dimension = jax.numpy, settings["run"], meter.problem.latent.dimension
    host = HostFunction(lambda z: meter.finite_at_theta(meter.transform.from_latent(z)))

    def log_prior(z: Any) -> Any:
        return jax.scipy.stats.norm.logpdf(z).sum()

    with _on_the_cpu(), host.unwrapped():
        start, key = jax.random.split(jax.random.key(seed % 2**32))
        sampler = blackjax.nss(log_prior, host.traced(), **settings["sampler"])
        state = sampler.init(jax.random.normal(start, (run["num_live"], dimension)))
        step, dead = jax.jit(sampler.step), []
        while state.integrator.logZ_live - state.integrator.logZ > run["log_share_left"]:
            key, now = jax.random.split(key)
            state, info = step(now, state)
            dead.append(info)
        found = utils.finalise(state, dead, update_info=False)
        log_weights = utils.log_weights(key, found, shape=run["volumes"])
        log_evidence = jax.nn.logsumexp(log_weights, axis=0)
        theta = meter.transform.from_latent(np.asarray(found.particles.position))
        log_weight = np.asarray(jnp.mean(log_weights, axis=1))
        return weighted(theta, log_weight, jnp.mean(log_evidence), jnp.std(log_evidence))


def _jaxns(meter: Meter, seed: int, settings: Settings) -> Drawn:
    """Phantom-conditioned nested sampling. Source: Albert (2026), arXiv:2609.32120.

    Its log Z and error are those of its own summary, from the classic samples.
    """
    with _logging_left_alone():
        import jax
        from jaxns.core import NestedSampler
        from jaxns.model import Model
        from jaxns.priors import Prior
        from tensorflow_probability.substrates.jax import distributions

    meter.restart()  # the package itself imports nothing
    jnp, dimension = jax.numpy, meter.problem.latent.dimension
    host = HostFunction(lambda u: meter.at_theta(meter.transform.from_cube(u)))

    with _on_the_cpu(), host.unwrapped():
        log_likelihood = host.traced()

        def model() -> Any:
            cube = distributions.Uniform(jnp.zeros(dimension), jnp.ones(dimension))
            return log_likelihood(Prior(cube, name="u").realise())

        sampler = NestedSampler(model=Model(prior_model=model), **settings["sampler"])
        state = sampler.run(key=jax.random.key(seed % 2**32))
        found = state.to_result().trim()
        theta = meter.transform.from_cube(np.asarray(found.X_samples["u"]))
        log_weight = np.asarray(found.log_dp)
        return weighted(theta, log_weight, found.log_Z_mean, found.log_Z_uncert)


def _blackjax_settings(dimension: int) -> Settings:
    """Steps as its documentation advises; points, batches and end as its authors' examples."""
    return {
        "sampler": {"num_inner_steps": max(5, 2 * dimension), "num_delete": 100},
        "run": {"num_live": 1000, "log_share_left": -3.0, "volumes": 100},
    }


def _jaxns_settings(dimension: int) -> Settings:
    """Its own defaults, which grow with the dimension."""
    return {"sampler": {"root_allocation_degree": 30 * dimension}}


JAX_PEERS: dict[str, Peer] = {
    "blackjax": Peer("blackjax", "blackjax", _blackjax_settings, _blackjax, FURTHER, ("jax",)),
    "jaxns": Peer("jaxns", "jaxns", _jaxns_settings, _jaxns, FURTHER, ("jax",)),
}
