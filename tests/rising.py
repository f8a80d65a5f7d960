"""An ODE that tests of other things share, compiled once: y = a·exp(300·t), and its square."""

MODEL = "{kind: ode, states: {y: a}, equations: {y: 300*y}, observables: {y: y, x: y**2}}"
