"""Encoders and texts so small that every vector can be written down."""

from __future__ import annotations

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, StaticEmbedding
from tokenizers import Tokenizer, models, pre_tokenizers


def word_encoder(vectors, *, normalize=False, prompts=None):
    """Return a static encoder whose word ``w3`` has the third vector, counted from 0."""
    words = {f"w{i}": i for i in range(len(vectors))}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    modules = [StaticEmbedding(tokenizer, embedding_weights=torch.tensor(vectors))]
    modules += [Normalize()] if normalize else []
    return SentenceTransformer(modules=modules, prompts=prompts, device="cpu")


def cosines(vectors):
    unit = torch.nn.functional.normalize(torch.as_tensor(vectors))
    return unit @ unit.T
