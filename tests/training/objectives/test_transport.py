"""Optimal transport between tokens: on paper, against slow code, and from batch to gradient."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from isoglot.batches.plan import BatchPlan
from isoglot.config.objectives import TransportConfig
from isoglot.config.schema import BatchConfig, ModelConfig, TrainingConfig
from isoglot.data.parallel import ABSENT, build_table
from isoglot.errors import ConfigError
from isoglot.models.loading import load_encoder
from isoglot.models.static import WeightedStaticEmbedding
from isoglot.records import Group
from isoglot.training.inputs.build import build_collator
from isoglot.training.inputs.pairs import pairs_towards
from isoglot.training.inputs.slices import ALONE, Process
from isoglot.training.loop.compact import compact_gradients
from isoglot.training.objectives import transport as module
from isoglot.training.objectives.transport import (
    build_transport,
    transport_cost,
    transport_plan,
)
from tests.models.checkpoints import LANGS, sentences
from tests.reference.slow_transport import cosine_cost, exact_price, sinkhorn

ROWS = 7
EN = LANGS.index("en")
ENTROPY = {"epsilon": 0.1, "iterations": 50}
CONFIG = TransportConfig(iterations=4)


def all_of(rows, columns, pairs=1):
    return torch.ones(pairs, rows, dtype=torch.bool), torch.ones(pairs, columns, dtype=torch.bool)


def random_texts(seed, lengths, dim=6):
    """Texts of different lengths side by side, filled up with noise: vectors and mask."""
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(len(lengths), max(lengths), dim, generator=generator, dtype=torch.double)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return vectors, mask


def test_the_example_on_paper():
    # Two tokens each: moving a token to its own is free, to the other costs 1. The plan is the
    # kernel exp(-cost / epsilon), scaled; by symmetry one factor does it. With epsilon 1 it is
    # (1, 1/e; 1/e, 1) / (2 + 2/e), and its price is 2/e / (2 + 2/e) = 1 / (e + 1).
    cost = torch.tensor([[[0.0, 1.0], [1.0, 0.0]]], dtype=torch.double)
    plan = transport_plan(cost, *all_of(2, 2), epsilon=1.0, iterations=1)
    one, other = 1 / (2 + 2 / math.e), 1 / (2 * math.e + 2)
    assert plan[0].tolist() == [pytest.approx([one, other]), pytest.approx([other, one])]
    axes = torch.eye(2)[None]
    price = transport_cost(axes, 3 * axes, *all_of(2, 2), epsilon=1.0, iterations=1)
    assert price.item() == pytest.approx(1 / (math.e + 1), abs=1e-6)
    assert round(1 / (math.e + 1), 4) == 0.2689


@pytest.mark.parametrize("epsilon", [0.01, 0.05, 0.1, 1.0])  # the first by logarithms
@pytest.mark.parametrize("iterations", [1, 7, 50])
def test_plan_and_price_are_those_of_slow_code(epsilon, iterations):
    source_lengths, target_lengths = [3, 5, 1, 4], [6, 2, 1, 4]
    sources, source_mask = random_texts(0, source_lengths)
    targets, target_mask = random_texts(1, target_lengths)
    options = {"epsilon": epsilon, "iterations": iterations}
    prices = transport_cost(sources, targets, source_mask, target_mask, **options)
    for i, (n, m) in enumerate(zip(source_lengths, target_lengths, strict=True)):
        cost = cosine_cost(sources[i, :n].numpy(), targets[i, :m].numpy())
        wanted = sinkhorn(cost, epsilon, iterations)
        plan = transport_plan(torch.from_numpy(cost)[None], *all_of(n, m), **options)
        assert np.allclose(plan[0].numpy(), wanted, atol=1e-12)
        assert prices[i].item() == pytest.approx((wanted * cost).sum(), abs=1e-12)


def test_with_little_entropy_the_price_is_the_least_there_is():
    sources, source_mask = random_texts(0, [5, 3])
    targets, target_mask = random_texts(1, [4, 6])
    prices = transport_cost(
        sources, targets, source_mask, target_mask, epsilon=2e-3, iterations=3000
    )
    for i, (n, m) in enumerate(((5, 4), (3, 6))):
        cost = cosine_cost(sources[i, :n].numpy(), targets[i, :m].numpy())
        assert prices[i].item() == pytest.approx(exact_price(cost), abs=2e-3)


def shares(mask):
    return mask.double() / mask.sum(dim=1, keepdim=True)


def test_every_token_gives_and_takes_its_share():
    sources, source_mask = random_texts(0, [3, 5])
    targets, target_mask = random_texts(1, [6, 2])
    cost = (
        1
        - torch.nn.functional.normalize(sources, dim=2)
        @ torch.nn.functional.normalize(targets, dim=2).mT
    )
    plan = transport_plan(cost, source_mask, target_mask, epsilon=0.1, iterations=500)
    for sums, mask in ((plan.sum(dim=2), source_mask), (plan.sum(dim=1), target_mask)):
        assert torch.allclose(sums, shares(mask), atol=1e-6)
    # Of few iterations the shares of the targets are exact all the same.
    plan = transport_plan(cost, source_mask, target_mask, epsilon=0.1, iterations=1)
    assert torch.allclose(plan.sum(dim=1), shares(target_mask))


@pytest.mark.parametrize("epsilon", [0.02, 0.05])
def test_fp32_is_enough_for_the_farthest_tokens(epsilon):
    # Texts that point away from each other, and others of which some tokens are the same.
    sources = torch.tensor([[[1.0, 0.0]] * 3, [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]]])
    targets = torch.tensor([[[-1.0, 0.0]] * 2, [[1.0, 0.0], [-1.0, 1e-3]]])
    mask = all_of(3, 2, pairs=2)
    options = {"epsilon": epsilon, "iterations": 200}
    prices = transport_cost(sources, targets, *mask, **options)
    wanted = transport_cost(sources.double(), targets.double(), *mask, **options)
    assert prices[0].item() == pytest.approx(2.0, abs=1e-6)
    # Two tokens stay; of the third, whose share is a third, nothing comes nearer than 1.
    assert prices[1].item() == pytest.approx(1 / 3, abs=0.01)
    assert torch.allclose(prices.double(), wanted, atol=1e-5)
    smallest = transport_cost(sources, targets, *mask, epsilon=1e-6, iterations=200)
    assert ((smallest >= 0) & (smallest <= 2 + 1e-6)).all()  # rounded, but never lost


def test_factors_and_their_logarithms_make_the_same_plan(monkeypatch):
    sources, source_mask = random_texts(0, [3, 5, 4])
    targets, target_mask = random_texts(1, [6, 2, 3])
    source_mask[0] = False
    inputs = (sources.float(), targets.float(), source_mask, target_mask)
    prices = transport_cost(*inputs, epsilon=0.05, iterations=50)
    monkeypatch.setattr(module, "_SMALL_EPSILON", 1.0)
    assert torch.allclose(
        prices, transport_cost(*inputs, epsilon=0.05, iterations=50), rtol=0, atol=1e-5
    )


def test_padding_has_no_effect():
    sources, source_mask = random_texts(0, [3, 2])
    targets, target_mask = random_texts(1, [4, 5])
    price = transport_cost(sources, targets, source_mask, target_mask, **ENTROPY)
    noise = torch.full((2, 4, 6), 7.0, dtype=torch.double)
    none = torch.zeros(2, 4, dtype=torch.bool)
    for order in (lambda *parts: parts, lambda *parts: parts[::-1]):  # on the right, on the left
        padded = transport_cost(
            torch.cat(order(sources, noise), dim=1),
            torch.cat(order(targets, noise), dim=1),
            torch.cat(order(source_mask, none), dim=1),
            torch.cat(order(target_mask, none), dim=1),
            **ENTROPY,
        )
        assert torch.allclose(padded, price, atol=1e-12)


def test_the_gradient_is_that_of_the_price_at_a_plan_that_stays():
    sources, source_mask = random_texts(0, [3, 5])
    targets, target_mask = random_texts(1, [6, 2])
    one, other = (sources.clone().requires_grad_() for _ in range(2))
    moved = targets.clone().requires_grad_()
    transport_cost(one, moved, source_mask, target_mask, **ENTROPY).sum().backward()
    cost = 1 - torch.cosine_similarity(other[:, :, None], targets[:, None], dim=3)
    plan = transport_plan(cost.detach(), source_mask, target_mask, **ENTROPY)
    (plan * cost).sum().backward()
    assert torch.allclose(one.grad, other.grad, atol=1e-12)
    assert not one.grad[~source_mask].any()
    assert moved.grad is None


def test_an_empty_text_costs_nothing_and_moves_nothing():
    sources, source_mask = random_texts(0, [3, 5, 4])
    targets, target_mask = random_texts(1, [6, 2, 3])
    source_mask[0], target_mask[1] = False, False
    sources.requires_grad_()
    prices = transport_cost(sources, targets, source_mask, target_mask, **ENTROPY)
    assert prices[:2].tolist() == [0.0, 0.0]
    assert prices[2] > 0
    prices.sum().backward()
    assert not sources.grad[:2].any()
    assert torch.isfinite(sources.grad).all()


def test_pairs_are_planned_in_blocks(monkeypatch):
    sources, source_mask = random_texts(0, [3, 5, 1, 4, 2])
    targets, target_mask = random_texts(1, [6, 2, 1, 4, 3])
    whole = transport_cost(sources, targets, source_mask, target_mask, **ENTROPY)
    monkeypatch.setattr(module, "_CELLS", 5 * 6 * 2)  # two pairs at a time
    blocks = transport_cost(sources, targets, source_mask, target_mask, **ENTROPY)
    assert torch.allclose(whole, blocks, atol=1e-12)


def test_in_bf16_the_plan_is_fp32():
    sources, source_mask = random_texts(0, [3, 5])
    targets, target_mask = random_texts(1, [6, 2])
    halves = sources.bfloat16(), targets.bfloat16()
    wanted = transport_cost(*(h.float() for h in halves), source_mask, target_mask, **ENTROPY)
    with torch.autocast("cpu", torch.bfloat16):
        got = transport_cost(*halves, source_mask, target_mask, **ENTROPY)
    assert got.dtype == torch.float32
    assert torch.equal(got, wanted)


def table_of(count=40):
    texts = iter(sentences())
    # Every third group lacks English: not all rows have a text to go to.
    langs = [LANGS if i % 3 else ("de", "sw") for i in range(count)]
    groups = [
        Group(f"g{i}", {lang: next(texts) for lang in own}, {lang: next(texts) for lang in own})
        for i, own in enumerate(langs)
    ]
    return build_table({"a": groups})


@pytest.fixture(scope="module")
def table():
    return table_of()


def batch_of(table, index=3):
    return BatchPlan(table, BatchConfig(size=ROWS), seed=0, parallels=True).batch(index)


def encoder(path):
    model = load_encoder(ModelConfig(name=str(path)), device="cpu").train().double()
    for part in model.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    return model


def objective_of(model, table, config=CONFIG, **training):
    training = TrainingConfig(**training)
    collate = build_collator(model, table, training)
    return build_transport(model, table, config, training, collate)


def tokens_of(model, text, query):
    """What an encoder makes of the tokens of one text: (tokens, dim)."""
    if isinstance(model[0], WeightedStaticEmbedding) or hasattr(model[0], "embedding"):
        ids = model[0].tokenizer.encode(text, add_special_tokens=False).ids
        return model[0].embedding.weight[ids]
    prompt = model.prompts["query" if query else "document"]
    inputs = model.preprocess([text], prompt=prompt)
    return model(dict(inputs))["token_embeddings"][0]


def slow_mean(model, table, batch, most=128):
    prices = []
    for query, pairs in zip((True, False), pairs_towards(batch, table, EN), strict=True):
        for first, second in zip(pairs.first, pairs.second, strict=True):
            with torch.no_grad():
                source = tokens_of(model, table.text(first), query).numpy()
                target = tokens_of(model, table.text(second), query).numpy()
            cost = cosine_cost(source[:most], target[:most])
            prices.append((sinkhorn(cost, CONFIG.epsilon, CONFIG.iterations) * cost).sum())
    return np.mean(prices)


WAYS = {
    "by length": {},
    "one part": {"length_buckets": 1},
    "one pair at a time": {"mini_batch_size": 2},
    "few": {"mini_batch_size": 5},
}


@pytest.mark.parametrize(
    ("layout", "way"),
    [
        ("labse", "by length"),
        ("e5", "by length"),
        *(("xlm-r", way) for way in WAYS),
        ("static", "by length"),
        ("static", "few"),
    ],
)
def test_the_loss_is_the_mean_price_over_the_pairs_of_the_batch(checkpoints, table, layout, way):
    model, batch = encoder(checkpoints[layout]), batch_of(table)
    objective = objective_of(model, table, **WAYS[way])
    loss = objective.loss(model, objective.inputs(batch, ALONE))
    assert loss.item() == pytest.approx(slow_mean(model, table, batch), abs=1e-9)
    assert loss.item() < objective.highest


@pytest.mark.parametrize("layout", ["xlm-r", "static"])
def test_of_long_texts_the_first_tokens_take_part(checkpoints, table, layout):
    model, batch = encoder(checkpoints[layout]), batch_of(table)
    objective = objective_of(model, table, CONFIG.model_copy(update={"max_tokens": 3}))
    loss = objective.loss(model, objective.inputs(batch, ALONE)).item()
    assert loss == pytest.approx(slow_mean(model, table, batch, most=3), abs=1e-9)
    assert loss != pytest.approx(slow_mean(model, table, batch), abs=1e-3)


@pytest.mark.parametrize("layout", ["xlm-r", "static"])
def test_the_mean_over_processes_is_the_loss(checkpoints, table, layout):
    model = encoder(checkpoints[layout])
    for way in WAYS.values():
        objective = objective_of(model, table, **way)
        for index in range(2):
            batch = batch_of(table, index)
            inputs = [objective.inputs(batch, Process(rank, 3)) for rank in range(3)]
            shares = [objective.loss(model, part).item() for part in inputs]
            whole = objective.loss(model, objective.inputs(batch, ALONE)).item()
            assert np.mean(shares) == pytest.approx(whole, abs=1e-12)
            if "mini_batch_size" in way:
                assert len({len(part["parts"]) for part in inputs}) == 1


def test_an_encoder_that_tokenizes_at_every_visit_has_the_same_loss(checkpoints, table):
    model, batch = encoder(checkpoints["e5"]), batch_of(table)
    stored = objective_of(model, table)
    wanted = stored.loss(model, stored.inputs(batch, ALONE)).item()
    model[1].include_prompt = False  # the length of the prompt is a further input
    visited = objective_of(model, table)
    assert visited.loss(model, visited.inputs(batch, ALONE)).item() == pytest.approx(wanted)


def gradients(model):
    found = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad(set_to_none=True)
    return found


@pytest.mark.parametrize("layout", ["labse", "static"])
def test_part_by_part_the_gradient_is_the_same(checkpoints, table, layout):
    model, batch = encoder(checkpoints[layout]), batch_of(table)
    objective = objective_of(model, table, mini_batch_size=3)
    inputs = objective.inputs(batch, ALONE)
    assert len(inputs["parts"]) > 2
    objective.loss(model, inputs).backward()
    whole = gradients(model)
    for share in objective.shares(model, inputs):
        share.backward()
    parts = gradients(model)
    assert whole.keys() == parts.keys()
    for name, gradient in whole.items():
        assert torch.allclose(gradient, parts[name], atol=1e-12), name
    # All weights that a vector depends on have a gradient, if only of zeros.
    model(dict(inputs["parts"][0]["first"]["features"]))["sentence_embedding"].sum().backward()
    assert gradients(model).keys() == whole.keys()


def test_in_bf16_the_gradient_reaches_every_weight(checkpoints, table):
    model, batch = encoder(checkpoints["xlm-r"]).float(), batch_of(table)
    objective = objective_of(model, table, mini_batch_size=6)
    inputs = objective.inputs(batch, ALONE)
    objective.loss(model, inputs).backward()
    wanted = gradients(model)
    with torch.autocast("cpu", torch.bfloat16):
        loss = objective.loss(model, inputs)
    assert loss.dtype == torch.float32
    loss.backward()
    reached = gradients(model)
    assert reached.keys() == wanted.keys()
    one, other = (torch.cat([g.ravel() for g in each.values()]) for each in (reached, wanted))
    assert torch.cosine_similarity(one, other, dim=0) > 0.98


def test_only_subwords_of_the_other_languages_move(checkpoints, table):
    model, batch = encoder(checkpoints["static"]), batch_of(table)
    objective = objective_of(model, table)
    objective.loss(model, objective.inputs(batch, ALONE)).backward()
    moved = set(torch.nonzero(model[0].embedding.weight.grad.any(dim=1)).ravel().tolist())
    kinds = pairs_towards(batch, table, EN)
    first, second = (
        {
            token
            for pairs in kinds
            for text in getattr(pairs, side)
            for token in model[0].tokenizer.encode(table.text(text), add_special_tokens=False).ids
        }
        for side in ("first", "second")
    )
    assert moved <= first
    assert second - first
    assert len(moved) > len(first) / 2


def test_a_static_encoder_in_training_has_the_loss_and_gradient_of_a_plain_one(checkpoints, table):
    plain, batch = encoder(checkpoints["static"]), batch_of(table)
    vectors = plain[0].embedding.weight.detach().clone()
    weights = torch.rand(len(vectors), dtype=torch.double) + 0.5
    weighted = SentenceTransformer(
        modules=[WeightedStaticEmbedding(plain[0].tokenizer, weights, vectors)], device="cpu"
    ).double()
    found = []
    for model in (plain, weighted):
        objective = objective_of(model, table)
        loss = objective.loss(model, objective.inputs(batch, ALONE))
        loss.backward()
        found.append((loss.item(), gradients(model)))
    # A weight changes the length of a subword's vector, which the cosine does not see.
    assert found[0][0] == pytest.approx(found[1][0], abs=1e-12)
    assert found[1][1]["0.log_weight"].abs().max() < 1e-12
    name = "0.embedding.weight"
    assert torch.allclose(found[0][1][name], found[1][1][name], atol=1e-12)
    with compact_gradients(weighted):
        loss = objective.loss(weighted, objective.inputs(batch, ALONE))
        loss.backward()
        assert torch.allclose(weighted[0].embedding.weight.grad, found[1][1][name], atol=1e-12)


@pytest.mark.parametrize("layout", ["labse", "static"])
def test_a_batch_without_pairs_has_a_loss_of_zero_with_a_graph(checkpoints, table, layout):
    model = encoder(checkpoints[layout])
    objective = objective_of(model, table)
    without = np.flatnonzero(table.query[:][:, EN] == ABSENT)[:ROWS]
    batch = replace(
        batch_of(table),
        groups=without,
        query_langs=np.zeros(ROWS, dtype=np.int64),
        passage_langs=np.zeros(ROWS, dtype=np.int64),
        query_texts=table.query[without, 0],
        passage_texts=table.passage[without, 0],
    )
    assert not any(map(len, pairs_towards(batch, table, EN)))
    loss = objective.loss(model, objective.inputs(batch, ALONE))
    assert loss.item() == 0.0
    loss.backward()
    found = gradients(model)
    assert found
    assert not any(gradient.any() for gradient in found.values())


def test_inputs_are_a_function_of_the_batch(checkpoints, table):
    model = encoder(checkpoints["xlm-r"])
    objective = objective_of(model, table)
    one, again = (objective.inputs(batch_of(table), ALONE) for _ in range(2))
    for first, second in zip(one["parts"], again["parts"], strict=True):
        assert first["share"] == second["share"]
        for side in ("first", "second"):
            ids = [part[side]["features"]["input_ids"] for part in (first, second)]
            assert torch.equal(*ids)


def test_a_language_that_the_data_lack_is_refused(checkpoints, table):
    model = encoder(checkpoints["static"])
    with pytest.raises(ConfigError) as error:
        objective_of(model, table, TransportConfig(lang="fr"))
    assert (
        str(error.value) == "loss.transport.lang: no training text in fr; the data has de, en, sw"
    )


def test_an_encoder_without_vectors_of_tokens_is_refused(checkpoints, table):
    model = encoder(checkpoints["xlm-r"])
    model[0].module_output_name = "sentence_embedding"
    with pytest.raises(ConfigError) as error:
        objective_of(model, table)
    assert str(error.value) == (
        "loss.transport: a Transformer encoder gives no vectors of tokens; take loss.transport "
        "out, or start from a transformer or a static encoder"
    )
