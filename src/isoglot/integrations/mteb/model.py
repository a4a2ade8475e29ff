"""An encoder in the form of MTEB's ``EncoderProtocol``."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from mteb.models.abs_encoder import AbsEncoder
from mteb.models.model_meta import ModelMeta, ScoringFunction
from mteb.types import PromptType

from isoglot.config.schema import ModelConfig
from isoglot.encoding.encode import encode_texts
from isoglot.errors import ConfigError
from isoglot.integrations.mteb.subsets import langscript
from isoglot.models.loading import load_encoder

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sentence_transformers import SentenceTransformer

__all__ = ["IsoglotEncoder"]

_OPTIONS = ("pooling", "query_prompt", "passage_prompt", "max_tokens")
_MINI: dict[str, Any] = {
    "languages": [
        langscript(code)
        for code in "ar bn de el en es fa fi fr hi id ja ko ru sw te th tr vi yo zh".split()
    ],
    "license": "cc-by-sa-4.0",
    "open_weights": True,
    # MTEB's names of what its training data hold, for "zero-shot" to be said truly.
    "training_datasets": {"Tatoeba", "FloresBitextMining", "NTREXBitextMining"},
}


class IsoglotEncoder(AbsEncoder):
    """A sentence-transformers model with isoglot's prompts for queries and passages.

    Args:
        model: The encoder.
        meta: What MTEB shall know of it.
    """

    mteb_model_meta: ModelMeta

    def __init__(self, model: SentenceTransformer, meta: ModelMeta) -> None:
        self.model = model
        self.mteb_model_meta = meta

    @classmethod
    def from_config(cls, config: ModelConfig, device: str | None = None) -> IsoglotEncoder:
        """Load the model that the config describes.

        Raises:
            ModelError: If it cannot be found or loaded.
        """
        model = load_encoder(config, device)
        return cls(model, _meta(config, model))

    def encode(
        self,
        inputs: Iterable[dict[str, Any]],
        *,
        task_metadata: Any,  # noqa: ANN401 - the protocol's, not needed here
        hf_split: str,
        hf_subset: str,
        prompt_type: PromptType | None = None,
        **kwargs: Any,  # noqa: ANN401 - the options of the protocol
    ) -> Any:  # noqa: ANN401 - an array
        """Encode texts: queries and passages with their prompts, others as they are.

        Args:
            inputs: Batches with a field ``text``.
            task_metadata: Not used: prompts go by role, not by task.
            hf_split: Not used.
            hf_subset: Not used.
            prompt_type: The role, or None in tasks that are no retrieval.
            **kwargs: ``batch_size`` and ``show_progress_bar``.

        Returns:
            (texts, dim) float32.

        Raises:
            ConfigError: If another option is given.
        """
        batch_size = kwargs.pop("batch_size", None)
        show_progress = bool(kwargs.pop("show_progress_bar", False))
        if kwargs:
            raise ConfigError(
                f"encode_kwargs: unknown option {min(kwargs)!r}; "
                "allowed: batch_size, show_progress_bar"
            )
        texts = [text for batch in inputs for text in batch["text"]]
        if prompt_type is None:
            options = {"show_progress_bar": show_progress, "batch_size": batch_size or 32}
            return self.model.encode(texts, **options).astype(np.float32)
        return encode_texts(
            self.model,
            texts,
            "query" if prompt_type == PromptType.query else "passage",
            batch_size=batch_size,
            show_progress=show_progress,
        )

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Any:  # noqa: ANN401 - arrays
        """Return all scores by the model's own similarity: (rows of 1, rows of 2)."""
        return self.model.similarity(embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Any:  # noqa: ANN401
        """Return the scores of the pairs by the model's own similarity: (rows,)."""
        return self.model.similarity_pairwise(embeddings1, embeddings2)


def _meta(config: ModelConfig, model: SentenceTransformer) -> ModelMeta:
    parameters = list(model.parameters())
    facts: dict[str, Any] = {
        "name": _name(config.name),
        "revision": config.revision or _fingerprint(model),
        "n_parameters": sum(parameter.numel() for parameter in parameters),
        "memory_usage_mb": sum(p.numel() * p.element_size() for p in parameters) / 2**20,
        "max_tokens": getattr(model, "max_seq_length", None),
        "embed_dim": model.get_embedding_dimension(),
        "framework": ["Sentence Transformers", "PyTorch"],
        "similarity_fn_name": ScoringFunction(str(model.similarity_fn_name)),
        "use_instructions": any(model.prompts.values()),
        # MTEB keeps the results of a model apart by these.
        "experiment_kwargs": config.model_dump(include=set(_OPTIONS), exclude_none=True) or None,
    }
    return ModelMeta.create_empty({**facts, **(_MINI if config.name == "mini" else {})})


def _name(name: str) -> str:
    """Return ``organization/model``, which MTEB asks for."""
    if name == "mini":
        return "isoglot/mini"
    folder = Path(name).expanduser()
    if folder.is_dir() or "/" not in name:
        return f"local/{folder.resolve().name}"
    return name


def _fingerprint(model: SentenceTransformer) -> str:
    """Return a hash of weights, modules and prompts: the revision where there is no commit."""
    digest = hashlib.sha256(f"{model} {sorted(model.prompts.items())}".encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).float().numpy().tobytes())
    return digest.hexdigest()[:16]
