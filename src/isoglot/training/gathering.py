"""Vectors of all processes together, with gradients that find their way back."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = ["gather_rows", "scatter_gradient"]


def gather_rows(own: Tensor, sizes: list[int]) -> Tensor:
    """Return the rows of all processes, in the order of the processes.

    Backward, every process gets the sum of what all of them hold as gradient of its rows.

    Args:
        own: (rows of this process, dim)
        sizes: How many rows each process has.
    """
    if _is_alone(sizes):
        return own
    gathered: Tensor = _GatherRows.apply(own, sizes)  # type: ignore[no-untyped-call]
    return gathered


def scatter_gradient(gradient: Tensor, sizes: list[int]) -> Tensor:
    """Sum the gradients of all processes; return that of the rows of this one.

    Args:
        gradient: (rows of all processes, dim), this process's part of the sum.
        sizes: How many rows each process has.
    """
    if _is_alone(sizes):
        return gradient
    total = gradient.contiguous().clone()
    dist.all_reduce(total)
    rank = dist.get_rank()
    first = sum(sizes[:rank])
    return total[first : first + sizes[rank]]


def _is_alone(sizes: list[int]) -> bool:
    return len(sizes) == 1 or not any(sizes)


class _GatherRows(torch.autograd.Function):
    """All-gather of rows; the library's own needs equal numbers of them."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, sizes: list[int]) -> Tensor:
        ctx.sizes = sizes
        # Slices differ by a row at most, so every process sends as many as the longest has.
        padded = own.new_zeros(max(sizes), own.shape[1])
        padded[: len(own)] = own
        received = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(received, padded)
        return torch.cat([rows[:size] for rows, size in zip(received, sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return scatter_gradient(gradients[0], ctx.sizes), None
