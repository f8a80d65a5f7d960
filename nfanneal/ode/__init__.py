"""Compiled ODE trajectories with forward sensitivities."""

from nfanneal.ode.system import OdeSystem, SolverSettings, Status
from nfanneal.ode.timetable import Dose, InputTable, Switch, Timetable, changed, tabulated
from nfanneal.ode.trajectories import CompiledSystem, Trajectories, compile_system

__all__ = [
    "CompiledSystem",
    "Dose",
    "InputTable",
    "OdeSystem",
    "SolverSettings",
    "Status",
    "Switch",
    "Timetable",
    "Trajectories",
    "changed",
    "compile_system",
    "tabulated",
]
