"""Batches become exactly the model's own inputs; dropout and crops are functions of the index."""

import operator
from dataclasses import replace

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from isoglot.batches.plan import MONOLINGUAL, BatchPlan
from isoglot.config.schema import BatchConfig, ModelConfig
from isoglot.data.parallel import build_table
from isoglot.data.tokens import TokenStore
from isoglot.models.loading import load_encoder
from isoglot.models.static import WeightedStaticEmbedding
from isoglot.records import Group
from isoglot.training.collate import PlannedBatches, TextCollator, TokenCollator
from tests.models.checkpoints import LANGS, sentences


def make_plan(texts=None, **options):
    texts = iter(texts or sentences())
    groups = [
        Group(f"g{i}", {lang: next(texts) for lang in LANGS}, {lang: next(texts) for lang in LANGS})
        for i in range(12)
    ]
    return BatchPlan(build_table({"a": groups}), BatchConfig(**{"size": 4, **options}), seed=0)


def texts_of(plan, rows):
    return [plan.table.text(row) for row in rows]


@pytest.fixture
def static(checkpoints):
    return SentenceTransformer(str(checkpoints["static"]), device="cpu")


def per_text(inputs, name):
    """Split the flat tokens of a static encoder's input."""
    ends = [*inputs[f"{name}_offsets"].tolist()[1:], len(inputs[f"{name}_input_ids"])]
    starts = inputs[f"{name}_offsets"].tolist()
    ids = inputs[f"{name}_input_ids"].tolist()
    return [ids[start:end] for start, end in zip(starts, ends, strict=True)]


@pytest.mark.parametrize("layout", ["xlm-r", "labse", "e5", "static"])
@pytest.mark.parametrize("prompts", [{}, {"query_prompt": "Query: ", "passage_prompt": "P: "}])
def test_texts_become_the_models_own_inputs(checkpoints, layout, prompts):
    plan = make_plan(negatives_per_query=2)
    batch = plan.batch(3)
    model = load_encoder(ModelConfig(name=str(checkpoints[layout]), **prompts), device="cpu")
    inputs = TextCollator(model, plan.table)(batch)
    columns = {
        "query": (batch.query_texts, model.prompts["query"]),
        "passage": (batch.passage_texts, model.prompts["document"]),
        "negative_0": (batch.negative_texts[:, 0], model.prompts["document"]),
        "negative_1": (batch.negative_texts[:, 1], model.prompts["document"]),
    }
    wanted = {}
    for name, (rows, prompt) in columns.items():
        encoded = model.preprocess(texts_of(plan, rows), prompt=prompt)
        wanted.update({f"{name}_{key}": value for key, value in encoded.items()})
    assert list(inputs) == list(wanted)
    for key, value in wanted.items():
        same = torch.equal if torch.is_tensor(value) else operator.eq
        assert same(inputs[key], value), key


def test_training_uses_the_prompts_that_encoding_uses(checkpoints):
    model = load_encoder(ModelConfig(name=str(checkpoints["static"])), device="cpu")
    plan = make_plan()
    batch = plan.batch(0)
    # The library takes "document" before "passage", and an empty prompt is a prompt.
    for prompts in ({"passage": "P: "}, {"document": "", "passage": "P: "}, {"document": "D: "}):
        model.prompts = dict(prompts)
        inputs = TextCollator(model, plan.table)(batch)
        features = {k.removeprefix("passage_"): v for k, v in inputs.items() if "passage_" in k}
        encoded = model.encode_document(texts_of(plan, batch.passage_texts))
        assert np.allclose(model(features)["sentence_embedding"].detach(), encoded, atol=1e-6)


def test_stored_tokens_are_those_of_each_text(static):
    table = make_plan().table
    tokenizer = static[0].tokenizer
    store = TokenStore(tokenizer, table)
    for row in range(len(table.texts)):
        expected = tokenizer.encode(table.text(row), add_special_tokens=False).ids
        assert store.tokens[store.starts[row] : store.ends[row]].tolist() == expected
    frequencies = store.frequencies(tokenizer.get_vocab_size())
    assert frequencies.sum() == len(store.tokens)
    assert frequencies.shape == (tokenizer.get_vocab_size(),)


@pytest.mark.parametrize("regime", ["monolingual", "cross-lingual"])
def test_without_dropout_and_crop_stored_tokens_equal_the_tokenizers(static, regime):
    plan = make_plan(regime=regime)
    stored = TokenCollator(
        TokenStore(static[0].tokenizer, plan.table), token_dropout=0.0, crop=1.0, seed=0
    )
    tokenized = TextCollator(static, plan.table)
    for index in range(5):
        ours, theirs = stored(plan.batch(index)), tokenized(plan.batch(index))
        assert list(ours) == list(theirs)
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_dropout_leaves_every_text_a_token(static):
    plan = make_plan()
    store = TokenStore(static[0].tokenizer, plan.table)
    collate = TokenCollator(store, token_dropout=0.97, crop=1.0, seed=0)
    left = [tokens for i in range(20) for tokens in per_text(collate(plan.batch(i)), "query")]
    assert min(map(len, left)) == 1
    assert sum(map(len, left)) < 0.2 * len(left) * store.ends[-1] / len(store.ends)


def test_dropout_keeps_the_stated_share(static):
    plan = make_plan()
    store = TokenStore(static[0].tokenizer, plan.table)
    collate = TokenCollator(store, token_dropout=0.3, crop=1.0, seed=0)
    whole = kept = 0
    for i in range(50):
        batch = plan.batch(i)
        whole += int((store.ends - store.starts)[batch.passage_texts].sum())
        kept += len(collate(batch)["passage_input_ids"])
    assert kept / whole == pytest.approx(0.7, abs=0.02)


def translations(batch):
    """The batch as one of translations: in one language, a text is its own passage."""
    own = batch.query_langs == batch.passage_langs
    return replace(batch, passage_texts=np.where(own, batch.query_texts, batch.passage_texts))


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_crops_are_contiguous_and_at_least_the_share_and_only_of_equal_texts(static, share):
    plan = make_plan(monolingual_share=0.5)
    store = TokenStore(static[0].tokenizer, plan.table)
    collate = TokenCollator(store, token_dropout=0.0, crop=share, seed=0)
    shortened = 0
    for i in range(30):
        batch = translations(plan.batch(i)) if i % 3 else plan.batch(i)
        for name, rows in (("query", batch.query_texts), ("passage", batch.passage_texts)):
            for row, got in zip(rows, per_text(collate(batch), name), strict=True):
                whole = store.tokens[store.starts[row] : store.ends[row]].tolist()
                places = range(len(whole) - len(got) + 1)
                assert any(whole[at : at + len(got)] == got for at in places)
                assert len(got) >= share * len(whole)
                assert (batch.kind == MONOLINGUAL and i % 3) or got == whole
                shortened += len(got) < len(whole)
    assert shortened > 50


def test_of_longer_texts_a_window_is_used_anew_at_every_visit(static):
    plan = make_plan(regime="cross-lingual")
    store = TokenStore(static[0].tokenizer, plan.table)
    collate = TokenCollator(store, token_dropout=0.0, crop=1.0, max_tokens=5, seed=0)
    seen = {}
    for i in range(20):
        batch = plan.batch(i)
        for row, got in zip(batch.passage_texts, per_text(collate(batch), "passage"), strict=True):
            whole = store.tokens[store.starts[row] : store.ends[row]].tolist()
            assert len(got) == min(5, len(whole))
            assert any(whole[at : at + len(got)] == got for at in range(len(whole)))
            seen.setdefault(row, set()).add(tuple(got))
    assert max(map(len, seen.values())) > 1


def test_tokens_depend_on_the_batch_index_alone(static):
    plan = make_plan()
    store = TokenStore(static[0].tokenizer, plan.table)

    def draw(indices, seed=0):
        collate = TokenCollator(store, token_dropout=0.5, crop=0.5, seed=seed)
        batches = PlannedBatches(plan, collate, 20)
        assert len(batches) == 20
        return {i: batches[i]["query_input_ids"].tolist() for i in indices}

    forwards = draw(range(10))
    assert draw(reversed(range(10))) == forwards
    assert draw([7]) == {7: forwards[7]}
    assert draw([7], seed=1) != {7: forwards[7]}


def test_texts_without_tokens_do_no_harm(static):
    # The tokenizer takes white space at both ends off, so that nothing is left of these.
    blank = [" " * n for n in range(1, 73)]
    texts = blank[:36] + sentences()[:36]
    plan = make_plan(texts, regime="cross-lingual")
    store = TokenStore(static[0].tokenizer, plan.table)
    assert 0 in (store.ends - store.starts)
    collate = TokenCollator(store, token_dropout=0.5, crop=0.5, seed=0)
    module = WeightedStaticEmbedding(
        static[0].tokenizer,
        torch.ones(static[0].num_embeddings),
        static[0].embedding.weight.detach(),
    )
    for i in range(10):
        inputs = collate(plan.batch(i))
        features = {
            "input_ids": inputs["query_input_ids"],
            "offsets": inputs["query_offsets"],
        }
        vectors = module(features)["sentence_embedding"]
        assert vectors.shape == (4, 32)
        assert torch.isfinite(vectors).all()
