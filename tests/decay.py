"""An ODE that several tests run: compiled once."""

MODEL = {
    "kind": "ode",
    "states": {"n": "n0", "m": 0.0},
    "equations": {"n": "-k[0]*n", "m": "k[0]*n - k[1]*m"},
}
