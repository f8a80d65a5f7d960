"""Source of the sensitivities' part of a step: ds/dt = (∂f/∂y)·s + ∂f/∂θ through all stages.

The explicit solver follows them column by column, several trajectories abreast: a column of s, its
end and the slopes of its seven stages are N numbers each in each lane. The stiff solver has one
trajectory, whose rows of s have P numbers: a multiple of `AT_ONCE`, the last of them unused.
"""

from __future__ import annotations

from collections.abc import Sequence

Partial = tuple[int, int, int]
"""Row and column of an entry of a matrix that is not zero everywhere, and its node."""

AT_ONCE = 4
"""Numbers that are worked on at once."""
FEW = 8
"""States of a system whose columns go through all stages in one go: they stay in registers. Those

of larger systems go stage by stage."""
MANY = 24
"""States of a system for which lines for each derivative of f would take minutes to compile."""
TABLEAU = (("A21",), *(tuple(f"A{j}{i}" for i in range(1, j)) for j in range(3, 7)),
           ("B1", "B2", "B3", "B4", "B5", "B6"))  # fmt: skip
STAGES = len(TABLEAU) + 1


def padded(columns: int) -> int:
    """The columns that a row of sensitivities has in the stiff solver, unused ones included."""
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


def entries(jacobian: Sequence[Partial]) -> str:
    """A table of the state and the variable of each entry of ∂f/∂y."""
    places = [(i, j) for i, j, _ in jacobian]
    return f"ENTRIES = np.array({places}, dtype=np.int64).reshape(-1, 2)\n"


def changed(p: int, direct: Sequence[Partial]) -> str:
    """A table of the states of ∂f/∂θ, column by column, and where each column begins."""
    states = [i for _, i in sorted((q, i) for i, q, _ in direct)]
    firsts = [sum(q < column for _, q, _ in direct) for column in range(p + 1)]
    return f"CHANGED, FIRST_CHANGED = np.array({states}, dtype=np.int64), np.array({firsts})\n"


def kept_places(
    n: int, p: int, jacobian: Sequence[Partial], direct: Sequence[Partial]
) -> tuple[list[int], int]:
    """Where each partial derivative of f at a stage stands in `kept`, and how many places it has.

    After ∂f/∂y comes ∂f/∂θ column by column: of few states whole, zeros included.
    """
    entries = len(jacobian)
    if n <= FEW:
        return [*range(entries), *(entries + n * q + i for i, q, _ in direct)], entries + n * p
    order = {column: rank for rank, column in enumerate(sorted((q, i) for i, q, _ in direct))}
    places = [*range(entries), *(entries + order[q, i] for i, q, _ in direct)]
    return places, len(places)


def stages_body(wide: int, kept: int) -> list[str]:
    """Lines that take column q of s through a step, stage by stage, in all lanes.

    `own` holds the column, its end, and the slopes of the seven stages, `wide` numbers each;
    `kept` the partial derivatives of f at the later six, of so many numbers; `steps` the steps.
    """
    body = []
    for j, coefficients in enumerate(TABLEAU, start=1):
        total = " + ".join(f"{c} * own[{(2 + m) * wide} + i]" for m, c in enumerate(coefficients))
        slope = (2 + j) * wide
        body += [
            f"for i in range({wide}):",
            f"    own[{wide} + i] = own[i] + steps[i] * ({total})",
            f"column_slope(lanes, q, kept[{(j - 1) * kept}:{j * kept}], own[{wide}:{2 * wide}],",
            f"             own[{slope}:{slope + wide}])",
        ]
    return body


def product_lines(n: int, lanes: int, jacobian: Sequence[Partial]) -> list[str]:
    """Lines that set the rows of ds to those of (∂f/∂y)·s, for a column s of one lane."""
    lines = []
    for i in range(n):
        row = [f"kept[{e * lanes} + lane] * s[{j * lanes} + lane]" for e, j in _of_row(jacobian, i)]
        lines.append(f"ds[{i * lanes} + lane] = {' + '.join(row) or '0.0'}")
    return lines


def direct_body(entries: int, lanes: int) -> list[str]:
    """Lines that add column q of ∂f/∂θ to ds, in all lanes."""
    return [
        "for n in range(FIRST_CHANGED[q], FIRST_CHANGED[q + 1]):",
        f"    at, change = ds[CHANGED[n] * {lanes}:], kept[({entries} + n) * {lanes}:]",
        "    for lane in range(lanes):",
        "        at[lane] += change[lane]",
    ]


def one_go_lines(
    n: int, p: int, lanes: int, jacobian: Sequence[Partial], direct: Sequence[Partial]
) -> list[str]:
    """The same in one go, in one lane."""
    if not p:
        return []
    wide, whole = n * lanes, (len(jacobian) + n * p) * lanes
    body = ["h = steps[lane]"]
    for i in range(n):
        body += [f"s{i} = own[{i * lanes} + lane]", f"k0_{i} = own[{2 * wide + i * lanes} + lane]"]
    for j, coefficients in enumerate(TABLEAU, start=1):
        at = (j - 1) * whole
        for i in range(n):
            total = " + ".join(f"{c} * k{m}_{i}" for m, c in enumerate(coefficients))
            body.append(f"y{j}_{i} = s{i} + h * ({total})")
        for i in range(n):
            row = [f"kept[q * {wide} + {at + (len(jacobian) + i) * lanes} + lane]"]
            row *= _has_row(direct, i)
            row += [
                f"kept[{at + index * lanes} + lane] * y{j}_{m}" for index, m in _of_row(jacobian, i)
            ]
            body.append(f"k{j}_{i} = {' + '.join(row) or '0.0'}")
            body.append(f"own[{(2 + j) * wide + i * lanes} + lane] = k{j}_{i}")
    return body + [f"own[{wide + i * lanes} + lane] = y{STAGES - 1}_{i}" for i in range(n)]


def _of_row(jacobian: Sequence[Partial], i: int) -> list[tuple[int, int]]:
    """Index and column of the entries of row i."""
    return [(index, j) for index, (row, j, _) in enumerate(jacobian) if row == i]


def _has_row(direct: Sequence[Partial], i: int) -> bool:
    return any(row == i for row, _, _ in direct)
