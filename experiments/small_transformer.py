"""Build a small multilingual transformer that starts as a static encoder.

``python -m experiments.small_transformer -o runs/small-transformer-start`` writes a plain
sentence-transformers folder, a ModernBERT and mean pooling, for ``isoglot train`` to start from:

    isoglot train experiments/small-transformer-pretrain.yaml -o runs/small-transformer

A transformer from nothing needs far more text than two cores can read. This one's word embeddings
are the static encoder's vectors, and every layer's output projections are zero, so that a layer at
first adds nothing, and what it learns is what context adds.

A static encoder's vectors are long for words that matter and short for those that do not. The
transformer's norms would make all equally long. Two further dimensions, C and -C, prevent it: a
vector v is then divided by its spread ``sqrt((|v|^2 + 2 C^2) / dimensions)``, which is nearly the
same for all v much shorter than the *ceiling* sqrt(2) C. Only those much longer are cut to one
length: subwords so rare that their lengths are chance.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import (
    Pooling,
    StaticEmbedding,
    Transformer,
)
from torch import Tensor
from transformers import ModernBertConfig, ModernBertModel, PreTrainedTokenizerFast

from isoglot.errors import ConfigError
from isoglot.models.loading import embedded_encoder

__all__ = ["Size", "build_small_transformer", "main"]

_CONSTANTS = 2
"""Dimensions that hold C and -C: the last ones."""


@dataclass(frozen=True)
class Size:
    """How large the transformer is."""

    layers: int = 2
    dim: int = 256
    """Two are for the constants, the others for the static vectors: their first dimensions, or all
    of them and then zeros."""
    heads: int = 4
    inner: int = 384
    """Dimensions inside the gated feed-forward layers."""
    max_tokens: int = 128
    """Longer texts are cut."""


def build_small_transformer(
    static: StaticEmbedding,
    size: Size = Size(),
    *,
    ceiling: float = 40.0,
    dropout: float = 0.0,
    seed: int = 0,
) -> SentenceTransformer:
    """Build a transformer that embeds texts as a static encoder does, until it is trained.

    Args:
        static: The encoder whose subwords and vectors it takes over.
        size: How large it is.
        ceiling: Length of a vector, sqrt(2) C; one that is as long is divided by sqrt(2), a much
            longer one is cut to it.
        dropout: Share of attention weights, inner activations and embedding dimensions that are
            left out in training.
        seed: Seed of the weights that do not start at zero.

    Raises:
        ConfigError: If the dimensions do not fit.
    """
    if size.dim <= _CONSTANTS:
        raise ConfigError(
            f"dim: {size.dim} leaves no dimension beside the {_CONSTANTS} constants; increase it"
        )
    if size.dim % (2 * size.heads):
        raise ConfigError(
            f"heads: {size.heads} do not divide {size.dim} dimensions into even parts; change one"
        )
    tokenizer = _tokenizer(static, size.max_tokens)
    torch.manual_seed(seed)
    model = ModernBertModel(_config(tokenizer, size, dropout))
    with torch.no_grad():
        model.embeddings.tok_embeddings.weight.copy_(
            _embeddings(static.embedding.weight, size.dim, ceiling, tokenizer.pad_token_id)
        )
        _start_as_static(model)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        modules = [Transformer(folder), Pooling(size.dim, pooling_mode="mean")]
    return SentenceTransformer(modules=modules, device="cpu")


def _tokenizer(static: StaticEmbedding, max_tokens: int) -> PreTrainedTokenizerFast:
    """Return the subwords, and after them tokens that fill and that mask."""
    return PreTrainedTokenizerFast(
        tokenizer_object=static.tokenizer,
        unk_token="<unk>",
        pad_token="<pad>",
        mask_token="<mask>",
        model_max_length=max_tokens,
        model_input_names=["input_ids", "attention_mask"],
    )


def _config(tokenizer: PreTrainedTokenizerFast, size: Size, dropout: float) -> ModernBertConfig:
    return ModernBertConfig(
        vocab_size=len(tokenizer),
        hidden_size=size.dim,
        intermediate_size=size.inner,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        # Every token sees every other; positions turn at the speed made for short windows.
        layer_types=["full_attention"] * size.layers,
        rope_parameters={"full_attention": {"rope_type": "default", "rope_theta": 10_000.0}},
        max_position_embeddings=512,
        embedding_dropout=dropout,
        attention_dropout=dropout,
        mlp_dropout=dropout,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=None,
        cls_token_id=None,
        sep_token_id=None,
    )


def _embeddings(vectors: Tensor, dim: int, ceiling: float, padding: int) -> Tensor:
    """Return word embeddings: the vectors, zeros, C and -C.

    Args:
        vectors: (subwords, static dimensions)
        dim: Of the embeddings.
        ceiling: sqrt(2) C.
        padding: The token that fills, after the subwords like that which masks; both start at 0.
    """
    kept = vectors[:, : dim - _CONSTANTS]
    embeddings = torch.zeros(len(vectors) + 2, dim)
    embeddings[: len(vectors), : kept.shape[1]] = kept
    constant = ceiling / 2**0.5
    embeddings[:, -_CONSTANTS:] = torch.tensor([constant, -constant])
    embeddings[padding] = 0.0
    return embeddings


def _start_as_static(model: ModernBertModel) -> None:
    """Let layers add nothing, and neither they nor the output see the constants."""
    for layer in model.layers:
        layer.attn.Wo.weight.zero_()
        layer.mlp.Wo.weight.zero_()
        layer.mlp_norm.weight[-_CONSTANTS:] = 0.0
    model.layers[0].attn.Wqkv.weight[:, -_CONSTANTS:] = 0.0  # the first layer has no norm there
    for layer in model.layers[1:]:
        layer.attn_norm.weight[-_CONSTANTS:] = 0.0
    model.final_norm.weight[-_CONSTANTS:] = 0.0


def main() -> None:
    """Build it from the embedded encoder, as the command line says."""
    size = Size()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write")
    parser.add_argument("--layers", type=int, default=size.layers)
    parser.add_argument("--dim", type=int, default=size.dim)
    parser.add_argument("--heads", type=int, default=size.heads)
    parser.add_argument("--inner", type=int, default=size.inner)
    parser.add_argument("--max-tokens", type=int, default=size.max_tokens)
    parser.add_argument("--ceiling", type=float, default=40.0)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    size = Size(given.layers, given.dim, given.heads, given.inner, given.max_tokens)
    static = SentenceTransformer(str(embedded_encoder()), device="cpu")[0]
    model = build_small_transformer(
        static, size, ceiling=given.ceiling, dropout=given.dropout, seed=given.seed
    )
    model.save_pretrained(str(given.output))
    weights = sum(parameter.numel() for parameter in model.parameters())
    sys.stdout.write(f"{weights:,} weights -> {given.output}\n")


if __name__ == "__main__":
    main()
