"""The command line of the service: every mistake is one line."""

import builtins
import importlib.util

import pytest
import typer

from isoglot.cli.app import run
from isoglot.cli.serve import serve


@pytest.fixture
def refused(capsys, monkeypatch):
    monkeypatch.delenv("ISOGLOT_API_KEY", raising=False)
    app = typer.Typer()
    app.command()(serve)

    def run_line(*arguments):
        code = run([str(argument) for argument in arguments], app)
        captured = capsys.readouterr()
        assert (code, captured.out) == (2, "")
        assert captured.err.startswith("isoglot: ") and captured.err.count("\n") == 1
        return captured.err

    return run_line


def test_an_index_that_is_not_there_is_named(refused, tmp_path):
    assert "nowhere" in refused(tmp_path / "nowhere", "--port", 0)


def test_other_machines_need_a_key(refused, tmp_path):
    line = refused(tmp_path, "--host", "0.0.0.0")
    assert "--host 0.0.0.0 lets other machines in; set an API key in ISOGLOT_API_KEY or" in line


def test_a_weak_key_is_refused(refused, tmp_path):
    (tmp_path / "key").write_text("1234", "utf-8")
    line = refused(tmp_path, "--api-key-file", tmp_path / "key")
    assert "an API key has 16 or more ASCII characters" in line
    assert "1234" not in line


def test_an_unknown_policy_comes_with_those_there_are(refused, tmp_path):
    line = refused(tmp_path, "--policy", "fair")
    assert "serve: policy: input should be 'score', 'balanced' or 'quota', got 'fair'" in line


def test_questions_that_cannot_be_read_are_named(refused, tmp_path):
    (tmp_path / "questions.jsonl").write_text("{}", "utf-8")
    line = refused(tmp_path, "--questions", tmp_path / "questions.jsonl")
    assert "questions.jsonl:1: no id; expected" in line


def test_what_is_not_installed_comes_with_the_way_to_install_it(refused, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "uvicorn" else find(name)
    )
    line = refused(tmp_path)
    assert "isoglot serve needs uvicorn, not installed; pip install 'isoglot[serve]'" in line


def test_the_command_imports_nothing_of_the_service_before_it_runs(monkeypatch):
    imported = []
    original = builtins.__import__
    monkeypatch.setattr(
        builtins, "__import__", lambda name, *rest: imported.append(name) or original(name, *rest)
    )
    importlib.reload(importlib.import_module("isoglot.cli.serve"))
    assert not {"fastapi", "uvicorn", "torch"} & {name.partition(".")[0] for name in imported}
