"""Figures of results: one kind per module, all drawn by `draw`."""

from nfanneal.report.figures.kinds import KINDS, ONE_RESULT, Options, draw

__all__ = ["KINDS", "ONE_RESULT", "Options", "draw"]
