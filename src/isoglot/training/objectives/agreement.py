"""Parallel texts agree: queries in what they find, passages in where they lie."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from isoglot.config.objectives import PassageAgreementConfig, QueryAgreementConfig
from isoglot.training.objectives.blocks import Block

__all__ = ["PassageAgreement", "QueryAgreement", "divergence", "root_divergence"]

_TINY = 1e-12
"""Under the root, whose slope at 0 is infinite."""


def divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Kullback-Leibler divergence of q from p, in nats: ``sum p (log p - log q)`` of each row.

    Args:
        log_p: (rows, outcomes) logarithms of probabilities.
        log_q: (rows, outcomes)

    Returns:
        (rows,)
    """
    return functional.kl_div(log_q, log_p, reduction="none", log_target=True).sum(dim=1)


def root_divergence(x: Tensor, y: Tensor) -> Tensor:
    """Square root of the Jensen-Shannon divergence between the softmax of vectors.

    With m the mean of both distributions, ``sqrt((KL(p || m) + KL(q || m)) / 2)``, in nats: 0 to
    sqrt(ln 2). On vectors as in arXiv 2604.05684; a metric (Endres and Schindelin 2003).

    Args:
        x: (rows, dim)
        y: (rows, dim)

    Returns:
        (rows,)
    """
    log_p, log_q = functional.log_softmax(x, dim=1), functional.log_softmax(y, dim=1)
    log_m = torch.logaddexp(log_p, log_q) - math.log(2)
    halves = (divergence(log_p, log_m) + divergence(log_q, log_m)) / 2
    return (halves.clamp_min(0.0) + _TINY).sqrt()


@dataclass(frozen=True)
class QueryAgreement:
    """The distributions that a query and its parallel query give the batch's passages.

    Half the sum of both Kullback-Leibler divergences (LaKDA, arXiv 2509.06195, which takes one
    language as the teacher; here no language is), mean over the rows with a parallel query.
    """

    config: QueryAgreementConfig

    @property
    def weight(self) -> float:
        """Factor in the sum."""
        return self.config.weight

    def highest(self, candidates: int) -> float:
        """Return the most that two distributions with scores of this range can differ by."""
        return math.log(candidates) + 2 / self.config.temperature

    def __call__(self, block: Block) -> Tensor:
        """Return the block's share of the mean."""
        parallel = block.parallel_queries
        candidates = functional.normalize(torch.cat([block.candidates, block.negatives]))
        log_p = self._log_probabilities(block.queries[parallel.rows], candidates)
        log_q = self._log_probabilities(parallel.vectors, candidates)
        both = (divergence(log_p, log_q) + divergence(log_q, log_p)) / 2
        return both.sum() / max(1, parallel.total)

    def _log_probabilities(self, queries: Tensor, candidates: Tensor) -> Tensor:
        scores = functional.normalize(queries) @ candidates.T / self.config.temperature
        return functional.log_softmax(scores, dim=1)


@dataclass(frozen=True)
class PassageAgreement:
    """The distance of a passage's vector from that of its translation.

    Mean over the rows with a parallel passage.
    """

    config: PassageAgreementConfig

    @property
    def weight(self) -> float:
        """Factor in the sum."""
        return self.config.weight

    def highest(self, candidates: int) -> float:
        """Return the largest distance there is."""
        return 2.0 if self.config.distance == "cosine" else 1.0

    def __call__(self, block: Block) -> Tensor:
        """Return the block's share of the mean."""
        parallel = block.parallel_passages
        own = block.passages[parallel.rows]
        if self.config.distance == "cosine":
            distances = 1 - functional.cosine_similarity(own, parallel.vectors)
        else:
            distances = root_divergence(own, parallel.vectors)
        return distances.sum() / max(1, parallel.total)
