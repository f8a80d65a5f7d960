"""nfanneal: Bayesian parameter estimation and model evidence by annealed normalizing flows.

From Python: `nfanneal.run(spec)` estimates, `nfanneal.load(path)` reads a result file, and
`nfanneal.evaluate(spec, at)` evaluates the posterior at one point.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nfanneal.version import __version__

if TYPE_CHECKING:
    from nfanneal.api import evaluate, load, run
    from nfanneal.results.result import Result

__all__ = ["Result", "__version__", "evaluate", "load", "run"]


def __dir__() -> list[str]:
    """The public names."""
    return __all__


def __getattr__(name: str) -> Any:
    """Import the public names when they are first used: torch and numba take seconds."""
    if name in ("evaluate", "load", "run"):
        from nfanneal import api  # noqa: PLC0415

        return getattr(api, name)
    if name == "Result":
        from nfanneal.results.result import Result  # noqa: PLC0415

        return Result
    raise AttributeError(f"module 'nfanneal' has no attribute '{name}'")
