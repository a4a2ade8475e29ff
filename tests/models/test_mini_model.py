"""The embedded encoder: a plain folder, small, for 21 languages, and graceful beyond them."""

import json
import time
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding

from isoglot.config.loading import load_config
from isoglot.config.schema import AlignConfig, ModelConfig
from isoglot.data.mini import load_mini
from isoglot.models.loading import embedded_encoder, load_encoder
from isoglot.pipeline.evaluation import evaluate_model

LANGS = "ar bn de el en es fa fi fr hi id ja ko ru sw te th tr vi yo zh".split()
CONFIG = Path(__file__).parents[2] / "configs" / "align-mini.yaml"


@pytest.fixture(scope="module")
def model():
    return SentenceTransformer(str(embedded_encoder()), device="cpu")


def test_it_is_a_plain_static_encoder_of_at_most_20_mb(model):
    assert [type(module) for module in model] == [StaticEmbedding]
    files = [path for path in embedded_encoder().rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 20e6


def test_mini_names_it(model):
    loaded = load_encoder(ModelConfig(name="mini"), device="cpu")
    assert np.array_equal(loaded.encode(["moja"]), model.encode(["moja"]))


def test_it_comes_back_from_a_saved_folder_as_it_was(model, tmp_path):
    model.save_pretrained(str(tmp_path))
    again = SentenceTransformer(str(tmp_path), device="cpu")
    assert np.array_equal(again.encode(["moja", "二"]), model.encode(["moja", "二"]))


OTHER_TEXTS = {
    "Amharic": "ጤና ይስጥልኝ",
    "Georgian": "გამარჯობა მსოფლიო",
    "Tamil": "வணக்கம் உலகம்",
    "emoji": "🦉🍞",
    "a private character": "\ue000",
    "a lone mark": "\u0301",
    "nothing": "",
    "white space": " \t\n",
    "a null character": "\x00",
    "very long": "word " * 100_000,
}


@pytest.mark.parametrize("name", OTHER_TEXTS)
def test_any_other_text_gives_numbers_and_no_error(model, name):
    vector = model.encode([OTHER_TEXTS[name]])[0]
    assert np.isfinite(vector).all()


def test_case_width_and_composition_make_no_difference(model):
    plain = "Ẹ kú àárọ̀ Zürich"
    wide = plain.replace("Z", "Ｚ")
    variants = [unicodedata.normalize("NFD", plain), plain.upper(), f"  {plain}\n", wide]
    vectors = model.encode([plain, *variants])
    assert np.allclose(vectors[1:], vectors[0], atol=1e-6)


@pytest.fixture(scope="module")
def evaluation(model):
    return evaluate_model(model, load_mini(), run_depth=0)


def test_it_answers_questions_of_facts_it_has_not_seen(evaluation):
    # 48 passages per language, 576 in all: chance is about .09 and .02.
    assert evaluation.summary["monolingual"]["AP"] > 0.35
    assert evaluation.summary["cross-lingual"]["AP"] > 0.2
    assert evaluation.summary["multilingual"]["AP"] > 0.1


def test_no_language_of_the_collection_is_left_behind(evaluation):
    by_lang = {
        row.query_lang: row.value
        for row in evaluation.settings
        if (row.setting, row.measure) == ("monolingual", "AP")
    }
    assert min(by_lang.values()) > 0.2, by_lang


def test_the_card_states_data_licences_languages_figures_and_limits():
    card = (embedded_encoder() / "README.md").read_text("utf-8")
    header = yaml.safe_load(card.split("---")[1])
    assert header["language"] == LANGS
    for word in ("Tatoeba", "FLORES", "NTREX", "TICO", "JaQuAD", "CMRC", "CC BY-SA", "XQuAD-R"):
        assert word in card
    for heading in ("## Data and licences", "## Figures", "## Limits", "## How it was made"):
        assert heading in card


def test_provenance_names_the_recipe_and_every_file():
    record = json.loads((embedded_encoder() / "provenance.json").read_text("utf-8"))
    config = load_config(AlignConfig, CONFIG)
    assert {source.label for source in config.data} <= set(record["data_sha256"])
    assert all(len(sha256) == 64 for sha256 in record["data_sha256"].values())
    assert record["command"].startswith("isoglot align configs/align-mini.yaml")
    assert record["seconds"] > 0 and record["seeds"] == {"training": config.training.seed}


@pytest.mark.slow  # measures time, so not beside other tests; the figure is in benchmarks/mini.py
def test_short_texts_are_fast_on_one_core(model):
    # 2,000 a second is what users are told; the bound leaves room for a busy machine.
    texts = [query.text for query in load_mini().queries][:500]
    model.encode(texts)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        times = []
        for _ in range(3):
            started = time.process_time()
            model.encode(texts)
            times.append(time.process_time() - started)
    finally:
        torch.set_num_threads(threads)
    assert len(texts) / min(times) > 2_000
