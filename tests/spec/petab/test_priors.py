"""Priors of PEtab's tables have the densities that petab gives them."""

import pytest

petab = pytest.importorskip("petab.v1.priors", reason="nfanneal[petab] is not installed")
BOUNDS = (0.05, 40.0)
