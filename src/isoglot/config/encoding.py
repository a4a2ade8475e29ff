"""Configuration of encoding: what computes the vectors, in which precision, and how they lie."""

from __future__ import annotations

from typing import Literal

from isoglot.config.loading import StrictModel
from isoglot.config.types import Positive

__all__ = ["BACKENDS", "PRECISIONS", "Backend", "EncodingConfig", "Precision"]

Backend = Literal["auto", "torch", "onnx", "openvino"]
BACKENDS: tuple[Backend, ...] = ("auto", "torch", "onnx", "openvino")
Precision = Literal["auto", "float32", "bfloat16", "float16", "int8"]
PRECISIONS: tuple[Precision, ...] = ("auto", "float32", "bfloat16", "float16", "int8")


class EncodingConfig(StrictModel):
    """How a corpus is encoded."""

    backend: Backend = "auto"
    """What computes: ``torch``, or ``onnx`` (onnxruntime) or ``openvino`` with a graph that is
    exported first. ``auto``: what was measured to be fastest; see docs/encoding.md."""
    precision: Precision = "auto"
    """In which the encoder computes. ``auto``: ``bfloat16`` where the processor has instructions
    for it, else ``float32``. ``int8`` trades quality for speed."""
    dtype: Literal["float32", "float16"] = "float32"
    """In which vectors are stored."""
    shard_size: Positive = 100_000
    """Passages per file of vectors; what an interrupted run loses at most."""
    batch_size: Positive | None = None
    """Texts at a time; default: by the kind of encoder."""
    threads: Positive | None = None
    """Threads of the encoder; default: one per core."""
    device: str | None = None
    """Torch device, such as ``cuda``; default: the fastest there is."""
    verify: bool = False
    """Compare the SHA-256 of shards that are there, not only their size."""
    mix_precisions: bool = False
    """Add to vectors of another precision."""
