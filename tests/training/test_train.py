"""Training runs end to end: what they write, select, refuse and go on with."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from pydantic import ValidationError
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Router, StaticEmbedding
from transformers import TrainerCallback
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

import isoglot.training.align as align_module
from isoglot.artifacts import file_sha256, is_complete
from isoglot.config.schema import TrainConfig
from isoglot.data.groups import write_groups
from isoglot.errors import ArtifactError, ConfigError, DataError, ModelError, TrainingError
from isoglot.models.static import WeightedStaticEmbedding
from isoglot.pipeline import systems
from isoglot.pipeline.training import run_alignment, run_training
from isoglot.records import Group
from isoglot.training.loop.trainer import PlannedTrainer
from isoglot.training.run_folder import hash_data
from tests.training.runs import (
    align_config,
    assert_same_bits,
    train_config,
    weights,
    write_training_groups,
)

FILES = {
    *("config.yaml", "data.json", "census.json", "audit.json"),
    *("start.json", "log.json", "speed.json", "provenance.json", "model", "COMPLETE"),
}
TEXTS = ["Warum geht Brotteig auf?", "Kwa nini?"]


def read_json(path):
    return json.loads(path.read_text("utf-8"))


def losses(folder):
    return [row["loss"] for row in read_json(folder / "log.json") if "loss" in row]


def scores(folder):
    rows = read_json(folder / "log.json")
    return {row["step"]: row["eval_score"] for row in rows if "eval_score" in row}


@pytest.mark.parametrize("layout", ["xlm-r", "labse", "static"])
def test_a_run_folder_holds_model_log_and_provenance(checkpoints, groups, tmp_path, layout):
    config = train_config(checkpoints[layout], groups, model={"query_prompt": "Query: "})
    model = run_training(config, tmp_path / "run")
    assert model == tmp_path / "run" / "model"
    assert {path.name for path in (tmp_path / "run").iterdir()} == FILES
    stored = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text("utf-8"))
    assert stored == config.model_dump(mode="json")
    census = read_json(tmp_path / "run" / "census.json")
    assert (census["available"]["groups"], census["available"]["languages"]) == (9, 3)
    assert sum(census["drawn"]["rows_by_pair"].values()) == 6 * 4
    record = read_json(tmp_path / "run" / "provenance.json")
    assert record["seeds"] == {"training": 0}
    assert record["selection"]["steps"] == 6
    assert len(record["data_sha256"]["groups"]) == 64


@pytest.mark.parametrize("layout", ["xlm-r", "labse", "static"])
def test_the_model_is_a_plain_folder_without_pickles(checkpoints, groups, tmp_path, layout):
    config = train_config(checkpoints[layout], groups, model={"query_prompt": "Query: "})
    path = run_training(config, tmp_path / "run")
    before = SentenceTransformer(str(checkpoints[layout]), device="cpu")
    after = SentenceTransformer(str(path), device="cpu")
    assert [type(module) for module in after] == [type(module) for module in before]
    assert after.prompts["query"] == "Query: "
    assert not np.allclose(after.encode(TEXTS), before.encode(TEXTS))
    pickles = {".bin", ".pt", ".pth", ".pkl", ".pickle"}
    assert not [file for file in path.rglob("*") if file.suffix in pickles]


@pytest.mark.parametrize("negatives", ["in-batch", "explicit", "both"])
def test_the_loss_goes_down_with_each_kind_of_negatives(checkpoints, groups, tmp_path, negatives):
    config = train_config(
        checkpoints["static"],
        groups,
        batches={"regime": "cross-lingual"},
        loss={"negatives": negatives},
        training={"steps": 60, "learning_rate": 0.1},
        development={"groups": 0},
    )
    run_training(config, tmp_path / "run")
    curve = losses(tmp_path / "run")
    assert len(curve) == 60
    assert np.mean(curve[-10:]) < 0.5 * np.mean(curve[:10])


def test_the_checkpoint_that_scored_best_on_held_out_groups_is_kept(
    checkpoints, groups, tmp_path, monkeypatch
):
    vectors = []

    def best_at_the_second_time(model):
        vectors.append(model.encode(TEXTS))
        return {"score": [0.1, 0.9, 0.5][len(vectors) - 1]}

    monkeypatch.setattr(
        "isoglot.pipeline.training.development_score", lambda *arguments: best_at_the_second_time
    )
    path = run_training(train_config(checkpoints["static"], groups), tmp_path / "run")
    selection = read_json(tmp_path / "run" / "provenance.json")["selection"]
    assert selection == {"steps": 6, "best_step": 4, "best_score": 0.9}
    kept = SentenceTransformer(str(path), device="cpu").encode(TEXTS)
    assert np.array_equal(kept, vectors[1])
    assert not np.array_equal(kept, vectors[2])


def test_a_best_checkpoint_that_cannot_be_read_is_an_error(
    checkpoints, groups, tmp_path, monkeypatch
):
    def fail(self, path):
        raise OSError("disk gone")

    monkeypatch.setattr(PlannedTrainer, "_load_from_checkpoint", fail)
    with pytest.raises(OSError, match="disk gone"):
        run_training(train_config(checkpoints["static"], groups), tmp_path / "run")
    assert not is_complete(tmp_path / "run")


def test_held_out_groups_are_scored_in_every_setting(checkpoints, groups, tmp_path):
    run_training(train_config(checkpoints["static"], groups), tmp_path / "run")
    rows = [row for row in read_json(tmp_path / "run" / "log.json") if "eval_score" in row]
    assert [row["step"] for row in rows] == [2, 4, 6]
    for row in rows:
        settings = [row[f"eval_{name}"] for name in ("monolingual", "cross-lingual")]
        settings.append(row["eval_multilingual"])
        assert row["eval_score"] == pytest.approx(np.mean(settings))
    selection = read_json(tmp_path / "run" / "provenance.json")["selection"]
    assert selection["best_score"] == max(scores(tmp_path / "run").values())


def test_without_development_groups_the_last_weights_are_kept(checkpoints, groups, tmp_path):
    config = train_config(checkpoints["static"], groups, development={"groups": 0})
    run_training(config, tmp_path / "run")
    selection = read_json(tmp_path / "run" / "provenance.json")["selection"]
    assert selection == {"steps": 6, "best_step": None, "best_score": None}
    assert scores(tmp_path / "run") == {}


def test_gradient_accumulation_uses_the_batches_in_turn(checkpoints, groups, tmp_path):
    config = train_config(checkpoints["static"], groups, training={"gradient_accumulation": 2})
    run_training(config, tmp_path / "run")
    census = read_json(tmp_path / "run" / "census.json")
    assert sum(census["drawn"]["batches"].values()) == 12


def test_bf16_runs_on_a_cpu(checkpoints, groups, tmp_path):
    config = train_config(checkpoints["xlm-r"], groups, training={"precision": "bf16"})
    model = SentenceTransformer(str(run_training(config, tmp_path / "run")), device="cpu")
    assert np.isfinite(model.encode(TEXTS)).all()


def test_fp16_on_a_cpu_is_refused(checkpoints, groups, tmp_path, monkeypatch):
    monkeypatch.setattr("isoglot.training.loop.precision.get_device_name", lambda: "cpu")
    config = train_config(checkpoints["static"], groups, training={"precision": "fp16"})
    with pytest.raises(ConfigError, match="fp16 needs a GPU; use auto, fp32 or bf16"):
        run_training(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_data_without_negatives_leaves_no_folder(checkpoints, groups, tmp_path):
    config = train_config(
        checkpoints["static"], groups, batches={"size": 9}, loss={"negatives": "explicit"}
    )
    with pytest.raises(DataError, match="too small for negatives beside a batch of 9"):
        run_training(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("tracker", "message"),
    [
        ("tensorbord", r"report_to: cannot report to tensorbord \(.*not supported.* tensorboard,"),
        ("missing", r"report_to: cannot report to missing \(install missing first\)"),
    ],
)
def test_a_tracker_that_cannot_be_used_leaves_no_folder(
    checkpoints, groups, tmp_path, monkeypatch, tracker, message
):
    class NotInstalled(TrainerCallback):
        def __init__(self):
            raise RuntimeError("install missing\nfirst")

    monkeypatch.setitem(INTEGRATION_TO_CALLBACK, "missing", NotInstalled)
    config = train_config(checkpoints["static"], groups, training={"report_to": [tracker]})
    with pytest.raises(ConfigError, match=message) as error:
        run_training(config, tmp_path / "run")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_an_output_folder_that_cannot_be_made_is_named(checkpoints, groups, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ArtifactError, match="run: cannot be used as an output folder"):
        run_training(train_config(checkpoints["static"], groups), tmp_path / "file" / "run")


def test_a_model_made_for_dot_product_is_trained_scored_and_saved_for_cosine(
    checkpoints, groups, tmp_path, monkeypatch
):
    base = SentenceTransformer(str(checkpoints["static"]), device="cpu", similarity_fn_name="dot")
    base.save_pretrained(str(tmp_path / "dot"))
    scored = []
    similarity = systems._similarity
    monkeypatch.setattr(
        systems, "_similarity", lambda model: scored.append(similarity(model)) or scored[-1]
    )
    path = run_training(train_config(tmp_path / "dot", groups), tmp_path / "run")
    assert set(scored) == {"cosine"}
    assert SentenceTransformer(str(path), device="cpu").similarity_fn_name == "cosine"


@pytest.mark.parametrize("development", [0, 3])
def test_checkpoints_are_written_where_the_model_is_or_would_be_scored(
    checkpoints, groups, tmp_path, stop_after, development
):
    config = train_config(checkpoints["static"], groups, development={"groups": development})
    stop_after(5)
    with pytest.raises(KeyboardInterrupt):
        run_training(config, tmp_path / "run")
    found = {path.name for path in (tmp_path / "run" / "checkpoints").glob("checkpoint-*")}
    assert found == {"checkpoint-2", "checkpoint-4"}


@pytest.mark.parametrize("layout", ["xlm-r", "static"])
@pytest.mark.parametrize("step", [3, 4, 6])
def test_an_interrupted_run_ends_in_the_same_bits(
    checkpoints, groups, tmp_path, stop_after, layout, step
):
    config = train_config(checkpoints[layout], groups)
    whole = run_training(config, tmp_path / "whole")
    go_on = stop_after(step)
    with pytest.raises(KeyboardInterrupt):
        run_training(config, tmp_path / "parts")
    assert not is_complete(tmp_path / "parts")
    assert not (tmp_path / "parts" / "model").exists()
    go_on()
    parts = run_training(config, tmp_path / "parts")
    assert_same_bits(whole, parts)
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    assert scores(tmp_path / "parts") == scores(tmp_path / "whole")


def test_a_run_interrupted_before_its_first_checkpoint_starts_anew(
    checkpoints, groups, tmp_path, stop_after
):
    config = train_config(checkpoints["static"], groups)
    go_on = stop_after(1)
    with pytest.raises(KeyboardInterrupt):
        run_training(config, tmp_path / "parts")
    go_on()
    whole = run_training(config, tmp_path / "whole")
    assert_same_bits(whole, run_training(config, tmp_path / "parts"))


def test_a_half_written_checkpoint_is_passed_over(checkpoints, groups, tmp_path, stop_after):
    config = train_config(checkpoints["static"], groups)
    go_on = stop_after(4)
    with pytest.raises(KeyboardInterrupt):
        run_training(config, tmp_path / "parts")
    # The state is what is written last.
    (tmp_path / "parts" / "checkpoints" / "checkpoint-4" / "trainer_state.json").unlink()
    go_on()
    whole = run_training(config, tmp_path / "whole")
    assert_same_bits(whole, run_training(config, tmp_path / "parts"))


@pytest.mark.slow
def test_a_log_line_that_an_interruption_falls_into_is_the_same(
    checkpoints, groups, tmp_path, stop_after
):
    # Lines after steps 3, 6, 9; checkpoints after 2, 4, 6 ...; what came between is in neither.
    training = {"steps": 9, "log_every": 3, "gradient_accumulation": 2, "workers": 2}
    config = train_config(checkpoints["xlm-r"], groups, training=training)
    whole = run_training(config, tmp_path / "whole")
    go_on = stop_after(4)
    with pytest.raises(KeyboardInterrupt):
        run_training(config, tmp_path / "parts")
    go_on()
    assert_same_bits(whole, run_training(config, tmp_path / "parts"))
    assert read_json(tmp_path / "parts" / "log.json") == read_json(tmp_path / "whole" / "log.json")
    assert len(losses(tmp_path / "parts")) == 3


def test_a_damaged_checkpoint_is_named_and_the_one_before_used(
    checkpoints, groups, tmp_path, stop_after
):
    config = train_config(checkpoints["static"], groups)
    whole = run_training(config, tmp_path / "whole")
    go_on = stop_after(5)
    with pytest.raises(KeyboardInterrupt):
        run_training(config, tmp_path / "parts")
    go_on()
    newest = tmp_path / "parts" / "checkpoints" / "checkpoint-4"
    (newest / "optimizer.pt").write_bytes((newest / "optimizer.pt").read_bytes()[:100])
    lines = []
    assert_same_bits(whole, run_training(config, tmp_path / "parts", lines.append))
    assert f"{newest}: not used, because optimizer.pt is not as it was written" in lines
    assert f"going on from {newest.with_name('checkpoint-2')}" in lines


def test_a_run_goes_on_in_the_precision_it_was_started_in(
    checkpoints, groups, tmp_path, stop_after, monkeypatch
):
    monkeypatch.setattr("isoglot.training.loop.precision._has_bf16", lambda device: True)
    config = train_config(checkpoints["xlm-r"], groups)
    whole = run_training(config, tmp_path / "whole")
    go_on = stop_after(3)
    with pytest.raises(KeyboardInterrupt):
        run_training(config, tmp_path / "parts")
    go_on()
    monkeypatch.setattr("isoglot.training.loop.precision._has_bf16", lambda device: False)
    assert_same_bits(whole, run_training(config, tmp_path / "parts"))
    assert read_json(tmp_path / "parts" / "start.json") == {"precision": "bf16"}
    assert read_json(tmp_path / "parts" / "provenance.json")["precision"] == "bf16"


def test_a_machine_without_bf16_trains_in_fp32(checkpoints, groups, tmp_path, monkeypatch):
    monkeypatch.setattr("isoglot.training.loop.precision._has_bf16", lambda device: False)
    run_training(train_config(checkpoints["static"], groups), tmp_path / "run")
    assert read_json(tmp_path / "run" / "start.json") == {"precision": "fp32"}


def test_the_log_tells_the_kinds_apart_and_the_speed_is_beside_it(checkpoints, groups, tmp_path):
    config = train_config(
        checkpoints["static"], groups, training={"steps": 12, "log_every": 6, "report_to": []}
    )
    run_training(config, tmp_path / "run")
    lines = [line for line in read_json(tmp_path / "run" / "log.json") if "loss" in line]
    census = read_json(tmp_path / "run" / "census.json")["drawn"]["batches"]
    assert {kind: lines[-1][f"batches_{kind}"] for kind in census} == census
    first = lines[0]
    mean = sum(first[f"loss_{kind}"] * first[f"batches_{kind}"] for kind in census) / 6
    assert first["loss"] == pytest.approx(mean)
    assert not any(name.endswith(("_per_second", "_mib")) for line in lines for name in line)
    speed = [line for line in read_json(tmp_path / "run" / "speed.json") if line["step"] == 12]
    assert speed[0]["pairs_per_second"] > 0
    assert read_json(tmp_path / "run" / "provenance.json")["speed"]["peak_memory_mib"] > 50


def test_a_tracker_is_told_losses_by_kind_speed_and_memory(
    checkpoints, groups, tmp_path, monkeypatch
):
    told = []

    class Tracker(TrainerCallback):
        def on_log(self, args, state, control, logs=None, **kwargs):
            told.append(dict(logs))

    monkeypatch.setitem(INTEGRATION_TO_CALLBACK, "mine", Tracker)
    config = train_config(checkpoints["static"], groups, training={"report_to": ["mine"]})
    run_training(config, tmp_path / "run")
    names = {name for logs in told for name in logs}
    assert {"loss", "loss_monolingual", "loss_cross-lingual", "batches_monolingual"} <= names
    assert {"pairs_per_second", "peak_memory_mib", "eval_score"} <= names


def test_a_run_that_explodes_stops_and_keeps_its_checkpoints(checkpoints, groups, tmp_path):
    config = train_config(
        checkpoints["xlm-r"],
        groups,
        training={"learning_rate": 1e38, "max_grad_norm": 0.0, "precision": "fp32", "steps": 9},
        development={"groups": 0, "every": 1},
    )
    with pytest.raises(TrainingError, match=r"training stopped at batch (\d): .* --show-batch \1"):
        run_training(config, tmp_path / "run")
    assert not is_complete(tmp_path / "run")
    assert list((tmp_path / "run" / "checkpoints").glob("checkpoint-*/checksums.json"))


def test_a_large_batch_in_small_parts_trains_the_same_encoder(checkpoints, groups, tmp_path):
    training = {"precision": "fp32"}
    loss = {"negatives": "both", "matryoshka_dims": [8]}
    batches = {"size": 6}
    paths = [
        run_training(
            train_config(
                checkpoints["static"],
                groups,
                training={**training, "mini_batch_size": parts},
                loss=loss,
                batches=batches,
            ),
            tmp_path / str(parts),
        )
        for parts in (None, 4)
    ]
    vectors = [SentenceTransformer(str(path), device="cpu").encode(TEXTS) for path in paths]
    assert np.allclose(*vectors, atol=1e-5)


@pytest.mark.parametrize("layout", ["xlm-r", pytest.param("labse", marks=pytest.mark.slow)])
def test_an_adapter_is_trained_resumed_exactly_and_merged(
    checkpoints, groups, tmp_path, stop_after, layout
):
    config = train_config(
        checkpoints[layout],
        groups,
        model={"lora": {"rank": 4, "dropout": 0.1}},
        training={"mini_batch_size": 3, "gradient_accumulation": 2},
    )
    lines = []
    whole = run_training(config, tmp_path / "whole", lines.append)
    assert any(line.startswith("training ") and "weights" in line for line in lines)
    go_on = stop_after(3)
    with pytest.raises(KeyboardInterrupt):
        run_training(config, tmp_path / "parts")
    go_on()
    assert_same_bits(whole, run_training(config, tmp_path / "parts"))
    before, after = weights(checkpoints[layout]), weights(whole)
    names = {key for tensors in after.values() for key in tensors}
    assert names == {key for tensors in before.values() for key in tensors}
    encoders = [
        SentenceTransformer(str(path), device="cpu") for path in (checkpoints[layout], whole)
    ]
    assert not np.allclose(*(encoder.encode(TEXTS) for encoder in encoders), atol=1e-4)


def test_matryoshka_dims_above_the_encoders_are_refused(checkpoints, groups, tmp_path):
    config = train_config(checkpoints["static"], groups, loss={"matryoshka_dims": [8, 32]})
    with pytest.raises(ConfigError, match="matryoshka_dims: 32 is not below the encoder's 32"):
        run_training(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_encoder_in_half_precision_is_trained_and_saved_in_fp32(checkpoints, groups, tmp_path):
    half = SentenceTransformer(str(checkpoints["e5"]), device="cpu").half()
    half.save_pretrained(str(tmp_path / "half"))
    path = run_training(train_config(tmp_path / "half", groups), tmp_path / "run")
    (tensors,) = weights(path).values()
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}


def test_a_run_that_was_moved_after_its_last_checkpoint_keeps_its_best(
    checkpoints, groups, tmp_path, stop_after, monkeypatch
):
    scored = iter([0.1, 0.9, 0.5])
    monkeypatch.setattr(
        "isoglot.pipeline.training.development_score",
        lambda *arguments: lambda model: {"score": next(scored)},
    )
    config = train_config(checkpoints["static"], groups)
    go_on = stop_after(6)
    with pytest.raises(KeyboardInterrupt):
        run_training(config, tmp_path / "here")
    go_on()
    best = weights(tmp_path / "here" / "checkpoints" / "checkpoint-4")
    (tmp_path / "here").rename(tmp_path / "there")
    path = run_training(config, tmp_path / "there")
    kept = weights(path)
    assert all(torch.equal(kept[file][key], best[file][key]) for file in kept for key in kept[file])


def test_checkpoints_of_another_run_are_not_gone_on_from(checkpoints, groups, tmp_path, stop_after):
    go_on = stop_after(5)
    with pytest.raises(KeyboardInterrupt):
        run_training(train_config(checkpoints["static"], groups), tmp_path / "run")
    go_on()
    (tmp_path / "run" / "config.yaml").unlink()
    other = train_config(checkpoints["static"], groups, training={"seed": 1})
    lines = []
    assert_same_bits(
        run_training(other, tmp_path / "run", lines.append), run_training(other, tmp_path / "new")
    )
    assert not any("going on" in line for line in lines)


def test_what_a_tracker_writes_beside_the_checkpoints_is_kept(
    checkpoints, groups, tmp_path, monkeypatch
):
    class Tracker(TrainerCallback):
        def on_train_begin(self, args, state, control, **kwargs):
            folder = Path(args.output_dir, "runs", "today")
            folder.mkdir(parents=True)
            (folder / "events").write_text("curves")

    monkeypatch.setitem(INTEGRATION_TO_CALLBACK, "mine", Tracker)
    config = train_config(checkpoints["static"], groups, training={"report_to": ["mine"]})
    run_training(config, tmp_path / "run")
    kept = tmp_path / "run" / "tracking" / "runs" / "today" / "events"
    assert kept.read_text() == "curves"
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_the_log_ends_with_the_last_step(checkpoints, groups, tmp_path):
    config = train_config(checkpoints["static"], groups, training={"log_every": 4})
    run_training(config, tmp_path / "run")
    lines = [line for line in read_json(tmp_path / "run" / "log.json") if "loss" in line]
    assert [line["step"] for line in lines] == [4, 6]
    census = read_json(tmp_path / "run" / "census.json")["drawn"]["batches"]
    assert {kind: lines[-1][f"batches_{kind}"] for kind in census} == census


def test_an_adapter_does_not_go_on_upon_another_encoder(checkpoints, groups, tmp_path, stop_after):
    base = tmp_path / "base"
    SentenceTransformer(str(checkpoints["e5"]), device="cpu").save_pretrained(str(base))
    config = train_config(base, groups, model={"lora": {"rank": 2}})
    go_on = stop_after(3)
    with pytest.raises(KeyboardInterrupt):
        run_training(config, tmp_path / "run")
    go_on()
    other = SentenceTransformer(str(base), device="cpu")
    next(other.parameters()).data.add_(1.0)
    other.save_pretrained(str(base))
    with pytest.raises(ArtifactError, match=r"run: model/.* has changed since the run was started"):
        run_training(config, tmp_path / "run")


def test_a_launcher_does_not_change_the_precision(checkpoints, groups, tmp_path, monkeypatch):
    config = train_config(checkpoints["e5"], groups, training={"precision": "fp32"})
    alone = run_training(config, tmp_path / "alone")
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    assert_same_bits(alone, run_training(config, tmp_path / "launched"))


def test_a_length_that_a_static_encoder_does_not_know_is_refused(checkpoints, groups, tmp_path):
    config = train_config(checkpoints["static"], groups, model={"max_tokens": 8})
    with pytest.raises(ConfigError, match="reads texts of any length; take max_tokens out"):
        run_training(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_encoder_with_two_routes_is_refused(checkpoints, groups, tmp_path):
    routes = [SentenceTransformer(str(checkpoints["static"]), device="cpu")[0] for _ in range(2)]
    router = Router.for_query_document([routes[0]], [routes[1]])
    SentenceTransformer(modules=[router], device="cpu").save_pretrained(str(tmp_path / "router"))
    with pytest.raises(ModelError, match=r"\(a Router\), which cannot be trained here"):
        run_training(train_config(tmp_path / "router", groups), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_matryoshka_dims_are_named_once(checkpoints, groups):
    with pytest.raises(ValidationError, match=r"matryoshka_dims: \[8, 8\] names one twice"):
        train_config(checkpoints["static"], groups, loss={"matryoshka_dims": [8, 8]})


@pytest.mark.parametrize("schedule", ["linear", "cosine", "inverse-sqrt", "constant"])
def test_every_schedule_starts_with_a_rise(checkpoints, groups, tmp_path, schedule):
    training = {"steps": 8, "warmup_share": 0.5, "schedule": schedule}
    config = train_config(
        checkpoints["static"], groups, training=training, development={"groups": 0}
    )
    run_training(config, tmp_path / "run")
    lines = read_json(tmp_path / "run" / "log.json")
    rates = [line["learning_rate"] for line in lines if "learning_rate" in line]
    assert rates[:4] == sorted(rates[:4])
    assert max(rates) == pytest.approx(1e-2)
    assert (rates[-1] == max(rates)) == (schedule == "constant")


def test_an_unfinished_run_of_another_config_is_refused(checkpoints, groups, tmp_path, stop_after):
    go_on = stop_after(4)
    with pytest.raises(KeyboardInterrupt):
        run_training(train_config(checkpoints["static"], groups), tmp_path / "run")
    go_on()
    other = train_config(checkpoints["static"], groups, training={"learning_rate": 0.5})
    with pytest.raises(ArtifactError, match="run: holds an unfinished run of another config"):
        run_training(other, tmp_path / "run")


@pytest.mark.parametrize("changed", ["data.groups", "development.path"])
def test_an_unfinished_run_of_other_data_is_refused(checkpoints, tmp_path, stop_after, changed):
    groups = write_training_groups(tmp_path / "groups.jsonl")
    development = tmp_path / "dev.jsonl"
    write_groups(development, [Group("d", {"en": "question"}, {"en": "passage"})])
    config = train_config(checkpoints["static"], groups, development={"path": str(development)})
    go_on = stop_after(4)
    with pytest.raises(KeyboardInterrupt):
        run_training(config, tmp_path / "run")
    go_on()
    file = groups if changed == "data.groups" else development
    before = file.read_bytes()
    file.write_bytes(before + b"\n")
    message = f"run: {changed} has changed since the run was started; choose another --output"
    with pytest.raises(ArtifactError, match=message):
        run_training(config, tmp_path / "run")
    file.write_bytes(before)
    run_training(config, tmp_path / "run")
    hashes = read_json(tmp_path / "run" / "provenance.json")["data_sha256"]
    assert hashes == {"groups": file_sha256(groups), "development.path": file_sha256(development)}


def test_every_file_of_a_folder_is_hashed_and_a_hub_data_set_is_named_with_its_revision(tmp_path):
    write_training_groups(tmp_path / "saved" / "part" / "a.jsonl")
    sources = [
        {"path": str(tmp_path / "saved"), "format": "hub"},
        {"path": "some/pairs", "format": "hub", "revision": "abc"},
        {"path": "some/more", "format": "hub"},
    ]
    config = TrainConfig.model_validate({"model": {"name": "m"}, "data": sources})
    assert hash_data(config) == {
        "saved/part/a.jsonl": file_sha256(tmp_path / "saved" / "part" / "a.jsonl"),
        "pairs": "some/pairs@abc",
        "more": "some/more@main",
    }


def test_a_complete_run_is_refused_before_anything_is_read(checkpoints, groups, tmp_path):
    config = train_config(checkpoints["static"], groups)
    run_training(config, tmp_path / "run")
    gone = train_config(tmp_path / "no-model", tmp_path / "no-data")
    with pytest.raises(ArtifactError, match=r"already holds a complete .* delete the folder"):
        run_training(gone, tmp_path / "run")
    assert is_complete(tmp_path / "run")


def test_a_missing_model_or_file_leaves_no_folder(checkpoints, groups, tmp_path):
    with pytest.raises(ModelError, match="no such folder"):
        run_training(train_config(tmp_path / "no-model", groups), tmp_path / "run")
    with pytest.raises(DataError, match="no such file"):
        run_training(train_config(checkpoints["static"], tmp_path / "no-data"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_alignment_gives_a_plain_static_encoder(bitext, tmp_path):
    config = align_config(bitext, batches={"regime": "cross-lingual"})
    path = run_alignment(config, tmp_path / "run")
    model = SentenceTransformer(str(path), device="cpu")
    assert [type(module) for module in model] == [StaticEmbedding]
    assert model.encode(TEXTS).shape == (2, 16)
    assert {p.name for p in (tmp_path / "run").iterdir()} == {*FILES, "tokenizer.json"}
    curve = losses(tmp_path / "run")
    assert np.mean(curve[-5:]) < np.mean(curve[:5])


def test_the_folded_encoder_gives_the_directions_of_the_trained_one(bitext, tmp_path, monkeypatch):
    trained = []
    fold = align_module._folded
    monkeypatch.setattr(align_module, "_folded", lambda model: trained.append(model) or fold(model))
    path = run_alignment(align_config(bitext), tmp_path / "run")
    weighted, folded = trained[0], SentenceTransformer(str(path), device="cpu")
    assert isinstance(weighted[0], WeightedStaticEmbedding)
    assert weighted[0].log_weight.std() > 0
    cosines = [
        np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b)
        for a, b in zip(weighted.encode(TEXTS), folded.encode(TEXTS), strict=True)
    ]
    assert np.allclose(cosines, 1.0, atol=1e-6)


def test_an_alignment_can_be_saved_small(bitext, tmp_path):
    large = run_alignment(align_config(bitext), tmp_path / "large")
    small = run_alignment(
        align_config(bitext, model={"saved_dim": 8, "saved_as": "int8"}), tmp_path / "small"
    )
    model = SentenceTransformer(str(small), device="cpu")
    assert [type(module) for module in model] == [StaticEmbedding]
    assert model.encode(TEXTS).shape == (2, 8)
    weights = [path / "model.safetensors" for path in (small, large)]
    assert weights[0].stat().st_size < weights[1].stat().st_size / 5


def test_an_alignment_cannot_be_saved_with_more_dimensions_than_it_has(bitext):
    with pytest.raises(ValidationError, match="saved_dim: 17 is more than dim: 16"):
        align_config(bitext, model={"saved_dim": 17})


def test_an_alignment_can_be_selected_by_the_embedded_collection(bitext, tmp_path):
    config = align_config(bitext, development={"path": "mini", "groups": 0, "every": 10})
    run_alignment(config, tmp_path / "run")
    log = json.loads((tmp_path / "run" / "log.json").read_text("utf-8"))
    assert any("eval_score" in entry for entry in log)


@pytest.mark.parametrize("step", [7, 10])
def test_an_interrupted_alignment_ends_in_the_same_bits(bitext, tmp_path, stop_after, step):
    config = align_config(bitext)
    whole = run_alignment(config, tmp_path / "whole")
    go_on = stop_after(step)
    with pytest.raises(KeyboardInterrupt):
        run_alignment(config, tmp_path / "parts")
    assert list((tmp_path / "parts" / "checkpoints").glob("checkpoint-*"))
    go_on()
    assert_same_bits(whole, run_alignment(config, tmp_path / "parts"))


def test_a_vocabulary_smaller_than_the_characters_is_refused(bitext, tmp_path):
    with pytest.raises(DataError, match=r"cannot learn 20 subwords .* model\.vocabulary"):
        run_alignment(align_config(bitext, model={"vocabulary": 20}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_interrupted_alignment_keeps_its_subwords(bitext, tmp_path, stop_after, monkeypatch):
    go_on = stop_after(1)
    with pytest.raises(KeyboardInterrupt):
        run_alignment(align_config(bitext), tmp_path / "run")
    go_on()
    monkeypatch.setattr(align_module, "learn_subwords", None)
    run_alignment(align_config(bitext), tmp_path / "run")
