"""``isoglot data mine``."""

import json

import pytest
import yaml

from isoglot.data.groups import read_groups
from tests.training.runs import train_config, write_bitext, write_training_groups


@pytest.fixture
def config(checkpoints, tmp_path):
    groups = write_training_groups(tmp_path / "groups.jsonl")
    values = train_config(checkpoints["static"], groups).model_dump(mode="json")
    path = tmp_path / "train.yaml"
    path.write_text(yaml.safe_dump(values), "utf-8")
    return path


def test_a_line_writes_groups_and_a_record(call, config, checkpoints, tmp_path):
    output = tmp_path / "mined.jsonl.gz"
    code, out, _ = call(
        *("data", "mine", config, "-m", checkpoints["static"], "-o", output),
        *("--same", 1, "--cross", 3, "--max-share", 0.9, "--skip", 1, "--margin", 0.01),
    )
    record = tmp_path / "mined.mining.json"
    assert (code, out) == (0, f"groups: {output}\nrecord: {record}\n")
    assert any(group.negatives for group in read_groups(output))
    options = json.loads(record.read_text("utf-8"))["options"]
    expected = {"same_language": 1, "cross_language": 3, "max_share": 0.9, "skip": 1}
    assert options.items() >= {**expected, "margin": 0.01, "keep_listed": True}.items()


def test_the_config_of_an_alignment_names_data_too(call, checkpoints, tmp_path):
    data = {"path": str(write_bitext(tmp_path / "sentences.jsonl")), "format": "bitext"}
    path = tmp_path / "align.yaml"
    path.write_text(yaml.safe_dump({"data": [data], "development": {"groups": 4}}), "utf-8")
    code, out, _ = call(
        *("data", "mine", path, "-m", checkpoints["static"], "-o", tmp_path / "out"),
        *("--set", "languages=[de, en]"),
    )
    assert (code, out.startswith(f"groups: {tmp_path / 'out' / 'sentences.jsonl.gz'}\n")) == (
        0,
        True,
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--same", 0, "--cross", 0], "mine: same_language and cross_language are both 0"),
        (["--max-share", 2], "mine: max_share: input should be less than or equal to 1, got 2.0"),
        (["--skip", -1], "--skip"),
        (["--set", "trainig.steps=3"], "unknown key 'trainig'; did you mean 'training'?"),
        (["--set", "data=[]"], "data: tuple should have at least 1 item"),
        (["--set", "data.0.path=/nowhere.jsonl"], "/nowhere.jsonl: no such file"),
        (["--set", "development.groups=6"], "development.groups: 6 of 12 groups is too many"),
        (["--set", "languages=[fr]"], "languages: no training text in fr"),
    ],
)
def test_wrong_lines(refused, config, checkpoints, tmp_path, options, message):
    line = ("data", "mine", config, "-m", checkpoints["static"], "-o", tmp_path / "mined.jsonl")
    assert message in refused(*line, *options)
    assert not (tmp_path / "mined.jsonl").exists()


def test_a_model_must_be_named_and_be_there(refused, config, tmp_path):
    line = ("data", "mine", config, "-o", tmp_path / "mined.jsonl")
    assert "--model" in refused(*line)
    assert "/nowhere/model': no such folder" in refused(*line, "-m", "/nowhere/model")


def test_a_config_without_groups(refused, config, checkpoints, tmp_path):
    (tmp_path / "groups.jsonl").write_text("", "utf-8")
    line = ("data", "mine", config, "-m", checkpoints["static"], "-o", tmp_path / "mined.jsonl")
    assert "groups.jsonl: no groups" in refused(*line)
    config.write_text("model: {name: mini}\n", "utf-8")
    assert "missing key 'data'" in refused(*line)
