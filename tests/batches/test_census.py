"""The census and single batches, counted and as text."""

from __future__ import annotations

from collections import Counter

from isoglot.batches.census import available_rows, count_batches
from isoglot.batches.plan import CROSS_LINGUAL, MONOLINGUAL, BatchPlan
from isoglot.config.schema import BatchConfig
from isoglot.data.parallel import ABSENT, ParallelTable, build_table
from isoglot.reporting.census import batch_text, census_text
from tests.batches.tables import full_table, group


def census(plan: BatchPlan, batches: int = 40) -> str:
    return census_text(available_rows(plan), count_batches(plan, range(batches)))


def two_sources(**options) -> BatchPlan:
    """English questions for monolingual batches, pages for the others, and a set too small."""
    native = [group(f"n{i}", ("en",)) for i in range(20)]
    pages = [group(f"p{i}", ("de", "en", "sw")) for i in range(12)]
    table = build_table({"native": native, "pages": pages, "tiny": [group("t", ("en", "sw"))]})
    named = {"monolingual_from": ("native",), "cross_lingual_from": ("pages", "tiny")}
    config = BatchConfig(size=4, small_languages="skip", **named, **options)
    return BatchPlan(table, config, 0, count=40)


def test_the_census_counts_languages_pairs_and_rows():
    table = build_table({"d": [group("a", ("en", "de")), group("b", ("en",), ("en", "sw"))]})
    counted = available_rows(BatchPlan(table, BatchConfig(size=1, small_languages="skip"), 0))
    assert counted["languages"] == 3
    assert counted["ordered_pairs"] == 3
    assert counted["monolingual_share"] == 0.5
    assert counted["datasets"]["d"] == {
        "feeds": [MONOLINGUAL, CROSS_LINGUAL],
        "monolingual_rows": 3,
        "cross-lingual_rows": 3,
        "monolingual": {"de": 1, "en": 2},
        "cross-lingual": {"de-en": 1, "en-de": 1, "en-sw": 1},
    }


def test_the_census_counts_the_rows_of_the_batches_that_a_data_set_is_named_for():
    counted = available_rows(two_sources())["datasets"]
    assert counted["native"]["monolingual"] == {"en": 20}
    assert counted["pages"]["monolingual_rows"] == 0
    assert counted["pages"]["cross-lingual_rows"] == 12 * 6
    assert [rows["feeds"] for rows in counted.values()] == [[MONOLINGUAL], [CROSS_LINGUAL], []]


def test_a_regime_of_one_kind_feeds_no_batches_of_the_other():
    counted = available_rows(two_sources(regime="cross-lingual"))["datasets"]
    assert [rows["feeds"] for rows in counted.values()] == [[], [CROSS_LINGUAL], []]


def test_the_count_of_batches_is_of_those_drawn():
    drawn = BatchPlan(full_table(), BatchConfig(size=8), 0)
    counted = count_batches(drawn, range(40))
    batches = [drawn.batch(i) for i in range(40)]
    assert counted["batches"] == Counter(batch.kind for batch in batches)
    assert counted["batches_by_dataset"] == {"full": 40}
    assert sum(counted["rows_by_pair"].values()) == 40 * 8
    assert (
        sum(counted["monolingual_batches_by_language"].values()) == counted["batches"][MONOLINGUAL]
    )
    assert "parallel_rows" not in counted


def half_parallel() -> ParallelTable:
    """Groups in two languages, and as many with passages in two but queries in one."""
    both = [group(f"b{i}", ("de", "en")) for i in range(10)]
    return build_table({"d": both + [group(f"p{i}", ("en",), ("de", "en")) for i in range(10)]})


def test_parallel_rows_are_counted_where_they_are_drawn():
    plan = BatchPlan(half_parallel(), BatchConfig(size=8), 0, parallels=True)
    found = {"query": 0, "passage": 0}
    for i in range(40):
        batch = plan.batch(i)
        found["query"] += sum(row != ABSENT for row in batch.parallel_query_texts.tolist())
        found["passage"] += sum(row != ABSENT for row in batch.parallel_passage_texts.tolist())
    assert count_batches(plan, range(40))["parallel_rows"] == found
    assert found["passage"] == 40 * 8 > found["query"] > 0
    line = f"of 320 rows, {found['query']} have their query and 320 their passage in another"
    assert line in census(plan)


def test_the_text_says_which_data_sets_feed_which_batches_and_the_expected_share():
    text = census(two_sources(monolingual_share=0.8, monolingual_share_end=0.2))
    assert "expected share of monolingual ones 0.5\n" in text
    assert text.splitlines()[-3:] == [
        "monolingual batches from: native",
        "cross-lingual batches from: pages",
        "no batches from: tiny",
    ]
    assert "another language" not in text


def test_languages_of_cross_lingual_batches_alone_are_in_the_text():
    rows = {
        line.split()[0]: line.split()[1:] for line in census(two_sources()).splitlines() if line
    }
    assert rows["en"][0] == "20"
    assert rows["sw"][:2] == ["0", "0"]
    assert int(rows["sw"][2]) > 0 < int(rows["sw"][3])


def test_a_batch_is_shown_with_its_texts_in_another_language():
    table = half_parallel()
    config = BatchConfig(size=8, regime="cross-lingual", negatives_per_query=1)
    plan = BatchPlan(table, config, 0, parallels=True)
    batch = plan.batch(0)
    lines = batch_text(table, batch).splitlines()
    found = (batch.parallel_query_texts != ABSENT).sum() + len(batch)
    assert sum(line.startswith("    parallel  ") for line in lines) == found
    row = next(i for i in range(8) if batch.parallel_query_texts[i] != ABSENT)
    query, passage = (table.langs[langs[row]] for langs in (batch.query_langs, batch.passage_langs))
    name = table.group_ids[int(batch.groups[row])]
    start = lines.index(f"{query}-{passage}  {name}")
    assert lines[start + 1 : start + 5] == [
        f"    query     query {name} {query}",
        f"    parallel  query {name} {passage} ({passage})",
        f"    passage   passage {name} {passage}",
        f"    parallel  passage {name} {query} ({query})",
    ]
    assert lines[start + 5].startswith("    negative  ")
    plain = batch_text(table, BatchPlan(table, config, 0).batch(0)).splitlines()
    assert plain == [line for line in lines if not line.startswith("    parallel")]
