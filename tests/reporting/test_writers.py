"""Tables as LaTeX; Markdown and CSV are in test_tables."""

from isoglot.reporting import Table


def test_latex_is_a_booktabs_tabular():
    table = Table(("model", "AP", "R@1"), (("mini", "0.65", "0.56"), ("LaBSE", "0.70", "–")))
    assert table.to_latex() == (
        "\\begin{tabular}{lrr}\n"
        "\\toprule\n"
        "model & AP & R@1 \\\\\n"
        "\\midrule\n"
        "mini & 0.65 & 0.56 \\\\\n"
        "LaBSE & 0.70 & -- \\\\\n"
        "\\bottomrule\n"
        "\\end{tabular}\n"
    )


def test_text_columns_are_aligned_left():
    assert "\\begin{tabular}{llr}" in Table(("a", "b", "c"), (), text_columns=2).to_latex()


def test_what_latex_reads_as_commands_is_escaped():
    cells = {
        "50 % & $5 #1 a_b {x}": r"50 \% \& \$5 \#1 a\_b \{x\}",
        r"C:\runs": r"C:\textbackslash{}runs",
        "~user^2": r"\textasciitilde{}user\textasciicircum{}2",
        "0.5 ± 0.1": r"0.5 $\pm$ 0.1",
        "−.397": "$-$.397",
        "-0.1 (-0.2 to -.05), 2024-12 e-5": "$-$0.1 ($-$0.2 to $-$.05), 2024-12 e-5",
        "71\u202f%": r"71\,\%",
        "हिन्दी": "हिन्दी",
    }
    for cell, written in cells.items():
        assert f"\n{written} & 1 \\\\\n" in Table(("name", "n"), ((cell, "1"),)).to_latex()


def test_a_row_does_not_begin_with_an_option_of_the_row_before():
    # LaTeX reads a star or bracket after \\ as an option, across the end of the line.
    latex = Table(("language", "n"), (("*", "1"), ("[b]", "2"), ("a*", "3"))).to_latex()
    assert "\n{}* & 1 \\\\\n{}[b] & 2 \\\\\na* & 3 \\\\\n" in latex
