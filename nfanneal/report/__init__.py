"""What the terminal shows; the tables of a bench are in `nfanneal.report.bench`."""

from nfanneal.report.summary import (
    LiveProgress,
    PlainProgress,
    combination_json,
    comparison_json,
    print_check,
    print_combination,
    print_comparison,
    print_pruning,
    print_summary,
    pruning_json,
    summary_json,
)

__all__ = [
    "LiveProgress",
    "PlainProgress",
    "combination_json",
    "comparison_json",
    "print_check",
    "print_combination",
    "print_comparison",
    "print_pruning",
    "print_summary",
    "pruning_json",
    "summary_json",
]
