"""The head that finds masked tokens: a transform, and the encoder's own token embeddings."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from transformers import AutoModelForMaskedLM, PreTrainedModel
from transformers.activations import ACT2FN
from transformers.utils import logging

__all__ = ["MaskedTokenHead", "build_head"]

_BLOCK = 512
"""Tokens that are compared with the vocabulary at a time: 0.5 GB for the 250,000 of XLM-R."""


class MaskedTokenHead(nn.Module):
    """Dense layer, activation and layer norm, then the scores of all tokens (arXiv 1810.04805).

    The scores are products with the token embeddings of the encoder, which are no part of the head,
    plus a bias of each token. Where several processes train, each gets the mean of their gradients:
    what exchanges those of the encoder knows nothing of the head.

    Args:
        width: Length of the encoder's token vectors.
        vocabulary: Number of token embeddings.
        dim: Length of the token embeddings.
        activation: Its name in transformers.
        epsilon: Of the layer norm.
    """

    def __init__(
        self, width: int, vocabulary: int, dim: int, *, activation: str, epsilon: float
    ) -> None:
        super().__init__()
        self.dense = nn.Linear(width, dim)
        self.activation = ACT2FN[activation]
        self.norm = nn.LayerNorm(dim, eps=epsilon)
        self.bias = nn.Parameter(torch.zeros(vocabulary))
        for weight in self.parameters():
            weight.register_hook(_mean_over_processes)  # type: ignore[no-untyped-call]

    def forward(self, vectors: Tensor, embeddings: Tensor) -> Tensor:
        """Return the score of every token: (tokens to be found, vocabulary).

        Args:
            vectors: (tokens to be found, width)
            embeddings: (vocabulary, dim) of the encoder.
        """
        transformed = self.norm(self.activation(self.dense(vectors)))
        return functional.linear(transformed, embeddings, self.bias)

    def loss(self, vectors: Tensor, wanted: Tensor, embeddings: Tensor) -> Tensor:
        """Return the sum of -log p of the tokens to be found.

        Where these are many, scores are made block by block, and again when gradients are.

        Args:
            vectors: (tokens to be found, width)
            wanted: (tokens to be found,) which tokens they are.
            embeddings: (vocabulary, dim) of the encoder.
        """
        if len(vectors) <= _BLOCK:
            return self._loss(vectors, wanted, embeddings)
        blocks = [
            checkpoint(
                self._loss, some, tokens, embeddings, use_reentrant=False, preserve_rng_state=False
            )
            for some, tokens in zip(
                torch.split(vectors, _BLOCK), torch.split(wanted, _BLOCK), strict=True
            )
        ]
        return torch.stack(blocks).sum()

    def _loss(self, vectors: Tensor, wanted: Tensor, embeddings: Tensor) -> Tensor:
        scores = self(vectors, embeddings)
        scores = scores if scores.dtype == torch.float64 else scores.float()
        return functional.cross_entropy(scores, wanted, reduction="sum")


def build_head(transformer: PreTrainedModel, seed: int) -> tuple[MaskedTokenHead, bool]:
    """Build the head of a transformer, from what its checkpoint holds or else from nothing.

    Args:
        transformer: The encoder's transformer, as loaded from a folder or the hub.
        seed: Seed of the first weights; torch's own random state is left as it was.

    Returns:
        The head, and whether it comes from the checkpoint.
    """
    config = transformer.config
    vocabulary, dim = transformer.get_input_embeddings().weight.shape
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        head = MaskedTokenHead(
            config.hidden_size,
            vocabulary,
            dim,
            activation=getattr(config, "hidden_act", "gelu"),
            epsilon=getattr(config, "layer_norm_eps", 1e-12),
        )
        nn.init.normal_(head.dense.weight, std=getattr(config, "initializer_range", 0.02))
        nn.init.zeros_(head.dense.bias)
        stored = _stored_head(transformer)
    return head, stored is not None and _copy(stored, head)


def _stored_head(transformer: PreTrainedModel) -> PreTrainedModel | None:
    """Return the transformer as its checkpoint has it with a head, if there is one in it."""
    name = transformer.name_or_path
    if not name:
        return None
    try:
        with _quiet():
            model, found = AutoModelForMaskedLM.from_pretrained(
                name,
                revision=getattr(transformer.config, "_commit_hash", None) or "main",
                local_files_only=True,
                output_loading_info=True,
            )
    except (OSError, ValueError, KeyError):  # no weights there, or no such head for the model
        return None
    own = {name for name, _ in model.named_parameters() if not _is_of_base(name, model)}
    return None if own & set(found["missing_keys"]) else model


def _is_of_base(name: str, model: PreTrainedModel) -> bool:
    return name.startswith(f"{model.base_model_prefix}.")


def _copy(model: PreTrainedModel, head: MaskedTokenHead) -> bool:
    """Copy the weights of a head that is built alike; say whether it is."""
    decoder = model.get_output_embeddings()
    parts = [
        part
        for name, part in model.named_modules()
        if part is not decoder and not _is_of_base(name, model)
    ]
    dense = [part for part in parts if isinstance(part, nn.Linear)]
    norm = [part for part in parts if isinstance(part, nn.LayerNorm)]
    if [len(dense), len(norm)] != [1, 1] or dense[0].weight.shape != head.dense.weight.shape:
        return False
    with torch.no_grad():
        for to, of in (
            (head.dense.weight, dense[0].weight),
            (head.dense.bias, dense[0].bias),
            (head.norm.weight, norm[0].weight),
            (head.norm.bias, norm[0].bias),
            (head.bias, getattr(decoder, "bias", None)),
        ):
            if of is not None:
                to.copy_(of)
    return True


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from listing what a checkpoint lacks, which is what is asked here."""
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _mean_over_processes(gradient: Tensor) -> Tensor:
    """Return the mean of all processes' gradients."""
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return gradient
    gradient = gradient.clone()
    dist.all_reduce(gradient)
    return gradient / dist.get_world_size()
