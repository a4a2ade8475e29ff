"""Tables of results beside the published ones. No torch."""

from isoglot.reporting.by_language import compare_languages, language_table
from isoglot.reporting.tables import Comparison, RunResult, compare
from isoglot.reporting.writers import Table

__all__ = [
    "Comparison",
    "RunResult",
    "Table",
    "compare",
    "compare_languages",
    "language_table",
]
