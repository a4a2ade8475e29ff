"""From parallel texts to a correction: which texts, which vectors, against slow formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isoglot.config.correction import CorrectionConfig
from isoglot.data.parallel import build_table
from isoglot.errors import ConfigError, DataError
from isoglot.models.correction import LanguageCorrection
from isoglot.models.correction.attach import apply_correction
from isoglot.pipeline.correction import detection_shares, fit_correction
from isoglot.pipeline.correction_texts import FEWEST_TEXTS, draw_texts
from isoglot.records import Group
from tests.models.correction.encoders import word_encoder
from tests.reference import slow_correction as slow

TABLE = np.random.default_rng(0).normal(size=(40, 6)).tolist()
LANGS = ("de", "en", "sw")


def config(method="mean", **options):
    return CorrectionConfig(method=method, data=[{"path": "unread"}], **options)


def texts_of(words, count, seed):
    rng = np.random.default_rng(seed)
    return [" ".join(f"w{i}" for i in rng.choice(words, 4)) for _ in range(count)]


@pytest.fixture
def encoder():
    return word_encoder(TABLE, prompts={"query": "", "document": "w39 "})


@pytest.fixture
def texts():
    """Return 30 texts in each of three languages that share no word."""
    words = {"de": range(1, 12), "en": range(12, 24), "sw": range(24, 36)}
    return {lang: texts_of(list(own), 30, seed) for seed, (lang, own) in enumerate(words.items())}


def unit_vectors(encoder, texts):
    return [slow.unit_of(vector) for vector in encoder.encode_document(texts).tolist()]


def test_means_are_of_unit_vectors_with_the_passage_prompt(encoder, texts):
    module = fit_correction(encoder, texts, config("mean"))
    assert module.languages == list(LANGS)
    for row, lang in enumerate(LANGS):
        expected = slow.mean_of(unit_vectors(encoder, texts[lang]))
        assert module.vectors[row, 0].numpy() == pytest.approx(expected, abs=1e-6)


def test_directions_of_languages_are_those_of_their_unit_vectors(encoder, texts):
    module = fit_correction(encoder, texts, config("lir", components=2))
    for row, lang in enumerate(LANGS):
        expected = slow.first_directions(unit_vectors(encoder, texts[lang]), 2)
        found = module.vectors[row].numpy()
        assert found.T @ found == pytest.approx(expected.T @ expected, abs=1e-5)
    assert fit_correction(encoder, texts, config("lir")).components == 1


@pytest.mark.parametrize("components", [1, 2, None])
def test_common_directions_are_those_of_the_authors(components, encoder, texts):
    layer = fit_correction(encoder, texts, config("lsar", components=components))
    means = [slow.mean_of(unit_vectors(encoder, texts[lang])) for lang in LANGS]
    directions = slow.language_directions(means, components or 2)
    corrected = apply_correction(encoder, layer).encode(texts["sw"])
    expected = [slow.without(vector, directions) for vector in encoder.encode(texts["sw"])]
    assert corrected == pytest.approx(np.array(expected), abs=1e-5)


def test_common_directions_need_no_tokens(encoder, texts, monkeypatch):
    learn = "isoglot.models.correction.detection.learn_token_scores"
    monkeypatch.setattr(learn, lambda *_: pytest.fail("no language is told by tokens"))
    assert fit_correction(encoder, texts, config("lsar")).linear.weight.shape == (6, 6)


def test_shifts_are_mean_differences_of_translations(encoder, texts):
    references = dict.fromkeys(LANGS, texts["en"])
    module = fit_correction(encoder, texts, config("shift"), references=references)
    english = unit_vectors(encoder, texts["en"])
    for row, lang in enumerate(LANGS):
        pairs = zip(unit_vectors(encoder, texts[lang]), english, strict=True)
        expected = slow.mean_of([[a - b for a, b in zip(*pair, strict=True)] for pair in pairs])
        assert module.vectors[row, 0].numpy() == pytest.approx(expected, abs=1e-6)
    assert not module.vectors[LANGS.index("en")].any()


def test_vectors_that_are_cut_are_corrected_whole(encoder, texts):
    whole = fit_correction(encoder, texts, config("mean")).vectors
    encoder.truncate_dim = 2
    assert (fit_correction(encoder, texts, config("mean")).vectors == whole).all()
    assert encoder.truncate_dim == 2
    cut = apply_correction(encoder, fit_correction(encoder, texts, config("lsar")))
    assert cut.encode(texts["sw"]).shape == (30, 2)


def test_corrected_means_of_languages_are_one(encoder, texts):
    unit = torch.nn.functional.normalize
    before, after = encoder, apply_correction(encoder, fit_correction(encoder, texts, config()))

    def spread(model):
        means = [
            unit(model.encode_document(texts[lang], convert_to_tensor=True)).mean(dim=0)
            for lang in LANGS
        ]
        return torch.stack(means).std(dim=0).norm()

    assert spread(after) < 0.25 * spread(before)


def test_detection_is_measured_on_other_texts(encoder, texts):
    module = fit_correction(encoder, texts, config())
    assert isinstance(module, LanguageCorrection)
    held_out = {"de": ["w1 w2", "w24 w25", "w3", "w4"], "sw": ["w30"]}
    assert detection_shares(encoder, module, held_out) == {"de": 0.75, "sw": 1.0}


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("lsar", {"components": 3}, r"components: 3 .* of 3 languages differ in 2 directions"),
        ("lir", {"components": 6}, r"components: 6 .* de has 30 texts, and the encoder 6 dim"),
    ],
)
def test_more_components_than_there_are_are_refused(method, options, message, encoder, texts):
    with pytest.raises(ConfigError, match=message):
        fit_correction(encoder, texts, config(method, **options))


def test_languages_must_differ_and_leave_something(encoder, texts):
    with pytest.raises(ConfigError, match="there are texts only in de; add data in other lang"):
        fit_correction(encoder, {"de": texts["de"]}, config("lsar"))
    with pytest.raises(ConfigError, match="differ in 0 of the encoder's 6 dimensions"):
        fit_correction(encoder, {"de": texts["de"], "en": texts["de"]}, config("lsar"))
    with pytest.raises(ConfigError, match="shift needs a language besides 'en'"):
        fit_correction(encoder, {"en": texts["en"]}, config("shift"))


def groups(counts, repeats=1):
    """Return groups of the first languages that have so many texts left."""
    for number in range(max(counts.values())):
        texts = {
            lang: f"{lang} text {number // repeats}"
            for lang, count in counts.items()
            if number < count
        }
        yield Group(str(number), {"en": f"question {number}"}, texts)


def table(counts, repeats=1):
    return build_table({"bitext": groups(counts, repeats)})


def test_texts_are_drawn_once_and_apart_from_those_held_out():
    drawn = draw_texts(table({"en": 100, "de": 60}, repeats=2), config(texts_per_language=20))
    assert {lang: len(texts) for lang, texts in drawn.fitted.items()} == {"de": 20, "en": 20}
    assert {lang: len(texts) for lang, texts in drawn.held_out.items()} == {"de": 3, "en": 5}
    for lang in ("de", "en"):
        both = [*drawn.fitted[lang], *drawn.held_out[lang]]
        assert len(set(both)) == len(both)
        assert all(text.startswith(f"{lang} text") for text in both)
    assert drawn.references == {}


def test_what_is_drawn_depends_on_the_seed_and_on_no_other_language():
    whole = table({"en": 100, "de": 100, "sw": 100})
    first = draw_texts(whole, config(texts_per_language=20)).fitted
    assert draw_texts(whole, config(texts_per_language=20)).fitted == first
    alone = draw_texts(whole, config(texts_per_language=20, languages=["sw"])).fitted
    assert alone == {"sw": first["sw"]}
    assert draw_texts(whole, config(texts_per_language=20, seed=1)).fitted["sw"] != first["sw"]


def test_translations_stand_beside_their_texts():
    counts = {"en": 60, "de": 100, "sw": 50}
    drawn = draw_texts(table(counts), config("shift", texts_per_language=50))
    assert {lang: len(texts) for lang, texts in drawn.fitted.items()} == {
        "de": 50,  # of 60 with English, less those held out
        "en": 50,
        "sw": 45,
    }
    for lang in counts:
        numbers = [text.split()[-1] for text in drawn.fitted[lang]]
        assert drawn.references[lang] == [f"en text {number}" for number in numbers]


def test_too_few_texts_are_refused_with_what_there_is():
    whole = table({"en": 100, "de": FEWEST_TEXTS, "sw": 7, "yo": 3})
    with pytest.raises(DataError, match="too few different texts: sw 7, yo 3; 20 are needed"):
        draw_texts(whole, config())
    with pytest.raises(DataError, match=r"or set correction\.languages to de, en"):
        draw_texts(whole, config())
    assert set(draw_texts(whole, config(languages=["de", "en"])).fitted) == {"de", "en"}
    with pytest.raises(DataError, match="too few pairs with de: sw 7, yo 3"):
        draw_texts(whole, config("shift", lang="de"))


def test_languages_of_questions_alone_are_passed_over():
    asked_in_french = (
        group._replace(query={"fr": "quoi"}) for group in groups({"en": 100, "de": 100})
    )
    drawn = draw_texts(build_table({"bitext": asked_in_french}), config())
    assert set(drawn.fitted) == {"de", "en"}


def test_languages_without_texts_are_refused():
    whole = table({"en": 100, "de": 100})
    with pytest.raises(ConfigError, match=r"correction.languages: no text in sw; the data has de"):
        draw_texts(whole, config(languages=["de", "sw"]))
    with pytest.raises(ConfigError, match=r"correction.lang: no text in fr; the data has de, en"):
        draw_texts(whole, config("shift", lang="fr"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "mean", "components": 2}, "components: mean has none"),
        ({"method": "shift", "languages": ["de", "sw"]}, "lang: 'en' is not among languages: de"),
        ({"data": []}, "data"),
        ({"data": [{"path": "a"}, {"path": "b/a"}]}, "name 'a' is used twice"),
        ({"method": "whitening"}, "method"),
        ({"texts_per_language": 1}, "texts_per_language"),
    ],
)
def test_configs_that_mean_nothing_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        CorrectionConfig(**{"data": [{"path": "unread"}], **options})
