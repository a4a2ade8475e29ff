"""Write an encoder as an ONNX graph, with all that its vectors need, and prove that they are equal.

A folder is built beside its final place and moved there when onnxruntime has given the encoder's
own vectors for texts in many scripts and lengths, so no wrong or unfinished export is ever found.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import (
    Normalize,
    Pooling,
    StaticEmbedding,
    Transformer,
)
from tokenizers import Tokenizer

from isoglot.artifacts import mark_complete, provenance, write_json, write_text
from isoglot.config.model import ModelConfig
from isoglot.data.mini import load_mini_groups
from isoglot.errors import ArtifactError, ConfigError, IsoglotError, ModelError
from isoglot.models.identity import model_identity
from isoglot.models.loading import load_encoder
from isoglot.models.onnx import (
    DESCRIPTION_FILE,
    GRAPH_FILE,
    OUTPUT,
    TOKENIZER_FILE,
    OnnxEncoder,
    import_onnxruntime,
)
from isoglot.models.onnx_graph import input_names, write_graph
from isoglot.models.prompts import other_prompt, passage_prompt, query_prompt

__all__ = ["FORMATS", "Exported", "export_encoder"]

FORMATS = ("onnx",)
_TOLERANCE = 1e-4
"""Length of the difference of two vectors over the length of the vector. Rounding amounts to 2e-6
in a transformer of 12 layers; a wrong mask, prompt or pooling to more than 1e-2. Within it, a
cosine similarity moves by at most 2e-4."""
_BATCH_SIZES = (1, 3, 32)
_EXPORTERS = ("onnx", "onnxscript")


@dataclass(frozen=True)
class Exported:
    """What was written."""

    folder: Path
    dim: int
    """Numbers of a vector."""
    size: int
    """Bytes of the folder."""
    difference: float
    """The largest one found: its length over that of the vector."""


def export_encoder(config: ModelConfig, folder: Path, form: str = "onnx") -> Exported:
    """Write an encoder for use without torch; ``isoglot.models.onnx.OnnxEncoder`` reads it.

    Args:
        config: The encoder and its options.
        folder: A new folder.
        form: One of ``FORMATS``; ``onnx`` has float32 weights.

    Raises:
        ArtifactError: If the folder is not empty or cannot be written.
        ConfigError: If the format is unknown, or a package is not installed.
        ModelError: If the encoder cannot be loaded or exported, or its export gives other vectors;
            nothing is then left of it.
    """
    if form not in FORMATS:
        raise ConfigError(f"--format {form}: allowed is {', '.join(FORMATS)}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ArtifactError(f"{folder}: is not empty; choose another --output or delete it")
    _require_packages()
    model = load_encoder(config, device="cpu").eval()
    identity = model_identity(model)
    model.float()  # whatever the weights came in: that is what the graph computes in
    _refuse_what_a_graph_cannot_hold(model, config.name)
    texts = _sample_texts()
    with _as_model_error(f"model {config.name!r} cannot be exported: it fails on sample texts"):
        expected = _own_vectors(model, texts)
    with _new_folder(folder) as unfinished:
        description = _write(model, config.name, identity, unfinished)
        with _as_model_error(f"model {config.name!r} was not exported: onnxruntime fails"):
            difference = _largest_difference(OnnxEncoder(unfinished), expected, texts)
        if not difference <= _TOLERANCE:  # NaN is refused as well
            raise ModelError(
                f"model {config.name!r} was not exported: onnxruntime gives other vectors, they "
                f"differ by {difference:.1e} of their length and {_TOLERANCE:.0e} is allowed"
            )
        size = sum(path.stat().st_size for path in unfinished.rglob("*") if path.is_file())
    return Exported(folder, description["dim"], size, difference)


def _write(model: SentenceTransformer, name: str, identity: str, folder: Path) -> dict[str, Any]:
    """Write a complete folder and return its description."""
    (folder / GRAPH_FILE).parent.mkdir()
    with _as_model_error(f"model {name!r} cannot be written as an ONNX graph"):
        write_graph(model, folder / GRAPH_FILE)
    _tokenizer(model).save(str(folder / TOKENIZER_FILE))
    description = {**_describe(model, name), "identity": identity}
    write_json(folder / DESCRIPTION_FILE, description)
    write_text(folder / "README.md", _readme(description))
    write_json(folder / "provenance.json", provenance())
    mark_complete(folder)
    return description


@contextlib.contextmanager
def _as_model_error(what: str) -> Iterator[None]:
    """Say in one line what torch or onnxruntime raise, which may be anything."""
    try:
        yield
    except (IsoglotError, OSError):
        raise
    except Exception as error:
        reason = (str(error).strip().splitlines() or ["no message"])[0]
        raise ModelError(f"{what} ({type(error).__name__}: {reason})") from error


def _require_packages() -> None:
    import_onnxruntime()
    missing = [name for name in _EXPORTERS if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"isoglot export needs {', '.join(missing)}, not installed; pip install 'isoglot[onnx]'"
        )


def _refuse_what_a_graph_cannot_hold(model: SentenceTransformer, name: str) -> None:
    """Refuse encoders of which it is known that their vectors need more than tokens and weights.

    Whatever else there may be is found when the vectors are compared.
    """
    first = model[0]
    reason = None
    if isinstance(first, StaticEmbedding):
        if type(first) is not StaticEmbedding or first.embedding.mode != "mean":
            reason = f"{type(first).__name__} is a static encoder in training"
    elif not isinstance(first, Transformer):
        reason = f"it starts with {type(first).__name__}, not Transformer or StaticEmbedding"
    elif "message" in first.modality_config:
        reason = "it reads texts through a chat template"
    elif getattr(first.tokenizer, "backend_tokenizer", None) is None:
        reason = "it has no fast tokenizer"
    if any(isinstance(module, Pooling) and not module.include_prompt for module in model):
        reason = "its pooling leaves prompts out"
    if reason is not None:
        raise ModelError(f"model {name!r} cannot be exported: {reason}")


def _tokenizer(model: SentenceTransformer) -> Tokenizer:
    """Return a copy of the tokenizer that cuts and pads as the encoder does."""
    first = model[0]
    if isinstance(first, StaticEmbedding):
        tokenizer = Tokenizer.from_str(first.tokenizer.to_str())
        tokenizer.no_truncation()
        tokenizer.enable_padding()  # with any id: the mask hides it
        return tokenizer
    original = first.tokenizer
    tokenizer = Tokenizer.from_str(original.backend_tokenizer.to_str())
    tokenizer.no_truncation()
    if first.max_seq_length is not None:
        tokenizer.enable_truncation(first.max_seq_length, direction=original.truncation_side)
    tokenizer.enable_padding(
        direction=original.padding_side, pad_id=original.pad_token_id, pad_token=original.pad_token
    )
    return tokenizer


def _describe(model: SentenceTransformer, name: str) -> dict[str, Any]:
    first = model[0]
    static = isinstance(first, StaticEmbedding)
    pooling = next((module.pooling_mode for module in model if isinstance(module, Pooling)), None)
    return {
        "format": "onnx",
        "version": 1,
        "model": name,
        "graph": GRAPH_FILE,
        "inputs": input_names(model),
        "output": OUTPUT,
        "dtype": "float32",
        "dim": model.get_embedding_dimension(),
        "max_tokens": None if static else first.max_seq_length,
        "special_tokens": not static,
        "prompts": _prompts(model),
        "pooling": "mean" if static else pooling,
        "normalized": any(isinstance(module, Normalize) for module in model),
        "similarity": model.similarity_fn_name,
    }


def _prompts(model: SentenceTransformer) -> dict[str, str]:
    """Return what the encoder puts before a text, by role, as its three methods choose it."""
    return {
        "query": query_prompt(model),
        "passage": passage_prompt(model),
        "other": other_prompt(model),
    }


def _own_vectors(
    model: SentenceTransformer, texts: Sequence[str]
) -> dict[str, npt.NDArray[np.float32]]:
    """Return (texts, dim) float32 by the role of the prompt."""
    return {
        "query": model.encode_query(texts, show_progress_bar=False),
        "passage": model.encode_document(texts, show_progress_bar=False),
        "other": model.encode(texts, show_progress_bar=False),
    }


def _largest_difference(
    exported: OnnxEncoder, expected: Mapping[str, npt.NDArray[np.float32]], texts: Sequence[str]
) -> float:
    methods = {
        "query": exported.encode_query,
        "passage": exported.encode_document,
        "other": exported.encode,
    }
    largest = 0.0
    for role, vectors in expected.items():
        lengths = np.linalg.norm(vectors, axis=1)
        lengths = np.maximum(lengths, np.finfo(np.float32).tiny)  # of texts without tokens
        for batch_size in _BATCH_SIZES:
            apart = methods[role](texts, batch_size=batch_size) - vectors
            worst = (np.linalg.norm(apart, axis=1) / lengths).max()
            largest = float(np.maximum(largest, worst))  # unlike max, it keeps NaN
    return largest


def _sample_texts() -> list[str]:
    """Return texts in 12 languages and 7 scripts, empty and odd ones, and a very long one."""
    group = load_mini_groups("evaluation")[0]
    texts = [*group.query.values(), *group.passage.values()]
    return [*texts, "", " \t\n", "?", "\u0301", "🦉🍞", "two\nlines", " ".join(texts * 4)]


@contextlib.contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """Yield a neighbour of the folder that takes its place when the block succeeds."""
    temporary: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o777 & ~umask)  # it was created private
        if folder.exists():
            folder.rmdir()
        temporary.replace(folder)
    except OSError as error:
        raise ArtifactError(f"{folder}: cannot be written ({error.strerror or error})") from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _readme(description: dict[str, Any]) -> str:
    prompts = description["prompts"]
    rows = "\n".join(
        f"| {key} | {value} |"
        for key, value in (
            ("inputs", ", ".join(description["inputs"])),
            ("output", f"{description['output']} (texts, {description['dim']}) float32"),
            ("longest text", description["max_tokens"] or "any length"),
            ("pooling", description["pooling"]),
            ("unit length", "yes" if description["normalized"] else "no"),
            ("similarity", description["similarity"]),
            ("before a query", f"`{prompts['query']!r}`"),
            ("before a passage", f"`{prompts['passage']!r}`"),
        )
    )
    return _README.format(
        model=description["model"], rows=rows, special=description["special_tokens"]
    )


_README = """# {model} in ONNX

Written by `isoglot export`, which compared its vectors with the encoder's own.

| | |
|---|---|
{rows}

With isoglot, which needs `pip install 'isoglot[onnx]'`:

```python
from isoglot.models.onnx import OnnxEncoder

encoder = OnnxEncoder("this folder")
queries = encoder.encode_query(["Where do owls live?"])
passages = encoder.encode_document(["Bundi huishi msituni."])
```

Without: put the prompt before each text, then

```python
import numpy as np
from onnxruntime import InferenceSession
from tokenizers import Tokenizer

tokenizer = Tokenizer.from_file("tokenizer.json")  # cuts and pads
session = InferenceSession("onnx/model.onnx")
encodings = tokenizer.encode_batch(["Bundi huishi msituni."], add_special_tokens={special})
given = {{
    "input_ids": np.array([encoding.ids for encoding in encodings]),
    "attention_mask": np.array([encoding.attention_mask for encoding in encodings]),
    "token_type_ids": np.array([encoding.type_ids for encoding in encodings]),
}}
wanted = [node.name for node in session.get_inputs()]
(vectors,) = session.run(["sentence_embedding"], {{name: given[name] for name in wanted}})
```
"""
