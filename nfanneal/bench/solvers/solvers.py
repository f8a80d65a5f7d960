"""ODE solvers beside nfanneal's: a table from name to how each solves a batch of trajectories.

Every one gets the same right-hand side, printed for its own kind of numbers, the tolerances of
the system, and its documented call for a batch: gradients by adjoints where it has them. They
differentiate S = Σ w·h, a weighted sum of all observables at all times, as a log-likelihood is.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import sympy

from nfanneal.arrays import Array
from nfanneal.bench.solvers.systems import KnownSystem
from nfanneal.bench.solvers.truth import function_of, with_sensitivities
from nfanneal.model.expressions.functions import Power
from nfanneal.model.ode import OdeSystem, compile_system
from nfanneal.model.ode_model import weighted_sums
from nfanneal.runtime.threads import over_rows

Values = Callable[[Array], Array]


@dataclass(frozen=True)
class Batch:
    """Observables (n, m, k) of θ (n, p), and ∂S/∂θ (n, p); None if it has no gradients."""

    values: Values
    gradient: Values | None


@dataclass(frozen=True)
class Solver:
    """A peer: its module and distribution, trajectories per call, and how it gets ready.

    `prepare` takes the system, the weights w (m, k) of S, and the number of threads. An `explicit`
    method takes hundreds of thousands of steps on a stiff system, and its gradient keeps them all.
    """

    module: str
    distribution: str
    rows: int
    prepare: Callable[[KnownSystem, Array, int], Batch]
    explicit: bool = False

    @property
    def installed(self) -> bool:
        """Whether it can be imported."""
        return importlib.util.find_spec(self.module) is not None


def own_values(known: KnownSystem, threads: int) -> Values:
    """nfanneal's own compiled trajectories."""
    solve = partial(
        compile_system(known.system).solve, times=known.times, settings=known.settings,
        sensitivities=False, threads=threads,
    )  # fmt: skip
    return lambda theta: solve(theta).observables


def own_gradient(known: KnownSystem, weights: Array, threads: int) -> Values:
    """Gradients by nfanneal's own forward sensitivities, summed as a likelihood sums them: some

    rows at a time, on the thread that solved them."""
    compiled = compile_system(known.system)

    def of_rows(theta: Array) -> Array:
        settings = known.settings
        solved = compiled.solve(theta, known.times, settings, sensitivities=True, threads=1)
        slopes = np.asarray(solved.sensitivities)
        return weighted_sums(np.broadcast_to(weights, slopes.shape[:3]), slopes)

    def gradient(theta: Array) -> Array:
        numbers = weights.size * theta.shape[1]
        parts = over_rows(lambda rows: of_rows(theta[rows]), len(theta), numbers, threads)
        return np.concatenate(parts)

    return gradient


def own_batch(known: KnownSystem, weights: Array, threads: int) -> Batch:
    """Both."""
    return Batch(own_values(known, threads), own_gradient(known, weights, threads))


def _scipy(known: KnownSystem, weights: Array, threads: int) -> Batch:
    """LSODA by `odeint`, which has the least overhead; gradients by the variational equations."""
    k, p = len(known.system.observables), len(known.system.parameters)
    plain = _odeint(known.system, known)
    varied = _odeint(with_sensitivities(known.system), known)

    def gradient(theta: Array) -> Array:
        slopes = varied(theta)[:, :, k:].reshape(len(theta), len(known.times), k, p)
        return np.asarray(np.einsum("mk,nmkp->np", weights, slopes))

    return Batch(plain, gradient)


def _odeint(system: OdeSystem, known: KnownSystem) -> Values:
    from scipy.integrate import odeint

    arguments = [system.time, *system.states, *system.parameters]
    rhs, observe = (function_of(e, arguments) for e in (system.equations, system.observables))
    initial = function_of(system.initial, system.parameters)
    times = np.array([known.settings.start, *known.times])
    options = {"rtol": known.rtol, "atol": known.atol, "mxstep": known.settings.max_steps}

    def one(theta: list[float]) -> list[list[float]]:
        def slope(t: float, y: Array) -> list[float]:
            return rhs(t, *y, *theta)

        states = odeint(slope, initial(*theta), times, tfirst=True, **options)[1:]
        return [observe(t, *y, *theta) for t, y in zip(known.times, states, strict=True)]

    return lambda theta: np.array([one(row) for row in theta.tolist()], dtype=np.float64)


def _casadi(known: KnownSystem, weights: Array, threads: int) -> Batch:
    """CVODES, mapped over threads; its adjoint sensitivities."""
    import casadi

    system = known.system
    library: dict[str, Any] = {"math": casadi, "Power": casadi.power}
    t, y = casadi.SX.sym("t"), casadi.SX.sym("y", len(system.states))
    theta = casadi.SX.sym("theta", len(system.parameters))
    states, columns = casadi.vertsplit(y), casadi.vertsplit(theta)
    arguments = [system.time, *system.states, *system.parameters]
    rhs, observe = (
        casadi.vertcat(*function_of(e, arguments, library)(t, *states, *columns))
        for e in (system.equations, system.observables)
    )
    start = casadi.vertcat(*function_of(system.initial, system.parameters, library)(*columns))
    options = {
        "reltol": known.rtol, "abstol": known.atol, "max_num_steps": known.settings.max_steps,
    }  # fmt: skip
    problem = {"t": t, "x": y, "p": theta, "ode": rhs}
    solve = casadi.integrator("solve", "cvodes", problem, known.settings.start,
                              list(known.times), options)  # fmt: skip
    given = casadi.MX.sym("given", len(system.parameters))
    path = solve(x0=casadi.Function("x0", [theta], [start])(given), p=given)["xf"]
    output = casadi.Function("h", [t, y, theta], [observe]).map(len(known.times))(
        casadi.DM(known.times).T, path, casadi.repmat(given, 1, len(known.times))
    )
    total = casadi.sum1(casadi.sum2(output * casadi.DM(weights.T)))
    value = casadi.Function("value", [given], [output])
    slope = casadi.Function("slope", [given], [casadi.gradient(total, given)])
    shape = (len(known.times), len(system.observables))

    def mapped(function: Any, batch: Array) -> Array:
        over = function.map(len(batch), "thread", threads) if threads > 1 else function.map(
            len(batch)
        )  # fmt: skip
        return np.asarray(over(batch.T)).T

    return Batch(
        lambda batch: mapped(value, batch).reshape(len(batch), *shape),
        lambda batch: mapped(slope, batch),
    )


def _diffrax(known: KnownSystem, weights: Array, threads: int) -> Batch:
    """Tsit5, or Kvaerno5 where the system is stiff, under vmap and jit; checkpointed adjoint."""
    import diffrax
    import jax

    jax.config.update("jax_enable_x64", True)
    jnp, system = importlib.import_module("jax.numpy"), known.system
    library = {"math": jnp, "Power": jnp.power}
    arguments = [system.time, *system.states, *system.parameters]
    rhs, observe = (
        function_of(e, arguments, library) for e in (system.equations, system.observables)
    )
    initial = function_of(system.initial, system.parameters, library)
    method = diffrax.Kvaerno5() if known.stiff else diffrax.Tsit5()
    term = diffrax.ODETerm(lambda t, y, theta: jnp.stack(_full(jnp, rhs(t, *y, *theta))))

    def one(theta: Any) -> Any:
        solution = diffrax.diffeqsolve(
            term, method, known.settings.start, known.times[-1], None,
            jnp.stack(_full(jnp, initial(*theta))), theta,
            saveat=diffrax.SaveAt(ts=jnp.asarray(known.times)),
            stepsize_controller=diffrax.PIDController(rtol=known.rtol, atol=known.atol),
            max_steps=known.settings.max_steps, throw=False,
        )  # fmt: skip
        at_times = jax.vmap(lambda t, y: jnp.stack(_full(jnp, observe(t, *y, *theta))))
        return at_times(jnp.asarray(known.times), solution.ys)

    def total(theta: Any) -> Any:
        return (one(theta) * weights).sum()

    values, slopes = jax.jit(jax.vmap(one)), jax.jit(jax.vmap(jax.value_and_grad(total)))
    return Batch(
        lambda theta: np.asarray(values(theta)), lambda theta: np.asarray(slopes(theta)[1])
    )


def _full(array: Any, parts: list[Any]) -> list[Any]:
    """Parts that may be plain numbers, as arrays."""
    return [array.asarray(part, dtype=float) for part in parts]


def _torchode(known: KnownSystem, weights: Array, threads: int) -> Batch:
    """Tsit5 with its own step per trajectory, gradients through the solver."""
    import torch
    import torchode

    torch.set_num_threads(threads)
    system, library = known.system, {"math": torch, "Power": torch.pow}
    arguments = [system.time, *system.states, *system.parameters]
    rhs, observe = (
        function_of(e, arguments, library) for e in (system.equations, system.observables)
    )
    initial = function_of(system.initial, system.parameters, library)
    times = torch.tensor(known.times)

    def slope(t: Any, y: Any, columns: Any) -> Any:
        return torch.stack([c + 0.0 * t for c in rhs(t, *y.unbind(1), *columns)], dim=1)

    term = torchode.ODETerm(slope, with_args=True)
    method = torchode.Tsit5(term=term)
    control = torchode.IntegralController(atol=known.atol, rtol=known.rtol, term=term)
    solver = torchode.AutoDiffAdjoint(method, control, max_steps=known.settings.max_steps)

    def solved(theta: Any) -> Any:
        columns = theta.unbind(1)
        start = torch.stack([c + torch.zeros(len(theta)).double() for c in initial(*columns)], 1)
        problem = torchode.InitialValueProblem(
            y0=start, t_start=torch.full((len(theta),), known.settings.start).double(),
            t_eval=times.expand(len(theta), -1),
        )  # fmt: skip
        ys = solver.solve(problem, args=columns).ys
        columns = tuple(c[:, None] for c in columns)
        return torch.stack(observe(times, *ys.unbind(2), *columns), dim=2)

    def values(theta: Array) -> Array:
        with torch.no_grad():
            return np.asarray(solved(torch.tensor(theta)))

    def gradient(theta: Array) -> Array:
        leaf = torch.tensor(theta, requires_grad=True)
        (solved(leaf) * torch.tensor(weights)).sum().backward()
        return np.asarray(leaf.grad)

    return Batch(values, gradient)


def _roadrunner(known: KnownSystem, weights: Array, threads: int) -> Batch:
    """CVODES behind SBML, one trajectory after the other, by its LLVM code; values alone."""
    import roadrunner

    roadrunner.Logger.disableLogging()
    system = known.system
    model = roadrunner.RoadRunner(_sbml(system))
    model.getIntegrator().setValue("relative_tolerance", known.rtol)
    model.getIntegrator().setValue("absolute_tolerance", known.atol)
    model.getIntegrator().setValue("maximum_num_steps", known.settings.max_steps)
    name = _letters(system)
    model.selections = [name[h] for h in system.observables]  # all of them states, here
    initial = function_of(system.initial, system.parameters)
    times = [known.settings.start, *known.times]

    def one(theta: list[float]) -> Array:
        model.reset()
        values = [*theta, *initial(*theta)]
        for symbol, value in zip((*system.parameters, *system.states), values, strict=True):
            model.setValue(name[symbol], float(value))
        return np.array(model.simulate(times=times))[1:]

    return Batch(lambda theta: np.array([one(row) for row in theta.tolist()]), None)


def _letters(system: OdeSystem) -> dict[sympy.Symbol, str]:
    """Names without digits, which MathML would set as indices."""
    symbols = (*system.parameters, *system.states)
    return {s: "v" + str(i).translate(str.maketrans("0123456789", "abcdefghij"))
            for i, s in enumerate(symbols)}  # fmt: skip


def _sbml(system: OdeSystem) -> str:
    """The system as SBML: parameters that change by rate rules."""
    name = _letters(system)
    rename = {s: sympy.Symbol(letters) for s, letters in name.items()}
    parameters = "".join(
        f'<parameter id="{name[s]}" value="1" constant="{str(s in system.parameters).lower()}"/>'
        for s in name
    )
    rules = "".join(
        f'<rateRule variable="{name[state]}"><math xmlns="http://www.w3.org/1998/Math/MathML">'
        f"{_mathml(equation.xreplace(rename))}</math></rateRule>"
        for state, equation in zip(system.states, system.equations, strict=True)
    )
    return (
        '<sbml xmlns="http://www.sbml.org/sbml/level3/version1/core" level="3" version="1">'
        f"<model><listOfParameters>{parameters}</listOfParameters>"
        f"<listOfRules>{rules}</listOfRules></model></sbml>"
    )


def _mathml(expression: sympy.Expr) -> str:
    powers = {call: sympy.Pow(*call.args) for call in expression.atoms(Power)}
    return str(sympy.mathml(expression.xreplace(powers), printer="content"))


SOLVERS = {
    "scipy": Solver("scipy", "scipy", 4, _scipy),
    "casadi": Solver("casadi", "casadi", 64, _casadi),
    "diffrax": Solver("diffrax", "diffrax", 256, _diffrax),
    "torchode": Solver("torchode", "torchode", 256, _torchode, explicit=True),
    "roadrunner": Solver("roadrunner", "libroadrunner", 64, _roadrunner),
}
