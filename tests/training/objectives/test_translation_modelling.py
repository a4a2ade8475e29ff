"""Translation language modelling: the library's own loss, on sequences that are as they should."""

import json
import math
import shutil

import numpy as np
import pytest
import torch
from transformers import AutoModelForMaskedLM

from isoglot.batches.plan import BatchPlan
from isoglot.config.model import LoraConfig
from isoglot.config.objectives import TranslationModellingConfig
from isoglot.config.schema import BatchConfig, LossConfig, ModelConfig, TrainingConfig
from isoglot.data.parallel import build_table
from isoglot.errors import ConfigError
from isoglot.models.adapters import attach_adapter
from isoglot.models.loading import load_encoder
from isoglot.records import Group
from isoglot.training.inputs.pairs import parallel_pairs
from isoglot.training.inputs.slices import ALONE, Process
from isoglot.training.objective import Objective
from isoglot.training.objectives import masked_head
from isoglot.training.objectives.masked_head import MaskedTokenHead, build_head
from isoglot.training.objectives.translation_modelling import build_translation_modelling
from tests.models.checkpoints import LANGS, sentences

ROWS = 7
CONFIG = TranslationModellingConfig(max_tokens=24)


@pytest.fixture(scope="module")
def table():
    texts = iter(sentences())
    # Every third group is in one language: not all rows have a parallel text.
    langs = [LANGS if i % 3 else ("de",) for i in range(40)]
    groups = [
        Group(f"g{i}", {lang: next(texts) for lang in own}, {lang: next(texts) for lang in own})
        for i, own in enumerate(langs)
    ]
    return build_table({"a": groups})


@pytest.fixture(scope="module")
def with_heads(checkpoints, tmp_path_factory):
    """Return folders as hubs have them for masked language models, by layout."""
    folders = {}
    for name, layout in (("xlm-r", "xlm-r"), ("bert", "e5-bert")):
        folder = tmp_path_factory.mktemp("heads") / name
        shutil.copytree(checkpoints["xlm-r"].with_name(layout), folder)
        model = AutoModelForMaskedLM.from_pretrained(folder)
        torch.manual_seed(7)
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(0.05 * torch.randn_like(weight))  # biases and norms, too, say something
        model.save_pretrained(folder)
        folders[name] = folder
    return folders


def batch_of(table, index=3, **options):
    config = BatchConfig(**{"size": ROWS, "regime": "cross-lingual", **options})
    return BatchPlan(table, config, seed=0, parallels=True).batch(index)


def encoder(path, **options):
    return load_encoder(ModelConfig(name=str(path), **options), device="cpu")


def objective_of(model, table, config=CONFIG, **training):
    return build_translation_modelling(model, table, config, TrainingConfig(**training), print)


def sequences(inputs):
    """The sequences of all parts: ids without padding, and {place: what is to be found there}."""
    found = []
    for part in inputs["parts"]:
        ids, mask = part["features"]["input_ids"], part["features"]["attention_mask"].bool()
        width = ids.shape[1]
        wanted = [{} for _ in ids]
        for place, token in zip(part["places"].tolist(), part["wanted"].tolist(), strict=True):
            wanted[place // width][place % width] = token
        found += [
            (row[kept].tolist(), one) for row, kept, one in zip(ids, mask, wanted, strict=True)
        ]
    return found


def restored(inputs):
    """The sequences with every token that is to be found put back."""
    whole = []
    for ids, wanted in sequences(inputs):
        for place, token in wanted.items():
            ids[place] = token
        whole.append(ids)
    return whole


def pairs_of(batch):
    return [
        pair
        for pairs in parallel_pairs(batch)
        for pair in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)
    ]


@pytest.mark.parametrize("name", ["xlm-r", "bert"])
@pytest.mark.parametrize("way", [{}, {"mini_batch_size": 5}])
def test_the_loss_is_that_of_transformers(with_heads, table, name, way):
    model = encoder(with_heads[name], pooling="mean").eval()
    theirs = AutoModelForMaskedLM.from_pretrained(with_heads[name]).eval()
    objective = objective_of(model, table, **way)
    inputs = objective.inputs(batch_of(table), ALONE)
    total, sums = 0, 0.0
    for part in inputs["parts"]:
        labels = torch.full_like(part["features"]["input_ids"], -100)
        labels.view(-1)[part["places"]] = part["wanted"]
        loss = theirs(**part["features"], labels=labels).loss
        total += len(part["wanted"])
        sums = sums + loss * len(part["wanted"])
    ours = objective.loss(model, inputs)
    assert ours.item() == pytest.approx((sums / total).item(), abs=1e-5)
    assert ours.item() < objective.highest
    # The gradient as well, which the token embeddings get as input and as output.
    ours.backward()
    (sums / total).backward()
    own, other = (
        m.get_input_embeddings().weight.grad for m in (model[0].auto_model, theirs.base_model)
    )
    assert torch.allclose(own, other, atol=1e-5)
    decoder = theirs.get_output_embeddings()
    assert torch.allclose(objective.head.bias.grad, decoder.bias.grad, atol=1e-5)


def test_the_example_on_paper():
    # The vector (2, 0) through a dense layer that changes nothing and relu is (2, 0); less its mean
    # and by its deviation, both 1, it is (1, -1). The tokens (1, 0), (0, 1) and (1, 1) score 1, -1
    # and 0, plus the biases 0, 1 and 2: 1, 0 and 2. To find the first: log(e + 1 + e^2) - 1.
    head = MaskedTokenHead(2, 3, 2, activation="relu", epsilon=0.0)
    with torch.no_grad():
        head.dense.weight.copy_(torch.eye(2))
        head.dense.bias.zero_()
        head.bias.copy_(torch.tensor([0.0, 1.0, 2.0]))
    embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    vectors = torch.tensor([[2.0, 0.0]])
    assert head(vectors, embeddings)[0].tolist() == pytest.approx([1.0, 0.0, 2.0])
    loss = head.loss(vectors, torch.tensor([0]), embeddings)
    assert loss.item() == pytest.approx(math.log(math.e + 1 + math.e**2) - 1, abs=1e-6)
    assert round(loss.item(), 4) == 1.4076


@pytest.mark.parametrize("layout", ["xlm-r", "labse"])
def test_sequences_are_pairs_as_the_tokenizer_joins_them(checkpoints, table, layout):
    model, batch = encoder(checkpoints[layout]), batch_of(table)
    objective = objective_of(model, table, TranslationModellingConfig(max_tokens=20))
    inputs = objective.inputs(batch, ALONE)
    wanted, cut = [], model.tokenizer
    for first, second in pairs_of(batch):
        sides = [
            cut(table.text(text), add_special_tokens=False)["input_ids"][:20]
            for text in (first, second)
        ]
        wanted.append([*special(cut, "before"), *sides[0], *special(cut, "between"), *sides[1]])
        wanted[-1].append(cut.sep_token_id)
    assert sorted(restored(inputs)) == sorted(wanted)
    assert any(len(ids) == 40 + len(special(cut, "between")) + 2 for ids in wanted)


def special(tokenizer, place):
    if place == "before":
        return [tokenizer.cls_token_id]
    xlm_r = tokenizer.cls_token == "<s>"
    return [tokenizer.sep_token_id] * (2 if xlm_r else 1)


def test_segments_are_told_where_the_encoder_wants_them(checkpoints, table):
    for layout, told in (("xlm-r", False), ("labse", True)):
        model = encoder(checkpoints[layout])
        objective = objective_of(model, table, TranslationModellingConfig(max_tokens=20))
        features = objective.inputs(batch_of(table), ALONE)["parts"][0]["features"]
        assert ("token_type_ids" in features) == told
        if told:
            assert features["token_type_ids"].max() == 1


def test_as_many_tokens_are_masked_as_there_should_be(checkpoints, table):
    model, batch = encoder(checkpoints["xlm-r"]), batch_of(table)
    inputs = objective_of(model, table).inputs(batch, ALONE)
    specials = model.tokenizer.all_special_ids
    for (ids, wanted), whole in zip(sequences(inputs), restored(inputs), strict=True):
        ordinary = sum(token not in specials for token in whole)
        assert len(wanted) == max(1, round(0.15 * ordinary))
        assert len(ids) == len(whole)
        assert not set(wanted.values()) & set(specials)


def test_no_token_becomes_a_special_one_but_the_mask(checkpoints, table):
    model = encoder(checkpoints["xlm-r"])
    objective = objective_of(
        model, table, TranslationModellingConfig(max_tokens=24, masked_share=0.9)
    )
    specials = set(model.tokenizer.all_special_ids)
    for index in range(5):
        for ids, wanted in sequences(objective.inputs(batch_of(table, index), ALONE)):
            shown = {ids[place] for place in wanted}
            assert shown & specials <= {model.tokenizer.mask_token_id}


def test_what_is_masked_is_a_function_of_seed_and_batch(checkpoints, table):
    model = encoder(checkpoints["xlm-r"])
    one, again = objective_of(model, table), objective_of(model, table)
    wanted = sequences(one.inputs(batch_of(table), ALONE))
    one.inputs(batch_of(table, 4), ALONE)
    assert sequences(one.inputs(batch_of(table), ALONE)) == wanted
    assert sequences(again.inputs(batch_of(table), ALONE)) == wanted
    other = objective_of(model, table, seed=1)
    assert sequences(other.inputs(batch_of(table), ALONE)) != wanted


@pytest.mark.parametrize("way", [{}, {"mini_batch_size": 4}])
def test_the_processes_have_the_batch_between_them(checkpoints, table, way):
    model = encoder(checkpoints["xlm-r"]).eval()
    objective = objective_of(model, table, **way)
    for index in range(3):
        batch = batch_of(table, index)
        parts = [objective.inputs(batch, Process(rank, 4)) for rank in range(4)]
        whole = objective.inputs(batch, ALONE)
        shared = [sequence for part in parts for sequence in sequences(part) if sequence[1]]
        assert sorted(map(str, shared)) == sorted(map(str, sequences(whole)))
        shares = [objective.loss(model, part).item() for part in parts]
        assert np.mean(shares) == pytest.approx(objective.loss(model, whole).item(), rel=1e-5)
        if way:
            assert len({len(part["parts"]) for part in parts}) == 1


def gradients(module):
    found = {n: p.grad.clone() for n, p in module.named_parameters() if p.grad is not None}
    module.zero_grad(set_to_none=True)
    return found


def test_a_batch_without_pairs_has_a_loss_of_zero_with_a_graph(checkpoints, table):
    model = encoder(checkpoints["labse"])
    objective = objective_of(model, table, TranslationModellingConfig(max_tokens=20))
    german = table.select(np.arange(len(table)) % 3 == 0)
    batch = batch_of(german, regime="monolingual", small_languages="skip")
    assert not pairs_of(batch)
    loss = objective.loss(model, objective.inputs(batch, ALONE))
    assert loss.item() == 0.0
    loss.backward()
    assert not any(gradient.any() for gradient in gradients(model).values())
    assert gradients(objective).keys() == dict(objective.named_parameters()).keys()


def test_part_by_part_the_gradient_is_the_same(checkpoints, table):
    model = encoder(checkpoints["labse"]).eval().double()
    config = TranslationModellingConfig(max_tokens=20)
    objective = objective_of(model, table, config, mini_batch_size=3).double()
    inputs = objective.inputs(batch_of(table), ALONE)
    assert len(inputs["parts"]) > 2
    objective.loss(model, inputs).backward()
    whole = gradients(model) | gradients(objective)
    for share in objective.shares(model, inputs):
        share.backward()
    parts = gradients(model) | gradients(objective)
    assert whole.keys() == parts.keys()
    for name, gradient in whole.items():
        assert torch.allclose(gradient, parts[name], atol=1e-12), name
    # All weights that a vector depends on have a gradient, if only of zeros.
    model(dict(inputs["parts"][0]["features"]))["sentence_embedding"].sum().backward()
    assert gradients(model).keys() == whole.keys() - dict(objective.named_parameters()).keys()


def test_scores_are_made_in_blocks(checkpoints, table, monkeypatch):
    model = encoder(checkpoints["xlm-r"]).eval().double()
    objective = objective_of(model, table).double()
    inputs = objective.inputs(batch_of(table), ALONE)
    found = []
    for block in (10_000, 7):
        monkeypatch.setattr(masked_head, "_BLOCK", block)
        loss = objective.loss(model, inputs)
        loss.backward()
        found.append({"loss": loss.detach()} | gradients(model) | gradients(objective))
    for name, value in found[0].items():
        assert torch.allclose(value, found[1][name], atol=1e-12), name


def test_in_bf16_the_loss_is_fp32(checkpoints, table):
    model = encoder(checkpoints["xlm-r"]).eval()
    objective = objective_of(model, table)
    inputs = objective.inputs(batch_of(table), ALONE)
    exact = objective.loss(model, inputs).item()
    with torch.autocast("cpu", torch.bfloat16):
        rounded = objective.loss(model, inputs)
    assert rounded.dtype == torch.float32
    assert rounded.item() != exact
    assert rounded.item() == pytest.approx(exact, rel=0.02)


def test_a_head_comes_from_the_checkpoint_if_it_is_there(checkpoints, with_heads):
    for name in ("xlm-r", "bert"):
        transformer = encoder(with_heads[name], pooling="mean")[0].auto_model
        head, stored = build_head(transformer, 0)
        theirs = AutoModelForMaskedLM.from_pretrained(with_heads[name])
        assert stored
        assert torch.equal(head.bias, theirs.get_output_embeddings().bias)
        vectors = torch.randn(5, head.dense.in_features)
        wanted = (theirs.lm_head if name == "xlm-r" else theirs.cls)(vectors)
        embeddings = transformer.get_input_embeddings().weight
        assert torch.allclose(head(vectors, embeddings), wanted, atol=1e-5)
    for layout in ("xlm-r", "labse", "e5"):
        assert not build_head(encoder(checkpoints[layout])[0].auto_model, 0)[1]


def test_a_checkpoint_that_is_gone_or_has_another_head_gives_none(with_heads, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(with_heads["bert"], folder)
    transformer = encoder(folder, pooling="mean")[0].auto_model
    assert build_head(transformer, 0)[1]
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "vit"}), "utf-8")
    assert not build_head(transformer, 0)[1]
    shutil.rmtree(folder)
    assert not build_head(transformer, 0)[1]
    transformer.name_or_path = ""
    assert not build_head(transformer, 0)[1]


def test_a_new_head_comes_from_the_seed_and_leaves_torchs_numbers_alone(checkpoints, capfd):
    transformer = encoder(checkpoints["xlm-r"])[0].auto_model
    capfd.readouterr()
    state = torch.get_rng_state()
    one, again, other = (build_head(transformer, seed)[0] for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one.dense.weight, again.dense.weight)
    assert not torch.equal(one.dense.weight, other.dense.weight)
    assert one.dense.weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert not one.bias.any()
    assert capfd.readouterr() == ("", "")  # what the checkpoint lacks is not listed


def test_the_optimizer_finds_the_head_and_the_encoder_is_saved_without(
    checkpoints, table, tmp_path
):
    model = encoder(checkpoints["xlm-r"])
    objective = objective_of(model, table)
    whole = Objective(model, LossConfig(), tokens=[(0.5, objective)])
    head = {id(weight) for weight in objective.head.parameters()}
    assert head < {id(weight) for weight in whole.parameters()}
    assert head.isdisjoint(id(weight) for weight in model.parameters())
    model.save_pretrained(str(tmp_path / "saved"))
    assert not build_head(encoder(tmp_path / "saved")[0].auto_model, 0)[1]


def test_the_state_of_a_head_is_restored_bit_by_bit(checkpoints, table):
    model = encoder(checkpoints["xlm-r"])
    one, other = objective_of(model, table), objective_of(model, table, seed=5)
    assert set(one.state_dict()) == {
        f"head.{name}"
        for name in ("bias", "dense.weight", "dense.bias", "norm.weight", "norm.bias")
    }
    other.load_state_dict(one.state_dict())
    for name, weight in one.state_dict().items():
        assert torch.equal(weight, other.state_dict()[name])


def test_an_adapter_is_trained_with_the_head(with_heads, table):
    model = encoder(with_heads["xlm-r"], pooling="mean")
    attach_adapter(model, LoraConfig(rank=2), 0)
    objective = objective_of(model, table)
    objective.loss(model, objective.inputs(batch_of(table), ALONE)).backward()
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert gradients(model).keys() == trained
    assert all("lora_" in name for name in trained)
    assert any(gradient.any() for gradient in gradients(objective).values())


def test_some_steps_find_more_tokens(with_heads, table):
    model = encoder(with_heads["xlm-r"], pooling="mean").train()
    objective = objective_of(model, table)
    inputs = objective.inputs(batch_of(table), ALONE)
    optimizer = torch.optim.AdamW([*model.parameters(), *objective.parameters()], lr=3e-3)
    losses = []
    for _ in range(20):
        loss = objective.loss(model, inputs)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def refusal(model, table, config=CONFIG, **training):
    with pytest.raises(ConfigError) as error:
        objective_of(model, table, config, **training)
    return str(error.value)


def test_a_static_encoder_is_refused(checkpoints, table):
    assert refusal(encoder(checkpoints["static"]), table) == (
        "loss.translation_modelling: a StaticEmbedding encoder reads tokens without their context "
        "and cannot find masked ones; take loss.translation_modelling out, or start from a "
        "transformer such as FacebookAI/xlm-roberta-base"
    )


def test_an_encoder_without_a_mask_is_refused(checkpoints, table):
    model = encoder(checkpoints["xlm-r"])
    model.tokenizer.mask_token = None
    assert refusal(model, table) == (
        "loss.translation_modelling: the encoder's tokenizer has no mask token; take "
        "loss.translation_modelling out, or start from an encoder that was trained with one, such "
        "as FacebookAI/xlm-roberta-base"
    )


def test_a_tokenizer_of_another_kind_is_refused(checkpoints, table, monkeypatch):
    model = encoder(checkpoints["xlm-r"])
    monkeypatch.setattr(type(model.tokenizer), "backend_tokenizer", None)
    assert refusal(model, table) == (
        "loss.translation_modelling: the encoder's tokenizer is not one of the tokenizers library; "
        "take loss.translation_modelling out, or start from another encoder"
    )


@pytest.mark.parametrize(("layout", "most"), [("xlm-r", 30), ("labse", 30)])
def test_more_tokens_than_the_encoder_reads_are_refused(checkpoints, table, layout, most):
    # Both have 64 positions; XLM-R puts four special tokens around a pair, BERT three.
    model = encoder(checkpoints[layout])
    objective_of(model, table, TranslationModellingConfig(max_tokens=most))
    assert refusal(model, table, TranslationModellingConfig(max_tokens=most + 1)) == (
        "loss.translation_modelling.max_tokens: the encoder cannot read two texts of 31 tokens at "
        "once; 30 is the most"
    )


def test_sharding_is_refused(checkpoints, table):
    assert refusal(encoder(checkpoints["xlm-r"]), table, sharding="full") == (
        "loss.translation_modelling does not go with training.sharding: full, because its head is "
        "not sharded; leave one of them out"
    )
