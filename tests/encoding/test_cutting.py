"""Tokens that are taken from the tokenizer alone are those of the library."""

import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from isoglot.encoding import sentence_encoder
from isoglot.encoding.cutting import FastCutter, cut_by_library, work_ahead
from isoglot.encoding.sentence_encoder import SentenceEncoder
from tests.models.checkpoints import sentences

TEXTS = [*sentences()[100:160], "", "?", "owl", "owl " * 500]


@pytest.fixture(autouse=True)
def a_few_texts_are_many(monkeypatch):
    monkeypatch.setattr(sentence_encoder, "_MANY", len(TEXTS))


def load(checkpoints, layout):
    return SentenceTransformer(str(checkpoints[layout]), device="cpu")


@pytest.mark.parametrize("layout", ["e5", "labse", "xlm-r"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_batches_are_those_that_preprocess_makes(checkpoints, layout, side):
    model = load(checkpoints, layout)
    model.tokenizer.padding_side = model.tokenizer.truncation_side = side
    tokens = FastCutter.find(model, "query: ", "query").cut(TEXTS, "query: ")
    by_library = cut_by_library(model, TEXTS, "query: ", "query")
    assert np.array_equal(tokens.lengths, by_library.lengths)
    for rows in ([0, 5, 9], [63, 1], [60], [60, 61]):
        expected = model.preprocess([TEXTS[row] for row in rows], prompt="query: ", task="query")
        for found in (tokens.batch(np.array(rows)), by_library.batch(np.array(rows))):
            assert found.keys() == expected.keys()
            for name, value in expected.items():
                same = torch.equal if isinstance(value, torch.Tensor) else type(value).__eq__
                assert same(found[name], value)


def test_many_texts_are_cut_without_the_library_and_few_by_it(checkpoints, monkeypatch):
    model = load(checkpoints, "e5")
    expected = model.encode_document(TEXTS * 2)
    calls = []
    preprocess = model.preprocess
    monkeypatch.setattr(
        model,
        "preprocess",
        lambda texts, **given: calls.append(texts) or preprocess(texts, **given),
    )
    encoder = SentenceEncoder(model)
    for _ in range(2):
        assert np.allclose(encoder.encode(TEXTS * 2, "passage"), expected, atol=1e-6)
    assert len(calls) == 1 and TEXTS[0] not in calls[0]  # odd texts, to compare
    encoder.encode(TEXTS[:3], "passage")
    assert len(calls) == 2


def test_the_encoders_own_tokenizer_is_left_as_it_is(checkpoints):
    model = load(checkpoints, "e5")
    cutter = FastCutter.find(model, "", "query")
    backend = model.tokenizer.backend_tokenizer
    before = backend.to_str()
    assert backend.padding is not None  # another thread may rely on it
    cutter.cut(TEXTS, "")
    assert backend.to_str() == before


def test_texts_are_cut_at_the_length_that_is_set(checkpoints):
    model = load(checkpoints, "e5")
    encoder = SentenceEncoder(model)
    long = encoder.encode(TEXTS, "passage")
    model.max_seq_length = 9
    short = encoder.encode(TEXTS, "passage")
    assert np.allclose(short, model.encode_document(TEXTS), atol=1e-6)
    assert not np.allclose(short, long, atol=1e-3)


def changed(model, how):
    first = model[0]
    if how == "preprocess":
        own = first.preprocess
        first.preprocess = lambda texts, **given: own([text.upper() for text in texts], **given)
    elif how == "document_length":
        first.document_length = 6
    elif how == "processing_kwargs":
        first.processing_kwargs = {"text": {"max_length": 6, "padding": "max_length"}}
    return model


@pytest.mark.parametrize("how", ["preprocess", "document_length", "processing_kwargs"])
def test_what_the_tokenizer_alone_does_not_do_is_left_to_the_library(checkpoints, how):
    model = changed(load(checkpoints, "e5"), how)
    found = SentenceEncoder(model).encode(TEXTS, "passage")
    assert np.allclose(found, model.encode_document(TEXTS), atol=1e-6)


def test_an_encoder_without_a_fast_tokenizer_has_no_cutter():
    assert FastCutter.find([SimpleNamespace(tokenizer=object())], "", "query") is None


def test_work_is_done_ahead_and_in_order():
    started = []
    ahead = work_ahead(lambda part: started.append(part) or part, "abcd", 2)
    assert [(part, len(started)) for part in ahead if not time.sleep(0.05)] == [
        ("a", 3),
        ("b", 4),
        ("c", 4),
        ("d", 4),
    ]
    assert list(work_ahead(str, [], 1)) == []


def test_an_error_in_work_ahead_is_raised():
    def fails(part):
        raise ValueError(part)

    with pytest.raises(ValueError, match="a"):
        list(work_ahead(fails, "abc", 1))


def test_a_gpu_gets_the_same_vectors(checkpoints, monkeypatch):
    monkeypatch.setattr(SentenceEncoder, "_on_cpu", False)
    monkeypatch.setattr(sentence_encoder, "_GPU_CHUNK", 16)
    model = load(checkpoints, "e5")
    found = SentenceEncoder(model).encode(TEXTS, "passage")
    assert np.allclose(found, model.encode_document(TEXTS), atol=1e-6)
