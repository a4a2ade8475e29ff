"""Low-rank adapters: attached, trained alone, resumed bit by bit, merged into a plain folder."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from transformers import TrainerCallback

from isoglot.config.model import LoraConfig
from isoglot.errors import ArtifactError, ConfigError, ModelError
from isoglot.models.adapters import (
    ADAPTER_FILE,
    attach_adapter,
    has_adapter,
    load_adapter_state,
    merge_adapter,
    save_adapter_state,
    weight_counts,
)
from tests.models.checkpoints import sentences

LORA = LoraConfig(rank=4, alpha=8.0, dropout=0.1)
TEXTS = ["a small owl", "二つのパン", "", "neno " * 60]


def load(folder):
    return SentenceTransformer(str(folder), device="cpu")


def with_adapter(folder, config=LORA, seed=1):
    model = load(folder)
    attach_adapter(model, config, seed)
    return model


def moved(folder):
    # As after training: the second factor of a new adapter is zero.
    model = with_adapter(folder)
    torch.manual_seed(5)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.requires_grad and "lora_A" not in name:
                weight.add_(torch.randn_like(weight), alpha=0.1)
    return model


def trained_names(model):
    return [name for name, weight in model.named_parameters() if weight.requires_grad]


def bits(model):
    return {name: weight.detach().clone() for name, weight in model.state_dict().items()}


def equal(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


@pytest.mark.parametrize("name", ["xlm-r", "labse", "e5"])
def test_a_new_adapter_changes_no_vector_and_freezes_the_transformer(checkpoints, name):
    model = load(checkpoints[name])
    before = model.encode(TEXTS)
    attach_adapter(model, LORA, 1)
    assert np.array_equal(model.encode(TEXTS), before)
    names = trained_names(model)
    assert all("lora_" in name or name.startswith("2.linear") for name in names)
    # 2 layers of 6 linear ones with 2 factors each; the unused pooler has none.
    assert sum("lora_" in name for name in names) == 24
    assert not any("pooler" in name for name in names)
    assert ("2.linear.weight" in names) == (name == "labse")


def test_the_share_of_trained_weights_is_counted(checkpoints):
    # Per layer: four 32 x 32, one 32 x 64 and one 64 x 32, each with 4 x (inputs + outputs).
    adapter = 2 * 4 * (4 * (32 + 32) + 2 * (32 + 64))
    plain = weight_counts(load(checkpoints["xlm-r"]))[1]
    assert weight_counts(with_adapter(checkpoints["xlm-r"])) == (adapter, plain + adapter)
    dense = 32 * 32 + 32
    assert weight_counts(with_adapter(checkpoints["labse"]))[0] == adapter + dense


def test_a_seed_gives_the_same_adapter_and_leaves_the_random_state(checkpoints):
    torch.manual_seed(7)
    first = bits(with_adapter(checkpoints["e5"], seed=3))
    state = torch.get_rng_state()
    torch.manual_seed(7)
    load(checkpoints["e5"])
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(11)
    assert equal(first, bits(with_adapter(checkpoints["e5"], seed=3)))
    assert not equal(first, bits(with_adapter(checkpoints["e5"], seed=4)))


def test_targets_are_last_parts_of_layer_names(checkpoints):
    config = LoraConfig(targets=("query", "output.dense"))
    layers = {
        name.split(".lora_")[0].split("layer.")[1]
        for name in trained_names(with_adapter(checkpoints["xlm-r"], config))
    }
    kinds = ("attention.self.query", "attention.output.dense", "output.dense")
    assert layers == {f"{layer}.{kind}" for layer in (0, 1) for kind in kinds}


def test_an_unknown_target_is_told_which_there_are(checkpoints):
    config = LoraConfig(targets=("query", "values"))
    expected = re.escape(
        "model.lora.targets: no linear layer of the transformer is named 'values'; "
        "there are dense, key, query, value; did you mean 'value'?"
    )
    with pytest.raises(ConfigError, match=f"^{expected}$"):
        with_adapter(checkpoints["xlm-r"], config)


def test_a_static_encoder_is_refused(checkpoints):
    with pytest.raises(ModelError, match="StaticEmbedding encoder has no linear layers"):
        with_adapter(checkpoints["static"])


def test_without_peft_the_error_says_how_to_install_it(checkpoints, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ConfigError, match=r"pip install 'isoglot\[lora\]'$"):
        with_adapter(checkpoints["xlm-r"])


def test_a_merged_weight_is_the_base_and_the_scaled_product(checkpoints):
    # alpha / rank = 3 / 2; rows of the second factor times columns of the first.
    model = with_adapter(checkpoints["e5"], LoraConfig(rank=2, alpha=3.0, targets=("query",)))
    layer = model[0].auto_model.encoder.layer[0].attention.self.query
    base = layer.base_layer.weight.detach().clone()
    with torch.no_grad():
        layer.lora_A["default"].weight.zero_()
        layer.lora_A["default"].weight[:, 5] = torch.tensor([1.0, 2.0])
        layer.lora_B["default"].weight.zero_()
        layer.lora_B["default"].weight[9] = torch.tensor([4.0, 8.0])
    merge_adapter(model)
    change = model[0].auto_model.encoder.layer[0].attention.self.query.weight - base
    assert change[9, 5].item() == pytest.approx(1.5 * (4 * 1 + 8 * 2))
    assert torch.count_nonzero(change) == 1


@pytest.mark.parametrize("name", ["xlm-r", "labse", "e5"])
def test_a_merged_encoder_is_a_plain_folder_with_equal_vectors(
    checkpoints, tmp_path, monkeypatch, name
):
    model = moved(checkpoints[name])
    expected = torch.nn.functional.normalize(torch.from_numpy(model.encode(TEXTS))).numpy()
    base = load(checkpoints[name])
    assert np.abs(expected - base.encode(TEXTS, normalize_embeddings=True)).max() > 1e-3
    assert has_adapter(model)
    merge_adapter(model)
    assert not has_adapter(model)
    assert trained_names(model) == trained_names(base)
    model.save_pretrained(str(tmp_path), create_model_card=False)
    monkeypatch.setitem(sys.modules, "peft", None)
    plain = load(tmp_path)
    assert plain.state_dict().keys() == base.state_dict().keys()
    assert np.abs(plain.encode(TEXTS, normalize_embeddings=True) - expected).max() <= 1e-5
    base.save_pretrained(str(tmp_path / "base"), create_model_card=False)
    files = {path.relative_to(tmp_path / "base") for path in (tmp_path / "base").rglob("*.*")}
    assert all((tmp_path / path).exists() for path in files)
    assert not list(tmp_path.rglob("adapter*"))


def test_a_state_comes_back_bit_by_bit_and_is_small(checkpoints, tmp_path):
    model = moved(checkpoints["labse"])
    save_adapter_state(model, tmp_path)
    again = with_adapter(checkpoints["labse"], seed=2)
    load_adapter_state(again, tmp_path)
    assert equal(bits(again), bits(model))
    assert list(load_file(tmp_path / ADAPTER_FILE)) == sorted(trained_names(model))
    assert [path.name for path in tmp_path.iterdir()] == [ADAPTER_FILE]


def test_a_state_that_is_missing_damaged_or_of_another_adapter_is_refused(checkpoints, tmp_path):
    model = with_adapter(checkpoints["e5"])
    before = bits(model)
    with pytest.raises(ArtifactError, match=f"{ADAPTER_FILE}: cannot be read as trained weights"):
        load_adapter_state(model, tmp_path)
    save_adapter_state(with_adapter(checkpoints["e5"], LoraConfig(rank=8)), tmp_path)
    with pytest.raises(ArtifactError, match="holds other weights than this run trains"):
        load_adapter_state(model, tmp_path)
    whole = (tmp_path / ADAPTER_FILE).read_bytes()
    (tmp_path / ADAPTER_FILE).write_bytes(whole[:-10])
    with pytest.raises(ArtifactError, match="cannot be read as trained weights"):
        load_adapter_state(model, tmp_path)
    assert equal(bits(model), before)


class Interrupted(Exception):
    pass


class StopAfter(TrainerCallback):
    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            raise Interrupted


class AdapterTrainer(SentenceTransformerTrainer):
    def _save(self, output_dir=None, state_dict=None):
        save_adapter_state(self.model, Path(output_dir))

    def _load_from_checkpoint(self, checkpoint_path):
        load_adapter_state(self.model, Path(checkpoint_path))


def trainer(folder, base, stop_after=None):
    model = with_adapter(base)
    texts = sentences()
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(folder),
        max_steps=6,
        per_device_train_batch_size=8,
        learning_rate=1e-2,
        weight_decay=0.01,
        save_steps=2,
        use_cpu=True,
        report_to="none",
        disable_tqdm=True,
    )
    return AdapterTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict({"query": texts[:40:2], "passage": texts[1:40:2]}),
        loss=MultipleNegativesRankingLoss(model),
        callbacks=[] if stop_after is None else [StopAfter(stop_after)],
    )


def test_a_resumed_run_ends_in_the_same_bits_and_only_the_adapter_is_optimised(
    checkpoints, tmp_path
):
    whole = trainer(tmp_path / "whole", checkpoints["labse"])
    start = bits(whole.model)
    whole.train()
    names = {id(weight): name for name, weight in whole.model.named_parameters()}
    groups = whole.optimizer.param_groups
    optimised = [names[id(weight)] for group in groups for weight in group["params"]]
    assert sorted(optimised) == sorted(trained_names(whole.model))
    with pytest.raises(Interrupted):
        trainer(tmp_path / "cut", checkpoints["labse"], stop_after=5).train()
    resumed = trainer(tmp_path / "cut", checkpoints["labse"])
    resumed.train(resume_from_checkpoint=str(tmp_path / "cut" / "checkpoint-4"))
    end = bits(resumed.model)
    assert equal(end, bits(whole.model))
    changed = {name for name in start if not torch.equal(start[name], end[name])}
    assert changed == set(optimised)
    merge_adapter(resumed.model)
    resumed.model.save_pretrained(str(tmp_path / "model"), create_model_card=False)
    assert np.isfinite(load(tmp_path / "model").encode(TEXTS)).all()
