"""SBML files → models of ordinary differential equations, as expressions and as text of a spec."""
