"""Proposals: distributions over the latent space with draws and an exact density.

A proposal draws latent points z of shape (n, d) and gives their log-density. A flow learns
whitened coordinates y with z = mean + L·y, in float32; everything outside it is float64.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nfanneal.anneal.proposals.architectures import make_flow
from nfanneal.anneal.proposals.base import Mixture, PriorProposal, Proposal
from nfanneal.anneal.proposals.flow import FlowProposal
from nfanneal.anneal.proposals.student import StudentMixture
from nfanneal.anneal.proposals.symmetrized import Symmetrized
from nfanneal.anneal.proposals.truncated import Side, Truncated
from nfanneal.anneal.settings import FlowSettings


def stored(proposal: Proposal) -> tuple[dict[str, Any], dict[str, Any]]:
    """A proposal as plain data: its layout (JSON values) and its arrays by name."""
    if isinstance(proposal, Mixture):
        layout: dict[str, Any] = {"kind": "mixture", "weights": list(proposal.weights)}
        arrays: dict[str, Any] = {}
        layout["components"] = []
        for i, component in enumerate(proposal.components):
            part, own = stored(component)
            layout["components"].append(part)
            arrays |= {f"{i}.{name}": array for name, array in own.items()}
        return layout, arrays
    if isinstance(proposal, Symmetrized):
        layout, own = stored(proposal.base)
        arrays = {f"base.{name}": array for name, array in own.items()}
        arrays |= {"permutations": proposal.permutations, "signs": proposal.signs}
        return {"kind": "symmetrized", "base": layout}, arrays
    if isinstance(proposal, Truncated):
        layout, own = stored(proposal.base)
        arrays = {f"base.{name}": array for name, array in own.items()}
        return {"kind": "truncated", "base": layout, "side": asdict(proposal.side)}, arrays
    if isinstance(proposal, FlowProposal):
        arrays = {"mean": proposal.mean, "cholesky": proposal.cholesky}
        arrays |= {f"flow.{k}": v.numpy() for k, v in proposal.flow.state_dict().items()}
        made = {name: getattr(proposal.settings, name) for name in ("kind", "transforms", "bins")}
        return {"kind": "flow", "flow": made | {"hidden": list(proposal.settings.hidden)}}, arrays
    if isinstance(proposal, StudentMixture):
        names = ("locations", "choleskys", "log_weights")
        return {"kind": "student", "df": proposal.df}, {n: getattr(proposal, n) for n in names}
    if isinstance(proposal, PriorProposal):
        return {"kind": "prior", "dimension": proposal.dimension}, {}
    raise TypeError(f"cannot store a {type(proposal).__name__}")


def restored(layout: Mapping[str, Any], arrays: Mapping[str, NDArray[np.generic]]) -> Proposal:
    """The proposal that `stored` took apart."""
    if layout["kind"] == "mixture":
        parts: Sequence[Mapping[str, Any]] = layout["components"]
        components = tuple(
            restored(part, _with_prefix(arrays, f"{i}.")) for i, part in enumerate(parts)
        )
        return Mixture(components, tuple(layout["weights"]))
    if layout["kind"] == "prior":
        return PriorProposal(layout["dimension"])
    if layout["kind"] == "symmetrized":
        base = restored(layout["base"], _with_prefix(arrays, "base."))
        permutations = np.asarray(arrays["permutations"], dtype=np.int64)
        return Symmetrized(base, permutations, np.asarray(arrays["signs"], dtype=np.float64))
    if layout["kind"] == "truncated":
        base = restored(layout["base"], _with_prefix(arrays, "base."))
        return Truncated(base, Side(**layout["side"]))
    if layout["kind"] == "student":
        plain = {name: np.asarray(array, dtype=np.float64) for name, array in arrays.items()}
        return StudentMixture(df=layout["df"], **plain)
    given = dict(layout["flow"])
    settings = FlowSettings(**{**given, "hidden": tuple(given["hidden"])})
    mean = np.asarray(arrays["mean"], dtype=np.float64)
    flow = make_flow(len(mean), settings, seed=0)
    state = flow.state_dict()
    weights = _with_prefix(arrays, "flow.")
    flow.load_state_dict({k: torch.from_numpy(weights[k]).to(v.dtype) for k, v in state.items()})
    return FlowProposal(flow, mean, np.asarray(arrays["cholesky"], dtype=np.float64), settings)


def _with_prefix(
    arrays: Mapping[str, NDArray[np.generic]], prefix: str
) -> dict[str, NDArray[np.generic]]:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
