"""The examples of docs/integrations.md run as they are printed."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "integrations.md"


def test_the_examples_run(checkpoints, tmp_path, monkeypatch):
    pytest.importorskip("mteb")
    shutil.copytree(checkpoints["static"], tmp_path / "runs" / "mine" / "model")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert len(blocks) == 7
    names: dict[str, object] = {"__name__": "examples"}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    card = (tmp_path / "runs" / "mine" / "model" / "README.md").read_text("utf-8")
    assert "| multilingual" in card
    assert list(tmp_path.glob("runs/mteb/**/isoglot-mini.json"))
