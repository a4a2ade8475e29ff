"""Tokens remembered over the models of a grid: the same vectors, cut once."""

import sys

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from isoglot.encoding.encode import encode_texts
from isoglot.experiment import tokens
from isoglot.experiment.tokens import TokenMemory

TEXTS = ["Where is the bank?", "", "Benki iko wapi?", "Where is the bank?", "wo ist die Bank " * 40]


@pytest.fixture
def counted(checkpoints):
    """A static encoder, and the texts that it has cut."""
    encoder = SentenceTransformer(str(checkpoints["static"]), device="cpu")
    cut = []
    original = encoder[0].preprocess

    def preprocess(inputs, prompt=None, **options):
        cut.extend([prompt + text for text in inputs] if prompt else inputs)
        return original(inputs, prompt=prompt, **options)

    encoder[0].preprocess = preprocess
    return encoder, cut


def test_vectors_are_the_same_and_every_text_is_cut_once(checkpoints, counted):
    plain = SentenceTransformer(str(checkpoints["static"]), device="cpu")
    encoder, cut = counted
    memory = TokenMemory()
    memory.attach(encoder)
    for _ in range(2):
        for role in ("query", "passage"):
            expected = encode_texts(plain, TEXTS, role)
            assert np.array_equal(encode_texts(encoder, TEXTS, role), expected)
    assert sorted(cut) == sorted(set(TEXTS))


def test_inputs_are_those_of_the_encoder_itself_prompts_included(checkpoints, counted):
    plain = SentenceTransformer(str(checkpoints["static"]), device="cpu")
    encoder, cut = counted
    TokenMemory().attach(encoder)
    for prompt in (None, "query: ", None, "query: "):
        ours, theirs = (e[0].preprocess(TEXTS, prompt=prompt) for e in (encoder, plain))
        assert ours.keys() == theirs.keys()
        for name, tensor in theirs.items():
            assert ours[name].dtype == tensor.dtype
            assert ours[name].tolist() == tensor.tolist()
    assert len(cut) == 2 * len(set(TEXTS))


def test_a_second_encoder_of_the_grid_cuts_nothing(checkpoints, counted):
    memory = TokenMemory()
    first = SentenceTransformer(str(checkpoints["static"]), device="cpu")
    memory.attach(first)
    encode_texts(first, TEXTS, "passage")
    encoder, cut = counted
    memory.attach(encoder)
    encode_texts(encoder, [*TEXTS, "new"], "passage")
    assert cut == ["new"]


def test_a_full_memory_takes_no_more(counted, monkeypatch):
    monkeypatch.setattr(tokens, "_MOST_BYTES", sum(map(sys.getsizeof, TEXTS)))
    encoder, cut = counted
    TokenMemory().attach(encoder)
    for _ in range(2):
        encode_texts(encoder, TEXTS, "passage")
    assert len(cut) == 2 * len(set(TEXTS))


def test_an_encoder_with_context_is_left_alone(checkpoints):
    encoder = SentenceTransformer(str(checkpoints["e5"]), device="cpu")
    before = encoder[0].preprocess
    TokenMemory().attach(encoder)
    assert encoder[0].preprocess == before


def test_memory_is_counted_with_texts_and_not_only_with_tokens(counted):
    encoder, _ = counted
    memory = TokenMemory()
    memory.attach(encoder)
    encode_texts(encoder, TEXTS, "passage")
    (known,) = memory._by_tokenizer.values()
    held = sum(sys.getsizeof(text) + sys.getsizeof(part) for text, part in known.items())
    bases = {id(part.base): part.base.nbytes for part in known.values()}
    assert memory._kept >= held + sum(bases.values()) > 0
