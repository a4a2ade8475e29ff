"""``isoglot card``."""

from __future__ import annotations

import shutil

import pytest
import typer
from huggingface_hub import ModelCard

from isoglot.cli.app import run
from isoglot.cli.card import card


@pytest.fixture
def command():
    """Return the command alone, as a command line of its own."""
    app = typer.Typer()
    app.command()(card)
    return app


def test_an_evaluation_is_written_into_the_models_card(command, checkpoints, tmp_path, capsys):
    model = shutil.copytree(checkpoints["static"], tmp_path / "model")
    line = ["evaluate", "-m", str(model), "-b", "mini:en,sw", "-o", str(tmp_path / "out")]
    assert run(line) == 0
    capsys.readouterr()
    assert run([str(tmp_path / "out"), "--model", str(model)], command) == 0
    assert capsys.readouterr().out == f"card: {model / 'README.md'}\n"
    results = ModelCard.load(model / "README.md").data.eval_results
    assert {result.dataset_config for result in results} == {
        "monolingual",
        "cross-lingual",
        "multilingual",
    }


def test_a_folder_without_results_is_one_line_and_exit_code_2(command, tmp_path, capsys):
    assert run([str(tmp_path), "--model", str(tmp_path)], command) == 2
    assert (
        "no complete evaluation; give the --output of isoglot evaluate" in capsys.readouterr().err
    )
