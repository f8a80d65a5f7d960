"""PEtab problems as text: a conversion of A to B and back, changed where a test wants it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import yaml

from nfanneal.errors import InputError
from nfanneal.model.calls import LogLikelihood
from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.load import load_spec

MODEL = """\
<?xml version="1.0" encoding="UTF-8"?>
<sbml xmlns="http://www.sbml.org/sbml/level3/version1/core" level="3" version="1">
  <model id="conversion">
    <listOfCompartments>
      <compartment id="cell" size="1" spatialDimensions="3" constant="true"/>
    </listOfCompartments>
    <listOfSpecies>
      <species id="A" compartment="cell" initialConcentration="1" hasOnlySubstanceUnits="false"
        boundaryCondition="false" constant="false"/>
      <species id="B" compartment="cell" initialConcentration="0" hasOnlySubstanceUnits="false"
        boundaryCondition="false" constant="false"/>
    </listOfSpecies>
    <listOfParameters>
      <parameter id="k1" value="0.8" constant="true"/>
      <parameter id="k2" value="0.6" constant="true"/>
    </listOfParameters>
    <listOfReactions>
      <reaction id="there" reversible="false" fast="false">
        <listOfReactants>
          <speciesReference species="A" stoichiometry="1" constant="true"/>
        </listOfReactants>
        <listOfProducts>
          <speciesReference species="B" stoichiometry="1" constant="true"/>
        </listOfProducts>
        <kineticLaw><math xmlns="http://www.w3.org/1998/Math/MathML">
          <apply><times/><ci>cell</ci><ci>k1</ci><ci>A</ci></apply></math></kineticLaw>
      </reaction>
      <reaction id="back" reversible="false" fast="false">
        <listOfReactants>
          <speciesReference species="B" stoichiometry="1" constant="true"/>
        </listOfReactants>
        <listOfProducts>
          <speciesReference species="A" stoichiometry="1" constant="true"/>
        </listOfProducts>
        <kineticLaw><math xmlns="http://www.w3.org/1998/Math/MathML">
          <apply><times/><ci>cell</ci><ci>k2</ci><ci>B</ci></apply></math></kineticLaw>
      </reaction>
    </listOfReactions>
  </model>
</sbml>
"""
FIRST = {
    "problem.yaml": """\
format_version: 1
parameter_file: parameters.tsv
problems:
- sbml_files: [model.xml]
  condition_files: [conditions.tsv]
  observable_files: [observables.tsv]
  measurement_files: [measurements.tsv]
""",
    "parameters.tsv": """\
parameterId	parameterScale	lowerBound	upperBound	nominalValue	estimate
k1	log10	0.01	100	0.8	1
k2	lin	0.01	10	0.6	1
""",
    "conditions.tsv": "conditionId\nc0\n",
    "observables.tsv": "observableId	observableFormula	noiseFormula\nobs_a	A	0.5\n",
    "measurements.tsv": """\
observableId	simulationConditionId	time	measurement
obs_a	c0	0	0.7
obs_a	c0	10	0.1
""",
}
"""Version 1."""
SECOND = {
    "problem.yaml": """\
format_version: 2.0.0
parameter_files: [parameters.tsv]
model_files: {conversion: {location: model.xml, language: sbml}}
condition_files: [conditions.tsv]
experiment_files: [experiments.tsv]
observable_files: [observables.tsv]
measurement_files: [measurements.tsv]
""",
    "parameters.tsv": """\
parameterId	lowerBound	upperBound	nominalValue	estimate	priorDistribution	priorParameters
k1	0.01	100	0.8	true	log-uniform	0.01;100
k2	0.01	10	0.6	true
""",
    "conditions.tsv": "conditionId	targetId	targetValue\nc0	A	2\n",
    "experiments.tsv": "experimentId	time	conditionId\ne0	0	c0\n",
    "observables.tsv": "observableId	observableFormula	noiseFormula\nobs_a	A	0.5\n",
    "measurements.tsv": """\
observableId	experimentId	time	measurement
obs_a	e0	0	0.7
obs_a	e0	10	0.1
""",
}
"""Version 2."""


def problem(folder: Path, files=FIRST, *, model=MODEL, **changed: str) -> Path:
    """Write the files; `changed` are others, by their names without an ending."""
    folder.mkdir(exist_ok=True)
    (folder / "model.xml").write_text(model)
    for name, text in files.items():
        stem = name.split(".", maxsplit=1)[0]
        (folder / name).write_text(changed.get(stem, text))
    return folder / "problem.yaml"


def edited(name: str, *changes: tuple[str, str], files=FIRST) -> dict[str, str]:
    """One table with some of its text replaced, for `problem`."""
    text = next(text for file, text in files.items() if file.startswith(name + "."))
    for old, new in changes:
        assert text.count(old) == 1
        text = text.replace(old, new)
    return {name: text}


def solution(folder: Path) -> dict:
    """What a case of PEtab's test suite says is right."""
    (path,) = folder.glob("*_solution.yaml")
    return yaml.safe_load(path.read_text())


def log_likelihood(path):
    checked = load_spec(path)
    built = build_problem(checked)
    nominal = checked.document.nominal
    theta = np.array([[nominal[name] for name in built.latent.column_names]])
    return float(built.ask(LogLikelihood(), theta).log_likelihood[0])


def conversion(times, *, a=1.0, b=0.0, k1=0.8, k2=0.6):
    """A(t) of A ⇌ B."""
    total, rest = a + b, k2 / (k1 + k2)
    return total * rest + (a - total * rest) * np.exp(-(k1 + k2) * np.asarray(times))


def normal(values, predictions, sigma):
    r = (np.asarray(values) - predictions) / sigma
    return float((-0.5 * r**2 - math.log(sigma) - 0.5 * math.log(2.0 * math.pi)).sum())


def complaints(path):
    with pytest.raises(InputError) as caught:
        load_spec(path)
    return [str(each) for each in caught.value.complaints]
