"""The data of the accuracy table's problems: `python make_data.py NAME > NAME.csv`."""

import sys
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

Table = tuple[str, NDArray[np.float64]]


def waves() -> Table:
    rng = np.random.default_rng(101)
    t = np.sort(rng.uniform(0.0, 6.0, 36)).round(3)
    y = np.exp(1.1 * np.sin(1.3 * t + 4.0) + 0.7 * np.sin(3.9 * t + 2.0))
    return "t,y", np.column_stack([t, y + rng.normal(0.0, 0.4, t.size)])


def planets() -> Table:
    rng = np.random.default_rng(102)
    t = np.sort(rng.uniform(0.0, 200.0, 48)).round(2)
    v = (
        1.5
        + 8.0 * np.sin(2.0 * np.pi * t / 12.3 + 2.5)
        + 5.0 * np.sin(2.0 * np.pi * t / 61.0 + 4.0)
    )
    return "t,v", np.column_stack([t, v + rng.normal(0.0, 2.0, t.size)])


def three_normals() -> Table:
    rng = np.random.default_rng(103)
    which = rng.choice(3, 60, p=[0.5, 0.3, 0.2])
    mean, sd = np.array([-3.0, 1.5, 5.0])[which], np.array([0.8, 0.6, 1.0])[which]
    return "y", rng.normal(mean, sd)[:, None]


def brownian() -> Table:
    rng = np.random.default_rng(104)
    walk = np.cumsum(rng.normal(0.0, 0.3, 30))
    at = np.r_[1:11, 21:31]
    return "t,y", np.column_stack([at, walk[at - 1] + rng.normal(0.0, 0.2, 20)])


def lines() -> Table:
    rng = np.random.default_rng(105)
    t = np.arange(6.0)
    a, b = rng.normal(2.0, 1.0, 20), rng.normal(-0.5, 0.4, 20)
    y = a + t[:, None] * b + rng.normal(0.0, 0.5, (6, 20))
    return ",".join(["t", *(f"y{i}" for i in range(20))]), np.column_stack([t, y])


def flip_flop() -> Table:
    rng = np.random.default_rng(106)
    t = np.array([0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0])
    c = 100.0 * 1.2 / (20.0 * (1.2 - 0.15)) * (np.exp(-0.15 * t) - np.exp(-1.2 * t))
    return "t,c", np.column_stack([t, c + rng.normal(0.0, 0.2, t.size)])


def lorenz() -> Table:
    rng = np.random.default_rng(107)
    t = np.linspace(0.0, 2.4, 25)[1:].round(2)

    def slope(_: float, u: NDArray[np.float64]) -> list[float]:
        x, y, z = u
        return [10.0 * (y - x), x * (28.0 - z) - y, x * y - 8.0 / 3.0 * z]

    x = solve_ivp(slope, (0.0, 2.4), [-6.0, -8.0, 22.0], "DOP853", t, rtol=1e-10, atol=1e-10).y[0]
    return "t,x", np.column_stack([t, x + rng.normal(0.0, 1.0, t.size)])


def _genes(seed: int, h: list[float], d: list[float], end: float, n: int, sigma: float) -> Table:
    """Log-concentrations of a repressilator's genes with noise."""
    rng, t = np.random.default_rng(seed), np.linspace(0.0, end, n + 1)[1:].round(3)

    def slope(_: float, x: NDArray[np.float64]) -> NDArray[np.float64]:
        fall = np.exp(np.array(d))
        return np.exp(2.0 - x) / (1.0 + np.exp(np.array(h) * np.roll(x, 1))) - fall

    start = [0.0, 0.2, 0.0]
    x = solve_ivp(slope, (0.0, end), start, "DOP853", t, rtol=1e-10, atol=1e-10).y
    return "t,x1,x2,x3", np.column_stack([t, (x + rng.normal(0.0, sigma, x.shape)).T])


def repressilator_two() -> Table:
    return _genes(108, [2.5, 2.5, 2.5], [0.0, 0.3, -0.3], 12.0, 16, 0.25)


def repressilator_third() -> Table:
    return _genes(109, [3.0, 2.0, 2.5], [0.0, 0.0, 0.0], 10.0, 14, 0.3)


def repressilator_noise() -> Table:
    return _genes(110, [2.0, 3.0, 2.0], [0.0, 0.2, 0.2], 14.0, 18, 0.2)


MAKERS: dict[str, Callable[[], Table]] = {
    f.__name__: f
    for f in (
        waves, planets, three_normals, brownian, lines, flip_flop, lorenz,
        repressilator_two, repressilator_third, repressilator_noise,
    )
}  # fmt: skip

if __name__ == "__main__":
    header, table = MAKERS[sys.argv[1]]()
    sys.stdout.write(header + "\n")
    for row in table:
        sys.stdout.write(",".join(f"{v:.4f}" for v in row) + "\n")
