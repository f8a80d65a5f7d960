"""Models: from parameters θ (n, p) to predictions (n, m, k), or straight to log-likelihoods (n,).

A Python model predicts by the user's function, on torch tensors (differentiable) or numpy arrays;
an ODE model by compiled trajectories (`nfanneal.model.ode_model`).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nfanneal.arrays import Array
from nfanneal.errors import ModelError, ModelMemoryError
from nfanneal.model.latent import NAMED_COLUMNS, point_in_words
from nfanneal.model.python_file import LibrarySettings, own_lines
from nfanneal.model.simulator import Predictions, Uncharted

NOT_FINITE = "the function returned nan or infinity; look for what overflows, or log(0) and 0/0"
"""Why a draw of a Python model failed."""
GRADIENT_CAUSES = "sqrt or abs at 0, and for torch.where around a branch that overflows"
"""Why the gradient of a torch model may not be finite."""


@dataclass(frozen=True)
class PythonFunction:
    """A user's function of named parameters: where its columns are, constants, array kind.

    It is called under the `settings` that its file made.
    """

    function: Callable[..., Any]
    name: str
    slices: Mapping[str, slice | int]
    fixed: Mapping[str, float]
    array: str
    settings: LibrarySettings

    @property
    def differentiable(self) -> bool:
        """Torch functions are differentiated by autograd."""
        return self.array == "torch"

    def arguments(self, theta: Any) -> dict[str, Any]:
        """The `parameters` mapping for θ (n, p): (n,) per scalar, (n, k) per vector."""
        values = {name: theta[:, where] for name, where in self.slices.items()}
        n = theta.shape[0]
        full = torch.full if self.array == "torch" else np.full
        dtype = torch.float64 if self.array == "torch" else np.float64
        return values | {k: full((n,), float(v), dtype=dtype) for k, v in self.fixed.items()}

    def __call__(self, theta: Any, *extra: Any) -> Any:
        """Call the function.

        Raises:
            ModelError: it raised, or returned nothing; the message shows the user's own lines.
        """
        try:
            found = self._called(theta, extra)
        except (Exception, SystemExit) as error:
            told = f"the model function '{self.name}' raised {type(error).__name__}: {error}"
            lines = own_lines(error)
            if isinstance(error, MemoryError):
                raise ModelMemoryError(f"{told}\n{lines}".rstrip()) from error
            where = self._where(theta, extra)
            hint = self._about_arrays(error)
            raise ModelError(f"{told}\n{lines}  it does so at {where}{hint}") from error
        if found is None:
            raise ModelError(f"'{self.name}' returned None; does it lack a return?")
        return found

    def _called(self, theta: Any, extra: tuple[Any, ...]) -> Any:
        arguments = self.arguments(theta)
        # what a model prints must not get between the results on stdout
        with self.settings.in_force(), redirect_stdout(sys.stderr):
            return self.function(arguments, *extra)

    def _where(self, theta: Any, extra: tuple[Any, ...]) -> str:
        """A draw at which the function raises, by halving the batch; else the batch's ranges."""
        rows = theta
        while len(rows) > 1:
            halves = rows[: len(rows) // 2], rows[len(rows) // 2 :]
            rows = next((half for half in halves if self._raises(half, extra)), None)
            if rows is None:
                return self._ranges(theta)
        return point_in_words(self._columns(), self._plain(rows)[0])

    def _raises(self, theta: Any, extra: tuple[Any, ...]) -> bool:
        try:
            self._called(theta, extra)
        except (Exception, SystemExit):
            return True
        return False

    def _ranges(self, theta: Any) -> str:
        values = self._plain(theta)
        low, high = values.min(axis=0), values.max(axis=0)
        few = zip(self._columns()[:NAMED_COLUMNS], low, high, strict=False)
        shown = ", ".join(f"{name} from {a:.6g} to {b:.6g}" for name, a, b in few)
        return f"{len(values)} draws together, but not at half of them: {shown}"

    @staticmethod
    def _plain(theta: Any) -> Array:
        return np.asarray(theta.detach().numpy() if isinstance(theta, torch.Tensor) else theta)

    def _columns(self) -> list[str]:
        """A name for each column of θ."""
        named: dict[int, str] = {}
        for name, where in self.slices.items():
            if isinstance(where, int):
                named[where] = name
            else:
                named |= {c: f"{name}[{c - where.start}]" for c in range(where.start, where.stop)}
        return [named[column] for column in sorted(named)]

    def _about_arrays(self, error: BaseException) -> str:
        """A hint where a parameter is misnamed, or the function is for the other kind of array."""
        if isinstance(error, KeyError):
            return f"\n  hint: the parameters are {', '.join((*self.slices, *self.fixed))}"
        if not isinstance(error, TypeError | AttributeError | RuntimeError):
            return ""
        kind, other = (
            ("torch tensors", "numpy") if self.differentiable else ("numpy arrays", "torch")
        )
        return (
            f"\n  hint: with model.array: {self.array}, parameters and times are {kind}; for a "
            f"{other} function set model.array: {other}"
        )

    def real(self, given: Any) -> Any:
        """An array or tensor (by `array`) of what the function returned.

        Raises:
            ModelError: it is not made of real numbers.
        """
        torches = self.array == "torch"
        try:
            found: Any = torch.as_tensor(given) if torches else np.asarray(given)
            if torches and found.layout != torch.strided:
                found = found.to_dense()
            if torches and found.device.type != "cpu":
                found = found.cpu()
        except (TypeError, ValueError, RuntimeError) as error:
            what = type(given).__name__
            raise ModelError(f"'{self.name}' returned a {what} that is no array") from error
        dtype = str(found.dtype).removeprefix("torch.")
        if not dtype.startswith(("float", "bfloat", "int", "uint")):
            kind = "object" if isinstance(given, Mapping | str) else dtype
            what = type(given).__name__ if kind == "object" else f"{dtype} values"
            raise ModelError(f"'{self.name}' returned {what}, not real numbers")
        return found


@dataclass(frozen=True)
class PythonSimulator(Uncharted):
    """A user's `simulate(parameters, times)` that returns each observable as (n, m).

    There is one of `functions` for each experiment: the same, of other parameters.
    """

    functions: tuple[PythonFunction, ...]
    observables: tuple[str, ...]
    gradient_causes: str = GRADIENT_CAUSES

    @property
    def starts(self) -> tuple[float, ...]:
        """The function may predict at any time."""
        return (-math.inf,) * len(self.functions)

    @property
    def differentiable(self) -> bool:
        """Whether predictions come with a pull-back."""
        return self.functions[0].differentiable

    def predict(self, theta: Array, times: Sequence[Array], gradient: bool) -> Predictions:
        """Call the function on θ (n, p) and the times of each experiment."""
        if not self.differentiable:
            parts = [
                np.stack(self._stack(f, f(theta.copy(), t.copy()), (len(theta), len(t))), axis=2)
                for f, t in zip(self.functions, times, strict=True)
            ]
            return _checked(np.concatenate(parts, axis=1).astype(np.float64))
        leaf = torch.from_numpy(theta.copy()).requires_grad_(gradient)
        tensors = []
        with torch.set_grad_enabled(gradient):
            for function, t in zip(self.functions, times, strict=True):
                given = function(leaf, torch.from_numpy(t.copy()))
                each = self._stack(function, given, (len(theta), len(t)))
                tensors.append(torch.stack(each, dim=2).double())
            stacked = torch.cat(tensors, dim=1)

        def pullback(slope: Array) -> Array:
            return _gradient(self.functions[0].name, leaf, stacked, slope)

        predictions = _checked(stacked.detach().numpy())
        if not gradient:
            return predictions
        return Predictions(predictions.values, predictions.failed, predictions.reasons, pullback)

    def _stack(self, function: PythonFunction, given: Any, shape: tuple[int, int]) -> list[Any]:
        name = function.name
        if not isinstance(given, Mapping):
            raise ModelError(f"'{name}' must return a mapping from observable to array")
        missing = [o for o in self.observables if o not in given]
        if missing:
            raise ModelError(
                f"'{name}' returned no '{missing[0]}'; it returned {', '.join(map(str, given))}"
            )
        arrays = [function.real(given[o]) for o in self.observables]
        for observable, array in zip(self.observables, arrays, strict=True):
            if tuple(array.shape) != shape:
                raise ModelError(
                    f"'{name}' returned '{observable}' of shape {tuple(array.shape)}, "
                    f"not (draws, times) = {shape}"
                )
        return arrays


@dataclass(frozen=True)
class PythonLikelihood:
    """A user's `log_likelihood(parameters)` that returns (n,)."""

    function: PythonFunction

    @property
    def differentiable(self) -> bool:
        """Whether gradients can be had."""
        return self.function.differentiable

    def evaluate(self, theta: Array, gradient: bool) -> tuple[Array, Array | None, dict[str, int]]:
        """log L (n,), if asked for ∂ log L/∂θ (n, p), and why draws failed, as far as is known."""
        if not self.differentiable:
            values = self.function.real(self.function(theta.copy()))
            return self._checked(values, len(theta)), None, {}
        leaf = torch.from_numpy(theta.copy()).requires_grad_(gradient)
        with torch.set_grad_enabled(gradient):
            given = self.function.real(self.function(leaf))
        values = self._checked(given.detach().numpy(), len(theta))
        if not gradient:
            return values, None, {}
        slope = np.isfinite(values).astype(np.float64)
        return values, _gradient(self.function.name, leaf, given, slope), {}

    def _checked(self, values: NDArray[Any], n: int) -> Array:
        if values.shape != (n,):
            raise ModelError(
                f"'{self.function.name}' returned shape {values.shape}; "
                f"it must return one log-likelihood per draw, shape ({n},)"
            )
        return values.astype(np.float64)


def _checked(values: Array) -> Predictions:
    failed = np.asarray(~np.isfinite(values).all(axis=(1, 2)))
    reasons = {NOT_FINITE: int(failed.sum())} if failed.any() else {}
    return Predictions(values, failed, reasons)


def _gradient(name: str, leaf: torch.Tensor, output: torch.Tensor, slope: Array) -> Array:
    """Σ slope·∂output/∂θ as (n, p); zero where the output does not depend on θ.

    Raises:
        ModelError: the function `name` cannot be differentiated.
    """
    if not output.requires_grad:
        return np.zeros(tuple(leaf.shape))
    along = torch.from_numpy(slope).to(output.dtype)
    try:
        (gradient,) = torch.autograd.grad(output, leaf, along, retain_graph=True, allow_unused=True)
    except Exception as error:
        raise ModelError(
            f"the model function '{name}' cannot be differentiated: torch raised "
            f"{type(error).__name__}: {error}\n"
            "  hint: do without operations in place (x += 1, x[0] = 1), or without gradients: "
            "model.array: numpy"
        ) from error
    return np.zeros(tuple(leaf.shape)) if gradient is None else gradient.numpy()
