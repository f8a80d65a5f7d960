"""From a checked spec to a result file; a run can be stopped at any time and resumed."""
