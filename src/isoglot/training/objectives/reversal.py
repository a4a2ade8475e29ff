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

    ``weight * CE(passage -> queries) + agreement * KL(backward || forward)``, means over rows: the
    two further terms of CLEAR (arXiv 2604.05821). There the backward direction looks for a query in
    another language and both have hard negatives; here it looks for the row's own query, which in a
    cross-lingual batch is in another language, among those of the batch.
    """

    config: ReversedConfig
    temperature: float

    @property
    def weight(self) -> float:
        """Both terms have weights of their own."""
        return 1.0

    def highest(self, candidates: int) -> float:
        """As for InfoNCE; the divergence is at most that of scores of this range."""
        cross_entropy = math.log(candidates) + 1 / self.temperature
        divergence = math.log(candidates) + 2 / self.temperature
        return self.config.weight * cross_entropy + self.config.agreement * divergence

    def __call__(self, block: Block) -> Tensor:
        """Return the block's share of the mean."""
        backward = self._log_probabilities(block.passages, block.all_queries)
        own = torch.arange(block.first, block.first + len(backward), device=backward.device)
        loss = self.config.weight * functional.nll_loss(backward, own, reduction="sum")
        if self.config.agreement > 0:
            forward = self._log_probabilities(block.queries, block.candidates)
            loss = loss + self.config.agreement * divergence(backward, forward).sum()
        return loss / block.total

    def _log_probabilities(self, some: Tensor, all_: Tensor) -> Tensor:
        scores = functional.normalize(some) @ functional.normalize(all_).T / self.temperature
        return functional.log_softmax(scores, dim=1)
