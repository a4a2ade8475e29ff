"""The sentence-transformers module that corrects a text's vector by its language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from safetensors.torch import save_file
from sentence_transformers.base.modules import Module

from isoglot.errors import ConfigError
from isoglot.languages import normalize_language
from isoglot.models.correction.detection import score_texts

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["LanguageCorrection"]

_SUBTRACTED = ("mean", "shift")
_PASSAGES_ONLY = ("shift",)


class LanguageCorrection(Module):
    """Takes a language's mean, shift or first directions out of its texts' vectors.

    The language is what ``encode(..., language="sw")`` names for all texts of the call, or else is
    detected from each text's tokens, which always finds one of ``languages``. What is subtracted
    was learned from vectors of length 1 and is scaled to the vector's length, so that lengths mean
    what they meant before.

    Args:
        method: ``mean``, ``lir`` or ``shift``; the last leaves alone what is not encoded with
            ``task="document"``, as ``encode_document`` does.
        languages: Codes, in the order of what is learned of them.
        dim: Length of the vectors.
        components: Vectors per language; 1 but for ``lir``.
        tokens: Tokens by which languages are detected.
    """

    # What modules.json names; it must stay importable wherever the class moves.
    __module__ = "isoglot.models.correction"
    forward_kwargs: ClassVar[set[str]] = {"task", "language"}
    config_keys: ClassVar[list[str]] = ["method", "languages", "dim", "components", "tokens"]

    vectors: torch.Tensor
    """(languages, components, dim)."""
    token_scores: torch.Tensor
    """(tokens, languages)."""

    def __init__(
        self, method: str, languages: Sequence[str], dim: int, components: int, tokens: int
    ) -> None:
        super().__init__()
        self.method = method
        self.languages = list(languages)
        self.dim = dim
        self.components = components
        self.tokens = tokens
        # Buffers and not parameters: no optimiser moves them.
        self.register_buffer("vectors", torch.zeros(len(languages), components, dim))
        self.register_buffer("token_scores", torch.zeros(tokens, len(languages)))

    @classmethod
    def of(
        cls, method: str, languages: Sequence[str], vectors: torch.Tensor, scores: torch.Tensor
    ) -> Self:
        """Return the module of what was learned.

        Args:
            method: ``mean``, ``lir`` or ``shift``.
            languages: Codes.
            vectors: (languages, components, dim).
            scores: (tokens, languages), kept as float16.
        """
        module = cls(method, languages, vectors.shape[2], vectors.shape[1], len(scores))
        module.vectors.copy_(vectors)
        module.token_scores.copy_(scores.half())  # what a saved module has, so that both agree
        return module

    def forward(
        self,
        features: dict[str, torch.Tensor],
        task: str | None = None,
        language: str | None = None,
        **kwargs: Any,  # noqa: ANN401 - as in the base class
    ) -> dict[str, torch.Tensor]:
        """Correct ``sentence_embedding``, (texts, dim).

        Raises:
            ConfigError: If the language is not one of ``languages``.
            ModelError: If it is to be detected and there are no tokens.
        """
        named = None if language is None else self._position(language)
        if self.method in _PASSAGES_ONLY and task != "document":
            return features
        embeddings = features["sentence_embedding"]
        if named is None:
            rows = self.detect(features)
        else:
            rows = torch.full((len(embeddings),), named, device=embeddings.device)
        features["sentence_embedding"] = self._corrected(embeddings, rows)
        return features

    def detect(self, features: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the position of each text's language in ``languages``: (texts,) int64.

        Raises:
            ModelError: If the features hold no tokens.
        """
        return score_texts(features, self.token_scores).argmax(dim=1)

    def _corrected(self, embeddings: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        vectors = self.vectors.to(embeddings.dtype)[rows]
        if self.method in _SUBTRACTED:
            weights = embeddings.norm(dim=1, keepdim=True)
        else:
            weights = torch.einsum("tcd,td->tc", vectors, embeddings)
        return embeddings - torch.einsum("tc,tcd->td", weights, vectors)

    def _position(self, language: str) -> int:
        if not isinstance(language, str):
            raise ConfigError(
                f"language {language!r}: name one for all texts of a call, such as language='sw', "
                "or none to have each text's detected"
            )
        code = normalize_language(language)
        if code not in self.languages:
            raise ConfigError(
                f"language {language!r}: this correction was fitted on "
                f"{', '.join(self.languages)}; name one of them, or none to have it detected"
            )
        return self.languages.index(code)

    def save(self, output_path: str, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Write ``config.json`` and ``model.safetensors``."""
        self.save_config(output_path)
        state = {"vectors": self.vectors, "token_scores": self.token_scores.half()}
        save_file(
            {name: tensor.contiguous() for name, tensor in state.items()},
            str(Path(output_path, "model.safetensors")),
        )

    @classmethod
    def load(cls, model_name_or_path: str, subfolder: str = "", **kwargs: Any) -> Self:  # noqa: ANN401
        """Read what ``save`` wrote, from a folder or the hub."""
        known = ("token", "cache_folder", "revision", "local_files_only")
        hub = {key: kwargs[key] for key in known if key in kwargs}
        module = cls(**cls.load_config(model_name_or_path, subfolder=subfolder, **hub))
        cls.load_torch_weights(model_name_or_path, subfolder=subfolder, model=module, **hub)
        return module
