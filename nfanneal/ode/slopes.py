"""Source of the sensitivities' part of a step: ds/dt = (∂f/∂y)·s + ∂f/∂θ through all stages.

Processors add and multiply four numbers or more at once, if the compiler can prove that no array
overlaps another. So s, its stages and `partials` are parts of one array `work`, at places that are
known when the text is written; rows have P numbers, a multiple of `AT_ONCE`, the last of them
unused; and ∂f/∂θ stands in `partials` as a whole matrix, whose zeros stay.
"""

from __future__ import annotations

from collections.abc import Sequence

import sympy

Partial = tuple[int, int, sympy.Expr]

AT_ONCE = 4
"""Numbers that are worked on at once."""
FEW = 8
"""States of a system that is followed column by column, all stages in one go: they stay in

registers. Of larger systems, stages are followed one after the other."""
MANY = 24
"""States of a system whose ∂f/∂y is gone through by a table: lines for each would take minutes to

compile."""
TABLEAU = (("A21",), *(tuple(f"A{j}{i}" for i in range(1, j)) for j in range(3, 7)),
           ("B1", "B2", "B3", "B4", "B5", "B6"))  # fmt: skip
STAGES = len(TABLEAU) + 1


def padded(columns: int) -> int:
    """The columns that a row of sensitivities has, unused ones included."""
    return -(-columns // AT_ONCE) * AT_ONCE


def place(entries: int, p: int, i: int, q: int) -> int:
    """Where ∂f_i/∂θ_q stands in `partials`, after the entries of ∂f/∂y."""
    return entries + i * p + q


def variation_body(
    n: int, p: int, jacobian: Sequence[Partial], direct: Sequence[Partial]
) -> list[str]:
    """Lines that set ds (n·p,) from s and `partials`."""
    if n > MANY and p:
        return [
            f"for i in range({n * p}):",
            f"    ds[i] = partials[{len(jacobian)} + i]",
            f"for entry in range({len(jacobian)}):",
            "    factor = partials[entry]",
            "    i, j = ENTRIES[entry, 0] * P, ENTRIES[entry, 1] * P",
            "    for q in range(P):",
            "        ds[i + q] += factor * s[j + q]",
        ]
    body = []
    for i in range(n) if p else ():
        row = [f"partials[{index}] * s[{j * p} + q]" for index, j in _of_row(jacobian, i)]
        row += [f"partials[{place(len(jacobian), p, i, 0)} + q]"] * _has_row(direct, i)
        body += ["for q in range(P):", f"    ds[{i * p} + q] = {' + '.join(row) or '0.0'}"]
    return body


def table(n: int, jacobian: Sequence[Partial]) -> str:
    """State and variable of each entry of ∂f/∂y, if that is gone through by a table."""
    if n <= MANY:
        return ""
    places = [(i, j) for i, j, _ in jacobian]
    return f"ENTRIES = np.array({places}, dtype=np.int64).reshape(-1, 2)\n"


def step_body(n: int, p: int, jacobian: Sequence[Partial], direct: Sequence[Partial]) -> list[str]:
    """Lines that take s in `work` through a step h.

    `work` holds s, s after the step, a stage, the slopes of the seven stages (n·p each), and
    `partials` of each stage. Those of a system with more than MANY states are taken from `kept`,
    where they stand for several trajectories abreast.
    """
    if not p:
        return []
    if n > FEW:
        return _by_stages(n * p, len(jacobian) + n * p, n > MANY)
    return _by_columns(n, p, jacobian, direct)


def kept_body(size: int, entries: int) -> list[str]:
    """Lines that set ds (n·p,) from s and `kept`: what is not zero of `partials`, for one lane."""
    return [
        f"for i in range({size}):",
        "    ds[i] = 0.0",
        f"for entry in range({entries}, KEPT):",
        f"    ds[PLACES[entry] - {entries}] = kept[entry * LANES]",
        f"for entry in range({entries}):",
        "    factor = kept[entry * LANES]",
        "    i, j = ENTRIES[entry, 0] * P, ENTRIES[entry, 1] * P",
        "    for q in range(P):",
        "        ds[i + q] += factor * s[j + q]",
    ]


def _by_stages(size: int, partials: int, tabled: bool) -> list[str]:
    body = []
    for j, coefficients in enumerate(TABLEAU, start=1):
        target = 2 * size if j < STAGES - 1 else size
        total = " + ".join(
            f"{c} * work[{(3 + m) * size} + i]" for m, c in enumerate(coefficients)
        )  # fmt: skip
        first, slopes = 10 * size + j * partials, (3 + j) * size
        call = f"variation(work[{first}:{first + partials}]"
        if tabled:
            call = f"variation_kept(kept[{j - 1} * KEPT * LANES:]"
        body += [
            f"for i in range({size}):",
            f"    work[{target} + i] = work[i] + h * ({total})",
            f"{call}, work[{target}:{target + size}], work[{slopes}:{slopes + size}])",
        ]
    return body


def _by_columns(
    n: int, p: int, jacobian: Sequence[Partial], direct: Sequence[Partial]
) -> list[str]:
    size, entries = n * p, len(jacobian)
    first = [10 * size + j * (entries + size) for j in range(STAGES)]
    outside, inside = [], []
    for i in range(n):
        inside += [f"s{i} = work[{i * p} + q]", f"k0_{i} = work[{3 * size + i * p} + q]"]
    for j, coefficients in enumerate(TABLEAU, start=1):
        outside += [f"c{j}_{m} = h * {c}" for m, c in enumerate(coefficients)]
        outside += [f"p{j}_{index} = work[{first[j] + index}]" for index in range(entries)]
        for i in range(n):
            terms = [f"c{j}_{m} * k{m}_{i}" for m in range(j)]
            inside.append(f"y{j}_{i} = s{i} + {' + '.join(terms)}")
        for i in range(n):
            row = [f"work[{first[j] + place(entries, p, i, 0)} + q]"] * _has_row(direct, i)
            row += [f"p{j}_{index} * y{j}_{m}" for index, m in _of_row(jacobian, i)]
            inside.append(f"k{j}_{i} = {' + '.join(row) or '0.0'}")
            inside.append(f"work[{(3 + j) * size + i * p} + q] = k{j}_{i}")
    inside += [f"work[{size + i * p} + q] = y{STAGES - 1}_{i}" for i in range(n)]
    return [*outside, "for q in range(P):", *(f"    {line}" for line in inside)]


def _of_row(jacobian: Sequence[Partial], i: int) -> list[tuple[int, int]]:
    """Index and column of the entries of row i."""
    return [(index, j) for index, (row, j, _) in enumerate(jacobian) if row == i]


def _has_row(direct: Sequence[Partial], i: int) -> bool:
    return any(row == i for row, _, _ in direct)
