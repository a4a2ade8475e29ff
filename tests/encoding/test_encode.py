"""Texts keep their order, equal ones share a vector, and each role has its prompt."""

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from isoglot.encoding.encode import encode_texts
from isoglot.encoding.sentence_encoder import SentenceEncoder

TEXTS = [
    "Warum geht Brotteig schon vor dem Backen auf?",
    "Kwa nini?",
    "面包",
    "Kwa nini?",
    "a",
    "Warum geht Brotteig schon vor dem Backen auf?",
]


@pytest.fixture(params=["e5", "static"])
def model(request, checkpoints):
    return SentenceTransformer(str(checkpoints[request.param]), device="cpu")


def test_vectors_come_in_the_order_of_the_texts(model):
    vectors = encode_texts(model, TEXTS, "query", batch_size=2)
    assert (vectors.shape, vectors.dtype) == ((len(TEXTS), 32), np.float32)
    for text, vector in zip(TEXTS, vectors, strict=True):
        assert np.allclose(vector, model.encode_query(text), atol=1e-5)


def test_equal_texts_are_encoded_once_and_share_every_bit(model):
    seen = []

    class Watched(SentenceEncoder):
        def encode(self, texts, role, **options):
            seen.extend(texts)
            return super().encode(texts, role, **options)

    vectors = encode_texts(Watched(model), TEXTS, "passage", batch_size=1)
    assert seen == list(dict.fromkeys(TEXTS))
    assert vectors[1].tobytes() == vectors[3].tobytes()
    assert vectors[0].tobytes() == vectors[5].tobytes()


def test_each_role_has_its_prompt(checkpoints):
    model = SentenceTransformer(str(checkpoints["e5"]), device="cpu")
    for role, prompt in (("query", "query: "), ("passage", "passage: ")):
        expected = model.encode(TEXTS, prompt=prompt)
        assert np.allclose(encode_texts(model, TEXTS, role), expected, atol=1e-6)


def test_a_model_without_prompts_encodes_both_roles_alike(checkpoints):
    model = SentenceTransformer(str(checkpoints["labse"]), device="cpu")
    queries, passages = (encode_texts(model, TEXTS, role) for role in ("query", "passage"))
    assert np.array_equal(queries, passages)


def test_a_text_without_tokens_gets_the_zero_vector_of_a_static_encoder(checkpoints):
    model = SentenceTransformer(str(checkpoints["static"]), device="cpu")
    vectors = encode_texts(model, [" ", "a"], "query")
    assert not vectors[0].any() and vectors[1].any()
