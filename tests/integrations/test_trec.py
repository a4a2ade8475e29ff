"""Runs and judgments given to ir_measures and pytrec_eval, and collections made from records."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import ir_measures
import numpy as np
import pytest
import pytrec_eval

from isoglot.data.collection import Collection
from isoglot.errors import ConfigError, DataError
from isoglot.evaluation import evaluate
from isoglot.integrations.trec import collection_from_records, to_ir_measures, to_pytrec_eval
from isoglot.records import Passage, Qrel, Query
from tests.reference.random_collections import exact_embeddings, random_collection

MEASURES = ("AP", "nDCG@10", "R@5", "P@5", "RR")


def tied_evaluation(seed):
    """Evaluate texts whose scores are few small whole numbers, so that many tie."""
    rng = np.random.default_rng(seed)
    collection = random_collection(rng, questions=8, passages=30)
    return evaluate(
        collection,
        exact_embeddings(rng, len(collection.queries), "dot"),
        exact_embeddings(rng, 30, "dot"),
        similarity="dot",
        measures=MEASURES,
        run_depth=30,
    )


def own_values(evaluation, query_lang):
    """Return {(query id, measure): value} in the pool of all languages."""
    return {
        (row["query_id"], row["measure"]): row["value"]
        for row in evaluation.per_query.to_pylist()
        if (row["query_lang"], row["passage_lang"]) == (query_lang, "*")
    }


@pytest.mark.parametrize("seed", range(3))
def test_ir_measures_gives_the_same_values_ties_included(seed):
    evaluation = tied_evaluation(seed)
    for lang in evaluation.collection.query_langs:
        qrels, run = to_ir_measures(evaluation, lang)
        scores = [row.score for row in run if row.query_id == run[0].query_id]
        assert len(set(scores)) < len(scores)
        measures = [ir_measures.parse_measure(name) for name in MEASURES]
        found = {
            (metric.query_id, str(metric.measure)): metric.value
            for metric in ir_measures.iter_calc(measures, qrels, run)
        }
        assert found == pytest.approx(own_values(evaluation, lang), abs=1e-9)


def test_pytrec_eval_gives_the_same_values():
    evaluation = tied_evaluation(0)
    lang = evaluation.collection.query_langs[0]
    qrels, run = to_pytrec_eval(evaluation, lang)
    found = pytrec_eval.RelevanceEvaluator(qrels, {"map"}).evaluate(run)
    expected = own_values(evaluation, lang)
    assert {(query, "AP"): values["map"] for query, values in found.items()} == pytest.approx(
        {key: value for key, value in expected.items() if key[1] == "AP"}, abs=1e-9
    )


@pytest.fixture
def small():
    """Two queries, of which one has a judged negative only."""
    collection = Collection(
        "small",
        [Query("1", "en", "?"), Query("2", "en", "??")],
        [Passage("a", "en", "!"), Passage("b", "de", ".")],
        [Qrel("1", "en", "a", 2), Qrel("1", "en", "b", 0), Qrel("2", "en", "b", 0)],
    )
    return evaluate(collection, np.eye(2), np.eye(2), run_depth=2)


def test_judged_negatives_stay_and_unanswerable_queries_go(small):
    qrels, run = to_ir_measures(small, "en")
    assert qrels == [ir_measures.Qrel("1", "a", 2), ir_measures.Qrel("1", "b", 0)]
    assert run == [ir_measures.ScoredDoc("1", "a", 1.0), ir_measures.ScoredDoc("1", "b", 0.0)]


def test_a_run_that_ends_early_ends_there(small):
    passages = np.array([[0, -1], [1, -1]], dtype=np.int32)
    scores = np.array([[1, -np.inf], [1, -np.inf]], dtype=np.float32)
    ranking = replace(small.ranking, passages=passages, scores=scores)
    _, run = to_ir_measures(replace(small, ranking=ranking), "en")
    assert run == [ir_measures.ScoredDoc("1", "a", 1.0)]


def test_an_evaluation_without_a_run_is_refused(small):
    with pytest.raises(DataError, match="small: the evaluation kept no run; evaluate with a run_d"):
        to_ir_measures(replace(small, ranking=None), "en")


def test_a_language_without_queries_is_refused(small):
    with pytest.raises(ConfigError, match="small has no queries in 'de'; it has en"):
        to_pytrec_eval(small, "de")


class Topic(NamedTuple):
    query_id: str
    text: str


class Article(NamedTuple):
    """As ir_datasets' documents: several fields, and one text of them."""

    doc_id: str
    title: str
    body: str

    def default_text(self):
        return f"{self.title} {self.body}"


def test_records_become_a_collection():
    collection = collection_from_records(
        [Topic("1", "where?")],
        [Article("a", "Here", "and there."), Article("b", "Dort", "und da.")],
        [ir_measures.Qrel("1", "a", 1), ir_measures.Qrel("1", "b", 2, "0")],
        query_langs="eng",
        passage_langs={"a": "en", "b": "de-AT"},
        name="articles",
    )
    assert collection == Collection(
        "articles",
        [Query("1", "en", "where?")],
        [Passage("a", "en", "Here and there."), Passage("b", "de", "Dort und da.")],
        [Qrel("1", "en", "a", 1), Qrel("1", "en", "b", 2)],
    )


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ({"docs": [Topic("a", "!")]}, "a passage record has no field 'doc_id'; it has query_id, t"),
        ({"queries": [ir_measures.ScoredDoc("1", "a", 1)]}, "a query record has no field 'text'"),
        ({"qrels": [("1", "a", 1)]}, "a judgment record has no field 'query_id'; it has tuple"),
        ({"passage_langs": {}}, "records: passage 'a' has no language"),
    ],
)
def test_records_that_lack_something_are_refused(records, message):
    values = {
        "queries": [Topic("1", "?")],
        "docs": [Article("a", "t", "b")],
        "qrels": [ir_measures.Qrel("1", "a", 1)],
        "query_langs": "en",
        "passage_langs": "en",
    }
    with pytest.raises(DataError, match=message):
        collection_from_records(**{**values, **records})
