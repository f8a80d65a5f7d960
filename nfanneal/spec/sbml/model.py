"""SBML for importers: read a file, resolve initial values, write a `model:` section."""

from __future__ import annotations

from nfanneal.spec.sbml.contents import SbmlEvent, SbmlModel
from nfanneal.spec.sbml.reading import read_sbml, sbml_of
from nfanneal.spec.sbml.section import to_model_section
from nfanneal.spec.sbml.values import resolved

__all__ = [
    "SbmlEvent",
    "SbmlModel",
    "read_sbml",
    "resolved",
    "sbml_of",
    "to_model_section",
]
