"""In which languages the explicit negatives of cross-lingual rows are."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from isoglot.batches.negatives import draw_negatives
from isoglot.batches.plan import CROSS_LINGUAL, MONOLINGUAL, Batch, BatchPlan
from isoglot.batches.pools import Pools
from isoglot.config.schema import BatchConfig
from isoglot.data.parallel import ParallelTable, build_table
from isoglot.errors import DataError
from isoglot.records import Group
from tests.batches.tables import full_table, group, negatives_table


def batches(table: ParallelTable, count: int = 200, **options) -> list[Batch]:
    config = BatchConfig(**{"size": 6, "negatives_per_query": 2, **options})
    plan = BatchPlan(table, config, 0)
    return [plan.batch(i) for i in range(count)]


@pytest.mark.parametrize("make", [negatives_table, lambda: full_table(20)])
def test_negatives_in_the_language_of_the_query(make):
    for batch in batches(make(), negative_languages="query"):
        assert (batch.negative_langs == batch.query_langs[:, None]).all()


@pytest.mark.parametrize("make", [negatives_table, lambda: full_table(20)])
def test_negatives_in_any_language_are_uniform_over_the_languages(make):
    kinds = {MONOLINGUAL: Counter(), CROSS_LINGUAL: Counter()}
    for batch in batches(make(), 500, negative_languages="any"):
        kinds[batch.kind].update(((batch.negative_langs - batch.query_langs[:, None]) % 4).ravel())
    # Monolingual batches keep their language; of the others about 3,000 negatives, 750 for each.
    assert set(kinds[MONOLINGUAL]) == {0}
    places = kinds[CROSS_LINGUAL]
    mean = sum(places.values()) / 4
    assert set(places) == {0, 1, 2, 3}
    assert all(abs(count - mean) < 130 for count in places.values())


@pytest.mark.parametrize("languages", ["other", "query", "any"])
def test_negatives_are_passages_of_meanings_that_are_not_in_the_batch(languages):
    table = full_table(20)
    group_of = {int(row): g for g in range(len(table)) for row in table.passage[g]}
    for batch in batches(table, negative_languages=languages):
        for texts, langs in zip(batch.negative_texts, batch.negative_langs, strict=True):
            for text, lang in zip(texts, langs, strict=True):
                other = group_of[int(text)]
                assert table.passage[other, int(lang)] == text
                assert table.meaning[other] not in table.meaning[batch.groups]


def test_random_negatives_are_uniform_over_the_passages_that_fit():
    table = full_table(10)
    groups = np.arange(4)
    allowed = np.zeros((4, 4), dtype=bool)
    allowed[:, 2] = True
    rng, pools, found = np.random.default_rng(0), Pools(table, 0), Counter()
    for _ in range(500):
        texts, _ = draw_negatives(rng, table, pools, groups, allowed, 3, or_any_language=True)
        found.update(texts.ravel().tolist())
    # 6,000 draws of the 6 groups that are left: 1,000 each, standard deviation 29.
    assert set(found) == {int(table.passage[g, 2]) for g in range(4, 10)}
    assert all(abs(count - 1000) < 130 for count in found.values())


def questions_without_passages(*negatives: dict[str, str]) -> ParallelTable:
    """Swahili and English questions over English and German passages."""
    base = (group(f"g{i}", ("en", "sw"), ("de", "en")) for i in range(20))
    rows = [
        g._replace(
            negatives=[
                {lang: f"{text} {g.group_id}" for lang, text in negative.items()}
                for negative in negatives
            ]
        )
        for g in base
    ]
    return build_table({"d": rows})


def test_a_query_in_whose_language_there_is_no_passage_takes_any_other():
    table = questions_without_passages()
    de, en, sw = range(3)
    found = {en: Counter(), sw: Counter()}
    for batch in batches(table, 300, regime="cross-lingual", negative_languages="query"):
        for lang, negatives in zip(batch.query_langs.tolist(), batch.negative_langs, strict=True):
            found[lang].update(negatives.tolist())
    assert set(found[en]) == {en}
    assert set(found[sw]) == {de, en}
    assert abs(found[sw][de] / sum(found[sw].values()) - 0.5) < 0.05


def test_listed_negatives_in_the_language_of_the_query_go_first():
    """Though no passage is in it; then the listed ones in other languages, then random ones."""
    table = questions_without_passages({"de": "german"}, {"sw": "swahili"})
    sw = table.langs.index("sw")
    options = {"regime": "cross-lingual", "negative_languages": "query", "negatives_per_query": 3}
    for batch in batches(table, 50, **options):
        for row in np.flatnonzero(batch.query_langs == sw):
            name = table.group_ids[int(batch.groups[row])]
            texts = [table.text(int(text)) for text in batch.negative_texts[row]]
            assert texts[:2] == [f"swahili {name}", f"german {name}"]
            assert texts[2].startswith("passage ")


def test_listed_negatives_in_another_language_do_not_stand_in_where_passages_exist():
    listed = [group(f"g{i}")._replace(negatives=[{"de": f"german {i}"}]) for i in range(20)]
    table = build_table({"d": listed})
    de = table.langs.index("de")
    for batch in batches(table, 50, regime="cross-lingual", negative_languages="query"):
        for row in range(len(batch)):
            texts = [table.text(int(text)) for text in batch.negative_texts[row]]
            german = [text.startswith("german") for text in texts]
            assert german == ([True, False] if batch.query_langs[row] == de else [False, False])


def swahili_in_the_batch() -> tuple[ParallelTable, np.ndarray, np.ndarray]:
    """The only Swahili passages are the batch's."""
    rows = [group(f"s{i}", ("en", "sw")) for i in range(4)]
    table = build_table({"d": [*rows, *(group(f"e{i}", ("en",)) for i in range(3))]})
    allowed = np.zeros((4, 2), dtype=bool)
    allowed[:, table.langs.index("sw")] = True
    return table, np.arange(4), allowed


def test_a_language_whose_passages_are_all_in_the_batch_is_left_for_any_other():
    table, groups, allowed = swahili_in_the_batch()
    rng, pools = np.random.default_rng(0), Pools(table, 0)
    texts, langs = draw_negatives(rng, table, pools, groups, allowed, 2, or_any_language=True)
    assert (langs == table.langs.index("en")).all()
    assert set(texts.ravel().tolist()) <= {int(table.passage[g, 0]) for g in range(4, 7)}


def test_without_another_language_to_take_that_is_an_error():
    table, groups, allowed = swahili_in_the_batch()
    rng, pools = np.random.default_rng(0), Pools(table, 0)
    with pytest.raises(DataError, match=r"'d' is too small for negatives beside a batch of 4"):
        draw_negatives(rng, table, pools, groups, allowed, 1)


def test_a_data_set_with_no_passage_beside_the_batch_is_an_error_in_any_language():
    rows = [Group(f"g{i}", {"en": f"q{i}"}, {"de": f"p{i}", "en": f"e{i}"}) for i in range(6)]
    with pytest.raises(DataError, match="too small for negatives beside a batch of 6"):
        batches(build_table({"d": rows}), 1, regime="cross-lingual", negative_languages="query")
