"""How the compiled solver is compiled, and how a trajectory can end."""

STRICT = {"nogil": True, "error_model": "numpy"}
LINEAR = {**STRICT, "fastmath": {"contract", "nsz"}}
"""Only the sensitivities are rounded freely: the states are the same, bit for bit, without them."""
INLINE, LINEAR_INLINE = {**STRICT, "forceinline": True}, {**LINEAR, "forceinline": True}
"""For what runs in every step, if it is short: long functions would take minutes to compile."""
CACHE = True

OK, TOO_MANY_STEPS, STEP_TOO_SMALL, NON_FINITE = 0, 1, 2, 3
LARGEST = 1e300
