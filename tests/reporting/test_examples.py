"""Worst queries: which, with which answer, below which passages."""

from dataclasses import replace

import numpy as np
import pytest

from isoglot.data.collection import Collection
from isoglot.errors import ConfigError, DataError
from isoglot.evaluation import evaluate
from isoglot.records import Passage, Qrel, Query
from isoglot.reporting.examples import TEXT_LENGTH, worst_queries

PASSAGES = [Passage(f"d{i}", "de", f"deutsch {i}") for i in (1, 2, 3)]
PASSAGES += [Passage(f"e{i}", "en", f"english {i}") for i in (1, 2)]


def evaluation(scores, relevant=("d1", "e1"), **options):
    """Queries q1, q2, ... in German; the scores are those of d1, d2, d3, e1, e2."""
    queries = [Query(f"q{i}", "de", f"frage {i}") for i in range(1, len(scores) + 1)]
    qrels = [Qrel(query.query_id, "de", doc_id, 1) for query in queries for doc_id in relevant]
    collection = Collection("two", queries, PASSAGES, qrels)
    passages = np.eye(5, dtype=np.float32)
    return evaluate(collection, np.array(scores, np.float32), passages, similarity="dot", **options)


def test_worked_example():
    # q1 ranks e2 d2 d3 e1 d1: the answers have ranks 4 and 5, AP is (1/4 + 2/5) / 2 = .325.
    # q2 ranks d1 e1 first, AP is 1.
    (record,) = worst_queries(evaluation([[1, 4, 3, 2, 5], [5, 3, 2, 4, 1]]), per_language=1)
    assert {key: record[key] for key in ("query_lang", "query_id", "query", "measure")} == {
        "query_lang": "de",
        "query_id": "q1",
        "query": "frage 1",
        "measure": "AP",
    }
    assert record["value"] == pytest.approx(0.325)
    # The answer in the query's language, although the other one ranks above it.
    assert record["answer"] == {"doc_id": "d1", "lang": "de", "text": "deutsch 1", "rank": 5}
    assert [(p["doc_id"], p["rank"], p["score"], p["relevant"]) for p in record["above"]] == [
        ("e2", 1, 5.0, False),
        ("d2", 2, 4.0, False),
        ("d3", 3, 3.0, False),
        ("e1", 4, 2.0, True),
        ("d1", 5, 1.0, True),
    ]


def test_worst_first_and_equal_values_by_query_id():
    best, worst = [5, 3, 2, 4, 1], [1, 4, 3, 2, 5]
    found = worst_queries(evaluation([best, worst, best, worst]), per_language=3)
    assert [record["query_id"] for record in found] == ["q2", "q4", "q1"]


def test_of_several_answers_in_the_language_the_lowest_is_shown():
    (record,) = worst_queries(evaluation([[5, 1, 3, 4, 2]], relevant=("d1", "d2", "e1")))
    assert (record["answer"]["doc_id"], record["answer"]["rank"]) == ("d2", 5)


def test_without_an_answer_in_the_language_the_best_is_shown():
    (record,) = worst_queries(evaluation([[5, 1, 3, 4, 2]], relevant=("e1", "e2")), shown=2)
    assert (record["answer"]["doc_id"], record["answer"]["rank"]) == ("e1", 2)
    assert [passage["doc_id"] for passage in record["above"]] == ["d1", "e1"]


def test_an_answer_beyond_the_depth_of_a_run_has_no_rank():
    found = evaluation([[1, 4, 3, 2, 5]])
    # As a run of depth 3 leaves it: d1 and e1 are not ranked, the ranking ends early.
    passages, scores = found.ranking.passages.copy(), found.ranking.scores.copy()
    passages[:, 3:], scores[:, 3:] = -1, -np.inf
    found = replace(
        found,
        ranks=replace(found.ranks, ranked=np.zeros(2, dtype=bool)),
        ranking=replace(found.ranking, passages=passages, scores=scores),
    )
    (record,) = worst_queries(found)
    assert record["answer"]["doc_id"] == "d1" and record["answer"]["rank"] is None
    assert [passage["doc_id"] for passage in record["above"]] == ["e2", "d2", "d3"]


def test_long_texts_are_cut():
    found = evaluation([[1, 4, 3, 2, 5]])
    long = [passage._replace(text="wort " * 1000) for passage in PASSAGES]
    found = replace(found, collection=replace(found.collection, passages=long))
    (record,) = worst_queries(found)
    assert len(record["answer"]["text"]) == TEXT_LENGTH
    assert record["answer"]["text"].endswith("…")


def test_without_a_ranking_there_is_nothing_to_show():
    assert worst_queries(evaluation([[1, 4, 3, 2, 5]], run_depth=0)) == []


def test_without_the_mixed_pool_there_is_nothing_to_show():
    assert worst_queries(evaluation([[1, 4, 3, 2, 5]], settings=["monolingual"])) == []


def test_the_measure_is_ap_if_there_is_one():
    scores = [[1, 4, 3, 2, 5]]
    assert worst_queries(evaluation(scores, measures=["R@1", "AP"]))[0]["measure"] == "AP"
    assert worst_queries(evaluation(scores, measures=["R@1"]))[0]["measure"] == "R@1"
    (record,) = worst_queries(evaluation(scores), measure="R@1")
    assert (record["measure"], record["value"]) == ("R@1", 0)


def test_a_measure_that_cannot_be_had():
    found = evaluation([[1, 4, 3, 2, 5]], measures=["AP", "R@1"])
    with pytest.raises(DataError, match="does not hold nDCG@10; it holds AP, R@1"):
        worst_queries(found, measure="nDCG@10")
    with pytest.raises(ConfigError, match="unknown measure 'X'"):
        worst_queries(found, measure="X")
