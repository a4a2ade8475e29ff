"""Encoders and mixed-language pools in MTEB: our scores, and no other model's."""

from __future__ import annotations

import shutil
import sys
import warnings
from dataclasses import replace

import pytest

from isoglot.config.schema import ModelConfig
from isoglot.data.collection import Collection
from isoglot.data.mini import load_mini
from isoglot.errors import ConfigError, DataError
from isoglot.integrations.mteb import load_mteb_model, mixed_pool_task, setting_means
from isoglot.pipeline.evaluation import evaluate_model
from isoglot.records import Passage, Qrel, Query

LANGS = ("en", "sw", "zh")
OURS = {"map_at_1000": "AP", "ndcg_at_10": "nDCG@10", "mrr_at_10": "RR@10", "recall_at_10": "R@10"}


@pytest.fixture(scope="module")
def mteb():
    return pytest.importorskip("mteb")


@pytest.fixture(scope="module")
def run(mteb):
    """Run a task in MTEB without its cache of results; return the result."""

    def run_task(model, task):
        options = {"batch_size": 2048, "show_progress_bar": False}
        results = mteb.evaluate(
            model, task, cache=None, encode_kwargs=options, show_progress_bar=False
        )
        return results.task_results[0]

    return run_task


@pytest.fixture(scope="module")
def mini(run):
    """The embedded encoder, three languages of the embedded collection, and MTEB's result."""
    model, task = load_mteb_model("mini", device="cpu"), mixed_pool_task("mini:en,sw,zh")
    return model, task, run(model, task)


def test_mteb_scores_every_pool_as_we_do(mini):
    model, task, result = mini
    evaluation = evaluate_model(model.model, task.collection, run_depth=0)
    ours = {
        (row.query_lang, row.passage_lang, row.measure): row.value for row in evaluation.settings
    }
    rows = {row["hf_subset"]: row for row in result.scores["test"]}
    assert len(rows) == 3 + 6 + 3
    for subset, row in rows.items():
        query_lang, passage_lang = subset.split("-")
        for score, measure in OURS.items():
            value = ours[query_lang, "*" if passage_lang == "all" else passage_lang, measure]
            # MTEB rounds most of its scores to five digits.
            assert row[score] == pytest.approx(value, abs=5.1e-6)


def test_means_by_setting_are_our_summary(mini):
    model, task, result = mini
    summary = evaluate_model(model.model, task.collection, run_depth=0).summary
    assert setting_means(result) == pytest.approx(
        {setting: values["nDCG@10"] for setting, values in summary.items()}, abs=5.1e-6
    )
    with pytest.raises(ConfigError, match="subset 'en-en' has no score 'AP'; try ndcg_at_10"):
        setting_means(result, "AP")


def test_means_of_another_task_are_refused(mini):
    result = mini[2].model_copy(update={"scores": {"test": [{"hf_subset": "default"}]}})
    with pytest.raises(ConfigError, match="subset 'default' is not of a mixed-pool task"):
        setting_means(result)


def test_a_task_is_reloaded_after_mteb_has_unloaded_it(mini, run):
    model, task, result = mini
    assert not task.data_loaded
    task.filter_languages(None, hf_subsets=["sw-all"])
    again = run(model, task).scores["test"]
    expected = [row for row in result.scores["test"] if row["hf_subset"] == "sw-all"]
    assert [row["map_at_1000"] for row in again] == [row["map_at_1000"] for row in expected]


@pytest.fixture
def uneven():
    """One query without a relevant passage in its own language, and a judged negative."""
    return Collection(
        "uneven",
        [Query("1", "en", "one"), Query("2", "en", "two"), Query("1", "de", "eins")],
        [Passage("a", "en", "first"), Passage("b", "de", "zweitens"), Passage("c", "de", "dritt")],
        [Qrel("1", "en", "a", 1), Qrel("2", "en", "a", 0), Qrel("2", "en", "b", 2)],
    )


def test_pools_without_a_relevant_passage_are_no_subsets(mteb, uneven):
    task = mixed_pool_task(uneven)
    task.load_data()
    assert list(task.dataset) == ["en-en", "en-de", "en-all"]
    measured = {
        subset: list(parts["test"]["queries"]["id"]) for subset, parts in task.dataset.items()
    }
    assert measured == {"en-en": ["1"], "en-de": ["2"], "en-all": ["1", "2"]}
    assert task.dataset["en-all"]["test"]["relevant_docs"]["2"] == {"a": 0, "b": 2}
    assert list(task.dataset["en-all"]["test"]["corpus"]["id"]) == ["a", "b", "c"]
    assert task.metadata.eval_langs["en-all"] == ["eng-Latn", "deu-Latn", "eng-Latn"]


def test_changed_data_are_another_revision(mteb, uneven):
    def revision(collection):
        return mixed_pool_task(collection).metadata.dataset["revision"]

    changed = replace(uneven, queries=[*uneven.queries[:-1], Query("1", "de", "Eins")])
    assert revision(uneven) == revision(replace(uneven)) != revision(changed)


def test_language_codes_are_mtebs(mteb):
    from mteb.languages import check_language_code

    from isoglot.data.benchmarks import BENCHMARKS
    from isoglot.integrations.mteb.subsets import langscript

    langs = {lang for benchmark in BENCHMARKS.values() for lang in benchmark.langs}
    for lang in langs | set(load_mini().passage_langs):
        check_language_code(langscript(lang))
    assert langscript("ko") == "kor-Hang"


def test_known_benchmarks_have_full_metadata(mteb, uneven):
    for name, title in (("xquad-r", "XQuAD-R"), ("mlqa-r", "MLQA-R")):
        metadata = mixed_pool_task(replace(uneven, name=name)).metadata
        assert metadata.name == title
        assert metadata.is_filled()
    assert mixed_pool_task(uneven).metadata.license is None


@pytest.mark.slow
def test_xquad_r_has_all_its_settings(mteb, shared_data):
    assert len(mixed_pool_task("xquad-r", data_dir=shared_data).hf_subsets) == 11 + 110 + 11


def test_folders_with_files_missing_are_refused(mteb, tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        mixed_pool_task("xquad-r", data_dir=tmp_path / "nowhere")


def test_prompts_go_by_role(checkpoints, mteb):
    from mteb.types import PromptType

    model = load_mteb_model(ModelConfig(name=str(checkpoints["e5"])), device="cpu")

    def encode(prompt_type):
        return model.encode(
            [{"text": ["one"]}, {"text": ["two"]}],
            task_metadata=None,
            hf_split="test",
            hf_subset="default",
            prompt_type=prompt_type,
            batch_size=1,
        )

    for prompt_type, prefix in (
        (PromptType.query, "query: "),
        (PromptType.document, "passage: "),
        (None, ""),
    ):
        expected = model.model.encode([f"{prefix}one", f"{prefix}two"], prompt="")
        assert encode(prompt_type) == pytest.approx(expected, abs=1e-6)
    pairs = model.similarity_pairwise(encode(None), encode(None))
    assert pairs.tolist() == pytest.approx([1, 1])


def test_options_that_would_be_ignored_are_refused(mini):
    with pytest.raises(ConfigError, match="encode_kwargs: unknown option 'precision'; allowed: b"):
        mini[0].encode([], task_metadata=None, hf_split="", hf_subset="", precision="int8")


def test_models_and_their_options_are_told_apart(checkpoints, mteb):
    def key(name, **options):
        meta = load_mteb_model(ModelConfig(name=str(name), **options), device="cpu").mteb_model_meta
        return meta.name, meta.revision, meta.experiment_name

    static, plain = key(checkpoints["static"]), key(checkpoints["e5"])
    prompted = key(checkpoints["e5"], query_prompt="ask: ")
    assert static[0] == "local/static" and static == key(checkpoints["static"])
    assert len({static[1], plain[1], prompted[1]}) == 3
    assert plain[2] is None and "query_prompt" in prompted[2]


def test_mtebs_cache_keeps_models_from_folders_apart(checkpoints, mteb, tmp_path):
    cache, task = mteb.ResultCache(str(tmp_path)), mixed_pool_task("mini:en,sw")
    task.filter_languages(None, hf_subsets=["en-all"])
    scores = []
    for name in ("static", "e5", "static"):
        shutil.copytree(checkpoints[name], tmp_path / "model")
        model = load_mteb_model(str(tmp_path / "model"), device="cpu")
        results = mteb.evaluate(model, task, cache=cache, show_progress_bar=False)
        scores.append(results.task_results[0].scores["test"][0]["map_at_1000"])
        shutil.rmtree(tmp_path / "model")
    assert scores[0] == scores[2] != scores[1]


def test_the_embedded_encoder_says_what_it_was_trained_on(mini):
    meta = mini[0].mteb_model_meta
    assert meta.name == "isoglot/mini" and meta.license == "cc-by-sa-4.0"
    assert (meta.embed_dim, meta.similarity_fn_name.value) == (368, "cosine")
    assert {"Tatoeba", "FloresBitextMining"} <= meta.training_datasets
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MTEB's about tasks that were renamed
        from mteb import get_tasks

        names = {task.metadata.name for task in get_tasks(task_types=["BitextMining"])}
    assert meta.training_datasets <= names


@pytest.mark.parametrize("call", [load_mteb_model, mixed_pool_task])
def test_without_mteb_the_extra_is_named(monkeypatch, call):
    monkeypatch.setitem(sys.modules, "mteb", None)
    with pytest.raises(ConfigError, match=r"MTEB is not installed; run pip install 'isoglot\[mte"):
        call("mini")
