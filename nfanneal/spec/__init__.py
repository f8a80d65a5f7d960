"""The YAML contract: a file → a checked spec, or every complaint about it at once."""

from nfanneal.spec.document import read_document
from nfanneal.spec.load import CheckedSpec, json_schema, load_spec, spec_from_text
from nfanneal.spec.schema import OdeSpec, ParameterSpec, PythonSpec, Spec

__all__ = [
    "CheckedSpec",
    "OdeSpec",
    "ParameterSpec",
    "PythonSpec",
    "Spec",
    "json_schema",
    "load_spec",
    "read_document",
    "spec_from_text",
]
