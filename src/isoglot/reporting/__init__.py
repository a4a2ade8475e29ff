"""Tables of results beside the published ones. No torch."""

from isoglot.reporting.tables import Comparison, RunResult, compare, language_table
from isoglot.reporting.writers import Table

__all__ = ["Comparison", "RunResult", "Table", "compare", "language_table"]
