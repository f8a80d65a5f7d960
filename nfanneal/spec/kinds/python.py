"""Models in a user's Python file, as a spec states them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from nfanneal.spec.fields import Seconds, Whole, Word, wrong_with
from nfanneal.spec.kinds.kind import ModelMeaning, ModelSpec

if TYPE_CHECKING:
    from nfanneal.model.latent import LatentMap
    from nfanneal.model.likelihood import DirectLikelihood
    from nfanneal.model.observations import Observations
    from nfanneal.model.python_model import PythonSimulator
    from nfanneal.spec.checked import CheckedSpec
    from nfanneal.spec.meaning import SpecReader


BATCH = 512


class PythonSpec(ModelSpec):
    """A model in a Python file: give either log_likelihood or simulate."""

    words: ClassVar[str] = "a Python file"
    code_words: ClassVar[str] = "Python file"
    runs_code: ClassVar[bool] = True
    code_keys: ClassVar[tuple[str, ...]] = ("file",)
    incidental: ClassVar[tuple[str, ...]] = ("batch", "timeout")

    kind: Literal["python"]
    file: Word = Field(description="the Python file, relative to this one")
    log_likelihood: Word | None = Field(
        None, description="function f(parameters) that returns one log-likelihood per draw"
    )
    simulate: Word | None = Field(
        None, description="function f(parameters, times) that returns {observable: (n, times)}"
    )
    array: Literal["torch", "numpy"] = Field(
        "torch", description="what the function works on; torch gives gradients"
    )
    times: Literal["any", "data"] = Field(
        "any",
        description="data: it knows of the times of its data only, since it counts what happens "
        "between those it is given; predict and figures then ask it at no others",
    )
    batch: Whole | None = Field(
        None,
        ge=1,
        description=f"draws per call of the function, by default {BATCH}, or 1 with workers; what "
        "a killed run without workers loses at most",
    )
    timeout: Seconds | None = Field(
        None, description="the longest that a draw may take in a worker, such as 60s or 5m"
    )

    @property
    def likelihood_key(self) -> str | None:
        """The key of a function that gives the log-likelihood itself."""
        return None if self.log_likelihood is None else "log_likelihood"

    @property
    def only_at_data(self) -> bool:
        """As the spec says."""
        return self.times == "data"

    @property
    def draws_per_call(self) -> int:
        """As many as the spec says."""
        return self.batch or BATCH

    @property
    def draws_at_a_worker(self) -> int:
        """One by one, unless the spec says more."""
        return self.batch or 1

    @property
    def longest(self) -> float:
        """Seconds that a draw may take."""
        return math.inf if self.timeout is None else self.timeout

    @property
    def code(self) -> str:
        """The Python file."""
        return self.file

    def code_files(self, folder: Path) -> tuple[Path, ...]:
        """The Python file."""
        return (folder / self.file,)

    def placed(self, folder: Path) -> dict[str, Any]:
        """The file's absolute path."""
        return {"file": str((folder / self.file).resolve())}

    def missing(self, folder: Path) -> Iterator[tuple[str, str, str | None]]:
        """Whether the file is one."""
        path = folder / self.file
        wrong = wrong_with(path, "model")
        if wrong is not None:
            yield "file", f"{wrong}: '{path}'", None

    def with_code(self, code: str) -> dict[str, Any]:
        """Another place of the file.

        Raises:
            ValueError: there is no such file.
        """
        if not Path(code).is_file():
            raise ValueError("no such file")
        return {"file": str(Path(code).resolve())}

    def read(self, reader: SpecReader) -> ModelMeaning:
        """Its meaning is in its file; one of the functions must be named."""
        if (self.log_likelihood is None) == (self.simulate is None):
            message = "a python model needs either log_likelihood or simulate"
            reader.complain_key(("model",), message)
        return ModelMeaning()

    def simulator(
        self, checked: CheckedSpec, latent: LatentMap, data: Sequence[Observations]
    ) -> PythonSimulator:
        """The function `simulate`, of each experiment's parameters."""
        from nfanneal.spec.build.python_model import python_simulator  # noqa: PLC0415  (torch)

        return python_simulator(checked, self, latent)

    def direct_likelihood(self, checked: CheckedSpec, latent: LatentMap) -> DirectLikelihood:
        """The function `log_likelihood`."""
        from nfanneal.spec.build.python_model import python_likelihood  # noqa: PLC0415  (torch)

        return python_likelihood(checked, self, latent)
