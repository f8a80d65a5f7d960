"""Orders of definitions that use one another, and circles of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def in_order(uses: Mapping[str, Iterable[str]]) -> tuple[list[str], list[str]]:
    """Names so that each comes after those it uses; and a circle, if there is one.

    `uses` says which names each one uses; those that are no keys are left out. Without recursion:
    a chain may have ten thousand links. The first order stands where nothing speaks against it.
    """
    order: dict[str, None] = {}
    for first in uses:
        way: dict[str, list[str]] = {}
        if first not in order:
            way[first] = _still(uses, first, order)
        while way:
            name = next(reversed(way))
            if not way[name]:
                order[name] = None
                del way[name]
                continue
            other = way[name].pop()
            if other in way:
                names = list(way)
                return list(order), [*names[names.index(other) :], other]
            if other not in order:
                way[other] = _still(uses, other, order)
    return list(order), []


def _still(uses: Mapping[str, Iterable[str]], name: str, order: dict[str, None]) -> list[str]:
    return sorted({u for u in uses[name] if u in uses and u not in order}, reverse=True)
