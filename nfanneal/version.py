"""The version of nfanneal."""

__version__ = "0.1.0"
