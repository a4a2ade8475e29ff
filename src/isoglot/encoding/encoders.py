"""What encodes texts, whatever computes it: torch, onnxruntime or OpenVINO.

``open_text_encoder`` is the one way in for commands. No torch is imported until an encoder is
opened that needs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from isoglot.config.encoding import BACKENDS, PRECISIONS, Backend, Precision
from isoglot.config.model import ModelConfig
from isoglot.errors import ConfigError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["TextEncoder", "as_text_encoder", "open_text_encoder", "texts_per_call"]

_TEXTS_PER_CALL = 512


class TextEncoder(Protocol):
    """Encodes texts, and says what its vectors are."""

    @property
    def dim(self) -> int:
        """Numbers of a vector."""
        ...

    @property
    def identity(self) -> str:
        """SHA-256 over the original's weights and settings, whatever computes it."""
        ...

    @property
    def precision(self) -> str:
        """In which it computes."""
        ...

    @property
    def similarity(self) -> str:
        """``cosine`` or ``dot``, for which it was made."""
        ...

    @property
    def query_prompt(self) -> str:
        """Put before every query."""
        ...

    @property
    def passage_prompt(self) -> str:
        """Put before every passage."""
        ...

    def encode(
        self,
        texts: Sequence[str],
        role: Literal["query", "passage"],
        *,
        batch_size: int | None = None,
    ) -> NDArray[np.float32]:
        """Encode texts in their order.

        Args:
            texts: Any number.
            role: Which prompt to use.
            batch_size: Texts at a time, counted as texts of 128 tokens: of longer ones there are
                fewer. Default: by the kind of encoder.

        Returns:
            (texts, dim).
        """
        ...


def open_text_encoder(
    config: ModelConfig,
    *,
    backend: Backend = "torch",
    precision: Precision = "float32",
    device: str | None = None,
    threads: int | None = None,
) -> TextEncoder:
    """Open an encoder.

    ``backend="auto"``: torch on a GPU and for static encoders, whose own path has no graph to gain
    from; on a CPU OpenVINO where it is installed and can compute the encoder, else torch; for
    ``int8`` onnxruntime. ``precision="auto"``: ``bfloat16`` for a transformer where the processor
    has instructions for it, ``float16`` on a GPU that has only these, else ``float32``. The figures
    behind this are in docs/encoding.md.

    Args:
        config: The encoder and its options, or the folder of an exported one, which onnxruntime
            computes unless OpenVINO is asked for.
        backend: What computes.
        precision: In which it computes; static encoders have ``float32`` only.
        device: Torch device; default: the fastest there is. Others than torch use the CPU.
        threads: Default: one per core. Torch has one setting for the whole process.

    Raises:
        ConfigError: If backend and precision do not go together, or a package is not installed.
        ModelError: If the encoder cannot be loaded or exported.
    """
    from isoglot.encoding.opening import open_encoder

    for what, value, allowed in (
        ("backend", backend, BACKENDS),
        ("precision", precision, PRECISIONS),
    ):
        if value not in allowed:
            raise ConfigError(f"{what} {value!r} is unknown; use {', '.join(allowed)}")
    return open_encoder(config, backend, precision, device, threads)


def as_text_encoder(model: SentenceTransformer | TextEncoder) -> TextEncoder:
    """Return an encoder of sentence-transformers as what it is here; others as they are."""
    from sentence_transformers import SentenceTransformer

    from isoglot.encoding.sentence_encoder import SentenceEncoder

    return SentenceEncoder(model) if isinstance(model, SentenceTransformer) else model


def texts_per_call(encoder: TextEncoder) -> int:
    """Return how many texts to hand to an encoder between two steps of a progress bar."""
    own: Any = getattr(encoder, "texts_per_call", _TEXTS_PER_CALL)
    return int(own)
