"""Specs as text, changed and read, for the tests of the YAML contract."""

from pathlib import Path

import pytest

from nfanneal.errors import SpecError
from nfanneal.spec.load import spec_from_text

BASE = """\
name: decay
model:
  kind: ode
  states: {x: x0, y: 0}
  equations:
    x: -k*x
    y: k*x
parameters:
  k: {prior: {uniform: [0, 1]}}
  x0: 2
data: {file: d.csv}
likelihood:
  y: {normal: 0.3}
"""
DIRECT = """\
model: {kind: python, file: m.py, log_likelihood: f}
parameters: {x: {shape: 3, prior: {normal: [0, 1]}}}
"""


def complaints(text, overrides=()):
    """(line, column, message) of every complaint; the text is in a file called spec."""
    with pytest.raises(SpecError, match=r".") as caught:
        spec_from_text(text, Path(), overrides)
    return [str(complaint) for complaint in caught.value.complaints]


def edited(*changes, base=BASE):
    for old, new in changes:
        assert base.count(old) == 1
        base = base.replace(old, new)
    return base


def read(text, overrides=()):
    return spec_from_text(text, Path(), overrides)
