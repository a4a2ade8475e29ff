"""The gradient of a batch: in one part or many, cached or not, it is the same."""

import contextlib

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from isoglot.batches.plan import BatchPlan
from isoglot.config.schema import BatchConfig, LossConfig, ModelConfig, TrainingConfig
from isoglot.data.parallel import build_table
from isoglot.models.loading import load_encoder
from isoglot.records import Group
from isoglot.training import objective as module
from isoglot.training.inputs.build import build_collator
from isoglot.training.inputs.collate import PlannedBatches
from isoglot.training.inputs.teacher import load_teacher
from isoglot.training.losses import info_nce
from isoglot.training.objective import Objective
from tests.models.checkpoints import LANGS, sentences

LOSSES = {
    "in-batch": LossConfig(),
    "explicit": LossConfig(negatives="explicit"),
    "both": LossConfig(negatives="both", matryoshka_dims=(8, 16)),
    "objectives": LossConfig.model_validate(
        {
            "contrastive_weight": 0.4,
            "negatives": "both",
            "query_agreement": {"weight": 0.7},
            "passage_agreement": {"weight": 0.3},
            "reversed": {"agreement": 0.2},
            "distillation": {"lang": LANGS[0], "target": "scores"},
        }
    ),
}


@pytest.fixture(scope="module")
def table():
    texts = iter(sentences())
    groups = [
        Group(f"g{i}", {lang: next(texts) for lang in LANGS}, {lang: next(texts) for lang in LANGS})
        for i in range(40)
    ]
    return build_table({"a": groups})


def encoder(path, *, dropout):
    model = load_encoder(ModelConfig(name=str(path)), device="cpu")
    for module_ in model.modules():
        if isinstance(module_, torch.nn.Dropout):
            module_.p = dropout
    return model.train().double()  # so that what differs is not rounding


def inputs_of(model, table, loss, **training):
    negatives = 0 if loss.negatives == "in-batch" else 2
    batches = BatchConfig(size=12, negatives_per_query=negatives)
    plan = BatchPlan(table, batches, seed=0, parallels=loss.needs_parallel_texts)
    collate = build_collator(model, table, TrainingConfig(**training))
    teacher = load_teacher(model, table, loss.distillation, print)
    return PlannedBatches(plan, collate, 5, loss=loss, teacher=teacher)[3]


def gradients(model):
    found = {
        name: parameter.grad.clone()
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }
    model.zero_grad()
    return found


def plain(model, table, loss, **training):
    torch.manual_seed(0)
    value = Objective(model, loss)(model, inputs_of(model, table, loss, **training))
    value.backward()
    return value.item(), gradients(model)


def cached(model, table, loss, **training):
    torch.manual_seed(0)
    held = []

    @contextlib.contextmanager
    def apart():
        held.append(True)
        yield

    inputs = inputs_of(model, table, loss, **training)
    value = Objective(model, loss).backward(model, inputs, torch.Tensor.backward, apart)
    # Only the last part exchanges gradients between processes.
    assert len(held) == len(inputs["features"]) - 1
    return value.item(), gradients(model)


def assert_same(one, other):
    assert one[0] == pytest.approx(other[0], abs=1e-9)
    assert one[1].keys() == other[1].keys() != set()
    for name, gradient in one[1].items():
        assert torch.allclose(gradient, other[1][name], rtol=1e-9, atol=1e-9), name


@pytest.mark.parametrize("layout", ["xlm-r", "labse", "e5", "static"])
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("mini_batch_size", [2, 5, 100])
def test_a_cached_gradient_is_the_uncached_one(checkpoints, table, layout, loss, mini_batch_size):
    model = encoder(checkpoints[layout], dropout=0.0)
    whole = plain(model, table, loss, length_buckets=1)
    assert_same(cached(model, table, loss, mini_batch_size=mini_batch_size), whole)


@pytest.mark.parametrize("layout", ["xlm-r", "static"])
def test_in_fp32_a_cached_gradient_differs_by_rounding_alone(checkpoints, table, layout):
    model = encoder(checkpoints[layout], dropout=0.0).float()
    _, whole = plain(model, table, LOSSES["in-batch"], mini_batch_size=5)
    _, parts = cached(model, table, LOSSES["in-batch"], mini_batch_size=5)
    for name, gradient in parts.items():
        assert torch.allclose(gradient, whole[name], rtol=0, atol=1e-6), name


def test_the_loss_is_cached_in_blocks_of_queries(checkpoints, table, monkeypatch):
    model = encoder(checkpoints["static"], dropout=0.0)
    for loss in (LOSSES["both"], LOSSES["objectives"]):
        with monkeypatch.context() as patch:
            whole = plain(model, table, loss)
            patch.setattr(module, "_LOSS_ROWS", 5)
            assert_same(cached(model, table, loss, mini_batch_size=4), whole)


def test_a_part_is_encoded_again_with_the_dropout_it_had(checkpoints, table):
    model = encoder(checkpoints["xlm-r"], dropout=0.3)
    # The same parts in the same order draw the same numbers, with or without a cache.
    inputs = {"mini_batch_size": 5}
    assert_same(
        cached(model, table, LOSSES["in-batch"], **inputs),
        plain(model, table, LOSSES["in-batch"], **inputs),
    )


@pytest.mark.parametrize("layout", ["xlm-r", "labse"])
@pytest.mark.parametrize("buckets", [2, 8])
def test_parts_of_like_length_change_no_gradient(checkpoints, table, layout, buckets, monkeypatch):
    monkeypatch.setattr("isoglot.training.inputs.lengths._CALL", 1)
    model = encoder(checkpoints[layout], dropout=0.0)
    inputs = inputs_of(model, table, LOSSES["both"], length_buckets=buckets)
    assert 2 <= len(inputs["features"]) <= buckets
    whole = plain(model, table, LOSSES["both"], length_buckets=1)
    assert_same(plain(model, table, LOSSES["both"], length_buckets=buckets), whole)


def test_in_bf16_the_loss_is_fp32(checkpoints, table):
    model = encoder(checkpoints["xlm-r"], dropout=0.0).float()
    inputs = inputs_of(model, table, LOSSES["in-batch"])
    exact = Objective(model, LOSSES["in-batch"])(model, inputs)
    rounded = Objective(model, LOSSES["in-batch"], torch.bfloat16)(model, inputs)
    assert rounded.dtype == torch.float32
    assert rounded.item() != exact.item()
    assert rounded.item() == pytest.approx(exact.item(), rel=0.05)


def test_in_bf16_a_cached_gradient_reaches_every_weight(checkpoints, table):
    # Weights that were cast without a graph must not be taken for those with one.
    model = encoder(checkpoints["xlm-r"], dropout=0.0).float()
    inputs = inputs_of(model, table, LOSSES["in-batch"], mini_batch_size=5)
    objective = Objective(model, LOSSES["in-batch"], torch.bfloat16)
    objective.backward(model, inputs, torch.Tensor.backward, contextlib.nullcontext)
    reached = gradients(model)
    _, wanted = plain(model, table, LOSSES["in-batch"])
    assert reached.keys() == wanted.keys()
    one = torch.cat([gradient.ravel() for gradient in reached.values()])
    other = torch.cat([gradient.ravel() for gradient in wanted.values()])
    assert torch.cosine_similarity(one, other, dim=0) > 0.99


def test_the_trainer_finds_the_encoders_weights(checkpoints):
    model = SentenceTransformer(str(checkpoints["static"]), device="cpu")
    objective = Objective(model, LossConfig())
    assert {id(p) for p in objective.parameters()} == {id(p) for p in model.parameters()}


def test_the_model_card_states_the_loss(checkpoints):
    model = SentenceTransformer(str(checkpoints["static"]), device="cpu")
    loss = LossConfig(temperature=0.1, negatives="both")
    assert Objective(model, loss).get_config_dict() == loss.model_dump()


def test_an_encoder_that_knows_nothing_stays_below_the_highest_loss():
    # With equal vectors all candidates score the same: the loss is the logarithm of their number.
    vectors = torch.ones(100, 4)
    loss = info_nce(vectors, vectors, vectors.repeat(8, 1), temperature=1.0, kind="both")
    objective = Objective(torch.nn.Identity(), LossConfig(temperature=1.0, negatives="both"))
    assert np.log(900) == pytest.approx(loss.item(), rel=1e-5)
    assert loss.item() < objective.highest_loss(900)


def test_a_loss_that_only_a_lost_encoder_reaches():
    # 8 passages, temperature 0.05: log 8 + 20.
    objective = Objective(torch.nn.Identity(), LossConfig(temperature=0.05))
    assert objective.highest_loss(8) == pytest.approx(np.log(8) + 20)
