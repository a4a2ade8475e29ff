"""``isoglot data prepare CONFIG``: the data of a training, read before it is started."""

from __future__ import annotations

import json

import pytest

from isoglot.cli.app import run
from isoglot.data.groups import write_groups
from isoglot.data.mini import load_mini_groups


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ISOGLOT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize(
    "kind",
    [
        {"model": {"name": "mini"}},
        {"model": {"vocabulary": 500}},
        {"encoders": [{"name": "mini", "label": "mini"}], "benchmarks": [{"benchmark": "mini"}]},
    ],
    ids=["train", "align", "experiment"],
)
def test_the_data_of_a_config_are_prepared_and_counted(tmp_path, cache, capsys, kind):
    write_groups(tmp_path / "groups.jsonl", load_mini_groups("train"))
    config = tmp_path / "config.yaml"
    # JSON is YAML.
    config.write_text(json.dumps({"data": [{"path": str(tmp_path / "groups.jsonl")}], **kind}))
    assert run(["data", "prepare", str(config)]) == 0
    out = capsys.readouterr().out
    assert "groups: 80 groups\nall: 80 groups, 1,9" in out
    assert "12 languages (ar bn de en es hi sw te th tr yo zh)" in out
    (folder,) = (path for path in (cache / "prepared").iterdir() if path.is_dir())
    assert out.endswith(f" s: {folder}\n")


def test_an_override_and_a_mistake_are_heeded(tmp_path, capsys):
    config = tmp_path / "config.yml"
    config.write_text(json.dumps({"data": [{"path": "nowhere.jsonl"}], "model": {"name": "mini"}}))
    assert run(["data", "prepare", str(config)]) == 2
    assert "nowhere.jsonl: no such file" in capsys.readouterr().err
    assert run(["data", "prepare", str(config), "--set", "data.0.path=elsewhere.jsonl"]) == 2
    assert "elsewhere.jsonl: no such file" in capsys.readouterr().err
    assert run(["data", "prepare", str(tmp_path / "none.yaml")]) == 2
    assert "none.yaml: no such file" in capsys.readouterr().err
