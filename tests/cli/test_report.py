"""``isoglot report``: what it writes and prints, and one line per mistake."""

import os

import pytest
import typer

from isoglot.cli.app import run
from isoglot.cli.report import report
from tests.reporting.report_folders import write_folder

app = typer.Typer()
app.command()(report)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("evaluations") / "one")


@pytest.fixture
def call(capsys):
    """Run the command; return exit code, stdout and stderr."""

    def run_line(*arguments):
        code = run([str(argument) for argument in arguments], app)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_line


def test_it_writes_the_page_and_says_where(call, folder, tmp_path):
    # Both have one model, so the one without a name has its folder's.
    page = tmp_path / "report.html"
    line = (f"mine={folder}", folder, "-o", page, "--title", "Ours", "--measure", "R@10")
    assert call(*line) == (0, f"report: {page}\n", "")
    text = page.read_text("utf-8")
    assert "<title>Ours</title>" in text and "one − mine: difference in R@10" in text


def test_it_writes_the_tables_where_they_are_wanted(call, folder, tmp_path):
    code, out, _ = call(folder, "-o", tmp_path / "r.html", "--tables", tmp_path / "tables")
    assert (code, out.splitlines()[1]) == (0, f"tables: {tmp_path / 'tables'}")
    assert (tmp_path / "tables" / "heat-map-small-model.csv").is_file()


def test_what_is_refused_leaves_no_page(call, folder, tmp_path):
    page = tmp_path / "report.html"
    file = tmp_path / "file"
    file.write_text("")
    lines = {
        (tmp_path, "-o", page): "has no file COMPLETE",
        (folder, "-o", tmp_path): "is a folder; name a file, such as",
        (folder, "-o", file / "report.html"): "cannot be written",
        (folder, "-o", page, "--tables", file): "is a file; name a folder for the tables",
        (folder, "-o", page, "--measure", "P@3"): "does not hold P@3",
        (f"={folder}", "-o", page): "expected FOLDER or NAME=FOLDER",
        (folder,): "Missing option '--output' / '-o'",
        ("-o", page): "Missing argument",
    }
    for line, message in lines.items():
        code, out, err = call(*line)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert message in err
        assert not page.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(call, folder, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    code, _, err = call(folder, "-o", locked / "report.html")
    assert code == 2 and "cannot be written (Permission denied)" in err
