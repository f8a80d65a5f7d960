"""Models that are other programs: called once a draw, or kept and asked line by line."""

from nfanneal.model.program.command import Command, Experiment
from nfanneal.model.program.model import ProgramDensity, Programs, ProgramSimulator

__all__ = ["Command", "Experiment", "ProgramDensity", "ProgramSimulator", "Programs"]
