"""From a checked spec and its data to a problem."""
