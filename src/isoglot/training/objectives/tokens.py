"""What an objective on tokens is: one that encodes texts of its own, not only their vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from isoglot.batches.plan import Batch
from isoglot.training.inputs.slices import Process

__all__ = ["TokenInputs", "TokenObjective"]

TokenInputs = dict[str, Any]
"""Tensors, and nested lists and dicts of them, which the trainer moves to the device; counts."""


class TokenObjective(ABC):
    """A term of the loss."""

    @property
    @abstractmethod
    def highest(self) -> float:
        """No mean over pairs is above this unless the encoder has lost its way."""

    @abstractmethod
    def inputs(self, batch: Batch, process: Process) -> TokenInputs:
        """Return what a process trains on; a function of the batch and seeds alone."""

    def loss(self, model: nn.Module, inputs: TokenInputs) -> Tensor:
        """Return the process's share: the mean over processes is the mean over the batch.

        Args:
            model: The encoder, perhaps wrapped for several processes.
            inputs: What ``inputs`` has made, on the encoder's device.
        """
        return torch.stack(list(self.shares(model, inputs))).sum()

    @abstractmethod
    def shares(self, model: nn.Module, inputs: TokenInputs) -> Iterator[Tensor]:
        """Yield the parts of which the loss is the sum; each may be propagated before the next."""
