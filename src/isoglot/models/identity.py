"""By what two encoders are known to be the same: a hash over all that decides their vectors."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling
from tokenizers import Tokenizer

__all__ = ["model_identity"]


def model_identity(model: SentenceTransformer) -> str:
    """Return the SHA-256 over an encoder's weights, tokenizers and main settings.

    Settings are the kinds of modules, pooling, maximum length and the name of the default prompt;
    others, such as the activation function of a dense layer, are not seen. The prompts of queries
    and passages are not part of it. Of a fast tokenizer, vocabulary and rules count; of a slow one,
    class and vocabulary.
    """
    digest = hashlib.sha256()
    settings = {
        "modules": [type(module).__name__ for module in model],
        "pooling": [module.pooling_mode for module in model if isinstance(module, Pooling)],
        "max_tokens": getattr(model, "max_seq_length", None),
        "default_prompt": model.default_prompt_name,
        "tokenizers": [_describe_tokenizer(module) for module in model],
    }
    digest.update(json.dumps(settings).encode())
    for name, weights in sorted(model.state_dict().items()):
        digest.update(f"{name} {weights.dtype} {tuple(weights.shape)}".encode())
        # As bytes, because numpy has no bfloat16.
        raw = weights.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(raw.numpy())
    return digest.hexdigest()


def _describe_tokenizer(module: Any) -> str | None:  # noqa: ANN401 - any module of an encoder
    """Return what decides how a module cuts texts into tokens; None where it does not."""
    tokenizer = getattr(module, "tokenizer", None)
    if tokenizer is None:
        return None
    if isinstance(tokenizer, Tokenizer):
        return str(tokenizer.to_str())
    if (backend := getattr(tokenizer, "backend_tokenizer", None)) is not None:
        rules = json.loads(backend.to_str())
        # Set anew by every call of the encoder, from the maximum length and these two sides.
        del rules["truncation"], rules["padding"]
        return json.dumps([rules, tokenizer.truncation_side, tokenizer.padding_side])
    vocabulary = tokenizer.get_vocab() if hasattr(tokenizer, "get_vocab") else None
    return json.dumps([type(tokenizer).__name__, vocabulary], sort_keys=True)
