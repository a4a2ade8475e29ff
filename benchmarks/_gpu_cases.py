"""Encoders and passages for ``benchmarks.gpu``.

The encoders have the shapes of XLM-R base and large, its vocabulary of 250,002 included, and random
weights; how fast they compute does not depend on what the weights are. Their texts are cut by the
embedded encoder's tokenizer, whose 48,000 subwords give some more tokens than XLM-R's. Passages are
those of MIRACL-mini: real ones, of 18 languages and of all lengths.
"""

from __future__ import annotations

import gzip
import json
import random
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from transformers import AutoTokenizer, BertConfig, BertModel

from benchmarks import SHARED_DATA
from benchmarks._training_cases import build_encoder, write_data

__all__ = ["SHAPES", "build_all", "passages", "write_corpus"]

VOCABULARY = 250_002
SHAPES: dict[str, dict[str, int]] = {
    "base": {
        "num_hidden_layers": 12,
        "hidden_size": 768,
        "num_attention_heads": 12,
        "intermediate_size": 3_072,
    },
    "large": {
        "num_hidden_layers": 24,
        "hidden_size": 1_024,
        "num_attention_heads": 16,
        "intermediate_size": 4_096,
    },
}
_TINY = {
    "num_hidden_layers": 2,
    "hidden_size": 64,
    "num_attention_heads": 2,
    "intermediate_size": 128,
}


def build_all(folder: Path, shapes: Iterable[str], device: str, *, short: bool) -> None:
    """Write encoders and training data, unless they are there from an earlier call.

    Args:
        folder: Will hold the encoders ``static``, ``transformer`` and ``steady``, the last two
            small ones, with dropout and without; and the training data.
        shapes: Which of ``SHAPES`` it will hold, too.
        device: Where weights are drawn.
        short: Have tiny encoders, to see that everything works.
    """
    if not (folder / "steady").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        write_data(folder, 20_000, 1_500)
        build_encoder("static", folder / "static")
        build_encoder("small" if short else "transformer", folder / "transformer")
        _without_dropout(folder / "transformer", folder / "steady")
    for name in shapes:
        if not (folder / name).is_dir():
            shape = _TINY if short else SHAPES[name]
            _build(folder / name, folder / "transformer", shape, device, short)


def _build(folder: Path, small: Path, shape: dict[str, int], device: str, short: bool) -> None:
    parts = folder.with_name(f"{folder.name}.parts")
    tokenizer = AutoTokenizer.from_pretrained(small)
    vocabulary = len(tokenizer) if short else VOCABULARY
    torch.manual_seed(0)
    with torch.device(device):
        model = BertModel(BertConfig.from_pretrained(small, vocab_size=vocabulary, **shape))
    model.save_pretrained(parts)
    tokenizer.save_pretrained(parts)
    modules = [Transformer(str(parts)), Pooling(shape["hidden_size"], "mean")]
    SentenceTransformer(modules=modules, device=device).save_pretrained(str(folder))
    shutil.rmtree(parts)


def _without_dropout(source: Path, folder: Path) -> None:
    """Copy an encoder; without dropout one process and several train to the same losses."""
    shutil.copytree(source, folder)
    path = folder / "config.json"
    config = json.loads(path.read_text("utf-8"))
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    path.write_text(json.dumps(config), "utf-8")


def passages(count: int) -> list[dict[str, Any]]:
    """Return passages of all languages in random order, with ``id``, ``text`` and ``lang``.

    Where more are asked for than there are, those that come again begin with their number, so that
    no two texts are equal.
    """
    rows = []
    for path in sorted((SHARED_DATA / "miracl-mini").glob("*/corpus.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for row in map(json.loads, file):
                rows.append((path.parent.name, f"{row['title']} {row['text']}"))
    random.Random(0).shuffle(rows)
    found = []
    for number in range(count):
        lang, text = rows[number % len(rows)]
        again = f"{number} " if number >= len(rows) else ""
        found.append({"id": f"{lang}-{number}", "text": again + text, "lang": lang})
    return found


def write_corpus(path: Path, count: int) -> float:
    """Write passages as JSON lines; return their mean length in characters."""
    rows = passages(count)
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return sum(len(row["text"]) for row in rows) / len(rows)
