"""Batches become exactly the model's own inputs, in parts; what is left of a text is a function of
the batch's index."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from isoglot.batches.plan import MONOLINGUAL, BatchPlan
from isoglot.config.schema import BatchConfig, ModelConfig, TrainingConfig
from isoglot.data.parallel import build_table
from isoglot.data.tokens import tokenize_table
from isoglot.models.loading import load_encoder
from isoglot.models.static import WeightedStaticEmbedding
from isoglot.records import Group
from isoglot.training.inputs import build
from isoglot.training.inputs.augment import Augmentation
from isoglot.training.inputs.build import build_collator
from isoglot.training.inputs.collate import PlannedBatches, TextCollator, TokenCollator
from isoglot.training.inputs.packing import FlatPacker
from isoglot.training.inputs.reading import Role, read, training_roles
from isoglot.training.inputs.slices import ALONE, Process
from tests.models.checkpoints import LANGS, sentences

LAYOUTS = ["xlm-r", "labse", "e5", "static"]


def make_plan(texts=None, **options):
    texts = iter(texts or sentences())
    groups = [
        Group(f"g{i}", {lang: next(texts) for lang in LANGS}, {lang: next(texts) for lang in LANGS})
        for i in range(12)
    ]
    return BatchPlan(build_table({"a": groups}), BatchConfig(**{"size": 4, **options}), seed=0)


def texts_of(plan, rows):
    return [plan.table.text(row) for row in rows]


def all_texts(plan, batch, model):
    """The texts of a batch with their prompts, in their order: queries, passages, negatives."""
    query, passage = training_roles(model)
    passages = [*batch.passage_texts, *batch.negative_texts.ravel()]
    return [
        *((text, query) for text in texts_of(plan, batch.query_texts)),
        *((text, passage) for text in texts_of(plan, passages)),
    ]


def tokens_of(features):
    """The tokens of each text of a part, without padding."""
    ids = features["input_ids"]
    if "offsets" in features:
        return [part.tolist() for part in torch.tensor_split(ids, features["offsets"][1:])]
    mask = features["attention_mask"].bool()
    return [row[kept].tolist() for row, kept in zip(ids, mask, strict=True)]


def in_order(parts):
    encoded = [tokens for features in parts.features for tokens in tokens_of(features)]
    return [encoded[place] for place in parts.place]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("prompts", [{}, {"query_prompt": "Query: ", "passage_prompt": "P: "}])
@pytest.mark.parametrize("training", [{}, {"length_buckets": 1}, {"mini_batch_size": 3}])
def test_stored_tokens_are_the_models_own_inputs(checkpoints, layout, prompts, training):
    plan = make_plan(negatives_per_query=2)
    model = load_encoder(ModelConfig(name=str(checkpoints[layout]), **prompts), device="cpu")
    collate = build_collator(model, plan.table, TrainingConfig(**training))
    assert isinstance(collate, TokenCollator)
    batch = plan.batch(3)
    parts = collate(batch, ALONE)
    for text, got in zip(all_texts(plan, batch, model), in_order(parts), strict=True):
        assert got == tokens_of(read(model, [text[0]], text[1]))[0]
    own = dict(read(model, ["text"], training_roles(model)[0]))
    own.pop("prompt_length", None)  # for pooling that leaves the prompt out, which none has here
    for features in parts.features:
        assert features.keys() == own.keys()
        for key, value in own.items():
            same = not torch.is_tensor(value) and features[key] == value
            assert same or features[key].dtype == value.dtype


@pytest.mark.parametrize("layout", LAYOUTS)
def test_parts_give_the_vectors_that_encoding_gives(checkpoints, layout):
    plan = make_plan(negatives_per_query=1)
    model = load_encoder(ModelConfig(name=str(checkpoints[layout])), device="cpu").eval()
    batch = plan.batch(0)
    features, place = build_collator(model, plan.table, TrainingConfig())(batch, ALONE)
    with torch.no_grad():
        parts = [model(dict(part))["sentence_embedding"] for part in features]
    ours = torch.cat(parts)[torch.from_numpy(place)].numpy()
    queries = model.encode_query(texts_of(plan, batch.query_texts))
    passages = model.encode_document(
        texts_of(plan, [*batch.passage_texts, *batch.negative_texts.ravel()])
    )
    assert np.allclose(ours, np.concatenate([queries, passages]), atol=1e-5)


def test_tokens_are_made_on_the_left_where_the_tokenizer_pads_there(checkpoints):
    plan = make_plan()
    model = load_encoder(ModelConfig(name=str(checkpoints["xlm-r"])), device="cpu")
    model.tokenizer.padding_side = "left"
    collate = build_collator(model, plan.table, TrainingConfig(length_buckets=1))
    batch = plan.batch(0)
    (features,), _ = collate(batch, ALONE)
    mask = features["attention_mask"]
    assert (mask[:, -1] == 1).all()
    assert (mask[:, 0] == 0).any()
    wanted = model.preprocess(texts_of(plan, [*batch.query_texts, *batch.passage_texts]))
    order = np.argsort(wanted["attention_mask"].sum(dim=1), kind="stable")
    assert torch.equal(features["input_ids"], wanted["input_ids"][order])


def test_pooling_that_leaves_the_prompt_out_is_told_its_length(checkpoints):
    plan = make_plan()
    same = {"query_prompt": "Text: ", "passage_prompt": "Text: "}
    for prompts, stored in ((same, True), ({**same, "passage_prompt": "P: "}, False)):
        model = load_encoder(ModelConfig(name=str(checkpoints["e5"]), **prompts), device="cpu")
        model[1].include_prompt = False
        collate = build_collator(model, plan.table, TrainingConfig())
        assert isinstance(collate, TokenCollator) == stored
        (features, *_), _ = collate(plan.batch(0), ALONE)
        wanted = model.preprocess(["text"], prompt=model.prompts["query"])["prompt_length"]
        assert features["prompt_length"] == wanted


def test_queries_that_are_read_otherwise_than_passages_have_tokens_of_their_own(checkpoints):
    plan = make_plan()
    model = load_encoder(ModelConfig(name=str(checkpoints["xlm-r"])), device="cpu").eval()
    model[0].query_length = 6
    batch = plan.batch(0)
    parts = build_collator(model, plan.table, TrainingConfig())(batch, ALONE)
    lengths = list(map(len, in_order(parts)))
    assert max(lengths[: len(batch)]) == 6 < max(lengths[len(batch) :])
    with torch.no_grad():
        encoded = [model(dict(part))["sentence_embedding"] for part in parts.features]
    ours = torch.cat(encoded)[torch.from_numpy(parts.place)][: len(batch)].numpy()
    assert np.allclose(ours, model.encode_query(texts_of(plan, batch.query_texts)), atol=1e-5)


def test_tokens_of_a_tokenizer_that_cannot_be_named_stay_in_memory(checkpoints, monkeypatch):
    plan = make_plan()
    model = load_encoder(ModelConfig(name=str(checkpoints["e5"])), device="cpu")
    named = build_collator(model, plan.table, TrainingConfig())(plan.batch(0), ALONE)
    monkeypatch.setattr(build, "Tokenizer", type(None))
    role = training_roles(model)[0]
    assert build._identity(model, role) is None
    unnamed = build_collator(model, plan.table, TrainingConfig())(plan.batch(0), ALONE)
    assert in_order(unnamed) == in_order(named)


def test_longer_texts_are_cut_where_the_encoder_cuts_them(checkpoints):
    plan = make_plan()
    config = ModelConfig(name=str(checkpoints["xlm-r"]), max_tokens=6)
    model = load_encoder(config, device="cpu")
    parts = build_collator(model, plan.table, TrainingConfig())(plan.batch(0), ALONE)
    assert max(map(len, in_order(parts))) == 6


def test_an_encoder_with_other_inputs_tokenizes_for_itself(checkpoints, monkeypatch):
    plan = make_plan(negatives_per_query=1)
    model = load_encoder(ModelConfig(name=str(checkpoints["e5"])), device="cpu")
    preprocess = model.preprocess

    def with_positions(texts, **options):
        encoded = dict(preprocess(texts, **options))
        return {**encoded, "position_ids": torch.ones_like(encoded["input_ids"])}

    monkeypatch.setattr(model, "preprocess", with_positions)
    for training, count in ((TrainingConfig(), 2), (TrainingConfig(mini_batch_size=3), 5)):
        collate = build_collator(model, plan.table, training)
        assert isinstance(collate, TextCollator)
        batch = plan.batch(2)
        parts = collate(batch, ALONE)
        assert len(parts.features) == count
        assert all("position_ids" in features for features in parts.features)
        for text, got in zip(all_texts(plan, batch, model), in_order(parts), strict=True):
            assert got == tokens_of(read(model, [text[0]], text[1]))[0]


def test_training_uses_the_prompts_that_encoding_uses(checkpoints):
    model = load_encoder(ModelConfig(name=str(checkpoints["static"])), device="cpu")
    plan = make_plan()
    batch = plan.batch(0)
    # The library takes "document" before "passage", and an empty prompt is a prompt.
    for prompts in ({"passage": "P: "}, {"document": "", "passage": "P: "}, {"document": "D: "}):
        model.prompts = dict(prompts)
        (features,), _ = build_collator(model, plan.table, TrainingConfig())(batch, ALONE)
        vectors = model(features)["sentence_embedding"].detach()[len(batch) :]
        encoded = model.encode_document(texts_of(plan, batch.passage_texts))
        assert np.allclose(vectors, encoded, atol=1e-6)


def test_different_encoders_never_share_stored_tokens(checkpoints):
    names = set()
    for layout in LAYOUTS:
        for tokens in (None, 6):
            for prompt in ("", "Query: "):
                config = ModelConfig(name=str(checkpoints[layout]), max_tokens=tokens)
                model = load_encoder(config, device="cpu")
                names.add(build._identity(model, Role("query", prompt)))
    # A static encoder reads texts of any length, whatever max_tokens says.
    assert len(names) == 3 * 4 + 2
    assert json.dumps(sorted(names))


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("layout", ["e5", "static"])
def test_the_slices_of_all_processes_are_the_batch(checkpoints, count, layout):
    plan = make_plan(size=7, negatives_per_query=2)
    model = load_encoder(ModelConfig(name=str(checkpoints[layout])), device="cpu")
    collate = build_collator(model, plan.table, TrainingConfig(mini_batch_size=2))
    whole = in_order(collate(plan.batch(1), ALONE))
    columns = [[], [], []]
    sizes = set()
    for rank in range(count):
        process = Process(rank, count)
        parts = collate(plan.batch(1), process)
        sizes.add(len(parts.features))
        texts, rows = in_order(parts), process.sizes(7)[rank]
        for column, part in zip(
            columns, (texts[:rows], texts[rows : 2 * rows], texts[2 * rows :]), strict=True
        ):
            column.extend(part)
    assert [text for column in columns for text in column] == whole
    # Where every forward is a meeting of all processes, none may have one more.
    assert len(sizes) == 1


def test_a_batch_is_shared_out_evenly():
    assert Process(0, 3).sizes(8) == [2, 3, 3]
    assert [Process(rank, 3).rows(8) for rank in range(3)] == [
        slice(0, 2),
        slice(2, 5),
        slice(5, 8),
    ]


@pytest.fixture
def static(checkpoints):
    return SentenceTransformer(str(checkpoints["static"]), device="cpu")


def shortened(plan, store, **options):
    """A collator with some of dropout, crops and windows."""
    defaults = {"token_dropout": 0.0, "crop": 1.0, "seed": 0}
    return TokenCollator(store, store, FlatPacker(), Augmentation(**{**defaults, **options}))


def columns_of(collate, batch):
    texts = in_order(collate(batch, ALONE))
    rows = len(batch)
    return {"query": texts[:rows], "passage": texts[rows : 2 * rows]}


def test_stored_tokens_are_those_of_each_text(static):
    table = make_plan().table
    tokenizer = static[0].tokenizer
    store = tokenize_table(tokenizer, table)
    for row in range(len(table.texts)):
        expected = tokenizer.encode(table.text(row), add_special_tokens=False).ids
        assert store.tokens[store.starts[row] : store.ends[row]].tolist() == expected
    frequencies = store.frequencies(tokenizer.get_vocab_size())
    assert frequencies.sum() == len(store.tokens)
    assert frequencies.shape == (tokenizer.get_vocab_size(),)


@pytest.mark.parametrize("regime", ["monolingual", "cross-lingual"])
def test_without_dropout_and_crop_nothing_is_left_out(static, regime):
    plan = make_plan(regime=regime)
    store = tokenize_table(static[0].tokenizer, plan.table)
    plain = TokenCollator(store, store, FlatPacker())
    for index in range(5):
        batch = plan.batch(index)
        assert in_order(shortened(plan, store)(batch, ALONE)) == in_order(plain(batch, ALONE))


def test_what_is_left_of_a_text_does_not_depend_on_who_trains_on_it(static):
    plan = make_plan(negatives_per_query=1)
    store = tokenize_table(static[0].tokenizer, plan.table)
    collate = shortened(plan, store, token_dropout=0.4, crop=0.5)
    batch = plan.batch(2)
    whole = in_order(collate(batch, ALONE))
    first, second = (in_order(collate(batch, Process(rank, 2))) for rank in range(2))
    joined = [*first[:2], *second[:2], *first[2:4], *second[2:4], *first[4:], *second[4:]]
    assert joined == whole


def test_dropout_leaves_every_text_a_token(static):
    plan = make_plan()
    store = tokenize_table(static[0].tokenizer, plan.table)
    collate = shortened(plan, store, token_dropout=0.97)
    left = [tokens for i in range(20) for tokens in columns_of(collate, plan.batch(i))["query"]]
    assert min(map(len, left)) == 1
    assert sum(map(len, left)) < 0.2 * len(left) * store.ends[-1] / len(store.ends)


def test_dropout_keeps_the_stated_share(static):
    plan = make_plan()
    store = tokenize_table(static[0].tokenizer, plan.table)
    collate = shortened(plan, store, token_dropout=0.3)
    whole = kept = 0
    for i in range(50):
        batch = plan.batch(i)
        whole += int((store.ends - store.starts)[batch.passage_texts].sum())
        kept += sum(map(len, columns_of(collate, batch)["passage"]))
    assert kept / whole == pytest.approx(0.7, abs=0.02)


def translations(batch):
    """The batch as one of translations: in one language, a text is its own passage."""
    own = batch.query_langs == batch.passage_langs
    return replace(batch, passage_texts=np.where(own, batch.query_texts, batch.passage_texts))


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_crops_are_contiguous_and_at_least_the_share_and_only_of_equal_texts(static, share):
    plan = make_plan(monolingual_share=0.5)
    store = tokenize_table(static[0].tokenizer, plan.table)
    collate = shortened(plan, store, crop=share)
    shorter = 0
    for i in range(30):
        batch = translations(plan.batch(i)) if i % 3 else plan.batch(i)
        columns = columns_of(collate, batch)
        for name, rows in (("query", batch.query_texts), ("passage", batch.passage_texts)):
            for row, got in zip(rows, columns[name], strict=True):
                whole = store.tokens[store.starts[row] : store.ends[row]].tolist()
                places = range(len(whole) - len(got) + 1)
                assert any(whole[at : at + len(got)] == got for at in places)
                assert len(got) >= share * len(whole)
                assert (batch.kind == MONOLINGUAL and i % 3) or got == whole
                shorter += len(got) < len(whole)
    assert shorter > 50


def test_of_longer_texts_a_window_is_used_anew_at_every_visit(static):
    plan = make_plan(regime="cross-lingual")
    store = tokenize_table(static[0].tokenizer, plan.table)
    collate = shortened(plan, store, max_tokens=5)
    seen = {}
    for i in range(20):
        batch = plan.batch(i)
        for row, got in zip(
            batch.passage_texts, columns_of(collate, batch)["passage"], strict=True
        ):
            whole = store.tokens[store.starts[row] : store.ends[row]].tolist()
            assert len(got) == min(5, len(whole))
            assert any(whole[at : at + len(got)] == got for at in range(len(whole)))
            seen.setdefault(row, set()).add(tuple(got))
    assert max(map(len, seen.values())) > 1


def test_tokens_depend_on_the_batch_index_alone(static):
    plan = make_plan()
    store = tokenize_table(static[0].tokenizer, plan.table)

    def draw(indices, seed=0):
        collate = shortened(plan, store, token_dropout=0.5, crop=0.5, seed=seed)
        batches = PlannedBatches(plan, collate, 20)
        assert len(batches) == 20
        return {i: batches[i]["features"][0]["input_ids"].tolist() for i in indices}

    forwards = draw(range(10))
    assert draw(reversed(range(10))) == forwards
    assert draw([7]) == {7: forwards[7]}
    assert draw([7], seed=1) != {7: forwards[7]}


def test_texts_without_tokens_do_no_harm(static):
    # The tokenizer takes white space at both ends off, so that nothing is left of these.
    blank = [" " * n for n in range(1, 73)]
    texts = blank[:36] + sentences()[:36]
    plan = make_plan(texts, regime="cross-lingual")
    store = tokenize_table(static[0].tokenizer, plan.table)
    assert 0 in (store.ends - store.starts)
    collate = shortened(plan, store, token_dropout=0.5, crop=0.5)
    module = WeightedStaticEmbedding(
        static[0].tokenizer,
        torch.ones(static[0].num_embeddings),
        static[0].embedding.weight.detach(),
    )
    for i in range(10):
        (features,), _ = collate(plan.batch(i), ALONE)
        vectors = module(features)["sentence_embedding"]
        assert vectors.shape == (8, 32)
        assert torch.isfinite(vectors).all()
