"""The compiled solver, part by part: text for numba, some trajectories abreast.

`nfanneal.model.ode.codegen.source` puts the parts together with the user's system in place of
`example_system`, and compiles the result, once without sensitivities and, when they are first
asked for, once with. In the package the parts import each other, for readers and tools; put
together they do not.
"""
