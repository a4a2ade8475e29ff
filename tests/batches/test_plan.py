"""The plan: the rules of arXiv 2408.10536, section 2.2, and what must never be in a batch."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from isoglot.batches.plan import CROSS_LINGUAL, MONOLINGUAL, Batch, BatchPlan
from isoglot.config.schema import BatchConfig
from isoglot.data.parallel import ABSENT, build_table
from isoglot.errors import ConfigError, DataError
from isoglot.records import Group
from tests.batches.tables import LANGS, full_table, group, negatives_table, ragged_table

BATCHES = 300


def plan(table=None, seed: int = 0, **options) -> BatchPlan:
    config = BatchConfig(**{"size": 8, **options})
    return BatchPlan(full_table() if table is None else table, config, seed)


def content(batch: Batch) -> tuple:
    return (
        batch.kind,
        batch.dataset,
        batch.groups.tolist(),
        batch.query_langs.tolist(),
        batch.passage_langs.tolist(),
        batch.negative_texts.tolist(),
    )


def test_a_batch_depends_on_seed_and_index_alone():
    one, other = plan(negatives_per_query=1), plan(negatives_per_query=1)
    forwards = [content(one.batch(i)) for i in range(20)]
    backwards = [content(other.batch(i)) for i in reversed(range(20))]
    assert forwards == backwards[::-1]


def test_seeds_do_not_share_batches_at_shifted_indices():
    first = {str(content(plan(seed=0).batch(i))) for i in range(50)}
    second = {str(content(plan(seed=1).batch(i))) for i in range(50)}
    assert not first & second


def test_monolingual_batches_hold_one_language():
    for i in range(BATCHES):
        batch = plan(regime="monolingual").batch(i)
        assert batch.kind == MONOLINGUAL
        assert len({*batch.query_langs.tolist(), *batch.passage_langs.tolist()}) == 1


def test_the_language_of_monolingual_batches_is_uniform_whatever_the_sizes():
    rare = [group(f"en{i}", ("en",)) for i in range(300)]
    table = build_table({"d": [*(group(f"g{i}") for i in range(20)), *rare]})
    drawn = plan(table, regime="monolingual")
    langs = Counter(int(drawn.batch(i).query_langs[0]) for i in range(4000))
    # 4,000 draws of 4 languages: 1,000 each, standard deviation 27.
    assert all(abs(count - 1000) < 120 for count in langs.values())
    assert len(langs) == 4


def test_language_exponent_one_draws_languages_by_size():
    rare = [group(f"en{i}", ("en",)) for i in range(60)]
    table = build_table({"d": [*(group(f"g{i}") for i in range(20)), *rare]})
    weights = plan(table, regime="monolingual", language_exponent=1.0).weights.languages
    assert weights.tolist() == [20, 20, 80, 20]


def test_cross_lingual_batches_never_pair_a_language_with_itself():
    drawn = plan(ragged_table(), regime="cross-lingual")
    for i in range(BATCHES):
        batch = drawn.batch(i)
        assert batch.kind == CROSS_LINGUAL
        assert (batch.query_langs != batch.passage_langs).all()


def test_cross_lingual_rows_draw_their_ordered_pair_one_by_one_and_uniformly():
    drawn = plan(regime="cross-lingual")
    pairs = Counter(
        pair
        for i in range(1000)
        for pair in zip(
            drawn.batch(i).query_langs.tolist(), drawn.batch(i).passage_langs.tolist(), strict=True
        )
    )
    # 8,000 rows over 12 ordered pairs: 667 each, standard deviation 25.
    assert len(pairs) == len(LANGS) * (len(LANGS) - 1)
    assert all(abs(count - 667) < 110 for count in pairs.values())


def test_hybrid_batches_are_monolingual_with_the_stated_probability():
    for share in (0.0, 0.3, 0.5, 1.0):
        drawn = plan(monolingual_share=share)
        found = np.mean([drawn.batch(i).kind == MONOLINGUAL for i in range(2000)])
        assert abs(found - share) < 0.05


def test_the_hybrid_regime_defaults_to_equal_parts():
    assert BatchConfig().share_range == (0.5, 0.5)
    assert BatchConfig(regime="monolingual").share_range == (1.0, 1.0)
    assert BatchConfig(regime="cross-lingual").share_range == (0.0, 0.0)


@pytest.mark.parametrize("regime", ["monolingual", "cross-lingual", "hybrid"])
@pytest.mark.parametrize("size", [5, 14])
def test_rows_are_real_and_no_meaning_comes_twice(regime, size):
    table = ragged_table(3, groups=120)
    drawn = plan(table, regime=regime, size=size, small_languages="skip")
    for i in range(BATCHES):
        batch = drawn.batch(i)
        assert len(batch) == size
        assert (batch.query_texts != ABSENT).all()
        assert (batch.passage_texts != ABSENT).all()
        assert (table.dataset[batch.groups] == batch.dataset).all()
        assert len(set(table.meaning[batch.groups].tolist())) == size


@pytest.mark.parametrize("regime", ["monolingual", "cross-lingual"])
def test_a_batch_as_large_as_its_pool_is_filled_with_every_group(regime):
    drawn = plan(full_table(30), regime=regime, size=30)
    for i in range(20):
        assert sorted(drawn.batch(i).groups.tolist()) == list(range(30))


def test_a_ragged_batch_as_large_as_its_pool_keeps_pairs_that_exist():
    table = build_table(
        {"d": [group("a", ("en",), ("de",)), group("b", ("sw", "ar"), ("ar",)), group("c")]}
    )
    drawn = plan(table, regime="cross-lingual", size=3)
    for i in range(50):
        batch = drawn.batch(i)
        assert sorted(batch.groups.tolist()) == [0, 1, 2]
        assert (batch.query_langs != batch.passage_langs).all()
        assert (batch.query_texts != ABSENT).all()
        assert (batch.passage_texts != ABSENT).all()


def shared_passage_table():
    """Questions about one paragraph, as in XQuAD, and one question with two answers."""
    paragraph = {lang: f"paragraph {lang}" for lang in LANGS}
    question = {lang: f"question {lang}" for lang in LANGS}
    rows = [Group(f"p{i}", {"en": f"ask {i}", "de": f"frage {i}"}, paragraph) for i in range(5)]
    rows += [Group(f"q{i}", question, {"en": f"answer {i}", "ar": f"a {i}"}) for i in range(5)]
    return build_table({"d": [*rows, *(group(f"g{i}") for i in range(12))]})


@pytest.mark.parametrize("regime", ["monolingual", "cross-lingual", "hybrid"])
def test_the_same_passage_or_the_same_question_never_meets_in_a_batch(regime):
    table = shared_passage_table()
    drawn = plan(table, regime=regime)
    for i in range(BATCHES):
        names = [table.group_ids[g] for g in drawn.batch(i).groups]
        assert sum(name.startswith("p") for name in names) <= 1
        assert sum(name.startswith("q") for name in names) <= 1


def test_the_same_text_in_other_case_or_spacing_is_the_same_passage():
    table = build_table(
        {
            "d": [
                Group("a", {"en": "one"}, {"en": "The  Answer"}),
                Group("b", {"en": "two"}, {"en": "the answer"}),
                Group("c", {"en": "three"}, {"en": "another"}),
            ]
        }
    )
    assert table.meaning[0] == table.meaning[1] != table.meaning[2]


@pytest.mark.parametrize("make", [negatives_table, lambda: full_table(12)])
def test_negatives_keep_the_language_rule_of_their_kind(make):
    drawn = plan(make(), negatives_per_query=2)
    for i in range(BATCHES):
        batch = drawn.batch(i)
        same = batch.negative_langs == batch.query_langs[:, None]
        assert same.all() if batch.kind == MONOLINGUAL else not same.any()


@pytest.mark.parametrize("make", [negatives_table, lambda: full_table(12)])
def test_no_negative_has_the_meaning_of_a_positive_of_the_batch(make):
    table = make()
    drawn = plan(table, negatives_per_query=3, size=6)
    passage_meaning = {
        int(row): int(table.meaning[g])
        for g in range(len(table))
        for row in table.passage[g]
        if row != ABSENT
    }
    for i in range(BATCHES):
        batch = drawn.batch(i)
        positives = set(table.meaning[batch.groups].tolist())
        for row in batch.negative_texts.ravel():
            assert passage_meaning.get(int(row)) not in positives


def test_listed_negatives_are_taken_before_random_ones_and_each_once():
    table = negatives_table()
    batch = plan(table, negatives_per_query=2, size=4).batch(0)
    for g, rows in zip(batch.groups, batch.negative_texts, strict=True):
        number = table.group_ids[g].removeprefix("g")
        texts = [table.text(int(row)) for row in rows]
        own = [text for text in texts if text.startswith(f"negative {number}.")]
        assert len({text.split()[1] for text in own}) == len(own)
        assert own


def test_no_negatives_are_drawn_unless_asked_for():
    assert plan().batch(0).negative_texts.shape == (8, 0)


def test_a_data_set_of_one_language_feeds_monolingual_batches_only():
    native = [group(f"n{i}", ("sw",)) for i in range(50)]
    table = build_table({"parallel": [group(f"g{i}") for i in range(10)], "native": native})
    drawn = plan(table)
    kinds = {(b.kind, b.dataset) for b in (drawn.batch(i) for i in range(BATCHES))}
    assert kinds == {(MONOLINGUAL, 0), (CROSS_LINGUAL, 0), (MONOLINGUAL, 1)}


def test_data_sets_are_drawn_by_size_to_the_exponent():
    sizes = {"small": 20, "large": 80}
    table = build_table({n: [group(f"{n}{i}") for i in range(k)] for n, k in sizes.items()})
    for exponent, expected in ((1.0, 0.8), (0.5, 2 / 3), (0.0, 0.5)):
        drawn = plan(table, size_exponent=exponent)
        share = np.mean([drawn.batch(i).dataset for i in range(2000)])
        assert abs(share - expected) < 0.05


@pytest.mark.parametrize("regime", ["monolingual", "cross-lingual"])
def test_data_sets_are_drawn_by_their_weights_too(regime):
    sizes = {"small": 20, "large": 80}
    table = build_table({n: [group(f"{n}{i}") for i in range(k)] for n, k in sizes.items()})
    # 20 * 4 to 80 * 1: as often as each other.
    drawn = plan(table, regime=regime, dataset_weights={"small": 4.0})
    share = np.mean([drawn.batch(i).dataset for i in range(2000)])
    assert abs(share - 0.5) < 0.05


def test_a_language_too_small_for_a_batch_is_an_error_that_counts_it():
    rows = [*(group(f"g{i}", ("en", "de")) for i in range(10)), group("x", ("sw",))]
    table = build_table({"d": rows})
    with pytest.raises(ConfigError, match=r"needs 8 different groups .* too few: sw \(1\)"):
        plan(table)
    drawn = plan(table, regime="monolingual", small_languages="skip")
    assert {int(drawn.batch(i).query_langs[0]) for i in range(50)} == {0, 1}


def test_too_little_parallel_data_for_a_cross_lingual_batch_is_an_error_that_counts_it():
    table = build_table({"d": [group(f"g{i}", ("en",)) for i in range(20)]})
    with pytest.raises(ConfigError, match=r"cross-lingual batch needs 8 .* the most is 0"):
        plan(table, regime="cross-lingual")


def test_a_data_set_without_a_passage_for_a_negative_says_so():
    rows = [group(f"g{i}", ("en",), ("de",)) for i in range(10)]
    two = build_table({"d": [r._replace(query={**r.query, "de": f"f {r.group_id}"}) for r in rows]})
    drawn = plan(two, regime="cross-lingual", negatives_per_query=1)
    assert (drawn.batch(0).negative_langs == two.langs.index("de")).all()
    german = [Group(f"x{i}", {"de": f"f{i}"}, {"en": f"e{i}", "de": f"d{i}"}) for i in range(8)]
    with pytest.raises(DataError, match=r"too small for negatives beside a batch of 8"):
        plan(build_table({"d": german}), regime="cross-lingual", negatives_per_query=1).batch(0)
