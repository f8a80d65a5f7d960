"""The density of a mixture of Student-t distributions, a block of points at a time.

`nfanneal.anneal.proposals.student_density` compiles this text (`nfanneal.runtime.kernel_cache`
keeps the machine code). A component j with location m and scale matrix L·Lᵀ has the density
c_j·(1 + |L⁻¹(z − m)|²/ν)^(−(ν + d)/2). With ν + d a whole number the power needs products and a
square root only, no logarithm per pair. The product underflows far from a component, and the sum
only far from all of them: such points get 0, and the caller takes logarithms there.
"""

import math

import numpy as np
from numba import njit

FAST = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "nsz", "reassoc"}}
CACHE = True

BLOCK = 64
"""Points side by side: their arrays stay in the processor's nearest cache."""


@njit(**FAST)
def add_squares(map, shift, block, row, squares):
    """squares += (L⁻¹(z − m))² row by row, for a block of points (d, BLOCK)."""
    d = len(shift)
    squares[:] = 0.0
    for i in range(d):
        row[:] = -shift[i]
        for j in range(i + 1):
            factor = map[i, j]
            for b in range(BLOCK):
                row[b] += factor * block[j, b]
        for b in range(BLOCK):
            squares[b] += row[b] * row[b]


@njit(**FAST)
def add_powers(squares, df, power, height, power_of, total):
    """total += height·(1 + squares/ν)^(−power/2), by repeated squaring."""
    odd = power % 2 == 1
    for b in range(BLOCK):
        base = 1.0 / (1.0 + squares[b] / df)
        squares[b] = base
        power_of[b] = math.sqrt(base) if odd else 1.0
    left = power // 2
    while left > 0:
        if left % 2 == 1:
            for b in range(BLOCK):
                power_of[b] *= squares[b]
        left //= 2
        if left > 0:
            for b in range(BLOCK):
                squares[b] *= squares[b]
    for b in range(BLOCK):
        total[b] += height * power_of[b]


@njit(
    "void(f8[:,::1], f8[:,:,::1], f8[:,::1], f8[::1], f8, i8, f8[::1])",
    cache=CACHE,
    **FAST,
)
def densities(z, maps, shifts, heights, df, power, out):
    """Σ_j heights_j·(1 + |maps_j·z − shifts_j|²/ν)^(−power/2) for z (n, d); out has shape (n,)."""
    n, d = z.shape
    block, row, squares = np.zeros((d, BLOCK)), np.empty(BLOCK), np.empty(BLOCK)
    power_of, total = np.empty(BLOCK), np.empty(BLOCK)
    for first in range(0, n, BLOCK):
        size = min(BLOCK, n - first)
        for b in range(size):
            for i in range(d):
                block[i, b] = z[first + b, i]
        total[:] = 0.0
        for j in range(len(heights)):
            add_squares(maps[j], shifts[j], block, row, squares)
            add_powers(squares, df, power, heights[j], power_of, total)
        for b in range(size):
            out[first + b] = total[b]
