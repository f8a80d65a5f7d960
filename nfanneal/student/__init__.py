"""Mixtures of Student-t distributions: their density, compiled."""

from nfanneal.student.density import mixture_log_density

__all__ = ["mixture_log_density"]
