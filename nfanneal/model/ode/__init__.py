"""Compiled ODE trajectories with forward sensitivities."""

from nfanneal.model.ode.events import Dose, InputTable, Switch, Timetable, changed, tabulated
from nfanneal.model.ode.system import SMALLEST, OdeSystem, SolverSettings, Status, in_words
from nfanneal.model.ode.trajectories import CompiledSystem, Trajectories, compile_system
from nfanneal.model.ode.triggers import Trigger

__all__ = [
    "SMALLEST",
    "CompiledSystem",
    "Dose",
    "InputTable",
    "OdeSystem",
    "SolverSettings",
    "Status",
    "Switch",
    "Timetable",
    "Trajectories",
    "Trigger",
    "changed",
    "compile_system",
    "in_words",
    "tabulated",
]
