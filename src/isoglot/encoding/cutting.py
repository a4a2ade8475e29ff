"""Texts to tokens for a transformer, many at a time, of which batches are put together later.

The library's ``preprocess`` gives tensors padded to the longest text, at 3,000 texts a second on 16
cores, and a GPU waits for them. Where the encoder has an ordinary fast tokenizer, its tokens are
taken as they are and padded batch by batch: the same numbers, six times as fast (docs/gpu.md).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer

from isoglot.models.token_batches import TokenRows

__all__ = ["CutTexts", "FastCutter", "cut_by_library", "work_ahead"]

_SAMPLES = ("", " \t\n", "owl", " Où?  “Ｏｗｌ” ", "Bundi huishi msituni.", "猫头鹰", "🦉\u0301")
_MOST_TRIED = 40_000
"""Tokens of the longest text that a cutter is tried on."""

Given = TypeVar("Given")
Made = TypeVar("Made")


class CutTexts(Protocol):
    """Some texts as tokens."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(texts,) tokens."""
        ...

    def batch(self, rows: NDArray[Any]) -> dict[str, Any]:
        """Return what the encoder reads of some texts, padded to the longest of them."""
        ...


class FastCutter:
    """The tokenizer of an encoder, without the library around it.

    Args:
        rules: The tokenizer, set to cut and pad as the library does; for this cutter alone, because
            others may use the encoder's own at the same time, and with padding.
        names: The tensors that the encoder reads.
        others: What it is given besides tensors.
    """

    def __init__(self, rules: Tokenizer, names: Collection[str], others: Mapping[str, Any]) -> None:
        self._padding: dict[str, Any] = rules.padding or {}
        rules.no_padding()
        self._rules = rules
        self._with_types = "token_type_ids" in names
        self._others = others

    @classmethod
    def find(cls, model: SentenceTransformer, prompt: str, task: str) -> FastCutter | None:
        """Return the cutter of an encoder; None if it gives other features than ``preprocess``.

        That is tried on odd texts and one that is too long, for prompt and task may decide how
        texts are cut. Takes up to a second, most of it to copy the tokenizer.
        """
        tokenizer = model[0].tokenizer
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if backend is None:
            return None
        longest = min(model.max_seq_length or 0, _MOST_TRIED)
        texts = [*_SAMPLES, " owl ".join(tokenizer.all_special_tokens), "owl " * (longest + 1)]
        features = model.preprocess(texts, prompt=prompt or None, task=task)
        tensors = {k: v for k, v in features.items() if isinstance(v, torch.Tensor)}
        others = {k: v for k, v in features.items() if k not in tensors}
        found = cls(Tokenizer.from_str(backend.to_str()), tensors.keys(), others)
        own = found.cut(texts, prompt).batch(np.arange(len(texts)))
        same = own.keys() == features.keys() and all(
            torch.equal(own[name], tensors[name]) for name in tensors
        )
        return found if same else None

    def cut(self, texts: Sequence[str], prompt: str) -> CutTexts:
        """Return the tokens of texts with a prompt before each."""
        encodings = self._rules.encode_batch_fast([prompt + text for text in texts])
        return _Unpadded(TokenRows(encodings, with_types=self._with_types), self)

    def pad(self, tokens: TokenRows, rows: NDArray[Any]) -> dict[str, Any]:
        """Return what the encoder reads of some texts."""
        arrays = tokens.pad(
            rows,
            pad_id=self._padding.get("pad_id", 0),
            pad_type=self._padding.get("pad_type_id", 0),
            left=self._padding.get("direction") == "left",
        )
        return {**{name: torch.from_numpy(array) for name, array in arrays.items()}, **self._others}


@dataclass(frozen=True)
class _Unpadded:
    """Tokens as the tokenizer gives them."""

    tokens: TokenRows
    cutter: FastCutter

    @property
    def lengths(self) -> NDArray[np.int64]:
        return self.tokens.lengths

    def batch(self, rows: NDArray[Any]) -> dict[str, Any]:
        return self.cutter.pad(self.tokens, rows)


def cut_by_library(
    model: SentenceTransformer, texts: Sequence[str], prompt: str, task: str
) -> CutTexts | None:
    """Return the tokens of texts from the encoder's own ``preprocess``.

    None if not all that belongs to a token is in one column, so that padding must stay.
    """
    features = model.preprocess(texts, prompt=prompt or None, task=task)
    mask = features.get("attention_mask")
    if not isinstance(mask, torch.Tensor) or mask.ndim != 2:
        return None
    if "query_expansion_positions" in features:  # padding that counts
        return None
    tensors = [value for value in features.values() if isinstance(value, torch.Tensor)]
    alike = all(value.ndim == 0 or value.shape == mask.shape for value in tensors)
    return _Padded(features) if alike else None


@dataclass(frozen=True)
class _Padded:
    """Features that are padded to the longest text."""

    features: dict[str, Any]

    @property
    def lengths(self) -> NDArray[np.int64]:
        lengths: NDArray[np.int64] = self.features["attention_mask"].sum(1).numpy()
        return lengths

    def batch(self, rows: NDArray[Any]) -> dict[str, Any]:
        """Leave out the columns that none of the texts uses."""
        chosen = torch.from_numpy(rows)
        used = torch.nonzero(self.features["attention_mask"][chosen].any(0))
        first, last = (int(used[0]), int(used[-1])) if len(used) else (0, 0)
        return {
            name: value[chosen, first : last + 1]
            if isinstance(value, torch.Tensor) and value.ndim == 2
            else value
            for name, value in self.features.items()
        }


def work_ahead(work: Callable[[Given], Made], given: Iterable[Given], ahead: int) -> Iterator[Made]:
    """Yield the results of some work in order, some of them made before they are asked for.

    Args:
        work: Called in one thread, one after the other.
        given: What it is called with.
        ahead: Results that may wait.
    """
    with ThreadPoolExecutor(1) as thread:
        coming: deque[Future[Made]] = deque()
        for one in given:
            coming.append(thread.submit(work, one))
            if len(coming) > ahead:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
