"""Figures of results: one kind per module, all drawn by `draw`."""

from nfanneal.report.figures.kinds import KINDS, Options, draw

__all__ = ["KINDS", "Options", "draw"]
