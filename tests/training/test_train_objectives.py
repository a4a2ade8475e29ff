"""Runs with objectives beside InfoNCE: in every regime, on every kind of encoder."""

import json

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from isoglot.artifacts import is_complete
from isoglot.batches.plan import BatchPlan
from isoglot.config.model import ModelConfig
from isoglot.config.objectives import DistillationConfig
from isoglot.config.schema import AlignConfig, BatchConfig, LossConfig
from isoglot.data.groups import write_groups
from isoglot.data.parallel import build_table
from isoglot.errors import ArtifactError, ConfigError, ModelError
from isoglot.models.loading import load_encoder
from isoglot.pipeline.training import plan_batches, run_alignment, run_training
from isoglot.records import Group
from isoglot.training.inputs.build import build_collator
from isoglot.training.inputs.collate import PlannedBatches
from isoglot.training.inputs.slices import ALONE, Process
from isoglot.training.inputs.teacher import Teacher, load_teacher
from tests.models.checkpoints import LANGS, sentences
from tests.training.runs import (
    align_config,
    assert_same_bits,
    train_config,
)

OBJECTIVES = {
    "query agreement": {"query_agreement": {}},
    "passage agreement": {"passage_agreement": {"weight": 0.5}},
    "cosine agreement": {"passage_agreement": {"distance": "cosine"}},
    "reversed": {"contrastive_weight": 0.4, "reversed": {"agreement": 0.2}},
    "distillation": {"contrastive_weight": 0.2, "distillation": {"weight": 0.8}},
    "distilled scores": {"distillation": {"target": "scores"}},
    "transport": {"transport": {}},
    "translation modelling": {"translation_modelling": {"max_tokens": 24}},
}


def losses(folder):
    rows = json.loads((folder / "log.json").read_text("utf-8"))
    return [row["loss"] for row in rows if "loss" in row]


def together(*, without=()):
    sections = [OBJECTIVES[name] for name in OBJECTIVES if name not in without]
    loss = {key: value for section in sections for key, value in section.items()}
    return loss | {"negatives": "both", "matryoshka_dims": [8], "contrastive_weight": 1.0}


EVERY_OBJECTIVE = {
    # Static encoders have no context to find a masked token by.
    "static": together(without=["translation modelling"]),
    "xlm-r": together(),
}


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_trains_by_itself(checkpoints, groups, tmp_path, objective):
    loss, training = OBJECTIVES[objective], {"steps": 2}
    config = train_config(
        checkpoints["xlm-r"], groups, loss=loss, training=training, development={"groups": 0}
    )
    run_training(config, tmp_path / "run")
    assert is_complete(tmp_path / "run")
    assert len(losses(tmp_path / "run")) == 2


@pytest.mark.parametrize("layout", EVERY_OBJECTIVE)
def test_an_interrupted_run_with_all_objectives_ends_in_the_same_bits(
    checkpoints, groups, tmp_path, stop_after, layout
):
    training = {"steps": 4}
    config = train_config(
        checkpoints[layout], groups, loss=EVERY_OBJECTIVE[layout], training=training
    )
    model = run_training(config, tmp_path / "whole")
    restore = stop_after(3)
    with pytest.raises(KeyboardInterrupt):
        run_training(config, tmp_path / "part")
    restore()
    assert_same_bits(run_training(config, tmp_path / "part"), model)
    assert losses(tmp_path / "part") == losses(tmp_path / "whole")


@pytest.mark.parametrize("regime", ["monolingual", "cross-lingual"])
def test_all_objectives_go_together_in_any_regime(checkpoints, groups, tmp_path, regime):
    config = train_config(
        checkpoints["xlm-r"],
        groups,
        loss=EVERY_OBJECTIVE["xlm-r"],
        training={"steps": 2, "mini_batch_size": 3, "gradient_accumulation": 2},
        batches={"regime": regime},
        development={"groups": 0},
    )
    run_training(config, tmp_path / "run")
    assert len(losses(tmp_path / "run")) == 2


def test_a_large_batch_in_small_parts_gives_the_loss_of_the_whole(checkpoints, groups, tmp_path):
    loss = {"query_agreement": {}, "reversed": {}, "transport": {}, "distillation": {}}
    found = []
    for name, mini_batch_size in (("whole", None), ("parts", 3)):
        training = {"steps": 3, "mini_batch_size": mini_batch_size, "precision": "fp32"}
        config = train_config(checkpoints["static"], groups, loss=loss, training=training)
        run_training(config, tmp_path / name)
        found.append(losses(tmp_path / name))
    assert found[0] == pytest.approx(found[1], abs=1e-4)


def test_an_alignment_can_have_objectives(checkpoints, bitext, tmp_path):
    loss = {"query_agreement": {}, "passage_agreement": {}, "reversed": {}, "transport": {}}
    config = align_config(bitext, loss=loss, training={"steps": 3})
    run_alignment(config, tmp_path / "run")
    teacher = {"teacher": {"name": str(checkpoints["static"])}, "target": "scores"}
    config = align_config(bitext, loss={"distillation": teacher}, training={"steps": 3})
    run_alignment(config, tmp_path / "taught")
    assert len(losses(tmp_path / "taught")) == 3


def test_an_alignment_has_no_encoder_to_start_from_and_so_needs_a_teacher():
    with pytest.raises(ValidationError, match=r"distillation\.teacher: .* needs a teacher"):
        AlignConfig.model_validate({"data": [{"path": "x"}], "loss": {"distillation": {}}})


def test_a_loss_of_nothing_is_refused():
    with pytest.raises(ValidationError, match="contrastive_weight: 0 leaves nothing to train"):
        LossConfig(contrastive_weight=0)


@pytest.fixture(scope="module")
def table():
    texts = iter(sentences())
    groups = []
    for i in range(12):
        langs = LANGS if i % 3 else LANGS[:1]  # every third group is in German only
        queries, passages = ({lang: next(texts) for lang in langs} for _ in range(2))
        groups.append(Group(f"g{i}", queries, passages))
    return build_table({"a": groups})


@pytest.mark.parametrize("process", [ALONE, Process(0, 2), Process(1, 2)])
def test_a_teacher_reads_the_translations_of_a_batchs_texts(checkpoints, table, process):
    model = load_encoder(
        ModelConfig(name=str(checkpoints["xlm-r"]), query_prompt="Query: "), device="cpu"
    )
    plan = BatchPlan(table, BatchConfig(size=7, regime="monolingual", small_languages="skip"), 0)
    batch = next(plan.batch(i) for i in range(20) if plan.batch(i).query_langs[0] == 0)
    taught = Teacher(model, table, DistillationConfig(), print).look_up(batch, process)

    groups = list(table.groups())
    own = batch.groups[process.rows(7)]
    has = [row for row, group in enumerate(own) if "en" in groups[group].query]
    assert taught["query_rows"].tolist() == has
    assert taught["query_total"] == sum("en" in groups[g].query for g in batch.groups)
    wanted = model.encode_query([groups[own[row]].query["en"] for row in has])
    assert np.allclose(taught["queries"].numpy(), wanted, atol=1e-5)
    has = [row for row, group in enumerate(batch.groups) if "en" in groups[group].passage]
    assert taught["passage_rows"].tolist() == has
    wanted = model.encode_document([groups[batch.groups[row]].passage["en"] for row in has])
    assert np.allclose(taught["passages"].numpy(), wanted, atol=1e-5)


def test_distillation_draws_translations_to_the_teacher(checkpoints, groups, tmp_path):
    def distance(model):
        encoder = load_encoder(ModelConfig(name=str(model)), device="cpu")
        teacher = load_encoder(ModelConfig(name=str(checkpoints["static"])), device="cpu")
        rows = [json.loads(line)["query"] for line in groups.read_text("utf-8").splitlines()]
        german = encoder.encode_query([row["de"] for row in rows], convert_to_tensor=True)
        english = teacher.encode_query([row["en"] for row in rows], convert_to_tensor=True)
        return 1 - torch.cosine_similarity(german, english).mean().item()

    loss = {"contrastive_weight": 0.0, "distillation": {}}
    options = {"steps": 30, "learning_rate": 0.05}
    config = train_config(
        checkpoints["static"], groups, loss=loss, training=options, development={"groups": 0}
    )
    model = run_training(config, tmp_path / "run")
    assert distance(model) < distance(checkpoints["static"]) - 0.05


def test_a_teacher_of_another_length_gives_scores_only(checkpoints, bitext, table, tmp_path):
    student = load_encoder(ModelConfig(name=str(checkpoints["static"])), device="cpu")
    teacher = run_alignment(align_config(bitext, training={"steps": 1}), tmp_path / "teacher")
    config = {"teacher": {"name": str(teacher)}}
    with pytest.raises(ConfigError, match=r"has \d+ dimensions and the encoder \d+; set .*scores"):
        load_teacher(student, table, DistillationConfig.model_validate(config), print)
    config["target"] = "scores"
    assert (
        load_teacher(student, table, DistillationConfig.model_validate(config), print) is not None
    )
    assert load_teacher(student, table, None, print) is None


def test_a_teacher_needs_texts_in_its_language(checkpoints, table):
    model = load_encoder(ModelConfig(name=str(checkpoints["static"])), device="cpu")
    with pytest.raises(ConfigError, match=r"distillation\.lang: no training text in fr; .* de, en"):
        load_teacher(model, table, DistillationConfig(lang="fr"), print)


def test_a_teacher_that_is_not_there_leaves_no_folder(checkpoints, groups, tmp_path):
    loss = {"distillation": {"teacher": {"name": "./no-such"}}}
    config = train_config(checkpoints["static"], groups, loss=loss)
    with pytest.raises(ModelError, match="no-such"):
        run_training(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_does_not_go_on_with_another_teacher(
    checkpoints, bitext, groups, tmp_path, stop_after
):
    teacher = run_alignment(align_config(bitext, training={"steps": 1}), tmp_path / "teacher")
    loss = {"distillation": {"teacher": {"name": str(teacher)}, "target": "scores"}}
    config = train_config(checkpoints["static"], groups, loss=loss)
    restore = stop_after(2)
    with pytest.raises(KeyboardInterrupt):
        run_training(config, tmp_path / "run")
    restore()
    (teacher / "README.md").write_text("another")
    with pytest.raises(ArtifactError, match=r"loss\.distillation\.teacher.* has changed"):
        run_training(config, tmp_path / "run")


def test_teacher_scores_need_passages_in_its_language(checkpoints):
    model = load_encoder(ModelConfig(name=str(checkpoints["static"])), device="cpu")
    texts = iter(sentences())
    groups = [Group(f"g{i}", {"en": next(texts)}, {"de": next(texts)}) for i in range(4)]
    config = DistillationConfig(target="scores")
    with pytest.raises(ConfigError, match=r"scores need .* in en, of which the data has 4 and 0"):
        load_teacher(model, build_table({"a": groups}), config, print)


def test_a_teacher_reads_texts_that_are_query_and_passage_once(checkpoints):
    model = load_encoder(ModelConfig(name=str(checkpoints["static"])), device="cpu")
    texts = iter(sentences())
    groups = [Group(f"g{i}", (text := {"en": next(texts)}), text) for i in range(4)]
    teacher = load_teacher(model, build_table({"a": groups}), DistillationConfig(), print)
    assert teacher._queries is teacher._passages


@pytest.mark.parametrize(
    "objective", ["query_agreement", "passage_agreement", "transport", "translation_modelling"]
)
def test_an_objective_without_parallel_texts_leaves_no_folder(checkpoints, tmp_path, objective):
    texts = iter(sentences())
    path = tmp_path / "groups.jsonl"
    write_groups(
        path, [Group(f"g{i}", {"en": next(texts)}, {"en": next(texts)}) for i in range(12)]
    )
    config = train_config(
        checkpoints["xlm-r"], path, loss={objective: {}}, batches={"regime": "monolingual"}
    )
    with pytest.raises(ConfigError, match=f"loss.{objective}: no row of this run has its .* add"):
        run_training(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (
            {"batches": {"negative_languages": "query"}},
            "negative_languages: query is about explicit",
        ),
        (
            {"loss": {"contrastive_weight": 0, "reversed": {}, "matryoshka_dims": [8]}},
            "only InfoNCE",
        ),
        ({"loss": {"temperature": float("inf")}}, "finite number"),
    ],
)
def test_options_that_would_do_nothing_are_refused(sections, message):
    with pytest.raises(ValidationError, match=message):
        train_config("m", "x", **sections)


def test_an_alignment_cannot_find_masked_tokens(bitext):
    with pytest.raises(ValidationError, match="a static encoder reads tokens without their"):
        align_config(bitext, loss={"translation_modelling": {}})


@pytest.mark.parametrize(
    ("objective", "texts"),
    [
        ({}, 8),
        ({"query_agreement": {}}, 12),
        ({"passage_agreement": {}}, 12),
        ({"query_agreement": {}, "passage_agreement": {}}, 16),
        ({"transport": {}}, 8),
        ({"distillation": {}}, 8),
    ],
)
def test_only_texts_that_are_compared_are_encoded(checkpoints, groups, objective, texts):
    config = train_config(checkpoints["static"], groups, loss=objective)
    plan = plan_batches(config)
    model = load_encoder(config.model, device="cpu")
    collate = build_collator(model, plan.table, config.training)
    batches = PlannedBatches(plan, collate, 1, loss=config.loss)
    assert len(batches[0]["place"]) == texts


def test_gradients_of_a_head_are_clipped_with_the_encoders(
    checkpoints, groups, tmp_path, monkeypatch
):
    seen = []
    clip = torch.nn.utils.clip_grads_with_norm_

    def spy(weights, *args, **kwargs):
        clip(weights, *args, **kwargs)
        seen.append(torch.nn.utils.get_total_norm([w.grad for w in weights if w.grad is not None]))

    monkeypatch.setattr(torch.nn.utils, "clip_grads_with_norm_", spy)
    loss = {"translation_modelling": {"max_tokens": 24}, "contrastive_weight": 0}
    training = {"steps": 2, "max_grad_norm": 1e-3, "precision": "fp32"}
    config = train_config(checkpoints["xlm-r"], groups, loss=loss, training=training)
    run_training(config, tmp_path / "run")
    assert seen == [pytest.approx(1e-3, rel=1e-2)] * 2
