"""What an encoder makes of texts, for a query and for a passage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from sentence_transformers import SentenceTransformer

from isoglot.models.prompts import passage_prompt, query_prompt

__all__ = [
    "Role",
    "is_flat",
    "probe",
    "probe_tokens",
    "ragged_tokens",
    "read",
    "read_alike",
    "training_roles",
]

_BLOCK = 1024
"""Texts that are padded to the longest of them at a time, when tokens are made."""
_PROBES = ("a", "isoglot: one question, many languages.", "какой язык?", "a b c d " * 1000)
"""The last is longer than what any encoder of sentences reads."""


class Role(NamedTuple):
    """What texts are read as."""

    task: str
    """``query`` or ``document``, as ``encode_query`` and ``encode_document`` name it."""
    prompt: str
    """Put before every text."""


def training_roles(model: SentenceTransformer) -> tuple[Role, Role]:
    """Return how ``encode_query`` and ``encode_document`` read texts, empty prompts included."""
    return (
        Role("query", query_prompt(model)),
        Role("document", passage_prompt(model)),
    )


def read(model: SentenceTransformer, texts: Sequence[str], role: Role) -> Mapping[str, Any]:
    """Return an encoder's inputs for texts."""
    encoded: Mapping[str, Any] = model.preprocess(list(texts), prompt=role.prompt, task=role.task)
    return encoded


def probe(model: SentenceTransformer, role: Role) -> Mapping[str, Any]:
    """Return an encoder's inputs for a few texts, from which it is seen what it wants."""
    return read(model, _PROBES, role)


def probe_tokens(model: SentenceTransformer, role: Role) -> list[list[int]]:
    """Return the tokens of the same texts."""
    return ragged_tokens(model, list(_PROBES), role)


def read_alike(model: SentenceTransformer, one: Role, other: Role) -> bool:
    """Say whether an encoder makes the same of texts in two roles."""
    return one.prompt == other.prompt and probe_tokens(model, one) == probe_tokens(model, other)


def ragged_tokens(model: SentenceTransformer, texts: list[str], role: Role) -> list[list[int]]:
    """Return what an encoder makes of texts, without padding: the tokens of each."""
    tokens: list[list[int]] = []
    for start in range(0, len(texts), _BLOCK):
        encoded = read(model, texts[start : start + _BLOCK], role)
        ids = encoded["input_ids"].numpy()
        if is_flat(encoded):
            rows = np.split(ids, encoded["offsets"].numpy()[1:])
        else:
            mask = encoded["attention_mask"].numpy().astype(bool)
            rows = np.split(ids[mask], np.cumsum(mask.sum(axis=1))[:-1])
        tokens.extend(row.tolist() for row in rows)
    return tokens


def is_flat(encoded: Mapping[str, Any]) -> bool:
    """Say whether inputs are tokens one after another with offsets, as of static encoders."""
    return set(encoded) == {"input_ids", "offsets"}
