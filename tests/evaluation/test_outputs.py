"""The files: what they hold, and that ir_measures reads our figures from them."""

import json

import ir_measures
import numpy as np
import pyarrow.parquet as pq
import pytest

from isoglot import bias
from isoglot.data.collection import Collection
from isoglot.errors import ArtifactError, DataError
from isoglot.evaluation import evaluate, read_evaluation, write_evaluation
from isoglot.records import Passage, Qrel, Query
from tests.reference.random_collections import exact_embeddings, random_collection

MEASURES = ("AP", "R@5", "P@5", "nDCG@3", "nDCG", "RR", "Success@2")


def write_random(folder, seed=0, measures=MEASURES, exact=True, **options):
    rng = np.random.default_rng(seed)
    collection = random_collection(rng, questions=8, passages=30)
    if exact:
        queries = exact_embeddings(rng, len(collection.queries), "dot")
        passages = exact_embeddings(rng, 30, "dot")
    else:
        queries = rng.standard_normal((len(collection.queries), 4), dtype=np.float32)
        passages = rng.standard_normal((30, 4), dtype=np.float32)
    evaluation = evaluate(
        collection, queries, passages, similarity="dot", measures=measures, **options
    )
    write_evaluation(evaluation, folder, model="random", bias=bias.summarize(evaluation))
    return evaluation


def values_from_files(folder, lang, measures):
    """What ``ir_measures qrels/LANG.qrels runs/LANG.trec ...`` computes, per query."""
    qrels = list(ir_measures.read_trec_qrels(str(folder / "qrels" / f"{lang}.qrels")))
    run = list(ir_measures.read_trec_run(str(folder / "runs" / f"{lang}.trec")))
    parsed = [ir_measures.parse_measure(name) for name in measures]
    return {
        (m.query_id, str(m.measure)): m.value for m in ir_measures.iter_calc(parsed, qrels, run)
    }


def multilingual_values(per_query, lang):
    return {
        (row["query_id"], row["measure"]): row["value"]
        for row in per_query.to_pylist()
        if (row["setting"], row["query_lang"]) == ("multilingual", lang)
    }


@pytest.mark.parametrize("seed", range(10))
def test_ir_measures_finds_the_same_values_ties_included(tmp_path, seed):
    evaluation = write_random(tmp_path, seed)
    for lang in evaluation.collection.query_langs:
        ours = multilingual_values(evaluation.per_query, lang)
        assert values_from_files(tmp_path, lang, MEASURES) == pytest.approx(ours)


def test_reciprocal_rank_with_a_cutoff_equals_ir_measures_without_ties(tmp_path):
    # With ties it does not: ir_measures then orders doc ids the other way round.
    evaluation = write_random(tmp_path, measures=["RR@3"], exact=False)
    for lang in evaluation.collection.query_langs:
        ours = multilingual_values(evaluation.per_query, lang)
        assert values_from_files(tmp_path, lang, ["RR@3"]) == pytest.approx(ours)


@pytest.mark.parametrize("exact", [True, False])
def test_sorting_a_run_again_gives_the_same_order(tmp_path, exact):
    evaluation = write_random(tmp_path, exact=exact, run_depth=7)
    lines = [line.split() for line in (tmp_path / "runs" / "en.trec").read_text().splitlines()]
    query_ids = [q.query_id for q in evaluation.collection.queries if q.lang == "en"]
    assert list(dict.fromkeys(line[0] for line in lines)) == query_ids
    for query_id in query_ids:
        run = [(float(score), doc_id) for q, _, doc_id, _, score, _ in lines if q == query_id]
        assert len(run) == 7
        assert run == sorted(run, reverse=True)
    assert lines[0][1::2] == ["Q0", "1", "isoglot"]
    assert (
        np.float32(lines[0][4])
        == evaluation.ranking.scores[
            evaluation.collection.queries.index((query_ids[0], "en", "x")), 0
        ]
    )


def test_metrics(tmp_path):
    evaluation = write_random(tmp_path, run_depth=5)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["benchmark"] == "random"
    assert metrics["model"] == "random"
    assert metrics["summary"] == evaluation.summary
    assert metrics["bias"] == bias.summarize(evaluation)
    assert metrics["queries"] == len(evaluation.collection.queries)
    assert metrics["passages"] == 30
    assert metrics["skipped_queries"] == evaluation.skipped_queries
    assert metrics["skipped_by_setting"] == evaluation.skipped_by_setting
    assert metrics["measures"] == list(MEASURES)
    assert metrics["run_depth"] == 5
    assert {"isoglot_version", "options", "similarity"} <= set(metrics)


def test_tables_have_the_promised_columns(tmp_path):
    write_random(tmp_path)
    settings = pq.read_table(tmp_path / "settings.parquet")
    per_query = pq.read_table(tmp_path / "per_query.parquet")
    assert settings.column_names == [
        *("setting", "query_lang", "passage_lang", "measure", "value", "queries")
    ]
    assert per_query.column_names == [
        *("query_id", "query_lang", "setting", "passage_lang", "measure", "value")
    ]


def test_reading_gives_what_was_written(tmp_path):
    evaluation = write_random(tmp_path)
    stored = read_evaluation(tmp_path)
    assert stored.settings == evaluation.settings
    assert stored.per_query.to_pylist() == evaluation.per_query.to_pylist()
    assert stored.metrics["summary"] == evaluation.summary


def test_no_runs_at_depth_0(tmp_path):
    write_random(tmp_path, run_depth=0)
    assert not (tmp_path / "runs").exists()
    assert json.loads((tmp_path / "metrics.json").read_text())["run_depth"] == 0


def test_qrels_keep_judged_negatives_and_leave_unanswered_queries_out(tmp_path):
    collection = Collection(
        "tiny",
        [Query("q1", "en", "?"), Query("q2", "en", "?"), Query("q1", "de", "?")],
        [Passage("a", "en", "."), Passage("b", "de", ".")],
        [Qrel("q1", "en", "a", 2), Qrel("q1", "en", "b", 0), Qrel("q2", "en", "a", 0)],
    )
    evaluation = evaluate(collection, np.ones((3, 2)), np.ones((2, 2)))
    write_evaluation(evaluation, tmp_path, model="m", bias={})
    assert (tmp_path / "qrels" / "en.qrels").read_text() == "q1 0 a 2\nq1 0 b 0\n"
    assert (tmp_path / "qrels" / "de.qrels").read_text() == ""


@pytest.mark.parametrize(
    ("query_id", "doc_id", "message"),
    [
        ("q 1", "d", r"tiny: query id 'q 1' is empty or has white space, .* rename it"),
        ("q", "d\t1", r"tiny: passage id 'd\\t1' is empty or has white space"),
        ("q", "", "tiny: passage id '' is empty"),
    ],
)
def test_ids_that_trec_files_cannot_hold(tmp_path, query_id, doc_id, message):
    collection = Collection(
        "tiny",
        [Query(query_id, "en", "?")],
        [Passage(doc_id, "en", ".")],
        [Qrel(query_id, "en", doc_id, 1)],
    )
    evaluation = evaluate(collection, np.ones((1, 2)), np.ones((1, 2)))
    with pytest.raises(DataError, match=message):
        write_evaluation(evaluation, tmp_path, model="m", bias={})
    assert not list(tmp_path.iterdir())


def test_reading_a_missing_or_damaged_evaluation(tmp_path):
    with pytest.raises(ArtifactError, match=r"metrics\.json: no such file"):
        read_evaluation(tmp_path)
    write_random(tmp_path)
    (tmp_path / "per_query.parquet").write_bytes(b"no table")
    with pytest.raises(ArtifactError, match=r"per_query\.parquet: cannot be read as Parquet"):
        read_evaluation(tmp_path)
    (tmp_path / "settings.parquet").unlink()
    with pytest.raises(ArtifactError, match=r"settings\.parquet: no such file"):
        read_evaluation(tmp_path)


def test_a_folder_called_like_an_assignment_is_no_column(tmp_path):
    evaluation = write_random(tmp_path / "seed=1")
    assert read_evaluation(tmp_path / "seed=1").settings == evaluation.settings
