"""TREC runs: the same figures as from scores, as far as the run goes."""

import numpy as np
import pytest
import pytrec_eval

from isoglot.data.collection import Collection
from isoglot.data.corpus import store_passages
from isoglot.errors import ConfigError, DataError
from isoglot.evaluation import evaluate, evaluate_ranking
from isoglot.evaluation.runs import ranking_from_runs
from isoglot.records import Passage, Qrel, Query, ScoredDoc
from tests.reference.full_sort import pool_langs, ranked_doc_ids
from tests.reference.random_collections import exact_embeddings, exact_scores, random_collection
from tests.reference.slow_measures import measure

MEASURES = ("AP", "AP@3", "R@5", "P@5", "nDCG@4", "nDCG", "RR", "Success@2")


def random_run(seed, depth, passages=40):
    """A collection, exact scores with many ties, and a run of limited depth by language."""
    rng = np.random.default_rng(seed)
    collection = random_collection(rng, questions=8, passages=passages)
    queries = exact_embeddings(rng, len(collection.queries), "dot")
    vectors = exact_embeddings(rng, passages, "dot")
    scores = exact_scores(queries, vectors, "dot")
    by_id = {passage.doc_id: row for row, passage in enumerate(collection.passages)}
    runs = {}
    for row, query in enumerate(collection.queries):
        head = ranked_doc_ids(collection, scores[row], "*")[:depth]
        rng.shuffle(head)  # only the scores count
        found = [ScoredDoc(query.query_id, doc_id, scores[row, by_id[doc_id]]) for doc_id in head]
        runs.setdefault(query.lang, []).extend(found)
    return collection, runs, scores, (queries, vectors)


def by_definition(collection, scores, depth):
    """Every value of the run, each pool being what is left of it without other languages."""
    langs = {passage.doc_id: passage.lang for passage in collection.passages}
    found = {}
    for row, (query_id, query_lang, _) in enumerate(collection.queries):
        head = ranked_doc_ids(collection, scores[row], "*")[:depth]
        gains = {
            q.doc_id: q.relevance
            for q in collection.qrels
            if (q.query_id, q.query_lang) == (query_id, query_lang)
        }
        for setting, lang in pool_langs(collection, query_lang):
            of_pool = [d for d in gains if lang in (langs[d], "*")]
            seen = [d for d in head if lang in (langs[d], "*")]
            # What the run does not hold comes after everything that could be measured.
            ranking = [gains.get(d, 0) for d in seen] + [0] * 1000
            ranking += [gains[d] for d in of_pool if d not in seen]
            if any(gain > 0 for gain in ranking):
                found[setting, query_lang, lang, query_id] = ranking
    return found


@pytest.mark.parametrize("seed", range(15))
@pytest.mark.parametrize("depth", [1, 7, 25])
def test_every_value_of_a_run_equals_its_definition(seed, depth):
    collection, runs, scores, _ = random_run(seed, depth)
    # Without a cutoff, by definition means nothing in a pool that is cut; pytrec_eval tells, below.
    measures = [name for name in MEASURES if "@" in name]
    result = evaluate_ranking(collection, ranking_from_runs(collection, runs), measures=measures)
    expected = by_definition(collection, scores, depth)
    for row in result.per_query.to_pylist():
        key = (row["setting"], row["query_lang"], row["passage_lang"], row["query_id"])
        assert row["value"] == pytest.approx(measure(row["measure"], expected[key]), abs=1e-12)
    assert result.depth == depth


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("depth", [5, 40])
def test_pytrec_eval_finds_the_same_values_at_equal_depth_ties_included(seed, depth):
    collection, runs, _, _ = random_run(seed, depth)
    names = {"AP": "map", "R@5": "recall_5", "P@5": "P_5", "nDCG@10": "ndcg_cut_10", "nDCG": "ndcg"}
    result = evaluate_ranking(collection, ranking_from_runs(collection, runs), measures=names)
    ours = {
        (row["query_lang"], row["query_id"], row["measure"]): row["value"]
        for row in result.per_query.to_pylist()
        if row["setting"] == "multilingual"
    }
    for lang, results in runs.items():
        qrels, run = {}, {}
        for q in collection.qrels:
            if q.query_lang == lang:
                qrels.setdefault(q.query_id, {})[q.doc_id] = q.relevance
        for query_id, doc_id, score in results:
            run.setdefault(query_id, {})[doc_id] = float(score)
        evaluator = pytrec_eval.RelevanceEvaluator(
            qrels, {"map", "recall.5", "P.5", "ndcg_cut.10", "ndcg"}
        )
        for query_id, values in evaluator.evaluate(run).items():
            for name, theirs in names.items():
                if (lang, query_id, name) in ours:
                    assert ours[lang, query_id, name] == pytest.approx(values[theirs], abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_a_run_of_full_depth_gives_everything_that_scores_give(seed):
    collection, runs, _, embeddings = random_run(seed, 40)
    from_run = evaluate_ranking(collection, ranking_from_runs(collection, runs), measures=MEASURES)
    from_scores = evaluate(
        collection, *embeddings, similarity="dot", measures=MEASURES, run_depth=40
    )
    assert from_run.settings == from_scores.settings
    assert from_run.ranks.full_depth
    np.testing.assert_array_equal(from_run.ranks.higher, from_scores.ranks.higher)
    np.testing.assert_array_equal(from_run.ranking.passages, from_scores.ranking.passages)


def test_counts_hold_more_than_one_word_of_languages():
    # Nine languages: counters of 16 bits need three words; one passage of each, in order.
    langs = [f"l{i}" for i in range(9)]
    collection = Collection(
        "nine",
        [Query("q", "l8", "?")],
        [Passage(f"d{i}", lang, ".") for i, lang in enumerate(langs)],
        [Qrel("q", "l8", "d8", 1), Qrel("q", "l8", "d3", 1)],
    )
    run = {"l8": [ScoredDoc("q", f"d{i}", -i) for i in range(9)]}
    ranks = evaluate_ranking(collection, ranking_from_runs(collection, run)).ranks
    higher = dict(zip(ranks.passages.tolist(), ranks.higher.tolist(), strict=True))
    assert higher == {8: [1] * 8 + [0], 3: [1, 1, 1, 0, 0, 0, 0, 0, 0]}


def test_a_deep_run_needs_wider_counters():
    passages = [Passage(f"d{i:06}", "en", ".") for i in range(70_000)]
    collection = Collection(
        "deep", [Query("q", "en", "?")], passages, [Qrel("q", "en", "d069999", 1)]
    )
    run = {"en": [ScoredDoc("q", passage.doc_id, -i) for i, passage in enumerate(passages)]}
    ranks = evaluate_ranking(collection, ranking_from_runs(collection, run)).ranks
    assert ranks.multilingual_ranks.tolist() == [70_000]


def test_a_shorter_list_and_a_query_without_results():
    collection = Collection(
        "short",
        [Query("q1", "en", "?"), Query("q2", "en", "?")],
        [Passage(f"d{i}", "en", ".") for i in range(4)],
        [Qrel("q1", "en", "d3", 1), Qrel("q2", "en", "d0", 1)],
    )
    runs = {"en": [ScoredDoc("q1", "d1", 2.0), ScoredDoc("q1", "d3", 1.0)]}
    ranking = ranking_from_runs(collection, runs)
    assert ranking.passages.tolist() == [[1, 3], [-1, -1]]
    result = evaluate_ranking(collection, ranking, measures=["AP"])
    assert result.ranks.ranked.tolist() == [True, False]
    assert not result.ranks.full_depth
    assert result.summary["multilingual"]["AP"] == (1 / 2 + 0) / 2
    assert ranking_from_runs(collection, runs, depth=1).passages.tolist() == [[1], [-1]]


def test_scores_are_compared_as_trec_eval_does_in_float32():
    # 1.00000001 is 1 in float32: a tie, and b goes before a.
    passages = [Passage("a", "en", "."), Passage("b", "en", ".")]
    collection = Collection("two", [Query("q", "en", "?")], passages, [Qrel("q", "en", "a", 1)])
    run = {"a": 1.00000001, "b": 1.0}
    results = [ScoredDoc("q", doc_id, score) for doc_id, score in run.items()]
    ranking = ranking_from_runs(collection, {"en": results})
    found = evaluate_ranking(collection, ranking, measures=["RR"]).summary["multilingual"]["RR"]
    evaluator = pytrec_eval.RelevanceEvaluator({"q": {"a": 1}}, {"recip_rank"})
    assert found == evaluator.evaluate({"q": run})["q"]["recip_rank"] == 0.5


def test_passages_on_disk(tmp_path):
    passages = [Passage(f"d{i}", "en", ".") for i in range(5)]
    stored = store_passages(tmp_path, {}, lambda: iter(passages), name="stored")
    collection = Collection("stored", [Query("q", "en", "?")], stored, [Qrel("q", "en", "d3", 1)])
    ranking = ranking_from_runs(collection, {"en": [ScoredDoc("q", "d3", 1.0)]})
    assert ranking.passages.tolist() == [[3]]
    assert evaluate_ranking(collection, ranking).summary["multilingual"]["AP"] == 1


def test_a_depth_of_nothing():
    with pytest.raises(ConfigError, match="the depth of runs is 0; take 1 passage per query"):
        ranking_from_runs(random_run(0, 3)[0], {}, depth=0)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (ScoredDoc("q9", "d0", 1.0), "the run of 'en' names query 'q9', which tiny does not have"),
        (ScoredDoc("q1", "d9", 1.0), "names passage 'd9', which tiny does not have; evaluate it"),
        (ScoredDoc("q1", "d0", 1e300), r"names passage 'd0' with the score 1e\+300 for query 'q1'"),
        (ScoredDoc("q1", "d0", 2.0), "names passage 'd0' twice for query 'q1'; give each"),
    ],
)
def test_a_run_of_another_benchmark(line, message):
    collection = Collection(
        "tiny", [Query("q1", "en", "?")], [Passage("d0", "en", ".")], [Qrel("q1", "en", "d0", 1)]
    )
    with pytest.raises(DataError, match=message):
        ranking_from_runs(collection, {"en": [line, ScoredDoc("q1", "d0", 1.0)]})
