"""From symbols to the source of a compiled solver."""
