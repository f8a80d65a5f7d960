"""Lines of arithmetic compiled past numba, against what Python makes of them."""

import math
import random

import numpy as np
import pytest
from numba import njit

from nfanneal.model.ode.codegen.llvm import lines

SHIFT = 2


@njit
def doubled(x):
    return 2.0 * x


NAMES = {"math": math, "SHIFT": SHIFT, "HALF": 0.5, "doubled": doubled}

EXPRESSIONS = [
    "1", "-3/4*x[0]", "x[0] - x[1] - x[2]", "x[0] / x[1] / x[2] * x[3]", "x[0] - (x[1] - x[2])",
    "x[0]**2", "x[1]**(-3)", "x[2]**0", "x[1]**17", "x[1]**1.5", "2**x[0]", "x[1]**x[0]",
    "x[1]**(3/2)", "-x[0]**2", "+x[0]", "HALF + SHIFT", "math.pi*u", "x[SHIFT]", "x[SHIFT + 1]",
    "x[row]", "x[2*row + 1]", "x[row + SHIFT]", "math.exp(-x[1])", "math.atan2(x[0], x[1])",
    "min(x[0], x[1])", "min(x[0], x[1], u)", "abs(-x[1])", "doubled(x[0]) + doubled(1)",
    "(x[0] if x[1] > 2.0 else x[2])", "(x[0] if x[1] != x[1] else x[2])",
    "(1 if (x[0] <= u and x[1] >= u) or not x[2] < u else x[3])", "(0.0 if u == HALF else u)",
    "(math.log(x[0]) if x[0] > 0.0 else -1.0)", "(math.sqrt(x[0]) if not x[0] < 0.0 else u)",
    "(1.0 if True else u)", "(x[1] if x[0] < u and False else (u if False or x[0] < u else 2))",
    "math.inf - u", "(x[0] + (x[1] if x[1] < u else x[2]))**2",
]  # fmt: skip


def of_python(text, row, u, x):
    names = {**NAMES, "doubled": doubled.py_func, "row": row, "u": u, "x": x}
    return [float(eval(expression, names)) for expression in text]


def emitted(text, row, u, x):
    body = "\n".join(f"out[{i}] = {expression}" for i, expression in enumerate(text))
    compiled = lines("row, u, x, out", body, NAMES)

    @njit(error_model="numpy")
    def run(row, u, x, out):
        compiled(row, u, x, out)

    out = np.full(len(text), np.nan)
    run(row, u, x, out)
    return out


@pytest.mark.parametrize("first", [0.75, -0.25])
def test_lines_come_to_what_python_makes_of_them(first):
    given = 1, 0.5, np.array([first, 2.5, 0.125, 7.0])
    found, wanted = emitted(EXPRESSIONS, *given), of_python(EXPRESSIONS, *given)
    np.testing.assert_allclose(found, wanted, rtol=4e-16)


def random_expression(rng, depth):
    if depth == 0 or rng.random() < 0.1:
        return rng.choice(
            ["u", "x[0]", "x[1]", "x[row]", "x[row + 1]", f"{rng.uniform(-3, 3):.3f}"]
        )
    left, right = (random_expression(rng, depth - 1) for _ in range(2))
    shapes = ["{} + {}", "({} - {})", "{} * ({})", "({}) / ({})"]
    shapes += ["({0} if {1} < {0} else {1})", "-({} - {})"]
    return rng.choice(shapes).format(left, right)


def test_random_arithmetic_is_done_in_pythons_order():
    """No operation is moved or left out: the same bits."""
    rng = random.Random(7)
    text = [random_expression(rng, 5) for _ in range(150)]
    given = 2, 0.3, np.array([1.25, -0.7, 3.1, 0.9])
    with np.errstate(all="ignore"):
        found, wanted = emitted(text, *given), of_python(text, *given)
    assert len(set(wanted)) > 100
    np.testing.assert_array_equal(found, wanted)


def test_names_hold_what_was_assigned_last():
    text = "a = x[0]\nb = a*a\na = b + 1\nout[0] = a\nout[1] = out[0] + b"
    text += "\nc = True\nd = c and x[0] > 2\nout[2] = (1.0 if d or not c else 0.0)"
    compiled = lines("x, out", text, {})

    @njit
    def run(x, out):
        compiled(x, out)

    out = np.zeros(3)
    run(np.array([3.0]), out)
    np.testing.assert_array_equal(out, [10.0, 19.0, 1.0])


def test_matrices_and_long_sums():
    """Hundreds of terms are no nesting; places in arrays of more dimensions."""
    sum_of_all = " + ".join(f"a[{i % 2}, {i % 3}, 1]" for i in range(900))
    compiled = lines("i, a, out", f"out[i, 1] = {sum_of_all}", {})

    @njit
    def run(i, a, out):
        compiled(i, a, out)

    a, out = np.arange(12.0).reshape(2, 3, 2), np.zeros((2, 2))
    run(1, a, out)
    np.testing.assert_array_equal(out, [[0.0, 0.0], [0.0, 150.0 * a[:, :, 1].sum()]])
