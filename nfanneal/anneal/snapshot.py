"""A level's beginning as plain data and back: everything that the rest of a run follows from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nfanneal.anneal.archive import Archive
from nfanneal.anneal.contest import Flows
from nfanneal.anneal.coverage import Seen
from nfanneal.anneal.pool import Generation, Pool
from nfanneal.anneal.progress import LevelInfo
from nfanneal.anneal.proposals.base import Mixture, Proposal
from nfanneal.anneal.proposals.flow import FlowProposal
from nfanneal.anneal.proposals.stored import restored, stored
from nfanneal.anneal.proposals.truncated import Side, Truncated
from nfanneal.anneal.state import Means, State

Arrays = Mapping[str, NDArray[np.generic]]

POINTS = ("z", "log_likelihood", "log_prior")
ARCHIVED = tuple(field.name for field in fields(Archive))
NUMBERS = ("level", "beta", "rounds", "holds", "n_evaluations", "n_gradients", "n_failed",
           "n_dropped", "searched_at", "searches_at_end", "effort", "stage")  # fmt: skip


@dataclass(frozen=True)
class Randomness:
    """Where all random sequences of a run stand."""

    torch: NDArray[np.uint8]
    numpy: Mapping[str, Any]
    spawned: int


@dataclass(frozen=True)
class Snapshot:
    """The state at the start of a level, the levels before it, and the random sequences.

    And the start of a level `within` it, of the annealing of a part of the space.
    """

    state: State
    history: tuple[LevelInfo, ...]
    randomness: Randomness
    within: Snapshot | None = None


def randomness_of(means: Means) -> Randomness:
    """Where the random sequences of `means` stand now."""
    return Randomness(
        torch=means.generator.get_state().numpy().copy(),
        numpy=dict(means.rng.bit_generator.state),
        spawned=means.train_seed.n_children_spawned,
    )


def set_randomness(means: Means, at: Randomness) -> None:
    """Put the random sequences of `means` where they stood."""
    means.generator.set_state(torch.from_numpy(np.asarray(at.torch, dtype=np.uint8).copy()))
    means.rng.bit_generator.state = dict(at.numpy)
    spawned = means.train_seed.n_children_spawned
    means.train_seed.spawn(at.spawned - spawned)


def taken_apart(snapshot: Snapshot) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """A snapshot as JSON values and arrays by name; every proposal is there once."""
    state = snapshot.state
    generations = (*state.pool.generations, *state.path)
    proposals = _distinct([state.proposal, *(q for _, q in state.ladder), *state.beside,
                           *(g.proposal for g in generations), *state.flows.newest])  # fmt: skip
    index = {id(proposal): i for i, proposal in enumerate(proposals)}
    layout: dict[str, Any] = {name: getattr(state, name) for name in NUMBERS}
    arrays: dict[str, NDArray[Any]] = {
        "failed_z": state.failed_z,
        "torch": np.asarray(snapshot.randomness.torch),
    }
    layout["proposals"] = []
    for i, proposal in enumerate(proposals):
        part, own = stored(proposal)
        layout["proposals"].append(part)
        arrays |= {f"proposal.{i}.{name}": array for name, array in own.items()}
    layout["proposal"] = index[id(state.proposal)]
    layout["flows"] = [index[id(flow)] for flow in state.flows.newest]
    layout["rest"], layout["rested"] = state.flows.rest, state.flows.rested
    layout["ladder"] = [[beta, index[id(q)]] for beta, q in state.ladder]
    for name, group in (("pool", state.pool.generations), ("path", state.path)):
        layout[name] = [[g.level, index[id(g.proposal)]] for g in group]
        for i, g in enumerate(group):
            arrays |= {f"{name}.{i}.{field}": getattr(g, field) for field in POINTS}
    for i, row in enumerate(state.pool.densities):
        arrays |= {f"density.{i}.{j}": density for j, density in enumerate(row)}
    layout["walked"] = state.walked is not None
    if state.walked is not None:
        arrays["walked"] = state.walked
    layout["seen"] = None if state.seen is None else state.seen.n
    if state.seen is not None:
        arrays["seen.z"] = state.seen.z
        arrays["seen.log_likelihood"] = state.seen.log_likelihood
    layout["side"] = None if state.side is None else asdict(state.side)
    layout["parts"] = [index[id(part)] for part in state.parts]
    layout["patch"] = None if state.patch is None else index[id(state.patch)]
    layout["scouted"] = state.archive is not None
    if state.archive is not None:
        arrays |= {f"scouted.{name}": getattr(state.archive, name) for name in ARCHIVED}
    layout["history"] = [
        {k: v for k, v in asdict(info).items() if k != "losses"} for info in snapshot.history
    ]
    arrays |= {f"losses.{i}": info.losses for i, info in enumerate(snapshot.history)}
    layout["numpy"], layout["spawned"] = snapshot.randomness.numpy, snapshot.randomness.spawned
    layout["within"] = None
    if snapshot.within is not None:
        layout["within"], own = taken_apart(snapshot.within)
        arrays |= {f"within.{name}": array for name, array in own.items()}
    return layout, arrays


def put_together(layout: Mapping[str, Any], arrays: Arrays) -> Snapshot:
    """The snapshot that `taken_apart` took apart."""
    plain: Mapping[str, Any] = arrays
    proposals = [
        restored(part, _under(arrays, f"proposal.{i}."))
        for i, part in enumerate(layout["proposals"])
    ]

    def generations(name: str) -> tuple[Generation, ...]:
        return tuple(
            Generation(level, proposals[q], *(plain[f"{name}.{i}.{field}"] for field in POINTS))
            for i, (level, q) in enumerate(layout[name])
        )

    pool = generations("pool")
    densities = tuple(
        tuple(plain[f"density.{i}.{j}"] for j in range(len(pool))) for i in range(len(pool))
    )
    flows = [flow for i in layout["flows"] if isinstance(flow := proposals[i], FlowProposal)]
    state = State(
        **{name: layout[name] for name in NUMBERS},
        flows=Flows(tuple(flows), layout["rest"], layout["rested"]),
        proposal=proposals[layout["proposal"]],
        pool=Pool(pool, densities),
        path=generations("path"),
        failed_z=plain["failed_z"],
        ladder=tuple((beta, proposals[q]) for beta, q in layout["ladder"]),
        archive=_archive(plain) if layout["scouted"] else None,
        walked=plain["walked"] if layout["walked"] else None,
        seen=_seen(plain, layout["seen"]),
        side=None if layout["side"] is None else Side(**layout["side"]),
        parts=tuple(part for q in layout["parts"] if isinstance(part := proposals[q], Truncated)),
        patch=_patch(proposals, layout["patch"]),
    )
    history = tuple(
        LevelInfo(**numbers, losses=plain[f"losses.{i}"])
        for i, numbers in enumerate(layout["history"])
    )
    randomness = Randomness(plain["torch"], layout["numpy"], layout["spawned"])
    inner = layout["within"]
    within = None if inner is None else put_together(inner, _under(arrays, "within."))
    return Snapshot(state, history, randomness, within)


def _patch(proposals: Sequence[Proposal], index: int | None) -> Mixture | None:
    found = None if index is None else proposals[index]
    return found if isinstance(found, Mixture) else None


def _seen(arrays: Mapping[str, Any], n: int | None) -> Seen | None:
    return None if n is None else Seen(arrays["seen.z"], arrays["seen.log_likelihood"], n)


def _archive(arrays: Mapping[str, Any]) -> Archive:
    return Archive(*(arrays[f"scouted.{name}"] for name in ARCHIVED))


def _distinct(proposals: Sequence[Proposal]) -> list[Proposal]:
    return list({id(proposal): proposal for proposal in proposals}.values())


def _under(arrays: Arrays, prefix: str) -> dict[str, NDArray[np.generic]]:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
