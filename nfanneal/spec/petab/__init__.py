"""PEtab problems, of version 1 or 2, as specs: one likelihood, whoever wrote it down."""
