"""Attention on a GPU over batches of many shapes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

__all__ = ["attention_of_any_shape"]


@contextlib.contextmanager
def attention_of_any_shape() -> Iterator[None]:
    """Keep cuDNN's attention out of the block; afterwards it is allowed as before.

    On Hopper and later PyTorch prefers it in 16 bits, and it builds a plan for every new shape of a
    batch, which takes hundreds of milliseconds; batches of like length have hundreds of shapes.
    PyTorch's other fused attention has no such plans. The setting is of the whole process.
    """
    allowed = torch.backends.cuda.cudnn_sdp_enabled()  # type: ignore[no-untyped-call]
    torch.backends.cuda.enable_cudnn_sdp(False)
    try:
        yield
    finally:
        torch.backends.cuda.enable_cudnn_sdp(allowed)
