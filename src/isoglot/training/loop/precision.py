"""Which precision a machine trains in, and what goes with it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from sentence_transformers.util import get_device_name
from torch import nn
from transformers import PreTrainedModel

from isoglot.errors import ConfigError

__all__ = ["resolve_precision", "suited_attention"]


def resolve_precision(precision: str) -> str:
    """Return the precision, ``auto`` replaced by what this machine computes fastest in.

    Raises:
        ConfigError: If this machine cannot train in the precision that the config names.
    """
    device = get_device_name()
    if precision == "fp16" and device == "cpu":
        raise ConfigError("training.precision: fp16 needs a GPU; use auto, fp32 or bf16")
    if precision != "auto":
        return precision
    return "bf16" if _has_bf16(device) else "fp32"


@contextlib.contextmanager
def suited_attention(model: nn.Module, *, in_bf16_on_cpu: bool) -> Iterator[None]:
    """Let the transformer compute attention as is fastest; afterwards it does as before.

    On a CPU the backward pass of PyTorch's fused attention is slow in bf16, up to six times the
    plain one's for short texts.

    Args:
        model: The encoder.
        in_bf16_on_cpu: Whether it computes so; otherwise nothing is changed.
    """
    found = [
        module
        for module in model.modules()
        if isinstance(module, PreTrainedModel) and module.config._attn_implementation == "sdpa"
    ]
    suited = found if in_bf16_on_cpu else []
    for module in suited:
        module.set_attn_implementation("eager")
    try:
        yield
    finally:
        for module in suited:
            module.set_attn_implementation("sdpa")


def _has_bf16(device: str) -> bool:
    """Say whether bf16 is computed, not imitated."""
    if device == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return device.startswith("cuda") and torch.cuda.get_device_capability() >= (8, 0)
