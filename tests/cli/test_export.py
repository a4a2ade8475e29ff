"""``isoglot export``."""

from __future__ import annotations

import pytest
import typer

from isoglot.cli.app import run
from isoglot.cli.export import export
from isoglot.models.onnx import OnnxEncoder


@pytest.fixture
def command():
    """Return the command alone, as a command line of its own."""
    app = typer.Typer()
    app.command()(export)
    return app


def test_an_encoder_is_written_with_its_options(command, checkpoints, tmp_path, capsys):
    line = [str(checkpoints["static"]), "-o", str(tmp_path / "out"), "--query-prompt", "ask: "]
    assert run(line, command) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith(f"encoder: {tmp_path / 'out'} (32 dimensions, 0.")
    assert captured.out.endswith("of their length)\n") and captured.out.count("\n") == 1
    encoder = OnnxEncoder(tmp_path / "out")
    assert encoder.prompts == {"query": "ask: ", "passage": "", "other": ""}


def test_what_cannot_be_done_is_one_line_and_exit_code_2(command, tmp_path, capsys):
    output = str(tmp_path / "out")
    for line, message in (
        (["mini", "-o", output, "--format", "gguf"], "--format gguf: allowed is onnx"),
        (["./nothing", "-o", output], "model './nothing': no such folder"),
        (["mini", "-o", str(tmp_path.parent)], "is not empty; choose another --output"),
        (["mini", "-o", output, "--pooling", "max"], "pooling"),
    ):
        assert run(line, command) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())
