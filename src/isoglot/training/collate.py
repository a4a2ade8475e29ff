"""Planned batches to model inputs: by tokenizing texts, or by gathering tokens made once.

The first way serves every encoder; the second serves static ones, whose training would otherwise
spend half its time in the tokenizer, and brings token dropout and crops.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.data_collator import (
    SentenceTransformerDataCollator,
)
from torch.utils.data import Dataset

from isoglot.batches.plan import Batch, BatchPlan
from isoglot.batches.randomness import RandomStreams
from isoglot.data.parallel import ParallelTable
from isoglot.data.tokens import TokenStore

__all__ = ["PlannedBatches", "TextCollator", "TokenCollator"]

Inputs = dict[str, Any]


class PlannedBatches(Dataset[Inputs]):
    """Item i is planned batch i, ready for the model.

    Args:
        plan: The batches.
        collate: Turns one into model inputs.
        count: Number of batches of the run.
    """

    def __init__(self, plan: BatchPlan, collate: Callable[[Batch], Inputs], count: int) -> None:
        self.plan = plan
        self.collate = collate
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Inputs:
        return self.collate(self.plan.batch(index))


class TextCollator:
    """Looks texts up and lets the model tokenize them, prompts included."""

    def __init__(self, model: SentenceTransformer, table: ParallelTable) -> None:
        self._table = table
        # The same choice as encode_query and encode_document make, empty prompts included.
        prompts = {
            "query": _first_prompt(model, "query"),
            "passage": _first_prompt(model, "document", "passage", "corpus"),
        }
        self._collators = {
            column: SentenceTransformerDataCollator(preprocess_fn=model.preprocess, prompts=prompt)
            for column, prompt in prompts.items()
        }

    def __call__(self, batch: Batch) -> Inputs:
        """Return the inputs of a batch: columns query, passage, negative_0, negative_1 ..."""
        columns = {"query": batch.query_texts, "passage": batch.passage_texts}
        for slot, texts in enumerate(batch.negative_texts.T):
            columns[f"negative_{slot}"] = texts
        inputs: Inputs = {}
        for name, rows in columns.items():
            collator = self._collators["query" if name == "query" else "passage"]
            texts = self._table.texts.take(rows).to_pylist()
            inputs.update(collator([{name: text} for text in texts]))
        return inputs


def _first_prompt(model: SentenceTransformer, *names: str) -> str:
    names = (*names, model.default_prompt_name or "")
    return next((model.prompts[name] or "" for name in names if name in model.prompts), "")


class TokenCollator:
    """Gathers stored tokens; leaves some out, and crops a text that is its own passage.

    In a monolingual batch of translations, query and passage are the same sentence. Two random
    crops of it (contrastive cropping as in Contriever, arXiv 2112.09118) make a task of it.

    Args:
        store: The tokens.
        token_dropout: Share of tokens left out, anew at every visit.
        crop: Shortest crop, as a share of a text's tokens.
        max_tokens: Of a longer text, a window of so many tokens is used, anew at every visit.
        seed: Seed of all three.
    """

    def __init__(
        self,
        store: TokenStore,
        *,
        token_dropout: float,
        crop: float,
        max_tokens: int | None = None,
        seed: int,
    ) -> None:
        self._store = store
        self._keep = 1.0 - token_dropout
        self._crop = crop
        self._longest = max_tokens or np.iinfo(np.int64).max
        self._random = RandomStreams("tokens", seed)

    def __call__(self, batch: Batch) -> Inputs:
        """Return the inputs of a batch for a static encoder."""
        rng = self._random.at(batch.index)
        crop = np.where(batch.query_texts == batch.passage_texts, self._crop, 1.0)
        inputs: Inputs = {}
        for name, rows in (("query", batch.query_texts), ("passage", batch.passage_texts)):
            ids, offsets = self._gather(rng, rows, crop)
            inputs[f"{name}_input_ids"] = torch.from_numpy(ids)
            inputs[f"{name}_offsets"] = torch.from_numpy(offsets)
        return inputs

    def _gather(
        self,
        rng: np.random.Generator,
        rows: npt.NDArray[np.int64],
        crop: npt.NDArray[np.float64],
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the tokens of the rows one after another, and where each row starts."""
        starts, lengths = (
            self._store.starts[rows],
            self._store.ends[rows] - self._store.starts[rows],
        )
        cropped = np.ceil(lengths * (crop + (1 - crop) * rng.random(len(rows)))).astype(np.int64)
        cropped = np.minimum(cropped, self._longest)
        starts = starts + ((lengths - cropped + 1) * rng.random(len(rows))).astype(np.int64)
        row = np.repeat(np.arange(len(rows)), cropped)
        begins = np.cumsum(cropped) - cropped
        tokens = self._store.tokens[starts[row] + np.arange(len(row)) - begins[row]]
        kept = rng.random(len(row)) < self._keep
        kept[begins[cropped > 0]] |= np.bincount(row[kept], minlength=len(rows))[cropped > 0] == 0
        counts = np.bincount(row[kept], minlength=len(rows))
        return tokens[kept].astype(np.int64), np.cumsum(counts) - counts
