"""Which language a text is in, told by its tokens: naive Bayes with equal priors.

It needs nothing that an encoder does not have at hand, and as many numbers as tokens times
languages. A token counts by how much more probable it is in one language than in the others; tokens
that were never seen, of prompts, and special ones count nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from sentence_transformers import SentenceTransformer

from isoglot.errors import ModelError

__all__ = ["count_tokens", "learn_token_scores", "score_texts"]

_SMOOTHING = 0.1
"""Added to the count of every token in every language."""
_TEXTS_AT_A_TIME = 1024


def learn_token_scores(
    model: SentenceTransformer, texts: Mapping[str, Sequence[str]]
) -> npt.NDArray[np.float32]:
    """Count the tokens of each language and return how much each token says for it.

    The score of token t for language l is ``log p(t | l)`` less its mean over the languages, with
    ``p(t | l) = (n(t, l) + a) / (n(l) + a V)``, a = 0.1 and V tokens seen in any language.

    Args:
        model: Its tokenizer is used, without prompts.
        texts: By language; the languages' order is that of the columns.

    Returns:
        (tokens, languages); tokens with a larger id say nothing.

    Raises:
        ModelError: If the encoder makes no tokens.
    """
    counts = [count_tokens(model, of_lang) for of_lang in texts.values()]
    table = np.zeros((max(map(len, counts)), len(counts)))
    for column, count in enumerate(counts):
        table[: len(count), column] = count
    table[[token for token in _neutral_tokens(model) if token < len(table)]] = 0.0
    seen = table.sum(axis=1) > 0
    smoothed = table + _SMOOTHING
    scores = np.log(smoothed / smoothed[seen].sum(axis=0))
    scores -= scores.mean(axis=1, keepdims=True)
    return np.where(seen[:, None], scores, 0.0).astype(np.float32)


def count_tokens(model: SentenceTransformer, texts: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return how often each token comes in some texts: (largest id + 1,), padding left out.

    Raises:
        ModelError: If the encoder makes no tokens.
    """
    counts = np.zeros(0, dtype=np.int64)
    for start in range(0, len(texts), _TEXTS_AT_A_TIME):
        features = model.preprocess(list(texts[start : start + _TEXTS_AT_A_TIME]))
        more = np.bincount(_tokens(features).numpy(), minlength=len(counts))
        more[: len(counts)] += counts
        counts = more
    return counts


def score_texts(features: Mapping[str, torch.Tensor], scores: torch.Tensor) -> torch.Tensor:
    """Sum the scores of each text's tokens.

    Args:
        features: What an encoder's modules pass on: ``input_ids`` with the ``attention_mask`` of
            padded tokens, or in one row with the ``offsets`` of a static encoder's texts or the
            ``cu_seq_lens_q`` of a transformer's.
        scores: (tokens, languages); ids beyond count nothing.

    Returns:
        (texts, languages) float32.

    Raises:
        ModelError: If there are no tokens.
    """
    ids = features.get("input_ids")
    if ids is None:
        raise ModelError(
            "the language of these inputs cannot be detected, because the encoder passes on no "
            "tokens; name it: encode(..., language='sw')"
        )
    rows = scores[ids.clamp(max=len(scores) - 1)].float()
    rows = rows * (ids < len(scores))[..., None]
    if "attention_mask" in features:
        return (rows * features["attention_mask"][..., None]).sum(dim=1)
    flat = rows.reshape(-1, scores.shape[1])
    starts = features["offsets"] if "offsets" in features else features["cu_seq_lens_q"][:-1]
    ends = torch.cat([starts[1:], starts.new_tensor([len(flat)])])
    texts = torch.repeat_interleave(torch.arange(len(starts), device=flat.device), ends - starts)
    return flat.new_zeros(len(starts), scores.shape[1]).index_add_(0, texts, flat)


def _tokens(features: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Return the ids of all texts in one row, without padding."""
    if "input_ids" not in features:
        raise ModelError(
            "languages cannot be told apart by tokens, because the encoder makes none; the method "
            "lsar needs no language"
        )
    ids = features["input_ids"]
    if "attention_mask" in features:
        return ids[features["attention_mask"].bool()]
    return ids.reshape(-1)


def _neutral_tokens(model: SentenceTransformer) -> set[int]:
    """Return the tokens of the encoder's prompts, and special ones."""
    neutral = set(getattr(model.tokenizer, "all_special_ids", ()))
    for prompt in filter(None, model.prompts.values()):
        neutral.update(_tokens(model.preprocess([prompt])).tolist())
    return neutral
