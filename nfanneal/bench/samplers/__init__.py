"""Other samplers on the same likelihood: run them all, and hold them against each other."""
