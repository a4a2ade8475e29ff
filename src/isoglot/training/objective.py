"""What a batch is trained for: its texts encoded in parts, and the loss over all processes' rows.

InfoNCE is one term of the loss; the others are in ``training.objectives``.

The gradient can be cached (Gao et al., arXiv 2101.06983): the parts are encoded without a graph,
the loss gives the gradient of their vectors, and then each part is encoded again and takes its
gradient back. The gradient is that of the whole batch; the memory is that of one part.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from isoglot.config.schema import LossConfig
from isoglot.training.gathering import gather_rows, scatter_gradient
from isoglot.training.inputs.collate import Inputs
from isoglot.training.inputs.packing import Features
from isoglot.training.inputs.slices import ALONE, Process
from isoglot.training.inputs.teacher import TaughtInputs
from isoglot.training.losses import matryoshka_info_nce
from isoglot.training.objectives.blocks import Block, Side, Taught
from isoglot.training.objectives.terms import vector_objectives
from isoglot.training.objectives.tokens import TokenObjective

__all__ = ["Objective"]

_LOSS_ROWS = 1024
"""Queries of one block of scores where the gradient is cached."""

_HALF = (torch.bfloat16, torch.float16)

Context = contextlib.AbstractContextManager[Any]


class _Columns(NamedTuple):
    """The vectors of a batch, column by column.

    What a process holds of them are its own rows; where they are gathered, those of all processes.
    """

    queries: Tensor
    positives: Tensor
    negatives: Tensor
    parallel_queries: Tensor
    parallel_passages: Tensor


class Objective(nn.Module):
    """A weighted sum over the global batch, of which each process has some rows.

    Args:
        model: The encoder; the trainer optimises the weights of its loss, and so finds them here.
        config: The loss.
        dtype: What the encoder computes in; default: what its weights are. The loss is fp32.
        process: The process that trains.
        tokens: Objectives on tokens, with their weights; those that have weights are modules.
    """

    def __init__(
        self,
        model: nn.Module,
        config: LossConfig,
        dtype: torch.dtype | None = None,
        process: Process = ALONE,
        tokens: Sequence[tuple[float, TokenObjective]] = (),
    ) -> None:
        super().__init__()
        self.model = model
        self.config = config
        self.dtype = dtype
        self.process = process
        self.tokens = tokens
        self.heads = nn.ModuleList([part for _, part in tokens if isinstance(part, nn.Module)])
        self._terms = vector_objectives(config)

    def forward(self, model: nn.Module, inputs: Inputs) -> Tensor:
        """Return the process's share of the loss: the mean over processes is the batch's loss.

        Args:
            model: The encoder, perhaps wrapped for several processes.
            inputs: What the process trains on.
        """
        with self._autocast(inputs["place"]):  # one for all parts: weights are cast once
            parts = [_encode(model, features) for features in inputs["features"]]
            on_tokens = [
                weight * objective.loss(model, own)
                for (weight, objective), own in zip(self.tokens, inputs["tokens"], strict=True)
            ]
        own = self._columns(torch.cat(parts)[inputs["place"]], inputs)
        gathered = _Columns(*map(self._gathered, own, self._sizes(own, inputs)))
        loss = self._loss(gathered, slice(0, inputs["rows"]), inputs)
        return torch.stack([loss, *on_tokens]).sum() if on_tokens else loss

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
        if self.tokens:
            with apart():  # forward and backward
                for share in self._shares_of_tokens(model, inputs):
                    propagate(share)
                    loss = loss + share.detach()
        for number, part in enumerate(features, start=1):
            state, wanted = states[number - 1], gradients[number - 1]
            with contextlib.nullcontext() if number == len(features) else apart():
                with state.again(), self._autocast(place):
                    vectors = _encode(model, part)
                propagate((vectors * wanted).sum())
        return loss

    def _shares_of_tokens(self, model: nn.Module, inputs: Inputs) -> Iterator[Tensor]:
        """Yield the process's shares of the objectives on tokens, encoded one after another."""
        for (weight, objective), own in zip(self.tokens, inputs["tokens"], strict=True):
            shares = objective.shares(model, own)
            while True:
                with self._autocast(inputs["place"]):
                    share = next(shares, None)
                if share is None:
                    break
                yield weight * share

    def _loss_and_gradient(self, vectors: Tensor, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """Return the loss, and its gradient with respect to the vectors of this process."""
        own = self._columns(vectors, inputs)
        sizes = self._sizes(own, inputs)
        leaves = _Columns(
            *(
                self._gathered(column, size).clone().requires_grad_()
                for column, size in zip(own, sizes, strict=True)
            )
        )
        loss = vectors.new_zeros(())
        for start in range(0, inputs["rows"], _LOSS_ROWS):
            stop = min(start + _LOSS_ROWS, inputs["rows"])
            block = self._loss(leaves, slice(start, stop), inputs)
            torch.autograd.backward(block)
            loss += block.detach()
        gradients = [
            leaf.grad if leaf.grad is not None else torch.zeros_like(leaf) for leaf in leaves
        ]
        return loss, torch.cat(
            [
                scatter_gradient(gradient, size) if size is not None else gradient
                for gradient, size in zip(gradients, sizes, strict=True)
            ]
        )

    def _loss(self, vectors: _Columns, rows: slice, inputs: Inputs) -> Tensor:
        """Return the share of some of the process's rows in the loss."""
        block = self._block(vectors, rows, inputs)
        terms = [term.weight * self.process.count * term(block) for term in self._terms]
        if self.config.contrastive_weight > 0:
            share = len(block.queries) * self.process.count / block.total
            terms.append(self.config.contrastive_weight * share * self._info_nce(block))
        # Where only tokens are trained on, the vectors still have a part in the graph.
        return torch.stack(terms).sum() if terms else 0 * block.queries.sum()

    def _info_nce(self, block: Block) -> Tensor:
        return matryoshka_info_nce(
            block.queries,
            block.candidates,
            block.negatives if len(block.negatives) else None,
            dims=self.config.matryoshka_dims,
            temperature=self.config.temperature,
            kind=self.config.negatives,
            first=block.first,
        )

    def _block(self, vectors: _Columns, rows: slice, inputs: Inputs) -> Block:
        """Return some of the process's rows, with what they are compared with."""
        before = self.process.rows(inputs["total"]).start
        first = before + rows.start
        own = slice(first, first + rows.stop - rows.start)
        all_queries = self._needs_all_queries()
        taught = inputs["taught"]
        return Block(
            queries=vectors.queries[own if all_queries else rows],
            passages=vectors.positives[own],
            candidates=vectors.positives,
            negatives=vectors.negatives,
            all_queries=vectors.queries if all_queries else vectors.queries[:0],
            first=first,
            total=inputs["total"],
            parallel_queries=Side(
                vectors.parallel_queries,
                inputs["parallel_query_rows"],
                inputs["parallel_query_total"],
            ).within(rows),
            parallel_passages=Side(
                vectors.parallel_passages,
                inputs["parallel_passage_rows"],
                inputs["parallel_passage_total"],
            ).within(rows),
            taught=_taught(taught, rows, own, like=vectors.queries) if taught else None,
        )

    def _needs_all_queries(self) -> bool:
        return self.config.reversed is not None

    def _columns(self, vectors: Tensor, inputs: Inputs) -> _Columns:
        rows = inputs["rows"]
        sizes = (
            rows,
            rows,
            rows * inputs["negatives"],
            len(inputs["parallel_query_rows"]),
            len(inputs["parallel_passage_rows"]),
        )
        return _Columns(*torch.split(vectors, list(sizes)))

    def _sizes(self, own: _Columns, inputs: Inputs) -> list[list[int] | None]:
        """Return how many rows each process has of a column, or None where it is not gathered."""
        rows = self.process.sizes(inputs["total"])
        return [
            rows if self._needs_all_queries() else None,
            rows,
            [inputs["negatives"] * size for size in rows],
            None,
            None,
        ]

    def _gathered(self, column: Tensor, sizes: list[int] | None) -> Tensor:
        return column if sizes is None else gather_rows(column, sizes)

    def _autocast(self, like: Tensor) -> Context:
        if self.dtype is None:
            return contextlib.nullcontext()
        return torch.autocast(like.device.type, self.dtype)

    def highest_loss(self, candidates: int) -> float:
        """Return a loss that only an encoder which has lost its way reaches.

        InfoNCE's is that of passages which lie half the cosine's whole range farther from their
        queries than all others do; an encoder that knows nothing has the logarithm of
        ``candidates``.

        Args:
            candidates: Passages that a query is scored against.
        """
        info_nce = math.log(candidates) + 1 / self.config.temperature
        highest = self.config.contrastive_weight * info_nce
        highest += sum(term.weight * term.highest(candidates) for term in self._terms)
        return highest + sum(weight * objective.highest for weight, objective in self.tokens)

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


def _taught(inputs: TaughtInputs, rows: slice, own: slice, like: Tensor) -> Taught:
    """Return what a teacher says of some rows.

    Args:
        inputs: What it says of the batch.
        rows: The rows' places in this process.
        own: Their places in the global batch.
        like: Has the type of the encoder's vectors.
    """
    passages, queries = inputs["passages"].to(like.dtype), inputs["queries"].to(like.dtype)
    candidates = Side(passages, inputs["passage_rows"], len(passages))
    asked = Side(queries, inputs["query_rows"], inputs["query_total"])
    return Taught(asked.within(rows), candidates.within(own), candidates)


def _encode(model: nn.Module, features: Features) -> Tensor:
    # A copy, because the modules of an encoder write into the features.
    embedding: Tensor = model(dict(features))["sentence_embedding"]
    return embedding.float() if embedding.dtype in _HALF else embedding
