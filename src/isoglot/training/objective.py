"""What a batch is trained for: its texts encoded in parts, and the loss over all processes' rows.

The gradient can be cached (Gao et al., arXiv 2101.06983): the parts are encoded without a graph,
the loss gives the gradient of their vectors, and then each part is encoded again and takes its
gradient back. The gradient is that of the whole batch; the memory is that of one part.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from isoglot.config.schema import LossConfig
from isoglot.training.gathering import gather_rows, scatter_gradient
from isoglot.training.inputs.collate import Inputs
from isoglot.training.inputs.packing import Features
from isoglot.training.inputs.slices import ALONE, Process
from isoglot.training.losses import matryoshka_info_nce

__all__ = ["Objective"]

_LOSS_ROWS = 1024
"""Queries of one block of scores where the gradient is cached."""

_HALF = (torch.bfloat16, torch.float16)

Context = contextlib.AbstractContextManager[Any]


class _Columns(NamedTuple):
    queries: Tensor
    positives: Tensor
    negatives: Tensor


class Objective(nn.Module):
    """InfoNCE over the global batch, of which each process has some rows.

    Args:
        model: The encoder; the trainer optimises the weights of its loss, and so finds them here.
        config: The loss.
        dtype: What the encoder computes in; default: what its weights are. The loss is fp32.
        process: The process that trains.
    """

    def __init__(
        self,
        model: nn.Module,
        config: LossConfig,
        dtype: torch.dtype | None = None,
        process: Process = ALONE,
    ) -> None:
        super().__init__()
        self.model = model
        self.config = config
        self.dtype = dtype
        self.process = process

    def forward(self, model: nn.Module, inputs: Inputs) -> Tensor:
        """Return the process's share of the loss: the mean over processes is the batch's loss.

        Args:
            model: The encoder, perhaps wrapped for several processes.
            inputs: What the process trains on.
        """
        with self._autocast(inputs["place"]):  # one for all parts: weights are cast once
            parts = [_encode(model, features) for features in inputs["features"]]
        columns = self._columns(torch.cat(parts)[inputs["place"]], inputs)
        candidates = _Columns(
            columns.queries,
            gather_rows(columns.positives, self._sizes(columns.positives, inputs)),
            gather_rows(columns.negatives, self._sizes(columns.negatives, inputs)),
        )
        return self._loss(candidates, slice(0, inputs["rows"]), inputs)

    def backward(
        self,
        model: nn.Module,
        inputs: Inputs,
        propagate: Callable[[Tensor], object],
        apart: Callable[[], Context],
    ) -> Tensor:
        """Return what ``forward`` returns, and give every weight its gradient, part by part.

        Args:
            model: The encoder, perhaps wrapped for several processes.
            inputs: What the process trains on.
            propagate: Runs backward from a scalar.
            apart: Context in which gradients are not exchanged between processes; the last part is
                propagated outside of it.
        """
        features, place = inputs["features"], inputs["place"]
        states: list[_RandomState] = []
        with torch.no_grad(), self._autocast(place):
            parts = []
            for part in features:
                states.append(_RandomState(place.device))
                parts.append(_encode(model, part))
        loss, gradient = self._loss_and_gradient(torch.cat(parts)[place], inputs)
        encoded = torch.empty_like(gradient)
        encoded[place] = gradient
        gradients = torch.split(encoded, [len(part) for part in parts])
        for number, part in enumerate(features, start=1):
            state, wanted = states[number - 1], gradients[number - 1]
            with contextlib.nullcontext() if number == len(features) else apart():
                with state.again(), self._autocast(place):
                    vectors = _encode(model, part)
                propagate((vectors * wanted).sum())
        return loss

    def _loss_and_gradient(self, vectors: Tensor, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """Return the loss, and its gradient with respect to the vectors of this process."""
        own = self._columns(vectors, inputs)
        sizes = [self._sizes(column, inputs) for column in own[1:]]
        candidates = _Columns(
            own.queries.clone().requires_grad_(),
            gather_rows(own.positives, sizes[0]).clone().requires_grad_(),
            gather_rows(own.negatives, sizes[1]).clone().requires_grad_(),
        )
        loss = vectors.new_zeros(())
        for start in range(0, inputs["rows"], _LOSS_ROWS):
            stop = min(start + _LOSS_ROWS, inputs["rows"])
            block = self._loss(candidates, slice(start, stop), inputs)
            torch.autograd.backward(block)
            loss += block.detach()
        gradients = [
            column.grad if column.grad is not None else torch.zeros_like(column)
            for column in candidates
        ]
        for column, size in enumerate(sizes, start=1):
            gradients[column] = scatter_gradient(gradients[column], size)
        return loss, torch.cat(gradients)

    def _loss(self, candidates: _Columns, rows: slice, inputs: Inputs) -> Tensor:
        """Return the share of some of the process's queries in the loss."""
        loss = matryoshka_info_nce(
            candidates.queries[rows],
            candidates.positives,
            candidates.negatives if len(candidates.negatives) else None,
            dims=self.config.matryoshka_dims,
            temperature=self.config.temperature,
            kind=self.config.negatives,
            first=self.process.rows(inputs["total"]).start + rows.start,
        )
        share: Tensor = loss * ((rows.stop - rows.start) * self.process.count / inputs["total"])
        return share

    def _columns(self, vectors: Tensor, inputs: Inputs) -> _Columns:
        rows = inputs["rows"]
        return _Columns(vectors[:rows], vectors[rows : 2 * rows], vectors[2 * rows :])

    def _sizes(self, column: Tensor, inputs: Inputs) -> list[int]:
        """Return how many rows each process has of a column: one or more per row of the batch."""
        each = len(column) // inputs["rows"]
        return [each * rows for rows in self.process.sizes(inputs["total"])]

    def _autocast(self, like: Tensor) -> Context:
        if self.dtype is None:
            return contextlib.nullcontext()
        return torch.autocast(like.device.type, self.dtype)

    def highest_loss(self, candidates: int) -> float:
        """Return a loss that only an encoder which has lost its way reaches.

        It is that of passages which lie half the cosine's whole range farther from their queries
        than all others do; an encoder that knows nothing has the logarithm of ``candidates``.

        Args:
            candidates: Passages that a query is scored against.
        """
        return math.log(candidates) + 1 / self.config.temperature

    def get_config_dict(self) -> dict[str, Any]:
        """Return what the model card says of the loss."""
        return self.config.model_dump()


class _RandomState:
    """Random numbers as they were, so that a part is encoded again with the same dropout."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._of_cpu = torch.get_rng_state()
        self._of_gpu = None
        if device.type != "cpu":
            self._of_gpu = torch.get_device_module(device).get_rng_state()

    @contextlib.contextmanager
    def again(self) -> Iterator[None]:
        now = _RandomState(self._device)
        self._set()
        try:
            yield
        finally:
            now._set()

    def _set(self) -> None:
        torch.set_rng_state(self._of_cpu)
        if self._of_gpu is not None:
            torch.get_device_module(self._device).set_rng_state(self._of_gpu)


def _encode(model: nn.Module, features: Features) -> Tensor:
    # A copy, because the modules of an encoder write into the features.
    embedding: Tensor = model(dict(features))["sentence_embedding"]
    return embedding.float() if embedding.dtype in _HALF else embedding
