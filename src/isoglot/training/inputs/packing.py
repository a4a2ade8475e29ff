"""How an encoder wants its tokens: one after another with offsets, or padded with a mask.

Which of the two, and with what besides, is found out by looking at what the encoder itself makes of
a few texts. An encoder that wants anything else is left to tokenize for itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from sentence_transformers import SentenceTransformer

from isoglot.training.inputs.lengths import count_parts, split_by_length
from isoglot.training.inputs.ragged import Ragged
from isoglot.training.inputs.reading import Role, is_flat, probe

__all__ = ["Features", "FlatPacker", "Packer", "PaddedPacker", "find_packer"]

Features = dict[str, Any]
"""Inputs of the encoder, by its own names."""
IntArray = npt.NDArray[np.int64]


class Packer(Protocol):
    """Turns the tokens of texts into parts that are encoded in one go each."""

    def __call__(self, texts: Ragged, largest: int) -> tuple[list[Features], IntArray]:
        """Return the parts, and where each text comes in them.

        Args:
            texts: Those of a process.
            largest: Most texts of a process; where parts are bounded, it decides their number.
        """
        ...


@dataclass(frozen=True)
class FlatPacker:
    """Tokens one after another, for static encoders; there is no padding to avoid."""

    most_texts: int | None = None
    """Of a part; default: all texts are one part."""

    def __call__(self, texts: Ragged, largest: int) -> tuple[list[Features], IntArray]:
        """Return the parts, and where each text comes in them."""
        count, parts_count = len(texts.lengths), count_parts(largest, self.most_texts)
        ends = np.linspace(0, count, parts_count + 1).astype(int).tolist()
        parts = [texts.cut(slice(start, end)) for start, end in pairwise(ends)]
        features: list[Features] = [
            {
                "input_ids": torch.from_numpy(part.ids.astype(np.int64)),
                "offsets": torch.from_numpy(part.starts),
            }
            for part in parts
        ]
        return features, np.arange(count)


@dataclass(frozen=True)
class PaddedPacker:
    """Texts of like length side by side, each part padded to its own longest text."""

    padding: int
    """The token that fills."""
    left: bool = False
    """Whether it fills on the left."""
    zeros: tuple[str, ...] = ()
    """Names of further inputs that are 0 everywhere, such as ``token_type_ids``."""
    constants: Mapping[str, Any] = field(default_factory=dict)
    """Further inputs that are no tensors."""
    most_parts: int = 1
    """Of a batch, where ``most_texts`` is not given."""
    most_texts: int | None = None
    """Of a part; the parts are then equal in number of texts."""

    def __call__(self, texts: Ragged, largest: int) -> tuple[list[Features], IntArray]:
        """Return the parts, and where each text comes in them."""
        if self.most_texts is None:
            parts = split_by_length(texts.lengths, self.most_parts)
        else:
            order = np.argsort(texts.lengths, kind="stable")
            parts = np.array_split(order, count_parts(largest, self.most_texts))
        place = np.empty(len(texts.lengths), dtype=np.int64)
        place[np.concatenate(parts)] = np.arange(len(place))
        return [self._pad(texts.take(part)) for part in parts], place

    def _pad(self, texts: Ragged) -> Features:
        width = max(1, int(texts.lengths.max()))
        column = np.arange(width)
        lengths = texts.lengths[:, None]
        mask = column >= width - lengths if self.left else column < lengths
        ids = np.full(mask.shape, self.padding, dtype=np.int64)
        ids[mask] = texts.ids
        features: Features = {
            "input_ids": torch.from_numpy(ids),
            "attention_mask": torch.from_numpy(mask.astype(np.int64)),
        }
        features |= {name: torch.zeros(mask.shape, dtype=torch.int64) for name in self.zeros}
        return features | dict(self.constants)


def find_packer(
    model: SentenceTransformer,
    roles: Sequence[Role],
    *,
    most_parts: int,
    most_texts: int | None,
) -> Packer | None:
    """Find out how an encoder wants its tokens.

    Args:
        model: The encoder.
        roles: What it will be used for.
        most_parts: Most parts of a batch.
        most_texts: Most texts of a part; default: any number.

    Returns:
        A packer, or None if the encoder's inputs are more than the tokens of each text.
    """
    probes = [probe(model, role) for role in roles]
    if all(is_flat(encoded) for encoded in probes):
        return FlatPacker(most_texts)
    if not all(_is_padded(encoded) for encoded in probes):
        return None
    constants = [_constants(model, encoded) for encoded in probes]
    if any(constant != constants[0] for constant in constants):
        return None
    mask = probes[0]["attention_mask"]
    fillers = probes[0]["input_ids"][mask == 0]
    return PaddedPacker(
        padding=int(fillers[0]) if len(fillers) else 0,
        left=bool((mask[:, 0] == 0).any()),
        zeros=tuple(key for key in probes[0] if _is_zero(probes[0][key])),
        constants=constants[0],
        most_parts=most_parts,
        most_texts=most_texts,
    )


def _constants(model: SentenceTransformer, encoded: Mapping[str, Any]) -> Features:
    """Return the inputs that are no tensors, less the length of the prompt where nothing asks."""
    constants = {key: value for key, value in encoded.items() if not torch.is_tensor(value)}
    if all(getattr(module, "include_prompt", True) for module in model):
        constants.pop("prompt_length", None)
    return constants


def _is_padded(encoded: Mapping[str, Any]) -> bool:
    tensors = {key: value for key, value in encoded.items() if torch.is_tensor(value)}
    shapes = {value.shape for value in tensors.values()}
    further = set(tensors) - {"input_ids", "attention_mask"}
    return (
        {"input_ids", "attention_mask"} <= set(tensors)
        and len(shapes) == 1
        and tensors["input_ids"].ndim == 2
        and all(_is_zero(tensors[key]) for key in further)
    )


def _is_zero(value: Any) -> bool:
    return torch.is_tensor(value) and not bool(value.any())
