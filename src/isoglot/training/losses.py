"""The contrastive loss: InfoNCE over cosine similarity, with an explicit temperature.

Which candidates a query is scored against is the only difference between the three kinds of
negatives; masks are not needed, because the plan puts no false negative into a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["info_nce", "matryoshka_info_nce"]

Negatives = Literal["in-batch", "explicit", "both"]


def info_nce(
    queries: Tensor,
    positives: Tensor,
    negatives: Tensor | None,
    *,
    temperature: float,
    kind: Negatives,
    first: int = 0,
) -> Tensor:
    """Mean over queries of -log softmax of the positive's score (van den Oord, arXiv 1807.03748).

    The candidates of query i are: ``in-batch`` all positives; ``explicit`` its own positive and all
    explicit negatives of the batch, as equation 1 of arXiv 2408.10536 is printed; ``both`` all
    positives and all explicit negatives.

    Args:
        queries: (queries, dim), any length; cosine similarity is used.
        positives: (rows, dim), of the whole batch.
        negatives: (rows * negatives per query, dim), or None for ``in-batch``.
        temperature: Divides the scores.
        kind: Which candidates there are.
        first: The row of the first query, where the queries are some of the batch's.

    Returns:
        A scalar.

    Raises:
        ValueError: If the kind needs explicit negatives and there are none.
    """
    # The temperature divides the queries, which are few, instead of all their scores.
    queries, positives = (
        functional.normalize(queries) / temperature,
        functional.normalize(positives),
    )
    own = torch.arange(first, first + len(queries), device=queries.device)
    if kind == "in-batch":
        scores = queries @ positives.T  # (queries, rows)
    elif negatives is None:
        raise ValueError(f"negatives of kind {kind!r} need explicit negatives, got none")
    elif kind == "both":
        candidates = torch.cat([positives, functional.normalize(negatives)])
        scores = queries @ candidates.T  # (queries, rows + negatives)
    else:
        positive = (queries * positives[own]).sum(dim=1, keepdim=True)  # (queries, 1)
        scores = torch.cat([positive, queries @ functional.normalize(negatives).T], dim=1)
        own = torch.zeros_like(own)
    return functional.cross_entropy(scores, own)


def matryoshka_info_nce(
    queries: Tensor,
    positives: Tensor,
    negatives: Tensor | None,
    *,
    dims: Sequence[int],
    temperature: float,
    kind: Negatives,
    first: int = 0,
) -> Tensor:
    """Mean of ``info_nce`` over the first so many dimensions and all of them (arXiv 2205.13147).

    Args:
        queries: As for ``info_nce``, like all that is not named here.
        positives: (rows, dim)
        negatives: (rows * negatives per query, dim), or None.
        dims: How many dimensions should also serve alone; none gives ``info_nce``.
        temperature: Divides the scores.
        kind: Which candidates there are.
        first: The row of the first query.

    Returns:
        A scalar.
    """
    losses = [
        info_nce(
            queries[:, :dim],
            positives[:, :dim],
            negatives[:, :dim] if negatives is not None else None,
            temperature=temperature,
            kind=kind,
            first=first,
        )
        for dim in (*dims, queries.shape[1])
    ]
    return torch.stack(losses).mean()
