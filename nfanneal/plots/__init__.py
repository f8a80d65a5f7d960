"""Figures of results: one kind per module, all drawn by `draw`."""

from nfanneal.plots.kinds import KINDS, Options, draw

__all__ = ["KINDS", "Options", "draw"]
