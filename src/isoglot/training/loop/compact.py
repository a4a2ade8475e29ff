"""Static encoders without a fresh gradient of the whole vocabulary at every step.

The gradient of an embedding bag is dense: tens of megabytes that are new at every step, most of
them zeros, and of which the system has to provide every page. Here the bag is computed over the
rows in use, and their gradient is added to one buffer that is kept. Weights come out the same, bit
by bit.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["compact_gradients"]


@contextlib.contextmanager
def compact_gradients(model: nn.Module) -> Iterator[None]:
    """Let every embedding bag of a model keep its gradient; afterwards it does as before.

    For one process only: what exchanges gradients between processes takes dense ones.
    """
    owners = [
        (owner, name, bag)
        for owner in model.modules()
        for name, bag in owner.named_children()
        if isinstance(bag, nn.EmbeddingBag) and _is_plain(bag)
    ]
    for owner, name, bag in owners:
        setattr(owner, name, _CompactBag(bag))
    try:
        yield
    finally:
        for owner, name, bag in owners:
            setattr(owner, name, bag)
            bag.weight.grad = None


def _is_plain(bag: nn.EmbeddingBag) -> bool:
    """Say whether a bag has none of the options that few encoders use."""
    options = (bag.max_norm, bag.padding_idx, bag.scale_grad_by_freq, bag.include_last_offset)
    return bag.weight.requires_grad and not bag.sparse and not any(options) and options[1] is None


class _CompactBag(nn.Module):
    """An embedding bag, with the weight and the name of the one it stands for."""

    def __init__(self, bag: nn.EmbeddingBag) -> None:
        super().__init__()
        self.weight = bag.weight
        self.mode = bag.mode
        self._gradient = torch.zeros_like(bag.weight)

    def forward(
        self, ids: Tensor, offsets: Tensor, per_sample_weights: Tensor | None = None
    ) -> Tensor:
        """Return the bags: (texts, dim)."""
        if not torch.is_grad_enabled():
            return functional.embedding_bag(
                ids, self.weight, offsets, mode=self.mode, per_sample_weights=per_sample_weights
            )
        if self.weight.grad is None:  # which is how trainers reset it
            self.weight.grad = self._gradient.zero_()
        bags: Tensor = _OverRowsInUse.apply(  # type: ignore[no-untyped-call]
            self.weight, ids, offsets, self.mode, per_sample_weights
        )
        return bags


class _OverRowsInUse(torch.autograd.Function):
    """An embedding bag whose gradient is of the rows in use."""

    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, ids: Tensor, offsets: Tensor, mode: str, weights: Tensor | None
    ) -> Tensor:
        seen = torch.zeros(len(weight), dtype=torch.bool, device=weight.device)
        seen[ids] = True
        used = seen.nonzero().squeeze(1)
        place = (seen.cumsum(0) - 1)[ids]
        with torch.enable_grad():
            rows = weight.detach()[used].requires_grad_()
            weights = None if weights is None else weights.detach().requires_grad_()
            bags = functional.embedding_bag(
                place, rows, offsets, mode=mode, per_sample_weights=weights
            )
        ctx.kept = (used, rows, weights, bags, weight.shape)
        return bags.detach()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        used, rows, weights, bags, shape = ctx.kept
        inputs = [rows] if weights is None else [rows, weights]
        of_rows, *of_weights = torch.autograd.grad(bags, inputs, gradients[0])
        gradient = torch.sparse_coo_tensor(
            used[None], of_rows, shape, is_coalesced=True, check_invariants=False
        )
        return gradient, None, None, None, of_weights[0] if of_weights else None
