"""Scores equal their definition, whatever is scored together."""

import logging
import subprocess
import sys

import bm25s
import numpy as np
import pytest

from isoglot.data.benchmarks import load_benchmark
from isoglot.data.collection import BLANK_PASSAGES, Collection
from isoglot.errors import ConfigError
from isoglot.lexical import Bm25Scorer, tokenize
from isoglot.records import Passage, Qrel, Query
from tests.lexical.reference import scores_by_definition

WORDS = ("Haus", "Häuser", "house", "Houses", "1998", "日本語", "नई", "IMF", "the", "die", "Die")


def collection_of(queries, passages, **kwargs):
    """(lang, text) pairs as a collection in which the first passage is relevant to the first."""
    queries = [Query(str(i), *query) for i, query in enumerate(queries)]
    passages = [Passage(str(i), *passage) for i, passage in enumerate(passages)]
    return Collection("test", queries, passages, [Qrel("0", queries[0].lang, "0", 1)], **kwargs)


def random_collection(rng, queries=12, passages=40, langs=("de", "en", "sw", "tr", "zh")):
    def text():
        return " ".join(rng.choice(WORDS, size=rng.integers(1, 9)))

    return collection_of(
        [(str(rng.choice(langs)), text()) for _ in range(queries)],
        [(str(rng.choice(langs)), text()) for _ in range(passages)],
    )


def all_scores(collection, **options):
    scorer = Bm25Scorer.from_collection(collection, **options)
    return score_block(scorer, np.arange(scorer.size), slice(0, len(collection.queries)))


def score_block(scorer, rows, queries):
    out = np.full((queries.stop - queries.start, len(rows)), np.nan, dtype=np.float32)
    scorer.block(rows).scores(queries, out)
    return out


def test_an_example_worked_by_hand():
    # Two passages of lengths 3 and 5, so the mean is 4. With k1 = 0.9 and b = 0.4 the length parts
    # are 0.9 (0.6 + 0.4 * 3/4) = 0.81 and 0.9 (0.6 + 0.4 * 5/4) = 0.99.
    # a is in one passage: idf ln(1 + 1.5/1.5) = 0.693147; b in both: ln(1 + 0.5/2.5) = 0.182322.
    # First passage:  a 0.693147 * 2 / 2.81 = 0.493343, b 0.182322 / 1.81 = 0.100730.
    # Second passage: b 0.182322 / 1.99 = 0.091619.
    passages = [("sw", "a b a"), ("sw", "c c b c c")]
    scores = all_scores(collection_of([("sw", "a b"), ("sw", "a a b"), ("sw", "d")], passages))
    expected = [[0.594073, 0.091619], [1.087416, 0.091619], [0, 0]]
    np.testing.assert_allclose(scores, expected, atol=1e-6)


@pytest.mark.parametrize(("k1", "b"), [(0.9, 0.4), (1.2, 0.75), (0, 0.4), (2.5, 0), (0.9, 1)])
@pytest.mark.parametrize("seed", range(3))
def test_scores_equal_their_definition(seed, k1, b):
    collection = random_collection(np.random.default_rng(seed))
    expected = scores_by_definition(collection, k1, b)
    scores = all_scores(collection, k1=k1, b=b)
    for (query, passage), score in expected.items():
        assert scores[query, passage] == pytest.approx(score, rel=1e-6, abs=1e-7)


def test_scores_equal_those_of_bm25s_on_real_texts():
    collection = load_benchmark("mini")
    scores = all_scores(collection)
    for lang in ("de", "zh"):
        rows = [row for row, passage in enumerate(collection.passages) if passage.lang == lang]
        index = bm25s.BM25(k1=0.9, b=0.4)
        texts = tokenize([collection.passages[row].text for row in rows], lang)
        index.index(texts, show_progress=False)
        for number, terms in enumerate(tokenize([q.text for q in collection.queries[:50]], lang)):
            np.testing.assert_allclose(
                scores[number, rows], index.get_scores(terms), rtol=1e-5, atol=1e-6
            )


@pytest.mark.parametrize("seed", range(5))
def test_a_score_does_not_depend_on_what_is_scored_with_it(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    collection = random_collection(rng)
    scorer = Bm25Scorer.from_collection(collection)
    together = all_scores(collection)
    rows = rng.permutation(scorer.size)[: rng.integers(1, scorer.size)]
    monkeypatch.setattr("isoglot.lexical.bm25._TILE_SCORES", 17)
    for queries in (slice(0, 12), slice(3, 4), slice(5, 11)):
        part = score_block(scorer, rows, queries)
        assert part.tobytes() == together[queries][:, rows].tobytes()


def test_scores_go_into_part_of_a_wider_buffer():
    collection = random_collection(np.random.default_rng(0))
    scorer = Bm25Scorer.from_collection(collection)
    buffer = np.full((12, 50), np.nan, dtype=np.float32)
    scorer.block(np.arange(40)).scores(slice(0, 12), buffer[:, :40])
    assert np.array_equal(buffer[:, :40], all_scores(collection))
    assert np.isnan(buffer[:, 40:]).all()


def test_equal_passages_of_a_language_get_equal_scores():
    rng = np.random.default_rng(1)
    texts = [" ".join(rng.choice(WORDS, size=8)) for _ in range(6)]
    collection = collection_of([("en", " ".join(WORDS))], [("en", text) for text in texts * 3])
    scorer = Bm25Scorer.from_collection(collection)
    first, second, third = np.split(score_block(scorer, np.arange(18), slice(0, 1)), 3, axis=1)
    assert first.tobytes() == second.tobytes() == third.tobytes()
    assert scorer.twins().size == 0


def test_an_index_reads_every_query_by_the_rules_of_its_own_language():
    # German stems Häuser to haus, English stems houses to hous: one query finds both.
    passages = [("de", "ein Haus"), ("en", "a house"), ("sw", "house"), ("sw", "houses")]
    for lang in ("de", "en", "sw"):
        scores = all_scores(collection_of([(lang, "Häuser houses")], passages))
        assert (scores > 0).tolist() == [[True, True, False, True]]


def test_a_passage_is_weighed_against_its_own_language_only():
    passages = [("en", "x a"), ("sw", "x a"), ("sw", "x b"), ("sw", "x c")]
    scores = all_scores(collection_of([("en", "x"), ("en", "a")], passages))
    assert scores[0, 0] > scores[0, 1] > 0  # x is in all passages of both, of four against one
    assert scores[1, 0] < scores[1, 1]  # a is rare in the second language


def test_across_languages_only_shared_terms_count():
    passages = [("hi", "सन १९९८ में IMF"), ("hi", "सन में")]
    scores = all_scores(collection_of([("en", "IMF in 1998"), ("en", "What year?")], passages))
    assert scores[0, 0] > 0
    assert scores[0, 1] == 0
    assert scores[1].tolist() == [0, 0]


def test_queries_and_passages_without_a_word_score_zero():
    options = {BLANK_PASSAGES: "2"}
    passages = [("en", "a"), ("en", " "), ("sw", "")]
    collection = collection_of([("en", "?"), ("en", "a")], passages, options=options)
    scores = all_scores(collection)
    assert scores[:, 1:].tolist() == [[0, 0], [0, 0]]
    assert scores[0, 0] == 0 < scores[1, 0]
    assert all_scores(collection_of([("en", "?")], passages, options=options)).tolist() == [[0] * 3]


@pytest.mark.parametrize("k1", [-0.1, float("nan"), float("inf")])
def test_k1_out_of_range_is_an_error(k1):
    with pytest.raises(ConfigError, match=rf"BM25's k1 is {k1}; use 0 or more, such as 0\.9"):
        Bm25Scorer.from_collection(random_collection(np.random.default_rng(0)), k1=k1)


@pytest.mark.parametrize("b", [-0.1, 1.1, float("nan")])
def test_b_out_of_range_is_an_error(b):
    with pytest.raises(ConfigError, match=rf"BM25's b is {b}; use a number from 0 to 1, such as"):
        Bm25Scorer.from_collection(random_collection(np.random.default_rng(0)), b=b)


def test_nothing_is_printed_or_logged(capfd, caplog):
    logging.getLogger("bm25s").setLevel(logging.DEBUG)
    with caplog.at_level(logging.DEBUG):
        all_scores(random_collection(np.random.default_rng(0)))
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_progress_is_shown_when_asked_for(capfd):
    all_scores(random_collection(np.random.default_rng(0)), show_progress=True)
    assert "indexing passages" in capfd.readouterr().err


def test_the_libraries_are_loaded_when_they_are_needed():
    code = (
        "import sys, isoglot.lexical\n"
        "assert not {'bm25s', 'Stemmer', 'torch', 'transformers'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_shared_words_find_answers_within_a_language_and_seldom_across(shared_data):
    collection = load_benchmark("xquad-r:de,en", data_dir=shared_data)
    scores = all_scores(collection)
    langs = np.array([passage.lang for passage in collection.passages])
    rows = {passage.doc_id: row for row, passage in enumerate(collection.passages)}
    queries = {(query.lang, query.query_id): row for row, query in enumerate(collection.queries)}
    found = {True: [], False: []}
    for query_id, query_lang, doc_id, _ in collection.qrels:
        query, passage = queries[query_lang, query_id], rows[doc_id]
        pool = scores[query, langs == langs[passage]]
        rank = np.count_nonzero(pool >= scores[query, passage])
        found[langs[passage] == query_lang].append(1 / rank)
    assert np.mean(found[True]) > 0.7
    assert np.mean(found[False]) < 0.35
