"""What the terminal shows; the tables of a bench are in `nfanneal.report.bench`."""
