"""Figures of results: one kind per module, all drawn by `draw`, and written by `save`."""

from nfanneal.report.figures.kinds import KINDS, draw
from nfanneal.report.figures.labels import notes
from nfanneal.report.figures.options import Options
from nfanneal.report.figures.style import PAGE, WIDTH, save

__all__ = ["KINDS", "PAGE", "WIDTH", "Options", "draw", "notes", "save"]
