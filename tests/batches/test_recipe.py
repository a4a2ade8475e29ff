"""Questions in one language and translations in others, planned from the config of a run."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from isoglot.batches.plan import CROSS_LINGUAL, MONOLINGUAL
from isoglot.cli.app import run
from isoglot.config.schema import OptimisationConfig, TrainConfig
from isoglot.data.parallel import ABSENT
from isoglot.errors import ConfigError
from isoglot.pipeline.training import plan_batches
from tests.data.builders import squad, write_json, write_jsonl

LANGS = ("de", "en", "sw")
STEPS, ACCUMULATION = 20, 2


@pytest.fixture
def recipe(tmp_path):
    """Return the sections of a config: Swahili questions, and sentences in three languages."""
    paragraphs = (
        {
            "context": f"aya {i}",
            "qas": [
                {
                    "id": f"{i}.{k}",
                    "question": f"swali {i}.{k}",
                    "answers": [{"text": "aya", "answer_start": 0}],
                }
                for k in range(2)
            ],
        }
        for i in range(30)
    )
    native = write_json(tmp_path / "native.sw.json", squad(*paragraphs))
    rows = [{"text": {lang: f"sentence {i} {lang}" for lang in LANGS}} for i in range(50)]
    bitext = write_jsonl(tmp_path / "bitext.jsonl", rows)
    return {
        "model": {"name": "mini"},
        "data": [
            {"path": str(native), "format": "squad", "language": "sw", "name": "native"},
            {"path": str(bitext), "format": "bitext", "name": "bitext"},
        ],
        "batches": {
            "size": 8,
            "monolingual_share": 0.8,
            "monolingual_share_end": 0.2,
            "monolingual_from": ["native"],
            "cross_lingual_from": ["bitext"],
            "small_languages": "skip",
        },
        "training": {"steps": STEPS, "gradient_accumulation": ACCUMULATION},
        "loss": {"passage_agreement": {"weight": 0.5}},
        "development": {"groups": 0},
        "audit": [],
    }


def test_each_kind_of_batch_holds_the_texts_of_its_data_set(recipe):
    plan = plan_batches(TrainConfig.model_validate(recipe))
    batches = [plan.batch(i) for i in range(STEPS * ACCUMULATION)]
    assert {batch.kind for batch in batches} == {MONOLINGUAL, CROSS_LINGUAL}
    for batch in batches:
        for row in range(len(batch)):
            query, passage, other_query, other_passage = (
                "" if texts[row] == ABSENT else plan.table.text(int(texts[row]))
                for texts in (
                    batch.query_texts,
                    batch.passage_texts,
                    batch.parallel_query_texts,
                    batch.parallel_passage_texts,
                )
            )
            if batch.kind == MONOLINGUAL:
                assert query.startswith("swali") and passage.startswith("aya")
                assert query.split()[1].split(".")[0] == passage.split()[1]
                assert other_query == other_passage == ""
            else:
                texts = [text.split() for text in (query, passage, other_query, other_passage)]
                assert {(word, number) for word, number, _ in texts} == {tuple(texts[0][:2])}
                langs = [lang for _, _, lang in texts]
                assert langs[0] != langs[1] and langs[0] != langs[2] and langs[1] != langs[3]


def test_the_share_changes_over_the_batches_of_the_run(recipe):
    plan = plan_batches(TrainConfig.model_validate(recipe))
    assert plan.count == STEPS * ACCUMULATION
    assert plan.share_at(0) == 0.8
    assert plan.share_at(STEPS * ACCUMULATION - 1) == pytest.approx(0.2)


def test_without_an_objective_on_parallel_texts_none_are_drawn(recipe):
    plan = plan_batches(TrainConfig.model_validate({**recipe, "loss": {}}))
    assert not plan.parallels
    assert (plan.batch(0).parallel_query_texts == ABSENT).all()


def test_languages_without_questions_are_an_error_unless_skipped(recipe):
    recipe["batches"]["small_languages"] = "error"
    message = r"looked at: native\); too few: de \(0\), en \(0\); .* or set batches.small_languages"
    with pytest.raises(ConfigError, match=message):
        plan_batches(TrainConfig.model_validate(recipe))


def test_the_command_line_shows_it_without_training(recipe, tmp_path, capsys):
    path = tmp_path / "train.yaml"
    path.write_text(yaml.safe_dump(recipe), "utf-8")
    assert run(["train", str(path), "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert "expected share of monolingual ones 0.5\nmonolingual batches from: native\n" in text
    assert "cross-lingual batches from: bitext\nof 320 rows, " in text
    plan = plan_batches(TrainConfig.model_validate(recipe))
    number = next(i for i in range(40) if plan.batch(i).kind == CROSS_LINGUAL)
    assert run(["train", str(path), "--show-batch", str(number)]) == 0
    assert capsys.readouterr().out.count("    parallel  sentence") == 2 * 8


def test_the_example_of_the_documentation_is_a_config():
    page = (Path(__file__).parents[2] / "docs" / "training.md").read_text("utf-8")
    example = page.split("```yaml\n")[1].split("```")[0]
    config = OptimisationConfig.model_validate(yaml.safe_load(example))
    assert config.batches.monolingual_from == ("questions",)
    assert config.batches.share_range == (0.2, 0.8)
