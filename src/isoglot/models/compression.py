"""Smaller static encoders: fewer dimensions, and one byte per number.

Both keep the encoder a plain sentence-transformers ``StaticEmbedding``. A compressed folder holds
integers and one scale per subword, the layout of vocabulary-quantized model2vec models, which
``StaticEmbedding`` reads as it stands.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer

from isoglot.artifacts import atomic_write, write_text

__all__ = ["reduce_dimensions", "store_as_int8"]

_LARGEST = 127


def reduce_dimensions(
    encoder: StaticEmbedding, embeddings: torch.Tensor, dim: int
) -> StaticEmbedding:
    """Rotate the vectors to the principal axes of some texts, and keep the first ones.

    The axes are those of the second moments around the origin, not around the mean: they keep the
    cosine similarities of the texts as well as ``dim`` numbers can (Eckart and Young, 1936).

    Args:
        encoder: The encoder; its vectors are (vocabulary, dimensions).
        embeddings: (texts, dimensions) embeddings of typical texts; their length does not matter.
        dim: Dimensions to keep.

    Raises:
        ValueError: If the encoder has fewer dimensions.
    """
    vectors = encoder.embedding.weight.detach()
    if dim > vectors.shape[1]:
        raise ValueError(f"cannot keep {dim} of {vectors.shape[1]} dimensions")
    unit = torch.nn.functional.normalize(embeddings).double()
    _, axes = torch.linalg.eigh(unit.T @ unit)  # in ascending order of what they explain
    kept = axes.flip(1)[:, :dim].to(vectors.dtype)
    return StaticEmbedding(encoder.tokenizer, embedding_weights=(vectors @ kept).contiguous())


def store_as_int8(folder: Path) -> None:
    """Replace the vectors of a saved static encoder by bytes, a quarter of their size.

    Every subword has its own scale, so that short vectors keep as many digits as long ones; the
    largest number of a vector becomes 127.

    Args:
        folder: Holds the ``model.safetensors`` and the ``tokenizer.json`` that ``StaticEmbedding``
            writes; of the latter, only the white space is left out.
    """
    path = folder / "model.safetensors"
    vectors = load_file(path)["embedding.weight"]
    scales = vectors.abs().amax(dim=1) / _LARGEST
    scales = scales.clamp(min=torch.finfo(vectors.dtype).tiny)  # of a vector of zeros
    integers = (vectors / scales[:, None]).round().to(torch.int8)
    with atomic_write(path, "wb") as file:
        file.write(save({"embeddings": integers, "weights": scales}))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    write_text(folder / "tokenizer.json", tokenizer.to_str(pretty=False))
