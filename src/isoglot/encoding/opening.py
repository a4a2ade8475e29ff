"""Choose what computes an encoder, and open it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Literal

import torch
from sentence_transformers.sentence_transformer.modules import StaticEmbedding

from isoglot.config.encoding import Backend, Precision
from isoglot.config.model import ModelConfig
from isoglot.encoding.graph_encoder import GraphEncoder, export_to_cache, exported_folder
from isoglot.encoding.sentence_encoder import SentenceEncoder, compute_in
from isoglot.errors import ConfigError, ModelError
from isoglot.models.identity import model_identity, remaining_settings
from isoglot.models.loading import load_encoder

__all__ = ["open_encoder"]

_EXPORTERS = ("onnx", "onnxscript", "onnxruntime")
_OPTIONS_OF_EXPORTS = ("name", "query_prompt", "passage_prompt")


def open_encoder(
    config: ModelConfig,
    backend: Backend,
    precision: Precision,
    device: str | None,
    threads: int | None,
) -> SentenceEncoder | GraphEncoder:
    """Open an encoder; see ``isoglot.encoding.encoders.open_text_encoder``."""
    folder = exported_folder(config.name)
    if folder is not None:
        if device not in (None, "cpu"):
            raise ConfigError(
                f"{folder}: an exported encoder computes on the CPU, not on {device!r}; leave the "
                "device out, or name the encoder that was exported"
            )
        return _open_exported(folder, config, backend, precision, threads)
    if device not in (None, "cpu") and backend in ("onnx", "openvino"):
        raise ConfigError(f"backend {backend} computes on the CPU, not on {device!r}; use torch")
    model = load_encoder(config, "cpu" if backend in ("onnx", "openvino") else device)
    static = isinstance(model[0], StaticEmbedding)
    on_cpu = model.device.type == "cpu"
    if backend == "onnx" and precision == "auto":
        precision = "float32"  # onnxruntime has no faster one that keeps the vectors
    chosen = _precision(precision, static=static, device=model.device)
    identity = model_identity(model)
    encoder = SentenceEncoder(model, identity=identity, precision=chosen)
    if backend == "auto":
        found = _fastest(config, encoder, chosen, threads) if on_cpu and not static else None
        if found is not None:
            return found
    elif backend != "torch":
        return _open_graph(config, encoder, backend, chosen, threads)
    if chosen == "int8":
        raise ConfigError("backend torch does not compute in int8; use backend onnx, on the CPU")
    if threads is not None:
        torch.set_num_threads(threads)
    compute_in(model, chosen)
    return encoder


def _open_exported(
    folder: Path, config: ModelConfig, backend: Backend, precision: Precision, threads: int | None
) -> GraphEncoder:
    unused = sorted(config.model_fields_set - set(_OPTIONS_OF_EXPORTS))
    if unused:
        raise ConfigError(
            f"{folder}: was exported with its {unused[0]}, which cannot be changed; leave it out "
            "or export again"
        )
    runtime: Literal["onnx", "openvino"] = "openvino" if backend == "openvino" else "onnx"
    return GraphEncoder(
        folder,
        runtime=runtime,
        precision="float32" if precision == "auto" else precision,
        query_prompt=config.query_prompt,
        passage_prompt=config.passage_prompt,
        threads=threads,
    )


def _precision(wanted: Precision, *, static: bool, device: torch.device) -> str:
    """Return the precision to compute in.

    Raises:
        ConfigError: If a static encoder is to compute in another one than float32.
    """
    if static:
        if wanted not in ("auto", "float32"):
            raise ConfigError(
                f"a static encoder computes in float32, not {wanted}: it looks vectors up and "
                "multiplies nothing; leave the precision out, or store float16 with dtype"
            )
        return "float32"
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        # PyTorch counts it as supported, too, where it is slow, for want of instructions.
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
        return "bfloat16" if fast else "float16"
    return "bfloat16" if device.type == "cpu" and _cpu_has_bfloat16() else "float32"


def _cpu_has_bfloat16() -> bool:
    """Say whether the CPU multiplies bfloat16 numbers by instructions of its own."""
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def _fastest(
    config: ModelConfig, encoder: SentenceEncoder, precision: str, threads: int | None
) -> GraphEncoder | None:
    """Return the encoder as a graph where that is faster on a CPU and can be had, else None."""
    if precision == "int8":
        return _open_graph(config, encoder, "onnx", precision, threads)
    packages = ("openvino", *_EXPORTERS)
    if precision == "float16" or not all(map(importlib.util.find_spec, packages)):
        return None
    try:
        return _open_graph(config, encoder, "openvino", precision, threads)
    except ModelError:  # it has no graph, and torch computes it all the same
        return None


def _open_graph(
    config: ModelConfig,
    encoder: SentenceEncoder,
    runtime: Literal["onnx", "openvino"],
    precision: str,
    threads: int | None,
) -> GraphEncoder:
    settings = (encoder.query_prompt, encoder.passage_prompt, remaining_settings(encoder.model))
    return GraphEncoder(
        export_to_cache(config, encoder.identity, settings),
        runtime=runtime,
        precision=precision,
        identity=encoder.identity,
        threads=threads,
    )
