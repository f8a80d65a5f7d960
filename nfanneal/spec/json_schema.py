"""The JSON Schema of a spec, for editors."""

from __future__ import annotations

from typing import Any

from nfanneal.model.noise import NOISE_MODELS
from nfanneal.model.priors import PRIORS
from nfanneal.spec.document import ASIDE
from nfanneal.spec.schema import Spec


def json_schema() -> dict[str, Any]:
    """JSON Schema of a spec, for editors."""
    schema = Spec.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "nfanneal spec"
    schema["patternProperties"] = {f"^{ASIDE}": {}}
    one = {"minProperties": 1, "maxProperties": 1}
    prior = schema["$defs"]["ParameterSpec"]["properties"]["prior"]
    prior |= {**one, "propertyNames": {"enum": sorted(PRIORS)}}
    names = {"enum": sorted(NOISE_MODELS)}
    noise = {"type": "object", **one, "propertyNames": names}
    experiment = schema["$defs"]["ExperimentSpec"]
    for section in (schema, experiment):
        section["properties"]["likelihood"]["additionalProperties"] = {"anyOf": [names, noise]}
    return schema
