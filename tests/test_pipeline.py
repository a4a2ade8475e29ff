"""The stages joined: development data apart from training data, similarities, run folders."""

from __future__ import annotations

import json

import pytest
from sentence_transformers import SentenceTransformer

from isoglot.config.schema import SourceConfig
from isoglot.data.groups import groups_to_collection, read_groups, write_groups
from isoglot.data.mini import load_mini_groups
from isoglot.errors import ConfigError, ModelError
from isoglot.pipeline.evaluation import evaluate_model
from isoglot.pipeline.sources import load_training_data
from isoglot.pipeline.training import run_training
from isoglot.records import Group
from tests.training.runs import train_config, write_training_groups


@pytest.fixture
def groups(tmp_path):
    return write_training_groups(tmp_path / "groups.jsonl")


def write_development(path, trained):
    """Write three groups of which two mean the same as one that is trained on."""
    answer = {lang: text.upper() for lang, text in trained[0].passage.items()}
    write_groups(
        path,
        [
            Group("same-passage", {"en": "another question"}, answer),
            Group("same-question", trained[1].query, {"en": "another passage"}),
            Group("other", {"en": "asked nowhere"}, {"en": "answered nowhere"}),
        ],
    )
    return str(path)


def test_what_means_the_same_as_a_development_group_is_not_trained_on(
    checkpoints, groups, tmp_path
):
    trained = list(read_groups(groups))
    development = {"path": write_development(tmp_path / "dev.jsonl", trained), "groups": 0}
    config = train_config(checkpoints["static"], groups, development=development)
    data = load_training_data(config)
    assert len(data.development) == 3
    assert data.table.group_ids == [group.group_id for group in trained[2:]]
    run_training(config, tmp_path / "run")
    census = json.loads((tmp_path / "run" / "census.json").read_text("utf-8"))
    assert census["dropped_for_development"] == 2


def test_a_development_file_with_every_meaning_is_refused(checkpoints, groups):
    config = train_config(
        checkpoints["static"], groups, development={"path": str(groups), "groups": 0}
    )
    with pytest.raises(
        ConfigError, match=r"development\.path: every training group means the same"
    ):
        load_training_data(config)


def test_two_data_sets_with_the_same_ids_train(checkpoints, tmp_path):
    """As two data sets of the hub, whose ids are the numbers of their rows."""
    paths = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for path, split in zip(paths, ("train", "evaluation"), strict=True):
        numbered = [g._replace(group_id=str(i)) for i, g in enumerate(load_mini_groups(split))]
        write_groups(path, numbered)
    sources = tuple(SourceConfig(path=str(path)) for path in paths)
    config = train_config(checkpoints["static"], paths[0])
    run_training(config.model_copy(update={"data": sources}), tmp_path / "run")


@pytest.mark.parametrize("similarity", ["euclidean", "manhattan"])
def test_a_similarity_that_is_not_ranked_by_is_refused(checkpoints, similarity):
    model = SentenceTransformer(
        str(checkpoints["static"]), device="cpu", similarity_fn_name=similarity
    )
    collection = groups_to_collection(load_mini_groups("evaluation"), "mini")
    with pytest.raises(ModelError, match=f"made for {similarity} similarity; isoglot ranks by"):
        evaluate_model(model, collection)
