"""The explicit solver's functions of a system: of several trajectories abreast, one in each lane.

Loops over lanes hold nothing but arithmetic on places of one array, `store`, that are known when
the text is written, so that the compiler makes one instruction of several turns. Where a turn
writes, no later turn reads.
"""

from __future__ import annotations

import ast
import inspect
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace

import sympy

from nfanneal.expressions import SCALAR_FUNCTIONS
from nfanneal.ode.kernels import Stepper, kernel_source
from nfanneal.ode.layout import PIECE, SHORT, Layout, assign, function, names_in_store, with_fixed
from nfanneal.ode.slopes import FEW, STAGES, TABLEAU, Partial
from nfanneal.ode.system import OdeSystem

LANES = 8
"""As many as the widest processors' instructions have numbers."""
NODES = ("C2", "C3", "C4", "C5", "1.0", "1.0")
ERROR = tuple(f"E{j}" for j in range(1, STAGES + 1))
H = "store[CONSTANTS + LANES + lane]"
BY_ARITHMETIC = ("exp", "log")
"""Functions of `math` that the template has, too."""


def explicit_source(system: OdeSystem, gradient: bool) -> str:
    """Source of a module whose `solve` integrates `system` by Tsit5."""
    return kernel_source(system, gradient, EXPLICIT)


def _functions(
    layout: Layout, jacobian: Sequence[Partial], direct: Sequence[Partial], gradient: bool
) -> list[str]:
    partials = [e for _, _, e in (*jacobian, *direct)]
    equations = layout.system.equations
    expressions = [with_fixed(layout, e) for e in (*equations, *partials)]
    lines = _rhs_lines(layout, expressions, None if gradient else len(equations))
    whole = len(equations) <= FEW and len(lines) <= SHORT
    sources = [f"WHOLE = {whole}\n", *_scalar_functions("\n".join(lines))]
    if whole:
        step = _step(layout, expressions, gradient)
        sources += [function("step_abreast", "lanes, rtol, atol, store, errors", step)]
    if gradient or not whole:
        sources += [_rhs(layout, expressions, gradient)]
    return sources


EXPLICIT = Stepper(
    parts=("tableau", "elementary", "tsit5"),
    lanes=LANES,
    abreast="(9 * N + 6 * KEPT) * LANES",
    more=_functions,
)


def _rhs_lines(
    layout: Layout,
    expressions: Sequence[sympy.Expr],
    wanted: int | None,
    targets: Sequence[str] = (),
    states: str = "x{}",
) -> list[str]:
    """Lines of f and the partial derivatives that are not zero, for one lane."""
    names = names_in_store(layout, LANES) | {layout.system.time: "t"}
    names |= {s: states.format(i) for i, s in enumerate(layout.system.states)}
    targets = targets or [f"f{i}" for i in range(len(expressions))]
    lines = assign(replace(layout, names=names), targets, expressions, wanted)
    return [ast.unparse(_ABREAST.visit(ast.parse(line))) for line in lines]


def _step(layout: Layout, expressions: Sequence[sympy.Expr], gradient: bool) -> list[str]:
    """Lines of a step of a small system: a loop for each stage, and one for the error.

    With sensitivities f has a loop of its own, or there are too many stores for the compiler to
    tell apart.
    """
    n, kept = len(layout.system.equations), len(expressions) - len(layout.system.equations)
    lines = list[str]()
    for j, (node, coefficients) in enumerate(zip(NODES, TABLEAU, strict=True), start=1):
        new = [f"{_y(i)} + h * ({_sum(coefficients, i, n)})" for i in range(n)]
        if gradient:
            body = [f"store[NEW + {LANES * i} + lane] = {y}" for i, y in enumerate(new)]
            lines += _over_lanes([f"h = {H}", *body])
            places = _part("K", j, n), _part("KEPT_AT", j - 1, kept)
            lines += [f"rhs_abreast(lanes, {node}, store, {', '.join(places)})"]
            continue
        body = [f"h = {H}", f"t = store[CONSTANTS + lane] + {node} * h"]
        body += [f"x{i} = {y}" for i, y in enumerate(new)]
        body += _rhs_lines(layout, expressions, n, [f"k{i}" for i in range(n)])
        body += [f"{_slope(j, i, n)} = k{i}" for i in range(n)]
        if j == STAGES - 1:
            body += [f"store[NEW + {LANES * i} + lane] = x{i}" for i in range(n)]
        lines += _over_lanes(body)
    body = list[str]()
    for i in range(n):
        y, now = _y(i), f"store[NEW + {LANES * i} + lane]"
        body += [f"y, new, last = {y}, {now}, {_slope(STAGES - 1, i, n)}"]
        body += [f"e{i} = ({_sum(ERROR, i, n)}) * ({H} / (atol + rtol * max(abs(y), abs(new))))"]
        body += [f"e{i} = e{i} * e{i} + (0.0 * (new * HUGE) + 0.0 * (last * HUGE))"]
    body += [f"error = math.sqrt(({' + '.join(f'e{i}' for i in range(n))}) / N)"]
    body += ["errors[lane] = error if error < LARGEST else math.inf"]
    return lines + _over_lanes(body)


def _over_lanes(body: Sequence[str]) -> list[str]:
    return ["for lane in range(lanes):", *(f"    {line}" for line in body)]


def _part(first: str, j: int, size: int) -> str:
    return f"store[{first} + {j * size * LANES} : {first} + {(j + 1) * size * LANES}]"


def _y(i: int) -> str:
    return f"store[Y + {LANES * i} + lane]"


def _slope(j: int, i: int, n: int) -> str:
    return f"store[K + {LANES * (j * n + i)} + lane]"


def _sum(coefficients: Iterable[str], i: int, n: int) -> str:
    return " + ".join(f"{c} * {_slope(m, i, n)}" for m, c in enumerate(coefficients))


def _rhs(layout: Layout, expressions: Sequence[sympy.Expr], gradient: bool) -> str:
    """The function of a stage of a larger system; in pieces if it is large."""
    n, arguments = len(layout.system.equations), "lanes, node, store, slopes, partials"
    wanted = len(expressions) if gradient else n
    ends = [0, n, wanted] if gradient else [0, n]
    if layout.is_large:
        ends = sorted({*range(0, n, PIECE), *range(n, wanted, PIECE), wanted})
    texts, calls = list[str](), list[str]()
    for first, last in itertools.pairwise(ends if layout.is_large else (0, len(expressions))):
        targets = [f"slopes[{LANES * i} + lane]" for i in range(n)]
        targets += [f"partials[{LANES * i} + lane]" for i in range(len(expressions) - n)]
        lines = _rhs_lines(
            layout, expressions[first:last], None if layout.is_large else wanted,
            targets[first:last],
            "store[NEW + LANES * {} + lane]",
        )  # fmt: skip
        body = ["t = store[CONSTANTS + lane] + node * store[CONSTANTS + LANES + lane]", *lines]
        loop = _over_lanes(body)
        name = f"rhs_abreast_{first}"
        texts.append(function(name, arguments, loop, "STRICT"))
        calls.append(f"{name}({arguments})")
    return "".join([*texts, function("rhs_abreast", arguments, calls, "STRICT")])


class _Abreast(ast.NodeTransformer):
    """Calls and powers become those of the template's `elementary` part."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        called = node.func
        if isinstance(called, ast.Attribute) and called.attr in BY_ARITHMETIC:
            node.func = ast.Name(f"{called.attr}_abreast")
        if isinstance(called, ast.Name) and called.id in SCALAR_FUNCTIONS:
            node.func = ast.Name(f"{called.id}_abreast")
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if not isinstance(node.op, ast.Pow) or isinstance(node.right, ast.Constant | ast.UnaryOp):
            return node
        return ast.Call(ast.Name("power_abreast"), [node.left, node.right], [])


_ABREAST = _Abreast()


def _scalar_functions(source: str) -> list[str]:
    """The scalar helpers that the source calls, as parts of those that call them."""
    return [_scalar_function(name) for name in SCALAR_FUNCTIONS if f"{name}_abreast(" in source]


def _scalar_function(name: str) -> str:
    tree = ast.parse(inspect.getsource(SCALAR_FUNCTIONS[name]))
    (definition,) = tree.body
    assert isinstance(definition, ast.FunctionDef)
    definition.name = f"{name}_abreast"
    return f"@njit(**INLINE)\n{ast.unparse(_ABREAST.visit(tree))}\n\n"
