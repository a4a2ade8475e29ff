"""Small indexes made of random vectors, and an encoder that knows them."""

from __future__ import annotations

import numpy as np

from isoglot.config.index import IndexConfig
from isoglot.data.corpus import store_passages
from isoglot.encoding.manifest import CORPUS
from isoglot.encoding.shards import Origin, ShardWriter, hash_inputs
from isoglot.records import Passage
from isoglot.retrieval.changes import add_passages
from isoglot.retrieval.sources import open_sources

DIM = 16


def origin(**changes):
    given = {
        "model": "made-up",
        "identity": "0" * 64,
        "dim": DIM,
        "dtype": "float32",
        "similarity": "cosine",
        "query_prompt": "",
        "passage_prompt": "",
        "shard_size": 50,
    }
    return Origin(**{**given, **changes})


def passages(lang, count, first=0):
    return [
        Passage(f"{lang}-{number}", lang, f"passage {number} word{number % 7} in {lang}")
        for number in range(first, first + count)
    ]


def vectors_of(texts, seed=0):
    """One random vector per text, the same wherever the text comes up."""
    return np.stack(
        [
            np.random.default_rng([seed, *text.encode()]).normal(size=DIM).astype(np.float32)
            for text in texts
        ]
    )


def write_embeddings(folder, texts, made_by=None, vectors=vectors_of):
    """Write what ``isoglot encode`` writes."""
    made_by = made_by or origin()
    stored = store_passages(folder / CORPUS, {}, lambda: iter(texts), name="made up")
    writer = ShardWriter(folder, made_by)
    for lang in stored.langs:
        own = list(stored.restrict([lang]))
        parts = range(0, len(own), made_by.shard_size)
        for number, start in enumerate(parts):
            part = own[start : start + made_by.shard_size]
            ids, contents = [p.doc_id for p in part], [p.text for p in part]
            shard = vectors(contents).astype(made_by.dtype)
            writer.write("passages", lang, number, ids, shard, hash_inputs(ids, contents))
        writer.finish("passages", lang, len(parts))
    return folder


def index(root, embeddings, report=lambda line: None, **config):
    made_by, sources = open_sources(embeddings)
    return add_passages(root, made_by, sources, IndexConfig(**config), report)


def normalized(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class MadeUpEncoder:
    """Encodes as `vectors_of` does."""

    def encode(self, texts, role):
        return vectors_of(texts)
