"""An exported graph as a text encoder, computed by onnxruntime or OpenVINO.

Encoders that were not exported by hand are exported into the cache, once; a folder there is found
by what decides the vectors, never by a name. Nothing here is computed by torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from isoglot.artifacts import file_sha256, is_complete
from isoglot.config.model import ModelConfig
from isoglot.data.download import cache_folder
from isoglot.errors import ArtifactError, ConfigError
from isoglot.models.onnx import (
    DESCRIPTION_FILE,
    GRAPH_FILE,
    TOKENIZER_FILE,
    GraphRun,
    OnnxEncoder,
    open_graph,
)
from isoglot.models.runtimes import open_openvino, write_int8

__all__ = ["GraphEncoder", "export_to_cache", "exported_folder"]

_BATCH_SIZE = 32
"""Texts of 128 tokens at a time."""
_OPENVINO_STEP = 8
"""Texts are padded to a multiple of so many tokens. OpenVINO keeps what it prepares for a shape: of
a tiny encoder 3 GB for 2,000 shapes; so there are about a hundred."""
_PRECISIONS = {"onnx": ("float32", "int8"), "openvino": ("float32", "bfloat16")}


class GraphEncoder:
    """An exported encoder; see ``isoglot.encoding.encoders.TextEncoder``.

    Args:
        folder: What ``isoglot export`` wrote.
        runtime: ``onnx`` or ``openvino``.
        precision: For ``onnx`` ``float32`` or ``int8``, for ``openvino`` ``float32`` or
            ``bfloat16``.
        identity: Of the encoder that was exported; default: what the export says, or the hash of
            its files.
        query_prompt: In the place of the exported one.
        passage_prompt: Likewise.
        threads: Threads of one call; default: as many as there are cores.

    Raises:
        ArtifactError: If the folder is not a complete export.
        ConfigError: If the runtime is not installed or does not have the precision.
        ModelError: If graph or tokenizer are damaged.
    """

    def __init__(
        self,
        folder: Path,
        *,
        runtime: Literal["onnx", "openvino"],
        precision: str = "float32",
        identity: str | None = None,
        query_prompt: str | None = None,
        passage_prompt: str | None = None,
        threads: int | None = None,
    ) -> None:
        if precision not in _PRECISIONS[runtime]:
            allowed = " or ".join(_PRECISIONS[runtime])
            raise ConfigError(
                f"backend {runtime} does not compute in {precision}; use {allowed}, or another "
                "backend"
            )
        opener = partial(_open, runtime=runtime, precision=precision, threads=threads)
        step = _OPENVINO_STEP if runtime == "openvino" else 1
        self._encoder = OnnxEncoder(folder, opener=opener, token_step=step)
        description = self._encoder.description
        self.dim = self._encoder.dim
        self.precision = precision
        self.identity: str = (
            identity
            or description.get("identity")
            or _hash_files([folder / TOKENIZER_FILE, *_graph_files(folder / GRAPH_FILE)])
        )
        self.similarity: str = description["similarity"]
        prompts = self._encoder.prompts
        self.query_prompt = prompts["query"] if query_prompt is None else query_prompt
        self.passage_prompt = prompts["passage"] if passage_prompt is None else passage_prompt

    def encode(
        self,
        texts: Sequence[str],
        role: Literal["query", "passage"],
        *,
        batch_size: int | None = None,
    ) -> NDArray[np.float32]:
        """Encode texts in their order: (texts, dim)."""
        prompt = self.query_prompt if role == "query" else self.passage_prompt
        return self._encoder.encode(texts, prompt=prompt, batch_size=batch_size or _BATCH_SIZE)


def exported_folder(name: str) -> Path | None:
    """Return the folder if a model's name is that of an exported encoder, else None."""
    folder = Path(name).expanduser()
    return folder if is_complete(folder) and (folder / DESCRIPTION_FILE).is_file() else None


def export_to_cache(config: ModelConfig, identity: str, settings: Sequence[str]) -> Path:
    """Return the folder of an encoder's export in the cache, exported first if it is not there.

    Args:
        config: The encoder.
        identity: Its identity.
        settings: Its prompts and other settings, which are no part of that.

    Raises:
        ArtifactError: If the cache cannot be written.
        ConfigError: If a package is not installed.
        ModelError: If the encoder cannot be exported.
    """
    from isoglot.models.export import export_encoder

    key = hashlib.sha256(json.dumps([identity, *settings]).encode()).hexdigest()[:32]
    folder = cache_folder() / "graphs" / key
    if not is_complete(folder):
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(folder.with_suffix(".lock")):
                if not is_complete(folder):  # another process may have exported it meanwhile
                    export_encoder(config, folder)
        except OSError as error:
            raise ArtifactError(
                f"{folder}: cannot be written ({error.strerror or error}); set ISOGLOT_CACHE to a "
                "folder for graphs, or use backend torch, which needs none"
            ) from error
    return folder


def _open(graph: Path, *, runtime: str, precision: str, threads: int | None) -> GraphRun:
    if runtime == "openvino":
        hint: Literal["float32", "bfloat16"] = "float32" if precision == "float32" else "bfloat16"
        return open_openvino(graph, precision=hint, threads=threads)
    return open_graph(_int8(graph) if precision == "int8" else graph, threads=threads)


def _int8(graph: Path) -> Path:
    """Return the copy of a graph with 8-bit weights, made first if it is not in the cache."""
    if not graph.is_file():
        return graph  # which the runtime says
    target = cache_folder() / "graphs" / f"{_hash_files(_graph_files(graph))[:32]}-int8.onnx"
    if not target.is_file():
        write_int8(graph, target)
    return target


def _graph_files(graph: Path) -> list[Path]:
    """Return the files of a graph: its weights are in a second one if they are large."""
    files = [graph, graph.with_name(f"{graph.name}.data")]
    return [file for file in files if file.is_file()]


def _hash_files(files: Sequence[Path]) -> str:
    return hashlib.sha256(json.dumps([file_sha256(file) for file in files]).encode()).hexdigest()
