"""The explicit solver's functions of a system: of several trajectories abreast, one in each lane.

Loops over lanes hold nothing but arithmetic on places of one array, `store`, that are known when
the text is written, so that the compiler makes one instruction of several turns. Where a turn
writes, no later turn reads.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Sequence

from nfanneal.model.expressions import SCALAR_FUNCTIONS
from nfanneal.model.ode.codegen.layout import (
    PIECE,
    Form,
    Layout,
    arithmetic,
    function,
    in_store,
    written,
)
from nfanneal.model.ode.codegen.llvm import whole_number
from nfanneal.model.ode.codegen.sensitivities import (
    FEW,
    Partial,
    changed,
    direct_body,
    kept_places,
    one_go_lines,
    product_lines,
    stages_body,
)
from nfanneal.model.ode.codegen.source import Stepper, kernel_source
from nfanneal.model.ode.system import OdeSystem

LANES = 8
"""As many as the widest processors' instructions have numbers."""
BY_ARITHMETIC = ("exp", "log")
"""Functions of `math` that the template has, too."""


def explicit_source(system: OdeSystem) -> str:
    """Source of a module whose `solve` integrates `system` by Tsit5."""
    return kernel_source(system, EXPLICIT)


def _functions(layout: Layout, jacobian: Sequence[Partial], direct: Sequence[Partial]) -> list[str]:
    slopes = [node for _, _, node in (*jacobian, *direct)]
    sizes = len(layout.system.states), layout.columns
    places, kept = kept_places(*sizes, jacobian, direct)
    rhs = _rhs(layout, slopes, places)
    sources = [f"KEPT = {kept}\n", *_scalar_functions(rhs), rhs]
    return sources + _step_column(layout, kept, jacobian, direct)


EXPLICIT = Stepper(
    parts=("tsit5_tableau", "elementary", "tsit5"),
    lanes=LANES,
    abreast="8 * N * LANES",
    more=_functions,
    by_rows=False,
)


def _step_column(
    layout: Layout, kept: int, jacobian: Sequence[Partial], direct: Sequence[Partial]
) -> list[str]:
    """Column q of s through a step, in all lanes."""
    name, arguments, n = "step_column", "lanes, q, steps, own, kept", len(layout.system.states)
    if n <= FEW:
        lines = one_go_lines(n, layout.columns, LANES, jacobian, direct)
        return [arithmetic(name, arguments, lines, "LINEAR", "LINEAR")]
    body = stages_body(n * LANES, kept * LANES)
    stages = function(name, arguments, body, "LINEAR", "LINEAR")
    return [*_column_slope(layout, jacobian, direct), stages]


def _column_slope(
    layout: Layout, jacobian: Sequence[Partial], direct: Sequence[Partial]
) -> list[str]:
    """Column q of (∂f/∂y)·s + ∂f/∂θ in all lanes, in pieces."""
    arguments, calls = "lanes, q, kept, s, ds", list[str]()
    lines = product_lines(len(layout.system.states), LANES, jacobian)
    sources = [changed(layout.columns, direct)]
    for first in range(0, len(lines), PIECE):
        name, piece = f"products_{first}", lines[first : first + PIECE]
        sources.append(arithmetic(name, arguments, piece, "LINEAR_APART", "LINEAR_APART"))
        calls.append(f"{name}({arguments})")
    calls += direct_body(len(jacobian), LANES)
    return [*sources, function("column_slope", arguments, calls, "LINEAR", "LINEAR")]


def _rhs(layout: Layout, slopes: Sequence[int], places: Sequence[int]) -> str:
    """f alone, and with its partial derivatives that are not zero, in all lanes.

    Not a bit of f may differ.
    """
    alone, both = "lanes, node, store, slopes", "lanes, node, store, slopes, partials"
    node, system = layout.graph.symbol, layout.system
    texts = in_store(layout, LANES) | {node(system.time): "t"}
    texts |= {node(s): f"store[NEW + {LANES * i} + lane]" for i, s in enumerate(system.states)}
    targets = [f"slopes[{LANES * i} + lane]" for i in range(len(layout.equations))]
    of_both = [*targets, *(f"partials[{LANES * i} + lane]" for i in places)]
    nodes = layout.equations

    form = Form(texts, LANES, _abreast, ("STRICT", "STRICT", "APART"))
    every, signature = [*nodes, *slopes], ("rhs_and_partials_abreast", both)
    return written(layout, form, ("rhs_abreast", alone), (targets, nodes)) + written(
        layout, form, signature, (of_both, every)
    )


def _abreast(lines: Sequence[str]) -> list[str]:
    body = ["t = store[CONSTANTS + lane] + node * store[CONSTANTS + LANES + lane]"]
    return body + [ast.unparse(_ABREAST.visit(ast.parse(line))) for line in lines]


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
        if not isinstance(node.op, ast.Pow) or whole_number(node.right) is not None:
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
