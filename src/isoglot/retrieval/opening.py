"""Opens what was indexed: a folder of FAISS indexes, or a Milvus collection by its address."""

from __future__ import annotations

from pathlib import Path

from isoglot.config.schema import ModelConfig
from isoglot.errors import ModelError
from isoglot.retrieval.engine import Engine
from isoglot.retrieval.faiss_engine import FaissEngine
from isoglot.retrieval.manifest import read_manifest
from isoglot.retrieval.search import Searcher

__all__ = ["is_milvus", "open_engine", "open_searcher"]

_DATABASE = ".db"
"""File of an embedded Milvus."""


def is_milvus(target: str) -> bool:
    """Say whether an index is named by an address of Milvus rather than by a folder."""
    return "://" in target or target.partition("#")[0].endswith(_DATABASE)


def open_engine(target: str) -> Engine:
    """Open an index.

    Args:
        target: Folder, or address of Milvus.

    Raises:
        ArtifactError: If there is none, or it is unfinished or damaged.
        ConfigError: If what it needs is not installed.
    """
    if is_milvus(target):
        from isoglot.retrieval.milvus import MilvusEngine

        return MilvusEngine.open(target)
    return FaissEngine.open(Path(target))


def open_searcher(
    target: str, model: ModelConfig | None = None, *, threads: int | None = None
) -> Searcher:
    """Open an index and the encoder that made its vectors.

    Args:
        target: Folder, or address of Milvus.
        model: The encoder; default: the one that the index names.
        threads: Threads of the encoder; default: all cores.

    Raises:
        ArtifactError: If there is no index, or it is unfinished or damaged.
        ConfigError: If what it needs is not installed.
        ModelError: If the encoder cannot be loaded, or is another one.
    """
    from isoglot.encoding.encoders import open_text_encoder

    engine = open_engine(target)
    origin = engine.origin
    given = model or ModelConfig(name=origin.model)
    prompts = {"query_prompt": origin.query_prompt, "passage_prompt": origin.passage_prompt}
    unsaid = {name: prompt for name, prompt in prompts.items() if getattr(given, name) is None}
    encoder = open_text_encoder(given.model_copy(update=unsaid), threads=threads)
    if encoder.identity != origin.identity:
        raise ModelError(
            f"{target}: was made with {origin.model!r} ({origin.identity[:12]}), and "
            f"{given.name!r} ({encoder.identity[:12]}) is another encoder; name the right one "
            "with --model"
        )
    return Searcher(engine, encoder, reopen=_newer)


def _newer(engine: Engine) -> Engine | None:
    """Open the latest state of an index on disk if it is not the one at hand."""
    if not isinstance(engine, FaissEngine):
        return None  # a server's own business
    # The generation would not do: an index that was deleted and made again begins with 1 too.
    if read_manifest(engine.root) == engine.manifest:
        return None
    return FaissEngine.open(engine.root)
