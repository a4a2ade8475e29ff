"""Which data sets feed which batches, and how often languages and pairs are drawn."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from isoglot.batches.plan import CROSS_LINGUAL, MONOLINGUAL, BatchPlan
from isoglot.config.schema import BatchConfig
from isoglot.data.parallel import ParallelTable, build_table
from isoglot.errors import ConfigError
from tests.batches.tables import group, ragged_table


def plan(table: ParallelTable, **options) -> BatchPlan:
    return BatchPlan(table, BatchConfig(**{"size": 6, **options}), 0)


def sources(*extra: str) -> ParallelTable:
    """Two sets of English questions, and pages in three languages."""
    return build_table(
        {
            "native": [group(f"n{i}", ("en",)) for i in range(30)],
            "more": [group(f"m{i}", ("en",)) for i in range(10)],
            "pages": [group(f"p{i}", ("de", "en", "sw")) for i in range(20)],
            **{name: [group(f"{name}{i}", ("de", "en")) for i in range(20)] for name in extra},
        }
    )


def fed(drawn: BatchPlan, batches: int = 400) -> set[tuple[str, str]]:
    some = (drawn.batch(i) for i in range(batches))
    return {(batch.kind, drawn.table.datasets[batch.dataset]) for batch in some}


def test_each_kind_of_batch_comes_from_the_data_sets_named_for_it():
    named = {"monolingual_from": ("native", "more"), "cross_lingual_from": ("pages",)}
    drawn = plan(sources(), small_languages="skip", **named)
    assert fed(drawn) == {
        (MONOLINGUAL, "native"),
        (MONOLINGUAL, "more"),
        (CROSS_LINGUAL, "pages"),
    }
    assert drawn.weights.languages.tolist() == [0.0, 1.0, 0.0]


def test_a_kind_for_which_no_data_set_is_named_comes_from_all():
    drawn = plan(sources(), small_languages="skip", cross_lingual_from=("pages",))
    assert fed(drawn) == {
        (MONOLINGUAL, "native"),
        (MONOLINGUAL, "more"),
        (MONOLINGUAL, "pages"),
        (CROSS_LINGUAL, "pages"),
    }
    drawn = plan(sources("wiki"), small_languages="skip", monolingual_from=("native",))
    assert fed(drawn) == {
        (MONOLINGUAL, "native"),
        (CROSS_LINGUAL, "pages"),
        (CROSS_LINGUAL, "wiki"),
    }


def test_named_data_sets_are_drawn_by_size_and_factor():
    named = {"monolingual_from": ("native", "more"), "regime": "monolingual"}
    table = sources().restrict(["en"])
    for options, expected in (({}, 0.25), ({"dataset_weights": {"more": 3.0}}, 0.5)):
        drawn = plan(table, **named, **options)
        share = np.mean([drawn.batch(i).dataset == 1 for i in range(2000)])
        assert abs(share - expected) < 0.05


def test_naming_every_data_set_changes_nothing():
    table = ragged_table(3, groups=240)
    options = {"small_languages": "skip"}
    both = {"monolingual_from": ("a", "b"), "cross_lingual_from": ("b", "a")}
    plain, named = plan(table, **options), plan(table, **options, **both)
    for i in range(20):
        assert plain.batch(i).query_texts.tolist() == named.batch(i).query_texts.tolist()


def test_a_language_that_no_named_data_set_serves_is_an_error_that_says_where_was_looked():
    named = {"monolingual_from": ("native", "more"), "cross_lingual_from": ("pages",)}
    message = (
        r"a monolingual batch needs 6 different groups of one language in one data set "
        r"\(looked at: native, more\); too few: de \(0\), sw \(0\); reduce batches.size, list "
        r"other languages, name more data sets in batches.monolingual_from, or set "
        r"batches.small_languages: skip"
    )
    with pytest.raises(ConfigError, match=message):
        plan(sources(), **named)


def test_a_remedy_that_is_none_is_not_named():
    table = build_table({"d": [group(f"g{i}", ("en",), ("de",)) for i in range(20)]})
    with pytest.raises(ConfigError) as error:
        plan(table, small_languages="skip")
    assert str(error.value).endswith(
        "reduce batches.size, list other languages, or set batches.regime: cross-lingual"
    )


def test_named_data_sets_without_a_cross_lingual_batch_are_an_error_that_names_them():
    message = (
        r"a cross-lingual batch needs 6 different groups with a query and a passage in different "
        r"languages in one data set \(looked at: native\); the most is 0; reduce batches.size, add "
        r"parallel data, name more data sets in batches.cross_lingual_from, or set batches.regime: "
        r"monolingual"
    )
    with pytest.raises(ConfigError, match=message):
        plan(sources(), cross_lingual_from=("native",))


def test_no_data_set_at_all_is_an_error_too():
    with pytest.raises(ConfigError, match=r"looked at: none\); too few: de \(0\), en \(0\), sw"):
        plan(sources(), monolingual_from=(), small_languages="skip")
    with pytest.raises(ConfigError, match=r"looked at: none\); the most is 0"):
        plan(sources(), cross_lingual_from=())


def test_a_data_set_that_feeds_no_batch_is_refused():
    named = {"monolingual_from": ("native",), "cross_lingual_from": ("pages",)}
    message = (
        "no batch would hold more, wiki; name each data set in batches.monolingual_from or "
        "batches.cross_lingual_from, or take it out of data"
    )
    for regime in ("hybrid", "monolingual"):
        with pytest.raises(ConfigError, match=message):
            plan(sources("wiki"), small_languages="skip", regime=regime, **named)


@pytest.mark.parametrize("regime", ["monolingual", "cross-lingual"])
def test_a_regime_of_one_kind_may_leave_the_data_sets_of_the_other_alone(regime):
    named = {"monolingual_from": ("native", "more"), "cross_lingual_from": ("pages",)}
    drawn = plan(sources(), regime=regime, small_languages="skip", **named)
    assert {kind for kind, _ in fed(drawn)} == {regime}


def unequal_pairs() -> ParallelTable:
    """16 groups with German and English, 4 with English and Swahili."""
    rows = [group(f"a{i}", ("de", "en")) for i in range(16)]
    return build_table({"d": rows + [group(f"b{i}", ("en", "sw")) for i in range(4)]})


@pytest.mark.parametrize(
    ("exponents", "large", "small"),
    [
        ({}, 1, 1),
        ({"language_exponent": 1.0}, 16, 4),
        ({"language_exponent": 1.0, "pair_exponent": 0.0}, 1, 1),
        ({"pair_exponent": 0.5}, 4, 2),
    ],
)
def test_pairs_are_weighed_by_their_own_exponent_if_there_is_one(exponents, large, small):
    drawn = plan(unequal_pairs(), size=2, small_languages="skip", **exponents)
    de_en, en_sw = drawn.weights.pairs[0][0, 1], drawn.weights.pairs[0][1, 2]
    assert (de_en, en_sw) == (large, small)
    assert drawn.weights.pairs[0].diagonal().tolist() == [0, 0, 0]
    exponent = exponents.get("language_exponent", 0.0)
    assert drawn.weights.languages.tolist() == [16**exponent, 20**exponent, 4**exponent]


def test_pairs_are_drawn_by_their_size_to_the_exponent():
    drawn = plan(unequal_pairs(), size=2, regime="cross-lingual", pair_exponent=1.0)
    pairs = Counter(
        pair
        for batch in map(drawn.batch, range(2000))
        for pair in zip(batch.query_langs.tolist(), batch.passage_langs.tolist(), strict=True)
    )
    # 4,000 rows: 1,600 for each direction of the large pair, 400 for each of the small.
    for pair, expected in (((0, 1), 1600), ((1, 0), 1600), ((1, 2), 400), ((2, 1), 400)):
        assert abs(pairs[pair] - expected) < 130
