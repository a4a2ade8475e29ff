"""Write an ONNX graph from tokens to embeddings.

Transformer, pooling, dense layers and normalisation are inside. Static encoders get the inputs of
transformers, padded ids and a mask: their mean is then one matrix product, which onnxruntime
computes faster than the loop that ``EmbeddingBag`` becomes.
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from torch import nn

from isoglot.models.onnx import OUTPUT

__all__ = ["input_names", "write_graph"]

_PROTOBUF_LIMIT = 1_900_000_000
"""Bytes of weights above which they go to a file of their own; protobuf ends at 2 GiB."""


def input_names(model: SentenceTransformer) -> list[str]:
    """Return the tensors that the graph needs; each is (texts, tokens) int64."""
    if isinstance(model[0], StaticEmbedding):
        return ["input_ids", "attention_mask"]
    made = model.preprocess(["a"])
    return [name for name in ("input_ids", "attention_mask", "token_type_ids") if name in made]


def write_graph(model: SentenceTransformer, path: Path) -> None:
    """Trace an encoder and write what it computes.

    Args:
        model: The encoder, on the CPU.
        path: The file; weights of 2 GB go to a second one beside it.

    Raises:
        Exception: Whatever an operation raises that has no ONNX counterpart.
        OSError: If the file cannot be written.
    """
    names = input_names(model)
    # Axes of length 1 would be taken for constant.
    example = tuple(torch.ones(2, 3, dtype=torch.int64) for _ in names)
    axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens")}
    with torch.no_grad(), _quiet():
        program = torch.onnx.export(
            _Graph(model).eval(),
            example,
            dynamo=True,
            verbose=False,
            input_names=names,
            output_names=[OUTPUT],
            dynamic_shapes=tuple(axes for _ in names),
        )
    assert program is not None  # as it always is with dynamo
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()  # the stack where it was traced, with paths of this machine
    weights = sum(weight.numel() * weight.element_size() for weight in model.parameters())
    program.save(str(path), external_data=weights > _PROTOBUF_LIMIT)


class _PaddedMean(nn.Module):
    """What ``StaticEmbedding`` computes, from padded tokens."""

    def __init__(self, static: StaticEmbedding) -> None:
        super().__init__()
        self.vectors = static.embedding.weight

    def forward(self, features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        mask = features["attention_mask"]
        shares = mask / mask.sum(1, keepdim=True).clamp(min=1)  # no tokens, no length
        vectors = self.vectors[features["input_ids"]]
        features[OUTPUT] = (shares[:, None, :] @ vectors).squeeze(1)
        return features


class _Graph(nn.Module):
    """The encoder's modules from named tensors to one tensor."""

    def __init__(self, model: SentenceTransformer) -> None:
        super().__init__()
        first, *rest = model
        if isinstance(first, StaticEmbedding):
            first = _PaddedMean(first)
        self.steps = nn.ModuleList([first, *rest])

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor | None = None,
    ) -> torch.Tensor:
        features = {"input_ids": input_ids, "attention_mask": attention_mask}
        if token_type_ids is not None:
            features["token_type_ids"] = token_type_ids
        for step in self.steps:
            features = step(features)
        return features[OUTPUT]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what the exporter says of itself, such as which optional packages it misses."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
