"""Rational-quadratic splines and their derivatives, one element at a time.

`nfanneal.anneal.proposals.spline` compiles this text (`nfanneal.runtime.kernel_cache` keeps the
machine code). For m elements with K bins, `raw` (m, 3K−1) holds unconstrained widths, heights and
inner slopes of each element's spline, `shares` (m, 2K) the bins' widths and heights as shares of
the interval [−bound, bound], and `bins` (m,) the bin of each element, −1 outside the interval,
where the spline is the identity. `scale` is −1/log of the least slope, which squashes the raw
numbers.

Source: Durkan et al. (2019), Neural spline flows, arXiv:1906.04032, equations 4 to 7 and 18 to 23.
"""

import math

from numba import njit

FAST = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "nsz"}}
INLINE = {**FAST, "forceinline": True}
CACHE = True


@njit(**INLINE)
def normalize(shares, k):
    """Divide the widths and the heights by their sums."""
    width, height = 0.0, 0.0
    for j in range(k):
        width += shares[j]
        height += shares[k + j]
    for j in range(k):
        shares[j] = shares[j] / width
        shares[k + j] = shares[k + j] / height


@njit(**INLINE)
def knot_slope(raw, scale, knot, k):
    """The spline's slope at a knot, and its derivative by the raw number; 1 and 0 at the ends."""
    if knot == 0 or knot == k:
        return 1.0, 0.0
    number = float(raw[2 * k + knot - 1])
    squash = 1.0 / (1.0 + abs(number) * scale)
    slope = math.exp(number * squash)
    return slope, slope * squash * squash


@njit(**INLINE)
def find_bin(shares, goal, first, k):
    """The bin whose shares, from `first` on, hold `goal` in [0, 1], and what lies before it."""
    chosen, before = 0, 0.0
    while chosen < k - 1 and before + shares[first + chosen] < goal:
        before += shares[first + chosen]
        chosen += 1
    return chosen, before


@njit(**INLINE)
def sum_before(shares, first, chosen):
    """The sum of the shares before bin `chosen`."""
    total = 0.0
    for j in range(chosen):
        total += shares[first + j]
    return total


@njit(**INLINE)
def clip(x):
    """x within [0, 1]."""
    return min(max(x, 0.0), 1.0)


@njit(**INLINE)
def log_slope(s, d0, d1, xi):
    """Log-derivative of the spline at the share xi of a bin with mean slope s."""
    q, other = xi * (1.0 - xi), 1.0 - xi
    ratio = s / (s + (d0 + d1 - 2.0 * s) * q)
    return math.log(ratio * ratio * (2.0 * s * q + d0 * other * other + d1 * xi * xi))


@njit(
    "void(f4[::1], f4[:,::1], f8, f8, f4[:,::1], f4[::1], f4[::1], i4[::1])",
    cache=CACHE,
    **FAST,
)
def forward(x, raw, bound, scale, shares, y, ladj, bins):
    """y and log |dy/dx| at x; normalises the shares."""
    k = shares.shape[1] // 2
    for i in range(len(x)):
        share = shares[i]
        normalize(share, k)
        if not (-bound < x[i] < bound):
            y[i], ladj[i], bins[i] = x[i], 0.0, -1
            continue
        goal = 0.5 * (x[i] / bound + 1.0)
        b, before = find_bin(share, goal, 0, k)
        width, height = float(share[b]), float(share[k + b])
        xi = clip((goal - before) / width)
        d0, _ = knot_slope(raw[i], scale, b, k)
        d1, _ = knot_slope(raw[i], scale, b + 1, k)
        s = height / width
        q = xi * (1.0 - xi)
        risen = height * (s * xi * xi + d0 * q) / (s + (d0 + d1 - 2.0 * s) * q)
        y[i] = bound * (2.0 * (sum_before(share, k, b) + risen) - 1.0)
        ladj[i] = log_slope(s, d0, d1, xi)
        bins[i] = b


@njit(
    "void(f4[::1], f4[:,::1], f8, f8, f4[:,::1], f4[::1], f4[::1], i4[::1])",
    cache=CACHE,
    **FAST,
)
def inverse(y, raw, bound, scale, shares, x, ladj, bins):
    """x with spline(x) = y and log |dy/dx| there; normalises the shares."""
    k = shares.shape[1] // 2
    for i in range(len(y)):
        share = shares[i]
        normalize(share, k)
        if not (-bound < y[i] < bound):
            x[i], ladj[i], bins[i] = y[i], 0.0, -1
            continue
        goal = 0.5 * (y[i] / bound + 1.0)
        b, before = find_bin(share, goal, k, k)
        width, height = float(share[b]), float(share[k + b])
        d0, _ = knot_slope(raw[i], scale, b, k)
        d1, _ = knot_slope(raw[i], scale, b + 1, k)
        s = height / width
        risen = height * clip((goal - before) / height)
        bend = risen * (d0 + d1 - 2.0 * s)
        u, v, w = height * (s - d0) + bend, height * d0 - bend, -s * risen
        xi = clip(2.0 * w / (-v - math.sqrt(max(v * v - 4.0 * u * w, 0.0))))
        x[i] = bound * (2.0 * (sum_before(share, 0, b) + width * xi) - 1.0)
        ladj[i] = log_slope(s, d0, d1, xi)
        bins[i] = b


@njit(**INLINE)
def bin_partials(width, height, d0, d1, xi, by_y, by_ladj):
    """Derivatives of by_y·y + by_ladj·log|dy/dx| by x, width, height, d0 and d1 of a bin.

    All lengths are shares of the interval, so `by_y` is per share. The derivative by x holds for
    the width's share before the bin too, with the opposite sign.
    """
    s = height / width
    other, q = 1.0 - xi, xi * (1.0 - xi)
    bend = d0 + d1 - 2.0 * s
    below = s + bend * q
    above = s * xi * xi + d0 * q
    curve = 2.0 * s * q + d0 * other * other + d1 * xi * xi
    by_above = by_y * height / below
    by_below = -(by_above * above + 2.0 * by_ladj) / below
    by_curve = by_ladj / curve
    by_q = 2.0 * s * by_curve + d0 * by_above + bend * by_below
    by_xi = 2.0 * by_curve * (d1 * xi - d0 * other) + 2.0 * by_above * s * xi
    by_xi += by_q * (1.0 - 2.0 * xi)
    by_s = 2.0 * by_ladj / s + 2.0 * q * by_curve + xi * xi * by_above + (1.0 - 2.0 * q) * by_below
    by_d0 = by_curve * other * other + (by_above + by_below) * q
    by_d1 = by_curve * xi * xi + by_below * q
    by_height = by_y * above / below + by_s / width
    by_width = -(by_s * s + by_xi * xi) / width
    return by_xi / width, by_width, by_height, by_d0, by_d1


@njit(**INLINE)
def share_partials(raw, shares, first, k, b, before, inside, scale, out):
    """Derivatives by k raw numbers from those by the shares: `before` bin b, `inside` it."""
    mean = inside * shares[first + b]
    for j in range(b):
        mean += before * shares[first + j]
    for j in range(k):
        own = before if j < b else (inside if j == b else 0.0)
        squash = 1.0 / (1.0 + 2.0 * abs(raw[first + j]) * scale)
        out[first + j] = shares[first + j] * (own - mean) * squash * squash


@njit(
    "void(f4[::1], f4[:,::1], f8, f8, f4[:,::1], i4[::1], f4[::1], f4[::1], f4[::1], f4[:,::1])",
    cache=CACHE,
    **FAST,
)
def backward(x, raw, bound, scale, shares, bins, by_y, by_ladj, by_x, by_raw):
    """Derivatives by x and by the raw numbers, from those by y and by log |dy/dx|."""
    k = shares.shape[1] // 2
    for i in range(len(x)):
        b, out, share = bins[i], by_raw[i], shares[i]
        out[:] = 0.0
        if b < 0:
            by_x[i] = by_y[i]
            continue
        width, height = float(share[b]), float(share[k + b])
        xi = clip((0.5 * (x[i] / bound + 1.0) - sum_before(share, 0, b)) / width)
        d0, by_raw0 = knot_slope(raw[i], scale, b, k)
        d1, by_raw1 = knot_slope(raw[i], scale, b + 1, k)
        per_share = 2.0 * bound * by_y[i]
        by_goal, by_width, by_height, by_d0, by_d1 = bin_partials(
            width, height, d0, d1, xi, per_share, float(by_ladj[i])
        )
        by_x[i] = by_goal / (2.0 * bound)
        share_partials(raw[i], share, 0, k, b, -by_goal, by_width, scale, out)
        share_partials(raw[i], share, k, k, b, per_share, by_height, scale, out)
        if b > 0:
            out[2 * k + b - 1] = by_d0 * by_raw0
        if b < k - 1:
            out[2 * k + b] = by_d1 * by_raw1
