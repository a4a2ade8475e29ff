import pytest

from isoglot.data import mini
from isoglot.data.benchmarks import load_benchmark
from isoglot.errors import ConfigError
from tests.data.builders import write_jsonl


@pytest.fixture
def two_groups(tmp_path, monkeypatch):
    row = {"query": {"en": "q", "sw": "s"}, "passage": {"en": "p", "sw": "t"}}
    rows = [{"id": "1", "split": "train", **row}, {"id": "2", "split": "evaluation", **row}]
    path = write_jsonl(tmp_path / "groups.jsonl", rows)
    monkeypatch.setattr(mini, "_resource", lambda: path)


def test_splits(two_groups):
    assert [group.group_id for group in mini.load_mini_groups("train")] == ["1"]
    assert [group.group_id for group in mini.load_mini_groups("evaluation")] == ["2"]
    with pytest.raises(ConfigError, match="mini has no split 'dev'; allowed: train, evaluation"):
        mini.load_mini_groups("dev")


def test_benchmark(two_groups):
    collection = load_benchmark("mini")
    assert (collection.name, len(collection.qrels)) == ("mini", 4)
    assert collection.options == {"split": "evaluation"}
    assert list(collection.sources) == ["groups.jsonl"]
    assert load_benchmark("mini:sw").query_langs == ("sw",)
    assert load_benchmark("mini", split="train").queries[0].query_id == "1"


def test_what_comes_with_the_package():
    train, evaluation = (mini.load_mini_groups(split) for split in mini.MINI_SPLITS)
    assert not {g.group_id for g in train} & {g.group_id for g in evaluation}
    assert load_benchmark("mini").passages
