"""The YAML contract: a file → a checked spec, or every complaint about it at once."""
