"""The contrastive loss: InfoNCE over cosine similarity, with an explicit temperature.

Which candidates a query is scored against is the only difference between the three kinds of
negatives; masks are not needed, because the plan puts no false negative into a batch.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["InfoNCELoss", "info_nce"]

Negatives = Literal["in-batch", "explicit", "both"]


def info_nce(
    queries: Tensor,
    positives: Tensor,
    negatives: Tensor | None,
    *,
    temperature: float,
    kind: Negatives,
) -> Tensor:
    """Mean over queries of -log softmax of the positive's score (van den Oord, arXiv 1807.03748).

    The candidates of query i are: ``in-batch`` all positives; ``explicit`` its own positive and all
    explicit negatives of the batch, as equation 1 of arXiv 2408.10536 is printed; ``both`` all
    positives and all explicit negatives.

    Args:
        queries: (rows, dim), any length; cosine similarity is used.
        positives: (rows, dim)
        negatives: (rows * negatives per query, dim), or None for ``in-batch``.
        temperature: Divides the scores.
        kind: Which candidates there are.

    Returns:
        A scalar.

    Raises:
        ValueError: If the kind needs explicit negatives and there are none.
    """
    queries, positives = functional.normalize(queries), functional.normalize(positives)
    rows = torch.arange(len(queries), device=queries.device)
    if kind == "in-batch":
        scores = queries @ positives.T  # (rows, rows)
    elif negatives is None:
        raise ValueError(f"negatives of kind {kind!r} need explicit negatives, got none")
    elif kind == "both":
        candidates = torch.cat([positives, functional.normalize(negatives)])
        scores = queries @ candidates.T  # (rows, rows + negatives)
    else:
        own = (queries * positives).sum(dim=1, keepdim=True)  # (rows, 1)
        scores = torch.cat([own, queries @ functional.normalize(negatives).T], dim=1)
        rows = torch.zeros_like(rows)
    return functional.cross_entropy(scores / temperature, rows)


class InfoNCELoss(nn.Module):
    """``info_nce`` as the sentence-transformers trainer calls it.

    Inputs are the columns query, passage and any number of negatives, in this order.
    """

    def __init__(
        self, model: SentenceTransformer, temperature: float, negatives: Negatives
    ) -> None:
        super().__init__()
        self.model = model
        self.temperature = temperature
        self.negatives = negatives

    def forward(
        self, features: Iterable[dict[str, Tensor]], labels: Tensor | None = None
    ) -> Tensor:
        """Encode the columns and return the loss; ``labels`` is not used."""
        embeddings = [self.model(column)["sentence_embedding"] for column in features]
        negatives = torch.cat(embeddings[2:]) if len(embeddings) > 2 else None
        return info_nce(
            embeddings[0],
            embeddings[1],
            negatives,
            temperature=self.temperature,
            kind=self.negatives,
        )

    def get_config_dict(self) -> dict[str, Any]:
        """Return what the model card says of the loss."""
        return {"temperature": self.temperature, "negatives": self.negatives}
