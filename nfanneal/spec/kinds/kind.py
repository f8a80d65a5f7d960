"""What the program must know of a kind of model: its keys, what it can do, how it is built."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import sympy

from nfanneal.spec.fields import Section
from nfanneal.target import EVALUATION_CHUNK

if TYPE_CHECKING:
    from nfanneal.model.latent import LatentMap
    from nfanneal.model.likelihood import DirectLikelihood
    from nfanneal.model.observations import Observations
    from nfanneal.model.simulator import Simulator
    from nfanneal.spec.checked import CheckedSpec
    from nfanneal.spec.events import TimingMeaning
    from nfanneal.spec.experiments import ExperimentMeaning
    from nfanneal.spec.meaning import SpecReader


@dataclass(frozen=True)
class ModelMeaning:
    """A model's expressions by name; empty for a model that has none."""

    initial: Mapping[str, sympy.Expr] = field(default_factory=dict)
    equations: Mapping[str, sympy.Expr] = field(default_factory=dict)
    observables: Mapping[str, sympy.Expr] = field(default_factory=dict)
    named: Mapping[str, sympy.Expr] = field(default_factory=dict)


class ModelSpec(Section):
    """The section `model` of a spec: its keys, and what its kind can do.

    A kind is a subclass of this in a file of its own and a line in `KINDS`; nothing else asks which
    kind a model has. What takes long to import is imported where it is used.
    """

    kind: str

    words: ClassVar[str]
    """What messages call such a model."""
    code_words: ClassVar[str] = ""
    """What they call the file that its user wrote."""
    sections: ClassVar[Mapping[str, type[Section]]] = {}
    """What the keys hold that have entries by name."""
    optional: ClassVar[tuple[str, ...]] = ()
    """Keys that have defaults, and of which nothing else depends."""
    in_experiments: ClassVar[tuple[str, ...]] = ()
    """Keys of an experiment, beside data and parameters, that say something of such a model."""
    runs_code: ClassVar[bool] = False
    """Whether it runs code of the user's, which a result must not do by itself."""
    outside: ClassVar[bool] = False
    """Whether its calls leave the process."""
    code_keys: ClassVar[tuple[str, ...]] = ()
    """Keys that only name files of that code, which count by what they hold."""
    incidental: ClassVar[tuple[str, ...]] = ()
    """Keys that a resumed run may change: they say how the model is asked, not what it is."""
    settles: ClassVar[bool] = False
    """Whether it predicts what becomes of observables in the end, at time infinity."""
    transparent: ClassVar[bool] = False
    """Whether the spec says all that its parameters are for: expressions may stand for them."""

    @property
    def likelihood_key(self) -> str | None:
        """The key that gives the log-likelihood itself; None for a model that predicts data."""
        return None

    @property
    def only_at_data(self) -> bool:
        """Whether it knows of the times of its data only: what it says depends on all of them."""
        return False

    @property
    def draws_per_call(self) -> int:
        """How many draws it is asked about at once, at most."""
        return EVALUATION_CHUNK

    @property
    def draws_at_a_worker(self) -> int:
        """How many draws a worker gets at a time."""
        return 1

    @property
    def longest(self) -> float:
        """Seconds that a draw may take."""
        return math.inf

    @property
    def starts_at(self) -> float:
        """The time before which it predicts nothing."""
        return -math.inf

    @property
    def time_name(self) -> str | None:
        """What the time is called in its expressions; None if it has none."""
        return None

    @property
    def observable_names(self) -> Mapping[str, Any] | None:
        """The observables that it has; None: those that the data are of."""
        return None

    @property
    def code(self) -> str:
        """The file or the program of the user's that it runs, as its spec calls it."""
        return ""

    @property
    def solvers(self) -> tuple[str, ...]:
        """The published methods that compute its trajectories, by name."""
        return ()

    @property
    def solved(self) -> str:
        """How its trajectories are computed, as a sentence goes on; empty where a user's code does.

        `by Tsit5 with a relative tolerance of 1e-06`
        """
        return ""

    def command_line(self, folder: Path) -> str:
        """What it is called by, if it is a program."""
        return ""

    def code_files(self, folder: Path) -> tuple[Path, ...]:
        """Files of the user's code, where relative paths start from a folder."""
        return ()

    def placed(self, folder: Path) -> dict[str, Any]:
        """Keys of the section with other values once its paths are absolute."""
        return {}

    def missing(self, folder: Path) -> Iterator[tuple[str, str, str | None]]:
        """What of its code is not there: a key, what is wrong, and a hint."""
        return iter(())

    def with_code(self, code: str) -> dict[str, Any]:
        """Keys of the section with other values where the user names the code to be run.

        Raises:
            ValueError: it cannot be that of this model; what the message says.
        """
        return {}

    def names_of(self, section: str) -> Mapping[str, Any]:
        """What a section such as `constants` or `inputs` holds; nothing if there is none."""
        return getattr(self, section, None) or {}

    def read(self, reader: SpecReader) -> ModelMeaning:
        """Check what the schema cannot see, and parse all expressions."""
        return ModelMeaning()

    def read_timing(
        self, reader: SpecReader, experiments: Sequence[ExperimentMeaning]
    ) -> TimingMeaning | None:
        """What it says of certain times."""
        return None

    def simulator(
        self, checked: CheckedSpec, latent: LatentMap, data: Sequence[Observations]
    ) -> Simulator:
        """The model that predicts, compiled or imported; for the `data` of each experiment.

        Raises:
            SpecError, ModelError: it cannot be built; what the message says.
        """
        raise NotImplementedError

    def direct_likelihood(self, checked: CheckedSpec, latent: LatentMap) -> DirectLikelihood:
        """The log-likelihood of a model that has a `likelihood_key`.

        Raises:
            SpecError, ModelError: it cannot be built; what the message says.
        """
        raise NotImplementedError
