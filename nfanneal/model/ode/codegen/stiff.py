"""What the stiff solver needs of a system besides: ∂f/∂y, ∂f/∂t, and how ∂f/∂y changes."""

from __future__ import annotations

from collections.abc import Sequence

from nfanneal.model.expressions import symbol
from nfanneal.model.expressions.graph import JUNCTION, RELATION
from nfanneal.model.expressions.slopes import slopes, tangents
from nfanneal.model.ode.codegen.layout import Form, Layout, at_a_point, hold, partials, written
from nfanneal.model.ode.codegen.sensitivities import Partial, place
from nfanneal.model.ode.codegen.source import Stepper, kernel_source
from nfanneal.model.ode.system import OdeSystem


def stiff_source(system: OdeSystem) -> str:
    """Source of a module whose `solve` integrates `system` by Rodas5P."""
    return kernel_source(system, STIFF)


def _functions(layout: Layout, jacobian: Sequence[Partial], direct: Sequence[Partial]) -> list[str]:
    return [_jacobian(layout, jacobian), *_curvature(layout, jacobian, direct)]


STIFF = Stepper(
    parts=("elementary", "rodas5p"),
    lanes=1,
    abreast="0",
    more=_functions,
    by_rows=True,
    linear=True,
)


def _jacobian(layout: Layout, jacobian: Sequence[Partial]) -> str:
    """∂f/∂y as a full matrix, and ∂f/∂t: the same lines with sensitivities and without."""
    by_time = partials(layout, layout.equations, [layout.system.time])
    targets = [f"jac[{i}, {j}]" for i, j, _ in jacobian]
    targets += [f"drift[{i}]" for i, _, _ in by_time]
    nodes = [node for _, _, node in (*jacobian, *by_time)]
    hold(layout, nodes)
    before = ["jac[:, :] = 0.0", "drift[:] = 0.0"]
    signature = "jacobian", "t, y, theta, fixed, jac, drift"
    return written(layout, at_a_point(layout), signature, (targets, nodes), before=before)


def _curvature(layout: Layout, jacobian: Sequence[Partial], direct: Sequence[Partial]) -> list[str]:
    """How ∂f/∂y and ∂f/∂t change: in parts that the point alone decides, and for a direction u.

    `curve` gives the derivatives of (∂f/∂y)·u + c·∂f/∂t by y and θ in the places that `partials`
    has for the derivatives of f; `bend` what they need of the point.
    """
    system, graph = layout.system, layout.graph
    moving = [symbol(f"_u{j}") for j in range(len(system.states))]
    seeds = {s: graph.symbol(u) for s, u in zip(system.states, moving, strict=True)}
    seeds[system.time] = graph.symbol(symbol("_c"))
    direction = graph.mask([*moving, symbol("_c")])
    along = tangents(graph, layout.equations, seeds)
    still = _still(layout, along, direction)
    variables = [*system.states, *layout.columns_of]
    found = slopes(graph, along, variables, still)
    places = {(i, system.states[j]): n for n, (i, j, _) in enumerate(jacobian)}
    columns = layout.columns_of
    places |= {(i, columns[q]): place(len(jacobian), layout.columns, i, q) for i, q, _ in direct}
    targets = {n: found[i].get(s, graph.zero) for (i, s), n in places.items()}
    second = _still(layout, [*targets.values()], direction)
    hold(layout, second)
    bend = [f"second[{i}]" for i in range(len(second))], second
    texts = {node: f"second[{i}]" for i, node in enumerate(second)}
    texts |= {seeds[s]: f"u[{j}]" for j, s in enumerate(system.states)} | {seeds[system.time]: "c"}
    form = Form(texts, options=("LINEAR_INLINE", "LINEAR", "LINEAR_APART"))
    curve = [f"curved[{n}]" for n in targets], [*targets.values()]
    return [
        f"SECOND = {len(second)}\n",
        written(layout, at_a_point(layout), ("bend", "t, y, theta, fixed, second"), bend),
        written(layout, form, ("curve", "second, u, c, curved"), curve),
    ]


def _still(layout: Layout, nodes: Sequence[int], direction: int) -> list[int]:
    """The largest parts of nodes that no direction changes."""
    graph, found = layout.graph, dict[int, None]()
    waiting, seen = list(reversed(nodes)), set(nodes)
    while waiting:
        node = waiting.pop()
        is_condition = graph.nodes[node].kind in (RELATION, JUNCTION)  # it cannot be put anywhere
        if not graph.holds[node] & direction and not is_condition:
            if graph.holds[node]:
                found[node] = None
            continue
        for part in reversed(graph.nodes[node].arguments):
            if part not in seen:
                seen.add(part)
                waiting.append(part)
    return list(found)
