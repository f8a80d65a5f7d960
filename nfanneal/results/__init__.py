"""Finished results and what is done with them: summaries, draws, predictions, comparisons."""
