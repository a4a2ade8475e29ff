"""A corpus of any form to a folder of embeddings, which an index is made from.

The corpus is stored first, in the folder itself: an index needs its texts, and a run that goes on
must find the same ones. Running the same command again continues, or finds nothing to do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from isoglot.artifacts import (
    PROVENANCE,
    is_complete,
    mark_complete,
    prepare_folder,
    provenance,
    read_json,
    refuse_other_results,
    write_json,
)
from isoglot.config.encoding import EncodingConfig
from isoglot.config.schema import ModelConfig
from isoglot.data.corpus import StoredPassages
from isoglot.data.passages import PassageOptions, corpus_key, store_corpus
from isoglot.encoding.manifest import CORPUS, MANIFEST, read_manifest
from isoglot.errors import ArtifactError, ConfigError, DataError

if TYPE_CHECKING:
    from isoglot.encoding.encoders import TextEncoder
    from isoglot.encoding.shards import Origin

__all__ = ["ENGINES", "Encoded", "Engine", "run_encoding"]

Engine = Literal["local", "ray"]
ENGINES: tuple[Engine, ...] = ("local", "ray")

_CORPUS_RECORD = "passages.json"
_NOT_DATA = ("options", "detector", "named")
"""What passages depend on besides the content of files."""


@dataclass(frozen=True)
class Encoded:
    """A folder of embeddings."""

    folder: Path
    passages: dict[str, int]
    """By language."""
    there: int
    """Passages whose vectors were there before."""
    origin: Origin


def run_encoding(
    model: ModelConfig,
    source: str,
    output: Path,
    settings: EncodingConfig,
    options: PassageOptions,
    report: Callable[[str], object],
    *,
    engine: Engine = "local",
    address: str | None = None,
    show_progress: bool = True,
) -> Encoded:
    """Encode a corpus into a folder, or go on where an earlier run stopped.

    Args:
        model: The encoder.
        source: The corpus; see ``isoglot.data.passages.read_passages``.
        output: New, or begun or completed with the same corpus, encoder and settings.
        settings: How to encode.
        options: How the corpus is read.
        report: Takes lines about the work.
        engine: ``local`` for this machine, ``ray`` for a cluster.
        address: Of the Ray cluster; default: one of its own on this machine.
        show_progress: Show rate and time left.

    Raises:
        ConfigError: If settings do not go together, or a package is not installed.
        DataError: If the corpus cannot be used or is empty.
        ModelError: If the encoder cannot be loaded.
        ArtifactError: If the folder holds something else or cannot be written.
    """
    _check_engine(engine, address)
    key = corpus_key(source, options)
    _refuse_other_contents(output, key, source)
    encoder = _open(model, settings)
    origin = _refuse_other_origin(encoder, model, output, settings)
    done = _finished(output, settings)
    if done is not None:
        if options.check:
            _store(source, output, options, report, show_progress)
        report(f"{output}: is complete, made from the same corpus with the same encoder")
        return done
    prepare_folder(output, overwrite=True)
    stored = _store(source, output, options, report, show_progress)
    there = _count_there(output)
    if there:
        report(f"{output}: {there:,} of {len(stored):,} passages are encoded; going on from there")
    if engine == "ray":
        from isoglot.encoding.ray import encode_corpus_ray

        del encoder  # workers have their own
        encode_corpus_ray(
            model,
            output / CORPUS,
            output,
            settings,
            origin=origin,
            address=address,
            show_progress=show_progress,
        )
    else:
        _encode(encoder, stored, output, model.name, settings, show_progress)
    write_json(output / PROVENANCE, provenance(data=_data_hashes(key)))
    mark_complete(output)
    return Encoded(output, stored.sizes, there, _origin_of(output))


def _check_engine(engine: str, address: str | None) -> None:
    if engine not in ENGINES:
        raise ConfigError(f"engine {engine!r} is unknown; use {' or '.join(ENGINES)}")
    if address is not None and engine != "ray":
        raise ConfigError("an address is of a Ray cluster; add --engine ray, or leave it out")


def _refuse_other_contents(output: Path, key: dict[str, str], source: str) -> None:
    """Raise if the folder holds results of another kind, or another corpus.

    The store would write another corpus over the one there, under the vectors of that.
    """
    refuse_other_results(output, MANIFEST, overwrite=True)
    record = output / CORPUS / _CORPUS_RECORD
    if not record.is_file():
        if (output / MANIFEST).is_file():
            raise ArtifactError(
                f"{output}: holds embeddings without the passages they are of; choose another "
                "--output"
            )
        return
    found = read_json(record)
    there = found.get("key") if isinstance(found, dict) else None
    if not isinstance(there, dict) or {k: v for k, v in there.items() if k != "format"} != key:
        raise ArtifactError(
            f"{output}: holds another corpus than {source}, or the same read with other options "
            "or by another version of the language detector; choose another --output"
        )


def _open(model: ModelConfig, settings: EncodingConfig) -> TextEncoder:
    from isoglot.encoding.encoders import open_text_encoder

    return open_text_encoder(
        model,
        backend=settings.backend,
        precision=settings.precision,
        device=settings.device,
        threads=settings.threads,
    )


def _refuse_other_origin(
    encoder: TextEncoder, model: ModelConfig, output: Path, settings: EncodingConfig
) -> Origin:
    """Return what the vectors to come are; raise if the folder holds others that do not mix."""
    from isoglot.encoding.shards import ShardWriter
    from isoglot.encoding.stream import describe_origin

    origin = describe_origin(encoder, model.name, settings.shard_size, settings.dtype)
    ShardWriter(output, origin, mix_precisions=settings.mix_precisions)
    return origin


def _finished(output: Path, settings: EncodingConfig) -> Encoded | None:
    """Return what a complete folder holds; None if it is not complete, or damaged."""
    from isoglot.data.corpus import open_passages
    from isoglot.encoding.shards import open_shards

    if not is_complete(output):
        return None
    try:
        open_shards(output, verify=settings.verify)
        stored = open_passages(output / CORPUS)
    except ArtifactError:
        return None  # what is damaged is made again, with a message
    return Encoded(output, stored.sizes, len(stored), _origin_of(output))


def _origin_of(output: Path) -> Origin:
    from isoglot.encoding.manifest import read_manifest

    return read_manifest(output)[0]


def _store(
    source: str,
    output: Path,
    options: PassageOptions,
    report: Callable[[str], object],
    show_progress: bool,
) -> StoredPassages:
    stored, languages = store_corpus(source, output / CORPUS, options, show_progress=show_progress)
    for line in languages.lines():
        report(line)
    if not len(stored):
        raise DataError(f"{source}: has no passages; give a file or folder that holds some")
    return stored


def _count_there(output: Path) -> int:
    if not (output / MANIFEST).is_file():
        return 0
    langs = read_manifest(output)[1]["passages"].values()
    return sum(shard.rows for found in langs for shard in found.shards)


def _encode(
    encoder: TextEncoder,
    stored: StoredPassages,
    output: Path,
    name: str,
    settings: EncodingConfig,
    show_progress: bool,
) -> None:
    from isoglot.encoding.stream import encode_corpus

    encode_corpus(
        encoder,
        stored,
        output,
        model_name=name,
        shard_size=settings.shard_size,
        batch_size=settings.batch_size,
        dtype=settings.dtype,
        verify=settings.verify,
        mix_precisions=settings.mix_precisions,
        show_progress=show_progress,
    )


def _data_hashes(key: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in key.items() if name not in _NOT_DATA}
