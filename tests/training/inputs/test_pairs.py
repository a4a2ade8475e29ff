"""Parallel texts of a batch as pairs: which there are, who has them, how they are read."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from isoglot.batches.plan import Batch, BatchPlan
from isoglot.config.schema import BatchConfig, ModelConfig, TrainingConfig
from isoglot.data.parallel import ABSENT, build_table
from isoglot.models.loading import load_encoder
from isoglot.records import Group
from isoglot.training.inputs.build import build_collator
from isoglot.training.inputs.collate import TextCollator
from isoglot.training.inputs.pairs import (
    Pairs,
    StoredReader,
    TextReader,
    pairs_towards,
    parallel_pairs,
    readers_of,
    split_pairs,
)
from isoglot.training.inputs.reading import read, training_roles
from isoglot.training.inputs.slices import ALONE, Process
from tests.models.checkpoints import LANGS, sentences

EN = LANGS.index("en")


def table_of(count=24):
    texts = iter(sentences())
    # Every third group lacks English, every fourth German: not every row has both texts.
    every = {"en": 3, "de": 4, "sw": count + 1}
    own = [[lang for lang in LANGS if (i + 1) % every[lang]] for i in range(count)]
    groups = [
        Group(f"g{i}", {lang: next(texts) for lang in langs}, {lang: next(texts) for lang in langs})
        for i, langs in enumerate(own)
    ]
    return build_table({"a": groups})


@pytest.fixture(scope="module")
def table():
    return table_of()


def batches(table, **options):
    plan = BatchPlan(table, BatchConfig(**{"size": 8, **options}), seed=0, parallels=True)
    return [plan.batch(index) for index in range(20)]


def listed(pairs):
    return list(zip(pairs.rows, pairs.first, pairs.second, strict=True))


@pytest.mark.parametrize("regime", ["monolingual", "cross-lingual", "hybrid"])
def test_every_row_with_a_parallel_text_is_a_pair(table, regime):
    for batch in batches(table, regime=regime, small_languages="skip"):
        queries, passages = parallel_pairs(batch)
        columns = (
            (queries, batch.query_texts, batch.parallel_query_texts),
            (passages, batch.passage_texts, batch.parallel_passage_texts),
        )
        for pairs, own, parallel in columns:
            wanted = [(r, own[r], parallel[r]) for r in range(8) if parallel[r] != ABSENT]
            assert listed(pairs) == wanted


@pytest.mark.parametrize("regime", ["monolingual", "cross-lingual", "hybrid"])
def test_pairs_towards_a_language_say_the_same_and_end_there(table, regime):
    seen = 0
    for batch in batches(table, regime=regime, small_languages="skip"):
        for pairs, cells, own_langs in zip(
            pairs_towards(batch, table, EN),
            (table.query, table.passage),
            (batch.query_langs, batch.passage_langs),
            strict=True,
        ):
            in_english = {row for row in range(8) if cells[batch.groups[row], EN] != ABSENT}
            alone = {row for row in in_english if (cells[batch.groups[row]] != ABSENT).sum() == 1}
            assert set(pairs.rows) == in_english - alone
            for row, first, second in listed(pairs):
                texts = cells[batch.groups[row]]
                lang = int(np.flatnonzero(texts == first)[0])
                assert second == texts[EN]
                assert lang != EN
                assert lang == own_langs[row] or own_langs[row] == EN
                seen += 1
    assert seen > 50


def batch_of(**columns):
    rows = len(columns["groups"])
    none = np.full(rows, ABSENT)
    empty = dict.fromkeys(Batch.__dataclass_fields__, none) | {"index": 0, "kind": "hybrid"}
    return Batch(**{**empty, "dataset": 0, **{k: np.array(v) for k, v in columns.items()}})


def test_three_rows_on_paper():
    # Languages: 0 is the one to go to. The cells of group 0: texts 10 and 11; of group 1: 20 alone;
    # of group 2: 31 alone; of group 3: the same text, 40, in both.
    class Table:
        query = passage = None

    cells = np.array([[10, 11], [20, ABSENT], [ABSENT, 31], [40, 40]])
    table = Table()
    table.query = table.passage = type("Cells", (), {"at": lambda _, g, lang: cells[g, lang]})()
    batch = batch_of(
        groups=[0, 0, 1, 2, 3],
        query_langs=[1, 0, 0, 1, 1],
        query_texts=[11, 10, 20, 31, 40],
        parallel_query_texts=[10, 11, ABSENT, ABSENT, 40],
    )
    queries, passages = pairs_towards(batch, table, 0)
    # Row 0 goes from 11 to 10; row 1 is in language 0, and its parallel text goes there; row 2 has
    # no other text; row 3 none to go to; row 4 is there already.
    assert listed(queries) == [(0, 11, 10), (1, 11, 10)]
    assert listed(passages) == []
    assert listed(parallel_pairs(batch)[0]) == [(0, 11, 10), (1, 10, 11)]


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_processes_share_the_pairs_by_row(table, count):
    for batch in batches(table):
        pairs = pairs_towards(batch, table, EN)[0]
        places = [pairs.places(Process(rank, count), 8) for rank in range(count)]
        assert np.concatenate(places).tolist() == list(range(len(pairs)))
        assert pairs.most(Process(0, count), 8) == max(map(len, places))
        for rank, own in enumerate(places):
            rows = Process(rank, count).rows(8)
            assert all(rows.start <= row < rows.stop for row in pairs.take(own).rows)


def test_a_part_has_at_most_so_many_texts_and_every_process_as_many_parts():
    lengths = np.array([9, 2, 7, 4, 5])
    training = TrainingConfig(mini_batch_size=5)  # two pairs are four texts, three would be six
    own = [part.tolist() for part in split_pairs(lengths, 5, training)]
    assert own == [[1, 3], [4, 2], [0]]
    fewer = [part.tolist() for part in split_pairs(lengths[:1], 5, training)]
    assert fewer == [[0], [], []]


def test_without_a_bound_pairs_of_like_length_go_together(monkeypatch):
    monkeypatch.setattr("isoglot.training.inputs.lengths._CALL", 8)  # in tokens
    lengths = np.array([40, 3, 39, 4])
    parts = split_pairs(lengths, 4, TrainingConfig())
    assert [sorted(part.tolist()) for part in parts] == [[1, 3], [0, 2]]
    (part,) = split_pairs(lengths, 4, TrainingConfig(length_buckets=1))
    assert sorted(part.tolist()) == [0, 1, 2, 3]
    (part,) = split_pairs(np.zeros(0, dtype=np.int64), 4, TrainingConfig())
    assert part.tolist() == []


@pytest.mark.parametrize("layout", ["xlm-r", "labse", "e5", "static"])
@pytest.mark.parametrize("training", [{}, {"mini_batch_size": 2}])
def test_stored_tokens_are_read_as_the_model_reads_them(checkpoints, table, layout, training):
    prompts = {"query_prompt": "Query: ", "passage_prompt": "P: "}
    model = load_encoder(ModelConfig(name=str(checkpoints[layout]), **prompts), device="cpu")
    readers = readers_of(build_collator(model, table, TrainingConfig(**training)))
    for reader, cells, role in zip(
        readers, (table.query, table.passage), training_roles(model), strict=True
    ):
        assert isinstance(reader, StoredReader)
        texts = cells[[5, 1, 7], LANGS.index("sw")]
        wanted = dict(read(model, table.texts.take(texts).to_pylist(), role))
        got = reader.read(texts)
        for name, value in got.items():
            assert torch.equal(value, wanted[name]) if torch.is_tensor(value) else True, name
        if "attention_mask" in got:
            lengths = wanted["attention_mask"].sum(dim=1)
        else:
            ends = [*wanted["offsets"].tolist(), len(wanted["input_ids"])]
            lengths = torch.tensor([end - start for start, end in pairwise(ends)])
        assert reader.lengths(texts).tolist() == lengths.tolist()


def test_an_encoder_that_tokenizes_at_every_visit_does_so_here(checkpoints, table):
    prompts = {"query_prompt": "Query: ", "passage_prompt": "P: "}
    model = load_encoder(ModelConfig(name=str(checkpoints["e5"]), **prompts), device="cpu")
    model[1].include_prompt = False  # the length of the prompt is a further input
    collate = build_collator(model, table, TrainingConfig())
    assert isinstance(collate, TextCollator)
    reader, _ = readers_of(collate)
    assert isinstance(reader, TextReader)
    texts = np.array([5, 0, 17])
    strings = table.texts.take(texts).to_pylist()
    assert reader.lengths(texts).tolist() == list(map(len, strings))
    wanted = read(model, strings, training_roles(model)[0])
    assert torch.equal(reader.read(texts)["input_ids"], wanted["input_ids"])
    assert reader.read(texts)["prompt_length"] == wanted["prompt_length"]


def test_seven_rows_over_three_processes():
    # Seven rows over three processes are 2, 2 and 3; pairs in rows 1, 3, 4 and 6.
    pairs = Pairs(np.array([1, 3, 4, 6]), np.arange(4), np.arange(4, 8))
    assert [pairs.places(Process(rank, 3), 7).tolist() for rank in range(3)] == [[0], [1], [2, 3]]
    assert pairs.most(ALONE, 7) == 4
    assert pairs.take(np.array([3, 0])).rows.tolist() == [6, 1]
