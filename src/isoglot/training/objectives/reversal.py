"""The reversed direction: a passage finds its query among all queries of the batch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from isoglot.config.objectives import ReversedConfig
from isoglot.training.objectives.agreement import divergence
from isoglot.training.objectives.blocks import Block

__all__ = ["Reversed"]


@dataclass(frozen=True)
class Reversed:
    """InfoNCE from passages to queries, and the agreement of both directions.

    With ``agreement`` a, ``CE(passage -> queries) + a / weight * KL(backward || forward)``, so
    that a is the weight of the divergence in the whole loss: with the sum of all weights 1, this is
    equation and code of CLEAR (arXiv 2604.05821). Mean over rows.
    """

    config: ReversedConfig
    temperature: float

    @property
    def weight(self) -> float:
        """Factor in the sum."""
        return self.config.weight

    def highest(self, candidates: int) -> float:
        """As for InfoNCE; the divergence is at most the range of the scores."""
        share = self.config.agreement / self.config.weight
        return math.log(candidates) + (1 + 2 * share) / self.temperature

    def __call__(self, block: Block) -> Tensor:
        """Return the block's share of the mean."""
        backward = self._log_probabilities(block.passages, block.all_queries)
        own = torch.arange(block.first, block.first + len(backward), device=backward.device)
        loss = functional.nll_loss(backward, own, reduction="sum")
        if self.config.agreement > 0:
            forward = self._log_probabilities(block.queries, block.candidates)
            share = self.config.agreement / self.config.weight
            loss = loss + share * divergence(backward, forward).sum()
        return loss / block.total

    def _log_probabilities(self, some: Tensor, all_: Tensor) -> Tensor:
        scores = functional.normalize(some) @ functional.normalize(all_).T / self.temperature
        return functional.log_softmax(scores, dim=1)
