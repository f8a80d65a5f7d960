"""Other ODE solvers on the same systems, timed and held against exact solutions."""
