"""Compiled ODE trajectories with forward sensitivities."""

from nfanneal.ode.system import OdeSystem, SolverSettings, Status
from nfanneal.ode.trajectories import CompiledSystem, Trajectories, compile_system

__all__ = [
    "CompiledSystem",
    "OdeSystem",
    "SolverSettings",
    "Status",
    "Trajectories",
    "compile_system",
]
