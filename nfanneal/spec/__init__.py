"""The YAML contract: a file → a checked spec, or every complaint about it at once."""

from nfanneal.spec.document import read_document
from nfanneal.spec.events import start_of
from nfanneal.spec.experiments import ExperimentMeaning, NoiseMeaning, within
from nfanneal.spec.inputs import input_path, inputs_of, read_input
from nfanneal.spec.load import CheckedSpec, json_schema, load_spec, spec_from_text
from nfanneal.spec.schema import InputSpec, OdeSpec, ParameterSpec, PythonSpec, Spec

__all__ = [
    "CheckedSpec",
    "ExperimentMeaning",
    "InputSpec",
    "NoiseMeaning",
    "OdeSpec",
    "ParameterSpec",
    "PythonSpec",
    "Spec",
    "input_path",
    "inputs_of",
    "json_schema",
    "load_spec",
    "read_document",
    "read_input",
    "spec_from_text",
    "start_of",
    "within",
]
