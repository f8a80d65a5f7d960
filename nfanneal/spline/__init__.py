"""Monotonic rational-quadratic splines, compiled: the univariate maps of the spline flows."""

from nfanneal.spline.transform import CompiledSpline, kernel

__all__ = ["CompiledSpline", "kernel"]
