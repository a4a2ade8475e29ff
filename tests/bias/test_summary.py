import json
import re
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmarks.evaluation import xquad_sized_collection

from isoglot.bias import summarize
from isoglot.evaluation import evaluate, evaluate_ranking
from isoglot.evaluation.evaluate import Evaluation
from isoglot.evaluation.passages import passage_table, relevant_passages
from isoglot.evaluation.ranking import Ranking
from isoglot.evaluation.settings import relevant_ranks
from tests.bias.cases import evaluate_rankings, random_case, worked_example
from tests.reference.double_loop_bias import bias_by_definition, macro
from tests.reference.random_collections import exact_embeddings, random_collection


def figures(bias, path=""):
    """Every figure by its path; mappings by language are left out where empty."""
    for key, value in bias.items():
        if isinstance(value, dict):
            yield from figures(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def schema(bias):
    """The keys above the languages."""
    by_lang = ("by_query_lang", "expected", "confusion")
    return {
        key: schema(value) if isinstance(value, dict) and not key.endswith(by_lang) else ...
        for key, value in bias.items()
    }


def test_worked_example():
    bias = summarize(worked_example())
    assert bias["rank_distance"] == 1.75
    assert bias["rank_distance_by_query_lang"] == {"de": 2.5, "en": 1}
    assert bias["rank_distance_floor"] == 1
    assert bias["rank_distance_normalized"] == 18.75
    assert bias["language_preference_rate"] == 0.75
    assert bias["language_preference_rate_by_query_lang"] == {"de": 1, "en": 0.5}
    assert bias["language_preference_rate_expected"] == 0.5
    assert bias["max_at_r"] == 2.75
    assert bias["max_at_r_normalized"] == pytest.approx(75)
    assert bias["confusion"] == {"de": {"de": 1, "en": 0}, "en": {"de": 0.5, "en": 0.5}}
    assert bias["friedman"]["kendall_w"] == 0.5
    assert bias["peer"]["value"] is None
    assert bias["peer"]["pooled"]["epsilon_squared"] == pytest.approx(4 / 9)
    limited, removed = bias["limit_to_one_target"], bias["remove_one_target"]
    assert (limited["same_language"], limited["other_language"]) == pytest.approx((1, 17 / 24))
    assert limited["gap"] == pytest.approx(7 / 24)
    assert (removed["same_language"], removed["other_language"]) == pytest.approx((3 / 16, -5 / 48))
    # Six passages are fewer than ten: the head is the whole ranking.
    assert (bias["complete_at_10"], bias["complete_at_100"]) == (1, 1)
    assert bias["language_share"]["depth"] == bias["consistency"]["depth"] == 6
    assert bias["language_share"]["same_language"] == 0.5
    assert bias["language_share"]["same_language_relevant"] == 0.5
    assert bias["consistency"]["overlap_at_10"] == 1


@pytest.mark.parametrize("seed", range(10))
def test_is_the_mean_over_languages_of_the_means_over_queries(seed):
    evaluation, rankings = random_case(seed, passages=15)
    found = summarize(evaluation)
    for figure, by_lang in bias_by_definition(evaluation.collection, rankings).items():
        assert found[figure] == pytest.approx(macro(by_lang))


@pytest.mark.parametrize("seed", range(5))
def test_is_json_with_the_same_keys_always(seed):
    evaluation, _ = random_case(seed, passages=15)
    bias = summarize(evaluation)
    assert json.loads(json.dumps(bias, allow_nan=False)) == bias
    assert schema(bias) == schema(summarize(worked_example()))


def keys(bias):
    for key, value in schema(bias).items():
        yield key
        if isinstance(value, dict):
            yield from keys(value)


def test_the_documentation_names_every_key():
    page = Path(__file__).resolve().parents[2] / "docs" / "bias.md"
    named = set(re.findall(r"[a-z_0-9]+", page.read_text(encoding="utf-8")))
    assert set(keys(summarize(worked_example()))) <= named


def test_shares_of_the_head_add_up():
    share = summarize(random_case(0, passages=40)[0])["language_share"]
    assert share["depth"] == 10
    for row in (*share["by_query_lang"].values(), share["expected"]):
        assert sum(row.values()) == pytest.approx(1)
    excess = share["same_language"] - share["same_language_expected"]
    assert share["same_language_excess"] == pytest.approx(excess)
    assert share["other_language"] == pytest.approx(1 - share["same_language"])


COUNTS_AND_WORDS = {
    *("language_share.depth", "consistency.depth", "consistency.query_pairs"),
    *("peer.why", "peer.queries", "peer.informative_queries"),
}


def known(bias):
    return {key for key, value in figures(bias) if value is not None} - COUNTS_AND_WORDS


def test_nothing_to_say_about_one_language():
    rng = np.random.default_rng(0)
    collection = random_collection(rng, langs=("en",))
    queries = exact_embeddings(rng, len(collection.queries), "dot")
    bias = summarize(evaluate(collection, queries, exact_embeddings(rng, 12, "dot")))
    assert known(bias) == set()
    assert bias["rank_distance_by_query_lang"] == bias["confusion"] == {}
    assert bias["friedman"] == {"by_query_lang": {}, "kendall_w": None}


def test_relevant_passages_in_the_own_language_only():
    # As in MIRACL. The languages of the first passages can be counted; nothing is parallel.
    queries = [("1", "de"), ("1", "en")]
    qrels = [("1", "de", "d1"), ("1", "de", "d2"), ("1", "en", "e1")]
    bias = summarize(evaluate_rankings(queries, qrels, ["d1 e1 d2", "d2 e1 d1"]))
    assert {key.split(".")[0] for key in known(bias)} == {"language_share", "confusion"}
    assert bias["language_share"]["other_language"] == pytest.approx((1 / 3 + 2 / 3) / 2)
    assert bias["language_share"]["same_language_relevant"] is None


def test_without_a_ranking_the_figures_of_its_head_are_missing():
    bias = summarize(worked_example(run_depth=0))
    assert bias["language_share"]["same_language"] is None
    assert bias["language_share"]["relevant_by_query_lang"] == {
        lang: {"de": 0.5, "en": 0.5} for lang in ("de", "en")
    }
    assert bias["confusion"] == {}
    assert bias["consistency"]["overlap_at_10"] is None
    assert bias["rank_distance"] == 1.75
    assert bias["complete_at_10"] == 1


def test_a_run_of_limited_depth_has_the_figures_that_need_no_more():
    evaluation = worked_example()
    ranks = replace(evaluation.ranks, ranked=evaluation.ranks.multilingual_ranks <= 3)
    bias = summarize(replace(evaluation, ranks=ranks, depth=10))
    assert {key.split(".")[0] for key in known(bias)} == {
        *("language_preference_rate", "language_preference_rate_by_query_lang"),
        *("language_preference_rate_expected", "complete_at_10"),
        *("language_share", "confusion", "consistency"),
    }
    assert bias["complete_at_10"] == 0.75
    assert "beyond the depth of the run" in bias["peer"]["why"]


def test_a_run_without_an_answer_of_one_query_says_nothing_of_preference():
    evaluation = worked_example()
    bias = summarize(
        replace(
            evaluation,
            ranks=replace(evaluation.ranks, ranked=evaluation.ranks.queries != 1),
            depth=10,
        )
    )
    assert bias["language_preference_rate"] is bias["language_preference_rate_expected"] is None
    assert bias["language_preference_rate_by_query_lang"] == {}


def test_a_run_that_holds_every_passage_says_all_that_scores_say():
    evaluation = worked_example()
    run = evaluate_ranking(evaluation.collection, evaluation.ranking)
    assert summarize(run) == summarize(evaluation)


def test_a_run_of_three_passages_says_which_answer_comes_first():
    evaluation = worked_example()
    head = Ranking(evaluation.ranking.passages[:, :3], evaluation.ranking.scores[:, :3])
    bias = summarize(evaluate_ranking(evaluation.collection, head))
    assert {key.split(".")[0] for key in known(bias)} == {
        *("language_preference_rate", "language_preference_rate_by_query_lang"),
        *("language_preference_rate_expected", "confusion", "language_share"),
    }
    assert bias["language_preference_rate"] == 0.75
    # Judgments say it, not the run, which is too short for its own shares.
    assert bias["language_share"]["same_language_relevant"] == 0.5
    assert bias["language_share"]["same_language"] is None


def xquad_sized_evaluation():
    """Random ranks and first passages: figures of bias need no scores."""
    collection = xquad_sized_collection()
    rng = np.random.default_rng(0)
    queries = len(collection.queries)
    table = passage_table(collection.passages)
    relevant = relevant_passages(collection)
    steps = rng.integers(1, 1000, (queries, 11))
    higher = np.zeros((11 * queries, 11), dtype=np.int32)
    higher[:, 0] = rng.permuted(steps.cumsum(axis=1), axis=1).ravel() - 1
    head = rng.integers(0, len(collection.passages), (queries, 100)).astype(np.int32)
    return Evaluation(
        collection=collection,
        similarity="cosine",
        measures=("AP",),
        ranks=relevant_ranks([q.lang for q in collection.queries], relevant, table, higher),
        pools=(),
        skipped_by_setting={},
        ranking=Ranking(head, np.zeros(head.shape, dtype=np.float32)),
    )


def test_a_collection_of_xquad_rs_size_takes_no_time():
    evaluation = xquad_sized_evaluation()
    started = time.process_time()
    bias = summarize(evaluation)
    # 0.25 s; the rest is for machines that are slower than any we know.
    assert time.process_time() - started < 2
    # No language is preferred here: 1/11, and every test says so.
    assert bias["language_preference_rate"] == pytest.approx(1 / 11, abs=0.01)
    assert bias["friedman"]["kendall_w"] < 0.01
