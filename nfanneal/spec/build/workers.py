"""Who asks a spec's model: this process, or workers, each with a copy made from the spec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from nfanneal.errors import InputError
from nfanneal.model.calls import Executor, on_threads
from nfanneal.model.executors import Pooled
from nfanneal.model.executors.choice import Workers, pool_of
from nfanneal.model.executors.copies import Asked
from nfanneal.model.likelihood import Likelihood
from nfanneal.model.observations import Observations
from nfanneal.spec.checked import CheckedSpec
from nfanneal.spec.load import spec_from_text

if TYPE_CHECKING:
    from nfanneal.spec.kinds.kind import ModelSpec


@dataclass(frozen=True)
class SpecCopy:
    """A spec and its data, from which another process makes the likelihood anew."""

    yaml: str
    data: Mapping[str, Observations] | None = field(default=None, compare=False)

    def likelihood(self) -> Likelihood:
        """The likelihood of the spec."""
        from nfanneal.spec.build.problem import build_problem  # noqa: PLC0415  (a circle)

        return build_problem(spec_from_text(self.yaml, Path()), self.data, alone=True).likelihood


def refuse_workers(model: ModelSpec) -> None:
    """Raise an `InputError` if such a model is not asked by workers."""
    if not model.runs_code:
        raise InputError(
            f"--workers is for models that are programs or Python files; {model.words} is solved "
            "on threads (--threads)"
        )


def executor_of(
    checked: CheckedSpec, data: Mapping[str, Observations] | None, workers: Workers | None
) -> Executor:
    """Who asks the model of a spec; None: whoever is best for its kind.

    Raises:
        InputError: the workers cannot be reached.
    """
    model = checked.spec.model
    if workers is None and not model.outside:
        return on_threads
    asked = Asked(SpecCopy(checked.yaml, data), model.longest, model.outside)
    return Pooled(pool_of(workers or Workers(), asked), model.draws_at_a_worker)
