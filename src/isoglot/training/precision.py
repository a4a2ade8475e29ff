"""Which precision a machine trains in."""

from __future__ import annotations

import torch
from sentence_transformers.util import get_device_name

from isoglot.config.schema import TrainingConfig
from isoglot.errors import ConfigError

__all__ = ["resolve_precision"]


def resolve_precision(training: TrainingConfig) -> TrainingConfig:
    """Return the config with ``auto`` replaced by what this machine computes fastest in.

    Raises:
        ConfigError: If this machine cannot train in the precision that the config names.
    """
    device = get_device_name()
    if training.precision == "fp16" and device == "cpu":
        raise ConfigError("training.precision: fp16 needs a GPU; use auto, fp32 or bf16")
    if training.precision != "auto":
        return training
    return training.model_copy(update={"precision": "bf16" if _has_bf16(device) else "fp32"})


def _has_bf16(device: str) -> bool:
    """Say whether bf16 is computed, not imitated."""
    if device == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return device.startswith("cuda") and torch.cuda.get_device_capability() >= (8, 0)
