"""How the compiled solver is compiled, and how a trajectory can end."""

ENTRY = {"nogil": True, "error_model": "numpy"}
"""For what Python calls; what only compiled code calls needs no way in from there."""
OWNING = {**ENTRY, "no_cpython_wrapper": True, "no_cfunc_wrapper": True, "_nrt": True}
"""For what allocates arrays."""
STRICT = {**OWNING, "_nrt": False, "fastmath": False}
"""For what does not: without numba's counting of references, which takes longer than a step. What

does not say how it is rounded would inherit that from those that call it."""
LINEAR = {**STRICT, "fastmath": {"contract", "nsz"}}
"""Only the sensitivities are rounded freely: the states are the same, bit for bit, without them."""
INLINE, LINEAR_INLINE = {**STRICT, "forceinline": True}, {**LINEAR, "forceinline": True}
"""For what runs in every step, if it is short: long functions would take minutes to compile."""
APART, LINEAR_APART = {**STRICT, "forceinline": False}, {**LINEAR, "forceinline": False}
"""For the parts of large systems: what does not say so is inlined where those that call it are."""
CACHE = True

OK, TOO_MANY_STEPS, STEP_TOO_SMALL, NON_FINITE, NO_STEADY_STATE, TOO_STIFF = range(6)
DOSE_INTERVAL, TOO_MANY_EVENTS, EVENT_DELAY = 6, 7, 8
FOR_EXPLICIT, FOR_STIFF = -1, -2
"""Not ended: waiting for the explicit solver, or for the stiff one."""
PROGRESS, RUN = 6, 26
TIME, STEP, LAST_ERROR, OUTPUT, TRIED, STIFF_TRIED = range(PROGRESS)
"""Of a trajectory's progress: where it is, its next step, the logarithm of the last error, outputs,

steps tried, and those of them by the stiff solver."""
(
    GOAL, ARRIVES, REJECTED, ERROR, LOG_ERROR, GROWTH, RATE, SEEN_LAST, ACCEPTED, SUSPECTED,
    LIMITED, TRIED_BEFORE, AFTER, UNTIL, DUE, PART, END, CUT, CROSSED, WANTED,
) = range(PROGRESS, RUN)  # fmt: skip
"""Besides, while it runs: where the solver must stop next and whether this step gets there; whether

the last one was rejected, or this one; the error, its logarithm, and by how much the next step may
be longer; the fastest rate, and what was seen last; steps accepted, those of late that are for the
other stepper, those that stability limits, and those tried when it came here; the step's end, until
when its outputs are, when the next output is, and at which part of the step, −1 if it is later;

when all that happens at finite times has happened; at which part an event ends the step, 0 if none
does, and the relation that turned there; by how much a step is to be shorter that is taken again
for an event, 0 if it is not."""
LARGEST = 1e300
FAR = 1e300
"""The time at which observables are computed where it is infinite: 0 times it is 0."""
