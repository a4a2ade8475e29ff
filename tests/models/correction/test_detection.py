"""Telling languages by tokens: on paper, against a slow count, in every form tokens come in."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from isoglot.data.mini import load_mini_groups
from isoglot.errors import ModelError
from isoglot.models.correction.detection import count_tokens, learn_token_scores, score_texts
from isoglot.models.loading import embedded_encoder
from tests.models.correction.encoders import word_encoder
from tests.reference import slow_correction as slow

VECTORS = [[float(i), 1.0] for i in range(8)]


def test_scores_on_paper():
    # de: w1 twice, w2 once; en: w2 three times. With .1 added and two tokens seen,
    # p(w1|de) = 2.1 / 3.2, p(w1|en) = .1 / 3.2, p(w2|de) = 1.1 / 3.2, p(w2|en) = 3.1 / 3.2.
    scores = learn_token_scores(word_encoder(VECTORS), {"de": ["w1 w2", "w1"], "en": ["w2 w2 w2"]})
    half = math.log(2.1 / 0.1) / 2
    other = math.log(3.1 / 1.1) / 2
    assert scores == pytest.approx(np.array([[0, 0], [half, -half], [-other, other]]))


def test_prompts_and_tokens_never_seen_say_nothing():
    encoder = word_encoder(VECTORS, prompts={"query": "w5 w1", "document": ""})
    scores = learn_token_scores(encoder, {"de": ["w1 w2 w7"], "en": ["w3 w5 w7"]})
    assert not scores[[0, 1, 4, 5, 6]].any()
    assert scores[[2, 3]].all()


def test_sums_decide_as_naive_bayes_does():
    rng = np.random.default_rng(0)
    encoder = word_encoder([[float(i), 1.0] for i in range(30)])
    draw = lambda law, n: [f"w{i}" for i in rng.choice(30, n, p=law)]  # noqa: E731
    laws = rng.dirichlet(np.full(30, 0.5), size=3)
    texts = {str(k): [" ".join(draw(law, 9)) for _ in range(12)] for k, law in enumerate(laws)}
    scores = torch.from_numpy(learn_token_scores(encoder, texts))
    counts = [Counter(" ".join(of_lang).split()) for of_lang in texts.values()]
    new = [draw(law, 5) for law in laws for _ in range(20)]
    found = score_texts(encoder.preprocess([" ".join(words) for words in new]), scores)
    assert found.argmax(dim=1).tolist() == [slow.language_of(w, counts, 0.1) for w in new]


def test_tokens_come_padded_flat_or_in_one_row():
    scores = torch.tensor([[0.0, 0.0], [1.0, 3.0], [10.0, -1.0]])
    expected = [[11.0, 2.0], [1.0, 3.0], [0.0, 0.0]]  # w1 w2; w1 and one beyond; nothing
    padded = {
        "input_ids": torch.tensor([[1, 2], [1, 9], [0, 2]]),
        "attention_mask": torch.tensor([[1, 1], [1, 1], [1, 0]]),
    }
    assert score_texts(padded, scores).tolist() == expected
    flat = {"input_ids": torch.tensor([1, 2, 1, 9]), "offsets": torch.tensor([0, 2, 4])}
    assert score_texts(flat, scores).tolist() == expected
    row = {
        "input_ids": torch.tensor([[1, 2, 1, 9]]),
        "cu_seq_lens_q": torch.tensor([0, 2, 4, 4], dtype=torch.int32),
    }
    assert score_texts(row, scores).tolist() == expected


@pytest.mark.parametrize("name", ["static", "e5"])
def test_tokens_are_counted_without_padding(name, checkpoints):
    encoder = SentenceTransformer(str(checkpoints[name]), device="cpu")
    texts = ["to be", "not to be", ""]
    expected: Counter[int] = Counter()
    for text in texts:
        expected.update(encoder.preprocess([text])["input_ids"].flatten().tolist())
    counts = count_tokens(encoder, texts)
    assert {i: n for i, n in enumerate(counts.tolist()) if n} == dict(expected)


def test_new_texts_in_twelve_languages():
    encoder = SentenceTransformer(str(embedded_encoder()), device="cpu")
    train, new = load_mini_groups("train"), load_mini_groups("evaluation")
    langs = sorted(train[0].passage)
    texts = {lang: [group.passage[lang] for group in train] for lang in langs}
    scores = torch.from_numpy(learn_token_scores(encoder, texts))
    for lang in langs:
        features = encoder.preprocess([group.query[lang] for group in new])
        found = score_texts(features, scores).argmax(dim=1)
        assert (found == langs.index(lang)).float().mean() > 0.9


def test_inputs_without_tokens_are_refused():
    with pytest.raises(ModelError, match=r"cannot be detected.*name it: encode\(\.\.\., language"):
        score_texts({"pixel_values": torch.zeros(1)}, torch.zeros(2, 2))
    encoder = word_encoder(VECTORS)
    encoder.preprocess = lambda texts: {"pixel_values": torch.zeros(1)}
    with pytest.raises(ModelError, match="makes none; the method lsar needs no language"):
        learn_token_scores(encoder, {"de": ["w1"], "en": ["w2"]})
