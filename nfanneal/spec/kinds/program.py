"""Models that are other programs, as a spec states them."""

from __future__ import annotations

import math
import os
import shlex
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator
from pydantic_core.core_schema import ValidationInfo

from nfanneal.errors import nearest
from nfanneal.spec.fields import Seconds, Whole, Word
from nfanneal.spec.kinds.kind import ModelMeaning, ModelSpec

if TYPE_CHECKING:
    from nfanneal.model.latent import LatentMap
    from nfanneal.model.likelihood import DirectLikelihood
    from nfanneal.model.observations import Observations
    from nfanneal.model.program import ProgramSimulator
    from nfanneal.spec.checked import CheckedSpec
    from nfanneal.spec.meaning import SpecReader


def _absolute(path: Path) -> Path:
    """Links stay: a program may go by the name that it is called by, as Python does in a venv."""
    return Path(os.path.abspath(path))  # noqa: PTH100


class ProgramSpec(ModelSpec):
    """A model that is another program."""

    words: ClassVar[str] = "a program"
    code_words: ClassVar[str] = "program"
    runs_code: ClassVar[bool] = True
    outside: ClassVar[bool] = True
    incidental: ClassVar[tuple[str, ...]] = ("timeout", "retries")

    kind: Literal["program"]
    shell: bool = Field(False, description="a shell reads the command, which is one line of text")
    command: list[Word] = Field(
        min_length=1,
        description="program and arguments, with placeholders {parameter}, {times}, {out}, {dir}, "
        "{experiment}, {here}",
    )
    protocol: Literal["call", "lines"] = Field(
        "call", description="call: started for each draw; lines: it stays and is asked by lines"
    )
    answer: Literal["table", "number"] = Field(
        "table", description="observables at the data's times, or the log-likelihood"
    )
    times: Literal["any", "data"] = Field(
        "any",
        description="data: it knows of the times of its data only, since it counts what happens "
        "between those it is given; predict and figures then ask it at no others",
    )
    gradient: bool = Field(
        False, description="with lines and a number: it can give the gradient, too"
    )
    parameters: Word | None = Field(
        None, description="a file of parameters that each call finds: .json, .yaml or .csv"
    )
    stdin: Word = Field("", description="text for the standard input, with placeholders")
    timeout: Seconds | None = Field(
        None, description="the longest that a draw may take, such as 60s or 5m"
    )
    retries: Whole = Field(
        1, ge=0, le=100, description="how often a draw is asked again after a crash or a time-out"
    )
    environment: dict[str, Word] = Field({}, description="variables beside those of the shell")

    @field_validator("command", mode="before")
    @classmethod
    def _words_of(cls, value: Any, info: ValidationInfo) -> Any:
        """A line of text stands for its words."""
        if isinstance(value, str):
            if not value.strip():
                raise ValueError("must be a program and its arguments")
            return [value] if info.data.get("shell") else shlex.split(value)
        if not isinstance(value, list):
            raise ValueError("must be a list of words, or a line of text")
        return value

    @field_validator("environment")
    @classmethod
    def _variables(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if not name or "=" in name or "\0" in name:
                raise ValueError(f"'{name}' is no name of a variable")
        return value

    @property
    def likelihood_key(self) -> str | None:
        """The key that says that it gives the log-likelihood itself."""
        return "answer: number" if self.answer == "number" else None

    @property
    def only_at_data(self) -> bool:
        """As the spec says."""
        return self.times == "data"

    @property
    def longest(self) -> float:
        """Seconds that a draw may take."""
        return math.inf if self.timeout is None else self.timeout

    @property
    def code(self) -> str:
        """The program, or the first file that an interpreter is given."""
        files = (word for word in self.command if "/" in word and "{" not in word)
        return next(files, self.command[0])

    def command_line(self, folder: Path) -> str:
        """The command with absolute paths."""
        words: list[str] = self.placed(folder)["command"]
        return words[0] if self.shell else shlex.join(words)

    def code_files(self, folder: Path) -> tuple[Path, ...]:
        """Words of the command that are files beside the spec, or by their paths."""
        return tuple(path for _, path in self._files(folder) if path.is_file())

    def _files(self, folder: Path) -> Iterator[tuple[int, Path]]:
        """The places of words that are files, and these."""
        if self.shell:
            return
        for i, word in enumerate(self.command):
            if "{" in word or word.startswith("-"):
                continue
            if i == 0 and "/" not in word and shutil.which(word):
                continue
            try:
                there = (folder / word).is_file()
            except (OSError, ValueError):
                continue
            if there:
                yield i, _absolute(folder / word)

    def placed(self, folder: Path) -> dict[str, Any]:
        """The command with absolute paths of its files, and of the folder."""
        from nfanneal.model.program.command import escaped, placed  # noqa: PLC0415  (torch)

        here = str(folder.resolve())
        in_command = shlex.quote(here) if self.shell else here
        words = list(self.command)
        for i, path in self._files(folder):
            words[i] = escaped(str(path))
        found: dict[str, Any] = {"command": [placed(word, "here", in_command) for word in words]}
        if self.stdin:
            found["stdin"] = placed(self.stdin, "here", here)
        return found

    def missing(self, folder: Path) -> Iterator[tuple[str, str, str | None]]:
        """Whether the program can be found and may be run."""
        if self.shell:
            return
        first = self.command[0]
        if "{" in first:
            return
        if "/" in first or not shutil.which(first):
            path = folder / first
            if not path.is_file():
                hint = None
                if " " in first:
                    hint = "write the program and its arguments as words of their own"
                elif "/" not in first:
                    hint = f"it is neither on the PATH nor in {folder.resolve()}"
                yield "command", f"no such program: '{first}'", hint
            elif not os.access(path, os.X_OK):
                yield "command", f"'{path}' may not be run", f"chmod +x {path}"

    def with_code(self, code: str) -> dict[str, Any]:
        """The command with another place of one of its files.

        Raises:
            ValueError: no word of the command has that name, or there is no such file.
        """
        from nfanneal.model.program.command import escaped  # noqa: PLC0415  (torch)

        path = Path(code)
        if self.shell:
            if code not in (self.command[0], shlex.split(self.command[0])[0]):
                raise ValueError(f"the command is: {self.command[0]}")
            return {}
        same = [i for i, word in enumerate(self.command) if Path(word).name == path.name]
        if not same:
            raise ValueError(f"no word of the command is called so: {shlex.join(self.command)}")
        if not path.is_file():
            if not (same[0] == 0 and "/" not in code and shutil.which(code)):
                raise ValueError("no such file")
            return {}
        words = list(self.command)
        words[same[0]] = escaped(str(_absolute(path)))
        return {"command": words}

    def read(self, reader: SpecReader) -> ModelMeaning:
        """Placeholders must be known, and the keys must go together."""
        from nfanneal.model.program.command import OWN  # noqa: PLC0415  (torch)

        stays = self.protocol == "lines"
        known = {"here"} if stays else self._known(reader)
        texts: list[tuple[tuple[str | int, ...], str]] = [
            (("model", "command", i), word) for i, word in enumerate(self.command)
        ]
        texts.append((("model", "stdin"), self.stdin))
        told = False
        for path, text in texts:
            found = self._placeholders(reader, path, text, known, stays)
            told = told or bool(found - set(OWN))
        self._check_keys(reader, stays)
        if not (told or stays or self.parameters is not None):
            message = "the program is never told the parameters"
            hint = "say {name} in the command, or parameters: params.json, or protocol: lines"
            reader.complain_key(("model", "command"), message, hint)
        return ModelMeaning()

    def _known(self, reader: SpecReader) -> set[str]:
        own = {"out", "dir", "here"}
        if self.answer == "table":
            own |= {"times", "experiment"}
        return own | set(reader.element_names)

    def _placeholders(
        self,
        reader: SpecReader,
        path: tuple[str | int, ...],
        text: str,
        known: set[str],
        stays: bool,
    ) -> set[str]:
        """The placeholders of a text; those that mean nothing are complained about."""
        from nfanneal.model.program.command import OWN, placeholders  # noqa: PLC0415  (torch)

        try:
            found = placeholders(text)
        except ValueError as error:
            reader.complain(path, f"{error}")
            return set()
        for name in found:
            if name not in known:
                hint = nearest(name, known) or f"known: {', '.join(sorted(known))}"
                if stays and name in reader.element_names:
                    hint = "with protocol: lines, parameters come by standard input"
                reader.complain(path, f"{{{name}}} stands for nothing", hint)
            elif name in OWN and name in reader.element_names:
                message = f"{{{name}}} could be the parameter '{name}', or what a program is given"
                reader.complain(path, message, "give the parameter another name")
        return set(found)

    def _check_keys(self, reader: SpecReader, stays: bool) -> None:
        from nfanneal.model.program.command import FORMATS  # noqa: PLC0415  (torch)

        if self.shell and len(self.command) > 1:
            reader.complain(
                ("model", "command"), "with shell: true, the command is one line of text"
            )
        if stays:
            for key, given in (("stdin", self.stdin), ("parameters", self.parameters)):
                if given:
                    message = f"model.{key} is not used with protocol: lines"
                    reader.complain_key(("model", key), message)
        if self.gradient and not (stays and self.answer == "number"):
            message = "gradients need protocol: lines and answer: number"
            reader.complain_key(("model", "gradient"), message)
        name = self.parameters
        if name is not None:
            if Path(name).name != name or name in ("out", "stdin", "stdout", "stderr", "times.txt"):
                reader.complain(("model", "parameters"), f"'{name}' is no name for such a file")
            elif Path(name).suffix.lower() not in FORMATS:
                message = f"'{name}' must end with one of {', '.join(FORMATS)}"
                reader.complain(("model", "parameters"), message)

    def simulator(
        self, checked: CheckedSpec, latent: LatentMap, data: Sequence[Observations]
    ) -> ProgramSimulator:
        """The program, of each experiment's parameters."""
        from nfanneal.spec.build.program_model import program_simulator  # noqa: PLC0415  (torch)

        return program_simulator(checked, self, latent)

    def direct_likelihood(self, checked: CheckedSpec, latent: LatentMap) -> DirectLikelihood:
        """The program, which gives the log-likelihood."""
        from nfanneal.spec.build.program_model import program_likelihood  # noqa: PLC0415  (torch)

        return program_likelihood(checked, self, latent)
