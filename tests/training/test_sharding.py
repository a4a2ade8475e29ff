"""Sharded weights train as whole ones do, and leave the same plain folders behind."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer

from isoglot.config.schema import ModelConfig, TrainingConfig
from isoglot.errors import ArtifactError, ConfigError
from isoglot.models.loading import load_encoder
from isoglot.training.loop.checkpoints import find_damage
from isoglot.training.loop.sharding import (
    _freeze_unused,
    check_resumable,
    equal_parts,
    is_sharded,
    sharded_arguments,
)
from tests.training.faults import AtStep, assert_same_runs, start, write_config
from tests.training.runs import align_config, train_config, write_bitext, write_training_groups

pytestmark = pytest.mark.timeout(200)

TEXTS = ["Warum geht Brotteig auf?", "Kwa nini?", "Why does dough rise?"]
TRAINING = {
    "steps": 5,
    "learning_rate": 1e-3,
    "precision": "fp32",
    "gradient_accumulation": 2,
    "sharding": "full",
}
CACHED = TRAINING | {"mini_batch_size": 3}
SCORED = {"groups": 3, "every": 2}


@pytest.fixture(scope="module")
def groups(tmp_path_factory):
    return write_training_groups(tmp_path_factory.mktemp("data") / "groups.jsonl")


@pytest.fixture(scope="module")
def steady(checkpoints, tmp_path_factory):
    """Return encoders without dropout, which would differ by process."""
    folder = tmp_path_factory.mktemp("steady")
    for layout in ("xlm-r", "labse"):
        shutil.copytree(checkpoints[layout], folder / layout)
        config = read_json(folder / layout / "config.json")
        config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
        (folder / layout / "config.json").write_text(json.dumps(config), "utf-8")
    return {name: folder / name for name in ("xlm-r", "labse")} | {"static": checkpoints["static"]}


def read_json(path):
    return json.loads(path.read_text("utf-8"))


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


@dataclass(frozen=True)
class Weigh:
    """No fault: a process says what it holds of the weights after its first step."""

    file: Path
    rank: int = 1

    def arm(self):
        from torch.distributed.tensor import DTensor
        from torch.optim.optimizer import register_optimizer_step_post_hook

        def weigh(optimizer, *_):
            weights = [p for group in optimizer.param_groups for p in group["params"]]
            sharded = [weight for weight in weights if isinstance(weight, DTensor)]
            held = sum(weight.to_local().numel() for weight in sharded)
            moments = sum(optimizer.state[p]["exp_avg"].to_local().numel() for p in sharded)
            whole = sum(weight.numel() for weight in weights)
            self.file.write_text(json.dumps([len(sharded) == len(weights), held, moments, whole]))

        register_optimizer_step_post_hook(weigh)


def run_in(processes, folder, config, **kwargs):
    run = folder / f"run-{processes}"
    ended = start(config, run, processes=processes, **kwargs).wait()
    assert ended.done, ended.said
    return run, ended


@pytest.mark.parametrize(
    ("layout", "training", "negatives", "development"),
    [
        ("xlm-r", CACHED, "both", 3),
        slow("xlm-r", TRAINING, "in-batch", 3),
        slow("xlm-r", CACHED | {"workers": 2}, "explicit", 0),
        slow("labse", CACHED, "in-batch", 0),
        slow("labse", TRAINING, "both", 0),
        slow("static", CACHED, "both", 3),
        slow("static", TRAINING, "in-batch", 0),
    ],
)
def test_two_processes_train_sharded_weights_as_one_trains_whole_ones(
    steady, groups, tmp_path, layout, training, negatives, development
):
    config = train_config(
        steady[layout],
        groups,
        batches={"size": 7},
        loss={"negatives": negatives},
        training=training,
        development={"groups": development, "every": 2},
    )
    path = write_config(tmp_path / "config.yaml", config)
    one, ended = run_in(1, tmp_path, path)
    assert "training.sharding: full has no effect, because one process trains alone" in ended.said
    weigh = Weigh(tmp_path / "held.json")
    two, _ = run_in(2, tmp_path, path, fault=weigh)
    all_sharded, held, moments, whole = read_json(weigh.file)
    assert all_sharded
    assert 0.4 * whole < held == moments < 0.6 * whole
    assert read_json(one / "census.json") == read_json(two / "census.json")
    assert names(one / "model") == names(two / "model")
    assert_near(read_json(one / "log.json"), read_json(two / "log.json"))
    best = [read_json(run / "provenance.json")["selection"]["best_step"] for run in (one, two)]
    assert best[0] == best[1]
    if development:
        assert best[0] < 5  # so what is saved was loaded from a checkpoint
    assert encode(one / "model") == pytest.approx(encode(two / "model"), abs=5e-3)


def assert_near(one, other):
    """Compare two logs; what differs is rounding, and what AdamW makes of it."""
    for first, second in zip(one, other, strict=True):
        # A rank that rounding changes moves a score of so few passages much.
        tolerance = 0.02 if "eval_score" in first else 1e-4
        assert second == pytest.approx(first, rel=1e-3, abs=tolerance)


def encode(folder):
    return SentenceTransformer(str(folder), device="cpu").encode(TEXTS)


def names(model):
    return sorted(str(path.relative_to(model)) for path in model.rglob("*") if path.is_file())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("layout", "training"),
    [
        ("xlm-r", CACHED),
        ("xlm-r", TRAINING | {"precision": "bf16"}),
        ("labse", CACHED),
        ("static", TRAINING),
    ],
)
def test_a_killed_sharded_run_ends_in_the_same_bits(
    checkpoints, groups, tmp_path, layout, training
):
    config = train_config(checkpoints[layout], groups, training=training, development=SCORED)
    path = write_config(tmp_path / "config.yaml", config)
    whole, _ = run_in(2, tmp_path, path)
    parts = tmp_path / "parts"
    assert start(path, parts, processes=2, fault=AtStep(3, rank=1)).wait().killed
    checkpoint = parts / "checkpoints" / "checkpoint-2"
    assert find_damage(checkpoint) is None
    # A checkpoint holds an encoder like any other.
    assert encode(checkpoint).shape == encode(whole / "model").shape
    assert start(path, parts, processes=2).wait().done
    assert_same_runs(whole, parts)


@pytest.mark.slow
@pytest.mark.parametrize(("begun", "now"), [(2, 1), (1, 2)])
def test_a_sharded_run_does_not_go_on_with_one_process(checkpoints, groups, tmp_path, begun, now):
    config = train_config(checkpoints["static"], groups, training=TRAINING, development=SCORED)
    path = write_config(tmp_path / "config.yaml", config)
    run = tmp_path / "run"
    assert start(path, run, processes=begun, fault=AtStep(3)).wait().killed
    ended = start(path, run, processes=now).wait()
    assert 2 in ended.codes
    assert "and cannot go on with " in ended.said_by[0]
    assert start(path, run, processes=begun).wait().done


def test_a_checkpoint_of_the_other_form_is_refused(tmp_path):
    check_resumable(tmp_path, sharded=False)
    message = r"full was begun with one process and cannot go on with several; start as many as"
    with pytest.raises(ArtifactError, match=message):
        check_resumable(tmp_path, sharded=True)
    (tmp_path / "optimizer.bin").touch()
    check_resumable(tmp_path, sharded=True)
    with pytest.raises(ArtifactError, match=r"with several processes and cannot go on with one;"):
        check_resumable(tmp_path, sharded=False)


@pytest.mark.slow
def test_sharded_weights_are_trained_in_bf16_as_whole_ones_are(steady, groups, tmp_path):
    runs = {}
    for sharding in ("none", "full"):
        training = CACHED | {"precision": "bf16", "sharding": sharding}
        config = train_config(steady["xlm-r"], groups, training=training, development=SCORED)
        path = write_config(tmp_path / f"{sharding}.yaml", config)
        (tmp_path / sharding).mkdir()
        runs[sharding], _ = run_in(2, tmp_path / sharding, path)
    assert_near(*(read_json(run / "log.json") for run in runs.values()))


@pytest.mark.slow
def test_sharded_alignment_is_that_of_one_process(tmp_path):
    bitext = write_bitext(tmp_path / "bitext.jsonl")
    training = {"steps": 5, "sharding": "full", "precision": "fp32"}
    config = align_config(bitext, training=training, model={"saved_dim": 8})
    path = write_config(tmp_path / "config.yaml", config)
    one, _ = run_in(1, tmp_path, path, command="align")
    two, _ = run_in(2, tmp_path, path, command="align")
    assert abs(encode(one / "model")) == pytest.approx(abs(encode(two / "model")), abs=1e-3)


def in_processes(monkeypatch, count):
    state = SimpleNamespace(num_processes=count)
    monkeypatch.setattr("isoglot.training.loop.sharding._state", lambda: state)


def config_with(sharding, **model):
    return train_config(Path("m"), Path("d"), training={"sharding": sharding}, model=model)


def test_weights_are_sharded_when_asked_for_and_there_are_several_processes(monkeypatch):
    lines = []
    in_processes(monkeypatch, 2)
    assert is_sharded(config_with("full"), lines.append)
    assert not is_sharded(config_with("none"), lines.append)
    assert lines == []
    in_processes(monkeypatch, 1)
    assert not is_sharded(config_with("none"), lines.append)
    assert lines == []
    assert not is_sharded(config_with("full"), lines.append)
    assert lines == ["training.sharding: full has no effect, because one process trains alone"]


def test_an_adapter_is_not_sharded(monkeypatch):
    in_processes(monkeypatch, 2)
    with pytest.raises(ConfigError, match=r"full does not go with model\.lora"):
        is_sharded(config_with("full", lora={}), print)
    assert not is_sharded(config_with("none", lora={}), print)


@pytest.mark.parametrize(
    ("variable", "name"),
    [("ACCELERATE_USE_FSDP", "FSDP"), ("ACCELERATE_USE_DEEPSPEED", "DeepSpeed")],
)
def test_sharding_by_the_launcher_is_refused(monkeypatch, variable, name):
    monkeypatch.setenv(variable, "true")
    with pytest.raises(ConfigError, match=rf"told to use {name}; .* set training\.sharding: full"):
        is_sharded(config_with("none"), print)
    monkeypatch.setenv(variable, "false")
    assert not is_sharded(config_with("none"), print)


@pytest.mark.parametrize(
    ("layout", "units"),
    [
        ("xlm-r", {"transformer_layer_cls_to_wrap": ["XLMRobertaEmbeddings", "XLMRobertaLayer"]}),
        ("labse", {"transformer_layer_cls_to_wrap": ["BertEmbeddings", "BertLayer"]}),
        ("static", {"auto_wrap_policy": "NO_WRAP"}),
    ],
)
def test_layers_are_the_units_that_are_brought_together(checkpoints, layout, units):
    model = load_encoder(ModelConfig(name=str(checkpoints[layout])), device="cpu")
    assert sharded_arguments(model) == {"fsdp": True, "fsdp_config": {"version": 2, **units}}


def test_every_process_has_as_many_parts_as_the_others():
    training = TrainingConfig(length_buckets=8, mini_batch_size=4)
    assert equal_parts(training) == training.model_copy(update={"length_buckets": 1})
    assert training.length_buckets == 8


@pytest.mark.parametrize(("layout", "frozen"), [("xlm-r", 2), ("labse", 2), ("static", 0)])
def test_weights_without_influence_are_frozen(checkpoints, layout, frozen):
    model = load_encoder(ModelConfig(name=str(checkpoints[layout])), device="cpu").train()
    state = torch.get_rng_state()
    _freeze_unused(model)
    assert torch.equal(state, torch.get_rng_state())
    assert model.training
    unused = [name for name, weight in model.named_parameters() if not weight.requires_grad]
    assert len(unused) == frozen
    assert all("pooler" in name for name in unused)
    assert all(weight.grad is None for weight in model.parameters())


def test_the_saved_weights_are_all_there(checkpoints):
    # The pooler is frozen, not left out.
    model = load_encoder(ModelConfig(name=str(checkpoints["xlm-r"])), device="cpu")
    stored = load_file(checkpoints["xlm-r"] / "model.safetensors")
    _freeze_unused(model)
    assert len(model.state_dict()) == len(stored)
