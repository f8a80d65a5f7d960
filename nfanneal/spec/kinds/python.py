"""Models in a user's Python file, as a spec states them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from nfanneal.spec.fields import Whole, Word
from nfanneal.spec.kinds.kind import ModelMeaning, ModelSpec

if TYPE_CHECKING:
    from nfanneal.model.latent import LatentMap
    from nfanneal.model.likelihood import DirectLikelihood
    from nfanneal.model.python_model import PythonSimulator
    from nfanneal.spec.checked import CheckedSpec
    from nfanneal.spec.meaning import SpecReader


class PythonSpec(ModelSpec):
    """A model in a Python file: give either log_likelihood or simulate."""

    words: ClassVar[str] = "a Python file"
    code_words: ClassVar[str] = "Python file"
    code_keys: ClassVar[tuple[str, ...]] = ("file",)
    incidental: ClassVar[tuple[str, ...]] = ("batch",)

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
    batch: Whole = Field(
        512, ge=1, description="draws per call of the function; what a killed run loses at most"
    )

    @property
    def likelihood_key(self) -> str | None:
        """The key of a function that gives the log-likelihood itself."""
        return None if self.log_likelihood is None else "log_likelihood"

    @property
    def draws_per_call(self) -> int:
        """As many as the spec says."""
        return self.batch

    def read(self, reader: SpecReader) -> ModelMeaning:
        """Its meaning is in its file; one of the functions must be named."""
        if (self.log_likelihood is None) == (self.simulate is None):
            message = "a python model needs either log_likelihood or simulate"
            reader.complain_key(("model",), message)
        return ModelMeaning()

    def simulator(self, checked: CheckedSpec, latent: LatentMap) -> PythonSimulator:
        """The function `simulate`, of each experiment's parameters."""
        from nfanneal.spec.build.python_model import python_simulator  # noqa: PLC0415  (torch)

        return python_simulator(checked, self, latent)

    def direct_likelihood(self, checked: CheckedSpec, latent: LatentMap) -> DirectLikelihood:
        """The function `log_likelihood`."""
        from nfanneal.spec.build.python_model import python_likelihood  # noqa: PLC0415  (torch)

        return python_likelihood(checked, self, latent)
