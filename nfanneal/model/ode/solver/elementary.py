"""exp, log and powers by arithmetic alone: processors work on several numbers at once with them.

Errors are at most 2 units in the last place, of powers |n·log x| of them. Results below 2e-308 are
0, and e^x overflows from x = 709.4 on, a hair early.

Source: the polynomial of log is that of fdlibm's e_log.c; exp is e^r·2^n with |r| ≤ log(2)/2 and
Taylor's polynomial of order 13.
"""

import math

from numba import njit, types
from numba.extending import intrinsic

from nfanneal.model.ode.solver.constants import LINEAR_INLINE

ROUND = 6755399441055744.0
"""1.5·2⁵², in whose sums the last bit is 1."""
LOG2_HIGH, LOG2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
"""log 2 in two parts; whole numbers times the first are exact."""
BIAS, EXPONENT, MANTISSA = 1023, 52, 0xFFFFFFFFFFFFF
ROOT_HALF, TO_ROOT = 0x3FE6A09E00000000, 0x3FF0000000000000 - 0x3FE6A09E00000000
OF_WHOLE = 0x4330000000000000
"""The bits of 2⁵²: with a small whole number in the last of them, those of the sum."""


@intrinsic
def as_float(typingctx, bits):
    """The number that has these bits."""

    def codegen(context, builder, signature, values):
        return builder.bitcast(values[0], context.get_value_type(types.float64))

    return types.float64(types.uint64), codegen


@intrinsic
def as_bits(typingctx, x):
    """The bits of a number."""

    def codegen(context, builder, signature, values):
        return builder.bitcast(values[0], context.get_value_type(types.uint64))

    return types.uint64(types.float64), codegen


@njit(**LINEAR_INLINE)
def exp_abreast(x):
    shifted = x * 1.4426950408889634 + ROUND
    n = shifted - ROUND
    r = x - n * LOG2_HIGH - n * LOG2_LOW
    p = r * (1.0 / 6227020800.0) + 1.0 / 479001600.0
    p = p * r + 1.0 / 39916800.0
    p = p * r + 1.0 / 3628800.0
    p = p * r + 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    p = p * r + 1.0
    p = p * r + 1.0
    power = as_float((as_bits(shifted) + types.uint64(BIAS)) << types.uint64(EXPONENT))
    value = p * power
    value = 0.0 if x < -708.0 else value
    return math.inf if x > 709.4 else value


@njit(**LINEAR_INLINE)
def log_abreast(x):
    tiny = x < 2.2250738585072014e-308
    bits = as_bits(x * 18014398509481984.0 if tiny else x) + types.uint64(TO_ROOT)
    k = as_float((bits >> types.uint64(EXPONENT)) | types.uint64(OF_WHOLE)) - 4503599627371519.0
    k = k - 54.0 if tiny else k
    f = as_float((bits & types.uint64(MANTISSA)) + types.uint64(ROOT_HALF)) - 1.0
    half, s = 0.5 * f * f, f / (2.0 + f)
    z = s * s
    w = z * z
    even = w * (0.3999999999940941908 + w * (0.2222219843214978396 + w * 0.1531383769920937332))
    odd = z * (
        0.6666666666666735130
        + w * (0.2857142874366239149 + w * (0.1818357216161805012 + w * 0.1479819860511658591))
    )
    value = k * LOG2_HIGH - ((half - (s * (half + even + odd) + k * LOG2_LOW)) - f)
    value = -math.inf if x == 0.0 else value
    value = math.nan if x < 0.0 else value
    return value if x < math.inf else x


@njit(**LINEAR_INLINE)
def power_abreast(x, n):
    value = exp_abreast(n * log_abreast(abs(x)))
    whole, half = (n + ROUND) - ROUND, (0.5 * n + ROUND) - ROUND
    below = math.nan if whole != n else (value if 2.0 * half == n else -value)
    value = below if x < 0.0 else value
    return 1.0 if n == 0.0 else value
