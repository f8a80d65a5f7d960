"""Lines of arithmetic compiled past numba.

The equations of a large system and their derivatives are tens of thousands of operations. numba
finds a type and an implementation for each of them, which takes minutes; here all are float64.
"""

from __future__ import annotations

import ast
import builtins
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

NUMBER, PLACE, BIT = ir.DoubleType(), ir.IntType(64), ir.IntType(1)
OF_TWO = {ast.Add: "fadd", ast.Sub: "fsub", ast.Mult: "fmul", ast.Div: "fdiv"}
RELATIONS = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip


@dataclass(frozen=True)
class _Scope:
    """What the lines are written into, and what their names stand for so far."""

    context: Any
    builder: Any
    globals: Mapping[str, Any]
    arrays: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    places: dict[str, Any] = field(default_factory=dict)
    numbers: dict[str, Any] = field(default_factory=dict)


def lines(arguments: str, text: str, names: Mapping[str, Any]) -> Callable[..., None]:
    """A function for numba's compiled code that does what lines of text say.

    Each line sets a name or an array's element to an expression of names, elements, functions,
    conditions and constants. `arguments` are arrays of float64, places in them, which are whole
    and not negative, and floats; other names are looked up in `names`.
    """

    @intrinsic
    def emitted(typingctx: Any, *kinds: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            scope = _Scope(context, builder, names)
            given = cgutils.unpack_tuple(builder, *values)
            for name, kind, value in zip(arguments.split(", "), kinds, given, strict=True):
                _declare(scope, name, kind, value)
            for line in ast.parse(text).body:
                assert isinstance(line, ast.Assign)
                _assign(scope, line.targets[0], _value(scope, line.value))
            return context.get_dummy_value()

        return types.void(types.StarArgTuple(kinds)), codegen

    return emitted


def room(size: int) -> Callable[[], Any]:
    """A function for numba's compiled code that gives an array of so many float64.

    They are those of the function that calls it, and no longer there when it has returned.
    """

    @intrinsic
    def taken(typingctx: Any) -> Any:
        kind = types.Array(types.float64, 1, "C")

        def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            array = context.make_array(kind)(context, builder)
            numbers = cgutils.alloca_once(builder, ir.ArrayType(NUMBER, size))
            context.populate_array(
                array,
                data=builder.bitcast(numbers, array.data.type),
                shape=[PLACE(size)],
                strides=[PLACE(8)],
                itemsize=PLACE(8),
                meminfo=None,
            )
            return array._getvalue()

        return kind(), codegen

    return taken


def _declare(scope: _Scope, name: str, kind: Any, value: Any) -> None:
    if isinstance(kind, types.Array):
        array = scope.context.make_array(kind)(scope.context, scope.builder, value)
        scope.arrays[name] = kind, array
    elif isinstance(kind, types.Integer):
        scope.places[name] = scope.context.cast(scope.builder, value, kind, types.int64)
    else:
        scope.numbers[name] = scope.context.cast(scope.builder, value, kind, types.float64)


def _assign(scope: _Scope, target: ast.expr, value: Any) -> None:
    if isinstance(target, ast.Name):
        scope.numbers[target.id] = value
        return
    assert isinstance(target, ast.Subscript)
    assert isinstance(target.value, ast.Name)
    scope.builder.store(value, _pointer(scope, target))


def _pointer(scope: _Scope, element: ast.Subscript) -> Any:
    assert isinstance(element.value, ast.Name)
    kind, array = scope.arrays[element.value.id]
    index = element.slice
    places = [_place(scope, e) for e in (index.elts if isinstance(index, ast.Tuple) else [index])]
    return cgutils.get_item_pointer(
        scope.context, scope.builder, kind, array, places, wraparound=False, boundscheck=False
    )


def _place(scope: _Scope, node: ast.expr) -> Any:
    match node:
        case ast.Constant(int(place)):
            return PLACE(place)
        case ast.Name(name):
            return scope.places[name] if name in scope.places else PLACE(scope.globals[name])
        case ast.BinOp(left, ast.Add() | ast.Mult() as operation, right):
            sides = _place(scope, left), _place(scope, right)
            adds = isinstance(operation, ast.Add)
            if all(isinstance(side, ir.Constant) for side in sides):
                whole = [side.constant for side in sides]
                return PLACE(sum(whole) if adds else whole[0] * whole[1])
            return (scope.builder.add if adds else scope.builder.mul)(*sides)
    raise NotImplementedError(ast.unparse(node))


def _value(scope: _Scope, node: ast.expr) -> Any:
    """What an expression comes to: a float64, or of a condition a bit."""
    builder = scope.builder
    match node:
        case ast.Constant(bool(value)):
            return BIT(value)
        case ast.Constant(int(value) | float(value)):
            return NUMBER(float(value))
        case ast.Name(name) if name in scope.numbers:
            return scope.numbers[name]
        case ast.Name() | ast.Attribute():
            return NUMBER(float(_named(scope, node)))
        case ast.Subscript():
            return builder.load(_pointer(scope, node))
        case ast.UnaryOp(ast.USub(), operand):
            return builder.fneg(_value(scope, operand))
        case ast.UnaryOp(ast.UAdd(), operand):
            return _value(scope, operand)
        case ast.UnaryOp(ast.Not(), operand):
            return builder.not_(_value(scope, operand))
        case ast.BinOp(base, ast.Pow(), exponent):
            return _power(scope, base, exponent)
        case ast.BinOp():
            return _chain(scope, node)
        case ast.IfExp(condition, yes, no):
            parts = (_value(scope, part) for part in (condition, yes, no))
            return builder.select(*parts)
        case ast.Call(function, arguments):
            return _call(scope, _named(scope, function), [_value(scope, a) for a in arguments])
    return _condition(scope, node)


def _condition(scope: _Scope, node: ast.expr) -> Any:
    builder = scope.builder
    match node:
        case ast.Compare(left, [relation], [right]):
            compare = builder.fcmp_unordered if isinstance(relation, ast.NotEq) else None
            compare = compare or builder.fcmp_ordered
            sides = _value(scope, left), _value(scope, right)
            return compare(RELATIONS[type(relation)], *sides)
        case ast.BoolOp(operation, operands):
            join = builder.and_ if isinstance(operation, ast.And) else builder.or_
            first, *others = (_value(scope, operand) for operand in operands)
            for other in others:
                first = join(first, other)
            return first
    raise NotImplementedError(ast.unparse(node))


def _named(scope: _Scope, node: ast.expr) -> Any:
    """The constant or function that a name or an attribute of one stands for."""
    if isinstance(node, ast.Attribute):
        return getattr(_named(scope, node.value), node.attr)
    assert isinstance(node, ast.Name)
    return scope.globals[node.id] if node.id in scope.globals else getattr(builtins, node.id)


def _chain(scope: _Scope, node: ast.expr) -> Any:
    """Sums and products from left to right, however long."""
    rest: list[tuple[str, ast.expr]] = []
    while isinstance(node, ast.BinOp) and type(node.op) in OF_TWO:
        rest.append((OF_TWO[type(node.op)], node.right))
        node = node.left
    result = _value(scope, node)
    for instruction, right in reversed(rest):
        result = getattr(scope.builder, instruction)(result, _value(scope, right))
    return result


def whole_number(node: ast.expr) -> int | None:
    """The number if it is whole, and written as such."""
    match node:
        case ast.Constant(int(whole)):
            return whole
        case ast.UnaryOp(ast.USub(), ast.Constant(int(whole))):
            return -whole
    return None


def _power(scope: _Scope, base: ast.expr, exponent: ast.expr) -> Any:
    """A small whole power by multiplications, as numba does it; others by its own function."""
    builder, number = scope.builder, _value(scope, base)
    whole = whole_number(exponent)
    if whole is None:
        return _call(scope, operator.pow, [number, _value(scope, exponent)])
    result, left = NUMBER(1.0), abs(whole)
    while left:
        result = builder.fmul(result, number) if left & 1 else result
        number, left = builder.fmul(number, number), left >> 1
    return result if whole >= 0 else builder.fdiv(NUMBER(1.0), result)


def _call(scope: _Scope, called: Any, values: list[Any]) -> Any:
    typing = scope.context.typing_context
    kind = typing.resolve_value_type(called)
    signature = kind.get_call_type(typing, (types.float64,) * len(values), {})
    if isinstance(signature.args[0], types.BaseTuple):  # of any number of arguments, as min is
        values = [scope.context.make_tuple(scope.builder, signature.args[0], values)]
    function = scope.context.get_function(kind, signature)
    result = function(scope.builder, values)
    return scope.context.cast(scope.builder, result, signature.return_type, types.float64)
