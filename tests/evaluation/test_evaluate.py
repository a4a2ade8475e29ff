import numpy as np
import pytest

from isoglot.data.collection import Collection
from isoglot.errors import ConfigError, DataError
from isoglot.evaluation import evaluate, evaluate_scorer
from isoglot.records import Passage, Qrel, Query


@pytest.fixture
def collection():
    """One question in de and en, answered in both; another in en only, answered in de only."""
    return Collection(
        "tiny",
        [Query("q1", "de", "?"), Query("q1", "en", "?"), Query("q2", "en", "?")],
        [Passage("d1", "de", "."), Passage("d2", "de", "."), Passage("e1", "en", ".")],
        [
            *(Qrel("q1", lang, doc_id, 1) for lang in ("de", "en") for doc_id in ("d1", "e1")),
            Qrel("q2", "en", "d2", 1),
            Qrel("q2", "en", "e1", 0),
        ],
    )


QUERIES = np.array([[1, 0], [0, 1], [0, 1]], dtype=np.float32)
PASSAGES = np.array([[2, 0], [1, 1], [0, 2]], dtype=np.float32)


@pytest.fixture
def evaluation(collection):
    # Scores of d1, d2, e1: q1/de 2 1 0, q1/en 0 1 2, q2/en 0 1 2.
    return evaluate(collection, QUERIES, PASSAGES, similarity="dot", measures=["RR", "AP"])


def test_settings_hold_the_mean_over_the_queries_that_have_an_answer_there(evaluation):
    reciprocal_ranks = [row[:3] + row[4:] for row in evaluation.settings if row.measure == "RR"]
    assert reciprocal_ranks == [
        ("monolingual", "de", "de", 1.0, 1),
        ("monolingual", "en", "en", 1.0, 1),  # q2 has no English answer: skipped
        ("cross-lingual", "de", "en", 1.0, 1),
        ("cross-lingual", "en", "de", 0.75, 2),  # q1 finds d1 second, q2 finds d2 first
        ("multilingual", "de", "*", 1.0, 1),
        ("multilingual", "en", "*", 0.75, 2),  # q1 finds e1 first, q2 finds d2 second
    ]


def test_summary_is_a_macro_average(evaluation):
    # AP of q1 in the pool of all languages: ranks 1 and 3, in either language.
    average_precision = (1 + 2 / 3) / 2
    assert evaluation.summary["monolingual"]["RR"] == 1
    assert evaluation.summary["cross-lingual"]["RR"] == (1 + 0.75) / 2
    assert evaluation.summary["multilingual"]["AP"] == pytest.approx(
        (average_precision + (average_precision + 1 / 2) / 2) / 2
    )


def test_skipped_pairs_are_counted(evaluation):
    assert evaluation.skipped_by_setting == {
        "monolingual": 1,
        "cross-lingual": 0,
        "multilingual": 0,
    }
    assert evaluation.skipped_queries == 0


def test_a_query_without_any_answer_is_skipped_everywhere(collection):
    without = Collection("tiny", collection.queries, collection.passages, collection.qrels[:4])
    result = evaluate(without, QUERIES, PASSAGES)
    assert result.skipped_queries == 1
    assert result.skipped_by_setting["multilingual"] == 1
    assert "q2" not in result.per_query["query_id"].to_pylist()


def test_one_language_has_no_cross_lingual_summary(collection):
    result = evaluate(collection.restrict(["de"]), QUERIES[:1], PASSAGES[:2])
    assert result.summary["cross-lingual"] == {}
    assert result.summary["monolingual"] == result.summary["multilingual"]


def test_only_the_settings_asked_for(collection):
    result = evaluate(collection, QUERIES, PASSAGES, settings=["multilingual"])
    assert {row.setting for row in result.settings} == {"multilingual"}
    assert result.summary["monolingual"] == {}


def test_a_collapsed_encoder_scores_near_the_floor():
    # Relevant passages have the smallest doc id in half of the languages and the largest in the
    # other half, so that no order of the ids can help.
    langs = [f"l{i}" for i in range(10)]
    passages = [
        Passage(f"{(i if lang < 'l5' else 99 - i):02}-{lang}", lang, ".")
        for lang in langs
        for i in range(100)
    ]
    queries = [Query(str(i), lang, "?") for lang in langs for i in range(100)]
    qrels = [
        Qrel(query.query_id, query.lang, passage.doc_id, 1)
        for query in queries
        for passage in passages[int(query.query_id) :: 100]
    ]
    collection = Collection("collapsed", queries, passages, qrels)
    result = evaluate(collection, np.full((1000, 8), 0.3), np.full((1000, 8), 0.3))
    # One relevant passage among 100 at every rank once: RR = H(100) / 100 = 0.0519.
    harmonic = sum(1 / rank for rank in range(1, 101)) / 100
    assert result.summary["monolingual"]["AP"] == pytest.approx(harmonic)
    assert result.summary["cross-lingual"]["R@1"] == pytest.approx(0.01)
    assert result.summary["multilingual"]["AP"] < 0.06


def test_no_ranking_without_a_depth(collection):
    assert evaluate(collection, QUERIES, PASSAGES, run_depth=0).ranking is None


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_unusable_embeddings_name_the_text(collection, bad):
    queries, passages = QUERIES.copy(), PASSAGES.copy()
    passages[1, 0] = bad
    with pytest.raises(DataError, match=r"passage 'd2': its embedding holds NaN.* encode again"):
        evaluate(collection, queries, passages)
    queries[2, 1] = bad
    with pytest.raises(DataError, match=r"query 'q2 \(en\)': its embedding holds NaN, infinity"):
        evaluate(collection, queries, passages)


def test_zero_vectors_score_zero(collection):
    result = evaluate(collection, QUERIES * 0, PASSAGES)
    assert result.ranking.scores.tolist() == [[0, 0, 0]] * 3


@pytest.mark.parametrize(
    ("queries", "passages", "message"),
    [
        (QUERIES[:2], PASSAGES, "query embeddings: 2 rows for 3 texts; encode .* again"),
        (QUERIES, PASSAGES[:1], "passage embeddings: 1 rows for 3 texts"),
        (QUERIES[0], PASSAGES, r"shape \(query count, dim\), got float32 of shape \(2,\)"),
        (QUERIES, PASSAGES.astype(int), r"expected a floating-point array .* got int64"),
        (QUERIES[:, :0], PASSAGES[:, :0], r"shape \(passage count, dim\), got float32 of shape"),
        (QUERIES, [PASSAGES[:1].astype(np.float16), PASSAGES[1:]], "types float16, float32; bring"),
        (QUERIES[:, :1], PASSAGES, "query embeddings have 1 dimensions, passage .* have 2; encode"),
    ],
)
def test_embeddings_that_do_not_fit(collection, queries, passages, message):
    with pytest.raises(DataError, match=message):
        evaluate(collection, queries, passages)


def test_the_direction_of_very_short_vectors_counts(collection):
    long = evaluate(collection, QUERIES, PASSAGES).ranking.scores
    short = evaluate(collection, QUERIES, PASSAGES * np.float32(2**-75)).ranking.scores
    assert short == pytest.approx(long)


class Scores:
    """Scores that someone else computed."""

    def __init__(self, scores):
        self.values = np.array(scores, dtype=np.float32)
        self.size = self.values.shape[1]

    def twins(self):
        return np.zeros(0, dtype=np.intp)

    def block(self, rows):
        self.rows = rows
        return self

    def scores(self, queries, out):
        out[:] = self.values[queries][:, self.rows]


def test_any_scores_can_be_measured(collection):
    result = evaluate_scorer(
        collection, Scores([[2, 1, 0], [0, 1, 2], [0, 1, 2]]), similarity="theirs"
    )
    expected = evaluate(collection, QUERIES, PASSAGES, similarity="dot")
    assert result.settings == expected.settings
    with pytest.raises(DataError, match=r"the scores of query 1 \(from 0\) hold NaN"):
        evaluate_scorer(collection, Scores([[1, 1, 1], [0, np.nan, 0], [1, 1, 1]]), similarity="x")
    with pytest.raises(DataError, match="scores for 2 passages, the collection has 3"):
        evaluate_scorer(collection, Scores([[1, 1]] * 3), similarity="x")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"similarity": "l2"}, "unknown similarity 'l2'; choose cosine or dot"),
        (
            {"settings": ["multilang"]},
            r"unknown setting 'multilang'; use monolingual, .* 'multilingual'\?",
        ),
        ({"settings": []}, "no settings given; name one or more of monolingual"),
        ({"run_depth": -1}, "run depth is -1; use 0 for no run, or a positive number"),
        ({"memory_mb": 0}, "memory_mb is 0; give the scores at least 1 MiB"),
    ],
)
def test_wrong_options(collection, options, message):
    with pytest.raises(ConfigError, match=message):
        evaluate(collection, QUERIES, PASSAGES, **options)


def test_settings_without_any_pool(collection):
    with pytest.raises(
        DataError, match=r"tiny: no query has a relevant .* cross-lingual; choose other settings"
    ):
        evaluate(collection.restrict(["de"]), QUERIES[:1], PASSAGES[:2], settings=["cross-lingual"])
