"""The kinds of models by the names that `model.kind` takes: a file each, and a line here."""

from nfanneal.spec.kinds.kind import ModelSpec
from nfanneal.spec.kinds.ode import OdeSpec
from nfanneal.spec.kinds.program import ProgramSpec
from nfanneal.spec.kinds.python import PythonSpec

KINDS: dict[str, type[ModelSpec]] = {"ode": OdeSpec, "python": PythonSpec, "program": ProgramSpec}
