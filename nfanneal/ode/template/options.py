"""How the compiled solver is compiled, and how a trajectory can end."""

ENTRY = {"nogil": True, "error_model": "numpy"}
"""For what Python calls; what only compiled code calls needs no way in from there."""
STRICT = {**ENTRY, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
LINEAR = {**STRICT, "fastmath": {"contract", "nsz"}}
"""Only the sensitivities are rounded freely: the states are the same, bit for bit, without them."""
INLINE, LINEAR_INLINE = {**STRICT, "forceinline": True}, {**LINEAR, "forceinline": True}
"""For what runs in every step, if it is short: long functions would take minutes to compile."""
CACHE = True

OK, TOO_MANY_STEPS, STEP_TOO_SMALL, NON_FINITE, NO_STEADY_STATE, TOO_STIFF = range(6)
DOSE_INTERVAL = 6
FOR_EXPLICIT, FOR_STIFF = -1, -2
"""Not ended: waiting for the explicit solver, or for the stiff one."""
PROGRESS = 6
TIME, STEP, LAST_ERROR, OUTPUT, TRIED, STIFF_TRIED = range(PROGRESS)
"""Of a trajectory's progress: where it is, its next step, the last error, outputs, steps tried."""
LARGEST = 1e300
