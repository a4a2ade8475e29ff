"""By what two encoders are known to be the same: a hash over all that decides their vectors."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Pooling
from tokenizers import Tokenizer

__all__ = ["model_identity", "remaining_settings"]


def model_identity(model: SentenceTransformer) -> str:
    """Return the SHA-256 over an encoder's weights, tokenizers and main settings.

    Settings are the kinds of modules, pooling, activation functions of dense layers, maximum length
    and the name of the default prompt; `remaining_settings` are not seen. The prompts of queries
    and passages are not part of it. Of a fast tokenizer, vocabulary and rules count; of a slow one,
    class and vocabulary.
    """
    digest = hashlib.sha256()
    settings: dict[str, Any] = {
        "modules": [type(module).__name__ for module in model],
        "pooling": [_describe_pooling(module) for module in model if isinstance(module, Pooling)],
        "max_tokens": getattr(model, "max_seq_length", None),
        "default_prompt": model.default_prompt_name,
        "tokenizers": [_describe_tokenizer(module) for module in model],
    }
    dense = [module for module in model if isinstance(module, Dense)]
    if dense:  # added later; encoders without keep what they are known by
        settings["activations"] = [str(module.activation_function) for module in dense]
    digest.update(json.dumps(settings).encode())
    for name, weights in sorted(model.state_dict().items()):
        digest.update(f"{name} {weights.dtype} {tuple(weights.shape)}".encode())
        # As bytes, because numpy has no bfloat16.
        raw = weights.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(raw.numpy())
    return digest.hexdigest()


def remaining_settings(model: SentenceTransformer) -> str:
    """Return as JSON what else may decide vectors, in a form that may change with the libraries.

    For what can be made again, such as an export; for what cannot, there is `model_identity`.
    """
    modules: list[Any] = [getattr(module, "get_config_dict", dict)() for module in model]
    configs = [module.config.to_dict() for module in model if hasattr(module, "config")]
    for config in configs:
        config.pop("_name_or_path", None)  # of this machine
    settings = [modules, configs, model.truncate_dim, model.similarity_fn_name]
    return json.dumps(settings, sort_keys=True, default=str)


def _describe_pooling(pooling: Pooling) -> Any:  # noqa: ANN401 - a JSON value
    mode = pooling.pooling_mode
    return mode if pooling.include_prompt else [mode, "without the prompt"]


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
