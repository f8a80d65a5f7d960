"""The machine: files, memory, processors, threads, compiled kernels."""
