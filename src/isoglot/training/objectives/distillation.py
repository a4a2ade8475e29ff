"""Distillation: a text in any language gets what a teacher gives its translation in one language.

Reimers and Gurevych (arXiv 2004.09813) for vectors; beside a contrastive loss as in MIMO (arXiv
2605.31171); for scores, Multilingual Translate-Distill (arXiv 2405.00977).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from isoglot.config.objectives import DistillationConfig
from isoglot.training.objectives.agreement import divergence
from isoglot.training.objectives.blocks import Block, Side, Taught

__all__ = ["Distillation"]


@dataclass(frozen=True)
class Distillation:
    """How far vectors, or the scores made of them, are from a teacher's.

    For vectors the mean over the batch's queries and that over its passages weigh the same. For
    scores it is the divergence of the student's distribution over the passages from the teacher's,
    mean over queries. Rows whose group lacks the teacher's language are left out.
    """

    config: DistillationConfig

    @property
    def weight(self) -> float:
        """Factor in the sum."""
        return self.config.weight

    def highest(self, candidates: int) -> float:
        """Return the largest distance there is; that of vectors of any length has no end."""
        scores = math.log(candidates) + 2 / self.config.temperature
        return {"cosine": 2.0, "mse": math.inf, "scores": scores}[self.config.target]

    def __call__(self, block: Block) -> Tensor:
        """Return the block's share of the mean."""
        assert block.taught is not None, "the batch comes with what the teacher says"
        taught = block.taught
        if self.config.target == "scores":
            return self._of_scores(block, taught)
        queries = self._of_vectors(block.queries, taught.queries)
        return (queries + self._of_vectors(block.passages, taught.passages)) / 2

    def _of_vectors(self, own: Tensor, teacher: Side) -> Tensor:
        student = own[teacher.rows]
        if self.config.target == "mse":
            distances = (student - teacher.vectors).square().mean(dim=1)
        else:
            distances = 1 - functional.cosine_similarity(student, teacher.vectors)
        return distances.sum() / max(1, teacher.total)

    def _of_scores(self, block: Block, taught: Taught) -> Tensor:
        candidates = block.candidates[taught.candidates.rows]
        student = self._log_probabilities(block.queries[taught.queries.rows], candidates)
        teacher = self._log_probabilities(taught.queries.vectors, taught.candidates.vectors)
        return divergence(teacher, student).sum() / max(1, taught.queries.total)

    def _log_probabilities(self, queries: Tensor, passages: Tensor) -> Tensor:
        scores = functional.normalize(queries) @ functional.normalize(passages).T
        return functional.log_softmax(scores / self.config.temperature, dim=1)
