"""Fewer dimensions and fewer bits: what is kept, and that a plain static encoder comes back."""

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer, models, pre_tokenizers

from isoglot.models.compression import reduce_dimensions, store_as_int8


def encoder(vectors):
    words = {f"w{i}": i for i in range(len(vectors))}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return StaticEmbedding(tokenizer, embedding_weights=vectors)


def cosines(vectors):
    unit = torch.nn.functional.normalize(vectors)
    return unit @ unit.T


def test_the_axis_on_paper():
    # All texts point to (3, 4) / 5, so one axis says everything: the first vector has length 5
    # along it, the second is at right angles to it and vanishes.
    reduced = reduce_dimensions(
        encoder(torch.tensor([[3.0, 4.0], [-4.0, 3.0]])), torch.tensor([[6.0, 8.0]]), dim=1
    )
    assert reduced.embedding.weight.abs().tolist() == [
        [pytest.approx(5.0)],
        [pytest.approx(0.0, abs=1e-6)],
    ]


def test_a_plane_in_many_dimensions_needs_two_axes():
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(20, 2, generator=generator) @ torch.randn(2, 9, generator=generator)
    reduced = reduce_dimensions(encoder(vectors), vectors, dim=2).embedding.weight
    assert reduced.shape == (20, 2)
    assert torch.allclose(cosines(reduced), cosines(vectors), atol=1e-5)


def test_all_axes_are_a_rotation():
    vectors = torch.randn(20, 5, generator=torch.Generator().manual_seed(0))
    reduced = reduce_dimensions(encoder(vectors), vectors, dim=5).embedding.weight
    assert torch.allclose(reduced @ reduced.T, vectors @ vectors.T, atol=1e-5)


def test_no_axes_can_be_added():
    with pytest.raises(ValueError, match="cannot keep 3 of 2 dimensions"):
        reduce_dimensions(encoder(torch.eye(2)), torch.eye(2), dim=3)


def test_bytes_come_back_as_a_plain_static_encoder(tmp_path):
    generator = torch.Generator().manual_seed(0)
    # Lengths from 1e-3 to 1e3, and one subword without any.
    vectors = torch.randn(50, 64, generator=generator) * torch.logspace(-3, 3, 50)[:, None]
    vectors[7] = 0.0
    SentenceTransformer(modules=[encoder(vectors)], device="cpu").save_pretrained(str(tmp_path))
    before = (tmp_path / "model.safetensors").stat().st_size
    store_as_int8(tmp_path)
    assert (tmp_path / "model.safetensors").stat().st_size < before / 3
    loaded = SentenceTransformer(str(tmp_path), device="cpu")
    assert [type(module) for module in loaded] == [StaticEmbedding]
    restored = loaded[0].embedding.weight.detach()
    step = vectors.abs().amax(dim=1, keepdim=True) / 127
    assert (restored - vectors).abs().le(step * 0.501 + 1e-30).all()
    assert restored[7].eq(0).all()
    assert np.isfinite(loaded.encode(["w7", "w1 w2", ""])).all()


def test_the_numbers_of_a_vector_on_paper(tmp_path):
    # The scale is 2.54 / 127 = 0.02: -1.0 becomes -50 and 0.013 becomes 1 (0.65 rounded).
    vectors = torch.tensor([[2.54, -1.0, 0.013]])
    SentenceTransformer(modules=[encoder(vectors)], device="cpu").save_pretrained(str(tmp_path))
    store_as_int8(tmp_path)
    restored = SentenceTransformer(str(tmp_path), device="cpu")[0].embedding.weight
    assert restored.tolist() == [[pytest.approx(2.54), pytest.approx(-1.0), pytest.approx(0.02)]]
