"""The evaluator for training: its values, its names, and a real trainer that uses it."""

from __future__ import annotations

import csv
import logging

import pytest
from datasets import Dataset
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

from isoglot.bias import summarize
from isoglot.data.collection import Collection
from isoglot.data.groups import groups_to_collection
from isoglot.data.mini import load_mini, load_mini_groups
from isoglot.errors import ConfigError, DataError
from isoglot.integrations.evaluator import BIAS_FIGURES, MultilingualRetrievalEvaluator
from isoglot.pipeline.evaluation import evaluate_model
from isoglot.records import Passage, Qrel, Query
from tests.models.checkpoints import LANGS

MEASURES = ("AP", "nDCG@10", "RR@10", "R@5")


@pytest.fixture(scope="module")
def model(checkpoints):
    return SentenceTransformer(str(checkpoints["static"]), device="cpu")


@pytest.fixture(scope="module")
def collection():
    return groups_to_collection(load_mini_groups("evaluation")[:20], "dev").restrict(LANGS)


def test_metrics_are_the_summary_and_the_bias_of_an_evaluation(model, collection):
    evaluator = MultilingualRetrievalEvaluator(collection, measures=MEASURES)
    metrics = evaluator(model)
    evaluation = evaluate_model(model, collection, measures=MEASURES)
    bias = summarize(evaluation)
    expected = {
        f"dev_{setting}_{measure}": value
        for setting, values in evaluation.summary.items()
        for measure, value in values.items()
    }
    expected |= {f"dev_{key}": bias[key] for key in BIAS_FIGURES if bias.get(key) is not None}
    assert metrics == expected
    assert {"dev_cross-lingual_nDCG@10", "dev_rank_distance"} <= metrics.keys()
    assert all(type(value) is float for value in metrics.values())
    assert evaluator.evaluation.settings == evaluation.settings


def library_values(model, collection, query_lang, passage_langs):
    """Measure one pool with the library's own evaluator, under our names of measures."""
    queries = {q.query_id: q.text for q in collection.queries if q.lang == query_lang}
    corpus = {p.doc_id: p.text for p in collection.passages if p.lang in passage_langs}
    relevant = {query_id: set() for query_id in queries}
    for qrel in collection.qrels:
        if qrel.query_lang == query_lang and qrel.doc_id in corpus:
            relevant[qrel.query_id].add(qrel.doc_id)
    pool = len(corpus)
    evaluator = InformationRetrievalEvaluator(
        queries, corpus, relevant, map_at_k=[pool], precision_recall_at_k=[5], write_csv=False
    )
    found = evaluator(model)
    names = (f"map@{pool}", "ndcg@10", "mrr@10", "recall@5")
    return dict(zip(MEASURES, (float(found[f"cosine_{name}"]) for name in names), strict=True))


def test_every_pool_equals_the_librarys_own_evaluator(model, collection):
    evaluator = MultilingualRetrievalEvaluator(collection, measures=MEASURES)
    evaluator(model)
    by_pool = {}
    for row in evaluator.evaluation.settings:
        by_pool.setdefault((row.query_lang, row.passage_lang), {})[row.measure] = row.value
    assert len(by_pool) == 3 + 6 + 3
    for (query_lang, passage_lang), values in by_pool.items():
        passage_langs = LANGS if passage_lang == "*" else (passage_lang,)
        assert values == pytest.approx(
            library_values(model, collection, query_lang, passage_langs), abs=1e-12
        )


def test_dicts_of_the_library_give_the_same(model, collection):
    def key(query):
        return f"{query.lang}-{query.query_id}"

    evaluator = MultilingualRetrievalEvaluator.from_dicts(
        {key(query): query.text for query in collection.queries},
        {passage.doc_id: passage.text for passage in collection.passages},
        {
            key(query): {
                qrel.doc_id
                for qrel in collection.qrels
                if (qrel.query_lang, qrel.query_id) == (query.lang, query.query_id)
            }
            for query in collection.queries
        },
        {key(query): query.lang for query in collection.queries},
        {passage.doc_id: passage.lang for passage in collection.passages},
        name="dev",
        measures=MEASURES,
    )
    expected = MultilingualRetrievalEvaluator(collection, measures=MEASURES)(model)
    assert evaluator(model) == expected


def test_grades_and_one_language_for_all_are_taken():
    evaluator = MultilingualRetrievalEvaluator.from_dicts(
        {"q": "?"}, {"a": "!", "b": "."}, {"q": {"a": 2, "b": 0}}, "en", "zh-Hans"
    )
    assert evaluator.collection.qrels == [Qrel("q", "en", "a", 2), Qrel("q", "en", "b", 0)]
    assert evaluator.collection.passage_langs == ("zh",)
    assert evaluator.primary_metric == "multilingual_AP"


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"query_langs": {}}, DataError, "collection: query 'q' has no language; add it to"),
        ({"passage_langs": {"b": "en"}}, DataError, "collection: passage 'a' has no language"),
        ({"query_langs": "xx"}, ConfigError, "collection: query 'q': unknown language 'xx'"),
        ({"relevant_docs": {"x": {"a"}}}, DataError, "a judgment names query 'x'"),
        ({"relevant_docs": {"q": {"x"}}}, DataError, "has a judgment for passage 'x'"),
    ],
)
def test_dicts_that_do_not_fit_together_are_refused(changes, error, message):
    values = {
        "queries": {"q": "?"},
        "corpus": {"a": "!"},
        "relevant_docs": {"q": {"a"}},
        "query_langs": "en",
        "passage_langs": "en",
    }
    with pytest.raises(error, match=message):
        MultilingualRetrievalEvaluator.from_dicts(**{**values, **changes})


def test_the_primary_metric_is_known_before_the_first_call(collection):
    assert MultilingualRetrievalEvaluator(collection).primary_metric == "dev_multilingual_AP"
    chosen = MultilingualRetrievalEvaluator(
        collection, name="", measures=["R@5"], primary_metric="cross-lingual_R@5"
    )
    assert (chosen.primary_metric, chosen.greater_is_better) == ("cross-lingual_R@5", True)


def test_less_rank_distance_is_better(collection):
    evaluator = MultilingualRetrievalEvaluator(collection, primary_metric="rank_distance")
    assert (evaluator.primary_metric, evaluator.greater_is_better) == ("dev_rank_distance", False)


def test_a_primary_metric_that_is_not_measured_is_refused(collection):
    with pytest.raises(ConfigError, match=r"'multilingual_mAP' is not measured on dev; choose.*AP"):
        MultilingualRetrievalEvaluator(collection, primary_metric="multilingual_mAP")


def test_what_one_language_cannot_give_is_refused_before_training():
    alone = Collection(
        "alone", [Query("q", "en", "?")], [Passage("a", "en", "!")], [Qrel("q", "en", "a", 1)]
    )
    for metric in ("cross-lingual_AP", "rank_distance"):
        with pytest.raises(ConfigError, match=f"primary metric '{metric}' is not measured"):
            MultilingualRetrievalEvaluator(alone, primary_metric=metric)


def test_fewer_dimensions_are_measured_and_the_model_is_left_as_it_is(model, collection):
    full = MultilingualRetrievalEvaluator(collection)(model)
    evaluator = MultilingualRetrievalEvaluator(collection, truncate_dim=4)
    truncated = evaluator(model)
    assert truncated != full
    assert evaluator.get_config_dict()["truncate_dim"] == 4
    assert MultilingualRetrievalEvaluator(collection)(model) == full


def read_csv(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_call_adds_a_line_to_the_csv_file(model, collection, tmp_path):
    evaluator = MultilingualRetrievalEvaluator(collection, measures=["AP"])
    evaluator(model, str(tmp_path / "eval"), epoch=0.5, steps=10)
    metrics = evaluator(model, str(tmp_path / "eval"), epoch=1, steps=20)
    path = tmp_path / "eval" / "Multilingual-Retrieval_evaluation_dev_results.csv"
    rows = read_csv(path)
    assert [(row["epoch"], row["steps"]) for row in rows] == [("0.5", "10"), ("1", "20")]
    for name, value in metrics.items():
        assert float(rows[1][name.removeprefix("dev_")]) == value


def test_a_csv_file_with_other_columns_keeps_them(model, collection, tmp_path, caplog):
    MultilingualRetrievalEvaluator(collection, measures=["AP"])(model, str(tmp_path))
    with caplog.at_level(logging.WARNING):
        MultilingualRetrievalEvaluator(collection, measures=["AP", "R@5"])(model, str(tmp_path))
    assert "has no columns for monolingual_R@5" in caplog.text
    rows = read_csv(next(tmp_path.glob("*.csv")))
    assert rows[0] == rows[1]


def test_no_csv_file_is_written_unless_wanted(model, collection, tmp_path):
    MultilingualRetrievalEvaluator(collection, write_csv=False)(model, str(tmp_path))
    assert not list(tmp_path.iterdir())


def test_a_trainer_selects_its_best_checkpoint_by_it(checkpoints, collection, tmp_path):
    model = SentenceTransformer(str(checkpoints["static"]), device="cpu")
    groups = load_mini_groups("train")[:16]
    pairs = Dataset.from_dict(
        {
            "anchor": [group.query["en"] for group in groups],
            "positive": [group.passage["de"] for group in groups],
        }
    )
    evaluator = MultilingualRetrievalEvaluator(collection)
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(tmp_path),
        max_steps=4,
        per_device_train_batch_size=8,
        learning_rate=0.05,
        eval_strategy="steps",
        eval_steps=2,
        save_steps=2,
        logging_steps=2,
        load_best_model_at_end=True,
        metric_for_best_model=f"eval_{evaluator.primary_metric}",
        greater_is_better=evaluator.greater_is_better,
        use_cpu=True,
        report_to=[],
        disable_tqdm=True,
    )
    trainer = SentenceTransformerTrainer(
        model,
        arguments,
        train_dataset=pairs,
        loss=MultipleNegativesRankingLoss(model),
        evaluator=evaluator,
    )
    trainer.train()
    logged = {
        row["step"]: row["eval_dev_multilingual_AP"]
        for row in trainer.state.log_history
        if "eval_dev_multilingual_AP" in row
    }
    best = max(logged, key=logged.get)
    assert list(logged) == [2, 4]
    assert trainer.state.best_model_checkpoint.endswith(f"checkpoint-{best}")
    final = evaluator(trainer.model)["dev_multilingual_AP"]
    assert final == pytest.approx(logged[best])
    assert len(read_csv(next(tmp_path.glob("eval/*.csv")))) == 2
    model.save_pretrained(str(tmp_path / "final"))
    card = (tmp_path / "final" / "README.md").read_text("utf-8")
    assert "#### Multilingual Retrieval" in card
    assert "**multilingual_AP**" in card and f"**{final:.4f}**" in card


def test_a_benchmarks_size_is_in_the_card():
    assert MultilingualRetrievalEvaluator(load_mini()).get_config_dict() == {
        "queries": 576,
        "passages": 576,
    }
