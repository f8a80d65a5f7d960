"""Mixtures of Student-t distributions: their density, compiled."""

from nfanneal.student.density import kernel, mixture_log_density

__all__ = ["kernel", "mixture_log_density"]
