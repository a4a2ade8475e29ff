"""Reads what ``isoglot export`` writes: an ONNX graph from tokens to embeddings, and its tokenizer.

Needs numpy, tokenizers and onnxruntime, or OpenVINO in its place; neither torch nor transformers.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from isoglot.artifacts import COMPLETE, is_complete, read_json
from isoglot.errors import ArtifactError, ConfigError, ModelError
from isoglot.models.token_batches import TYPICAL_TOKENS, TokenRows, chunk_texts, token_batches

__all__ = [
    "DESCRIPTION_FILE",
    "GRAPH_FILE",
    "OUTPUT",
    "TOKENIZER_FILE",
    "GraphRun",
    "OnnxEncoder",
    "import_onnxruntime",
    "open_graph",
]

DESCRIPTION_FILE = "encoder.json"
GRAPH_FILE = "onnx/model.onnx"
TOKENIZER_FILE = "tokenizer.json"
OUTPUT = "sentence_embedding"
_BATCH_SIZE = 64
_TOKENIZED = 4096
"""Texts whose tokens are held at a time."""

GraphRun = Callable[[Mapping[str, npt.NDArray[np.int64]]], npt.NDArray[np.float32]]
"""Computes a graph: from (texts, tokens) arrays by input name to (texts, dim)."""


class OnnxEncoder:
    """An exported encoder: the vectors of the original from onnxruntime.

    Args:
        folder: What ``isoglot export`` wrote.
        threads: Threads of one call; default: as many as there are cores.
        providers: Where onnxruntime computes, by preference.
        opener: Opens the graph; default: `open_graph`, with these threads and providers.
        token_step: Pad texts to a multiple of so many tokens, for what prepares itself anew for
            every shape; but never beyond the longest text that is read.

    Attributes:
        dim: Numbers of a vector.
        prompts: What is put before a text, by role: ``query``, ``passage`` and ``other``.
        description: The folder's ``encoder.json``.

    Raises:
        ArtifactError: If the folder is not a complete export.
        ConfigError: If onnxruntime is not installed.
        ModelError: If the graph or the tokenizer is damaged.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        threads: int | None = None,
        providers: Sequence[str] = ("CPUExecutionProvider",),
        opener: Callable[[Path], GraphRun] | None = None,
        token_step: int = 1,
    ) -> None:
        folder = Path(folder)
        if not is_complete(folder):
            raise ArtifactError(
                f"{folder}: not an exported encoder, there is no {COMPLETE}; "
                "give the --output of isoglot export"
            )
        self.description: dict[str, Any] = read_json(folder / DESCRIPTION_FILE)
        self.dim: int = self.description["dim"]
        self.prompts: dict[str, str] = self.description["prompts"]
        self._inputs: list[str] = self.description["inputs"]
        self._token_step = token_step
        self._tokenizer = _read_tokenizer(folder / TOKENIZER_FILE)
        padding: dict[str, Any] = self._tokenizer.padding or {}
        self._pad_id: int = padding.get("pad_id", 0)
        self._pads_left: bool = padding.get("direction") == "left"
        self._tokenizer.no_padding()  # done here, after texts are sorted by their tokens
        opener = opener or partial(open_graph, threads=threads, providers=providers)
        self._run = opener(folder / GRAPH_FILE)

    def encode_query(
        self, texts: Sequence[str], *, batch_size: int = _BATCH_SIZE
    ) -> npt.NDArray[np.float32]:
        """Encode queries with their prompt; as ``encode``."""
        return self._encode(texts, self.prompts["query"], batch_size)

    def encode_document(
        self, texts: Sequence[str], *, batch_size: int = _BATCH_SIZE
    ) -> npt.NDArray[np.float32]:
        """Encode passages with their prompt; as ``encode``."""
        return self._encode(texts, self.prompts["passage"], batch_size)

    def encode(
        self, texts: Sequence[str], *, prompt: str | None = None, batch_size: int = _BATCH_SIZE
    ) -> npt.NDArray[np.float32]:
        """Encode texts in their order.

        Args:
            texts: Any number.
            prompt: Put before every text; default: what the original puts before texts that are
                neither query nor passage, usually nothing.
            batch_size: Most texts at a time.

        Returns:
            (texts, dim) float32.
        """
        return self._encode(texts, self.prompts["other"] if prompt is None else prompt, batch_size)

    def _encode(
        self, texts: Sequence[str], prompt: str, batch_size: int
    ) -> npt.NDArray[np.float32]:
        if isinstance(texts, str):
            raise TypeError("expected a sequence of texts, got one text; put it in a list")
        embeddings = np.empty((len(texts), self.dim), dtype=np.float32)
        special: bool = self.description["special_tokens"]
        for part in chunk_texts(texts, _TOKENIZED):
            prompted = [prompt + text for text in texts[part]]
            encodings = self._tokenizer.encode_batch_fast(prompted, add_special_tokens=special)
            tokens = TokenRows(encodings, with_types="token_type_ids" in self._inputs)
            for rows in token_batches(tokens.lengths, batch_size, batch_size * TYPICAL_TOKENS):
                width = self._width(int(tokens.lengths[rows[0]]))
                padded = tokens.pad(rows, pad_id=self._pad_id, left=self._pads_left, at_least=width)
                inputs = {name: padded[name] for name in self._inputs}
                embeddings[part.start + rows] = self._run(inputs)
        return embeddings

    def _width(self, longest: int) -> int:
        """Return how many tokens texts are padded to of which the longest has so many."""
        wide = max(1, -(-longest // self._token_step)) * self._token_step
        return min(wide, self.description["max_tokens"] or wide)


def import_onnxruntime() -> ModuleType:
    """Return onnxruntime.

    Raises:
        ConfigError: If it is not installed.
    """
    try:
        return importlib.import_module("onnxruntime")
    except ImportError as error:
        raise ConfigError(
            "exported encoders need onnxruntime, which is not installed; "
            "pip install 'isoglot[onnx]'"
        ) from error


def _read_tokenizer(path: Path) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the class it raises is not more than that
        raise ModelError(f"{path}: cannot be read as a tokenizer ({error})") from error


def open_graph(
    path: Path, *, threads: int | None = None, providers: Sequence[str] = ("CPUExecutionProvider",)
) -> GraphRun:
    """Open a graph in onnxruntime.

    Args:
        path: File of the graph.
        threads: Threads of one call; default: as many as there are cores.
        providers: Where to compute, by preference.

    Raises:
        ConfigError: If onnxruntime is not installed.
        ModelError: If the graph is damaged.
    """
    runtime = import_onnxruntime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    try:
        session = runtime.InferenceSession(str(path), options, providers=list(providers))
    except Exception as error:
        # Its own classes of errors have no common base that it exports.
        reason = (str(error).splitlines() or ["no message"])[0]
        raise ModelError(f"{path}: cannot be loaded by onnxruntime ({reason})") from error

    def run(inputs: Mapping[str, npt.NDArray[np.int64]]) -> npt.NDArray[np.float32]:
        vectors: npt.NDArray[np.float32] = session.run([OUTPUT], dict(inputs))[0]
        return vectors

    return run
