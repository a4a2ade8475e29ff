"""One table, four ways to write it: Markdown, aligned text, CSV, LaTeX. No figures, no rounding."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass

__all__ = ["Table", "shorten"]

_LATEX = str.maketrans(
    {
        **{character: f"\\{character}" for character in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "±": r"$\pm$",
        "−": "$-$",
        "–": "--",
        "\u202f": r"\,",
    }
)


def shorten(text: str, width: int) -> str:
    """Return a text on one line, cut to ``width`` characters with an ellipsis as the last."""
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"


@dataclass(frozen=True)
class Table:
    """Column names and rows of ready text."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    text_columns: int = 1
    """How many columns, from the left, hold words and not figures: they are aligned left."""

    def to_markdown(self) -> str:
        """Return a Markdown table whose source is aligned too."""
        header, *rows = self._aligned(escape="|")
        rules = [
            "-" * len(cell) if column < self.text_columns else "-" * (len(cell) - 1) + ":"
            for column, cell in enumerate(header)
        ]
        return "".join(f"| {' | '.join(cells)} |\n" for cells in (header, rules, *rows))

    def to_text(self) -> str:
        """Return lines for a terminal: columns two spaces apart, a rule below the names."""
        header, *rows = self._aligned()
        rules = ["-" * len(cell) for cell in header]
        return "".join("  ".join(cells).rstrip() + "\n" for cells in (header, rules, *rows))

    def to_csv(self) -> str:
        """Return comma-separated values with a header line."""
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(self.rows)
        return file.getvalue()

    def to_latex(self) -> str:
        """Return a LaTeX ``tabular`` with the rules of the package ``booktabs``.

        It stands alone: a caption and a float are the document's. Letters are left as they are,
        for XeLaTeX and LuaLaTeX; what LaTeX reads as commands is escaped.
        """
        header, *rows = ([_latex(cell) for cell in line] for line in (self.columns, *self.rows))
        figures = len(self.columns) - self.text_columns
        body = "".join(f"{' & '.join(cells)} \\\\\n" for cells in rows)
        return (
            f"\\begin{{tabular}}{{{'l' * self.text_columns}{'r' * figures}}}\n\\toprule\n"
            f"{' & '.join(header)} \\\\\n\\midrule\n{body}\\bottomrule\n\\end{{tabular}}\n"
        )

    def _aligned(self, escape: str = "") -> list[list[str]]:
        """Return the header and the rows, every cell padded to the width of its column."""
        lines = [
            [cell.replace(escape, f"\\{escape}") if escape else cell for cell in line]
            for line in (self.columns, *self.rows)
        ]
        # Three dashes are the shortest rule that Markdown takes.
        widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]
        return [
            [
                cell.ljust(width) if column < self.text_columns else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ]
            for line in lines
        ]


def _latex(cell: str) -> str:
    """Escape a cell; a star or bracket that begins a row would be an option of the row before."""
    escaped = re.sub(r"(?<![\w.])-(?=[\d.])", "$-$", cell.translate(_LATEX))  # a minus, no hyphen
    return f"{{}}{escaped}" if escaped.startswith(("*", "[")) else escaped
