"""What can be evaluated: an encoder, saved embeddings, BM25, TREC runs. Each becomes a `System`.

A system is made before anything is written, so that what is wrong with it is told at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from isoglot.config.schema import ModelConfig, ScoresConfig
from isoglot.data.collection import Collection
from isoglot.data.files import language_of_name, list_folder
from isoglot.data.trec import read_run
from isoglot.errors import ConfigError, DataError, ModelError
from isoglot.evaluation.counts import DEFAULT_MEMORY_MB
from isoglot.evaluation.evaluate import (
    DEFAULT_RUN_DEPTH,
    Evaluation,
    evaluate,
    evaluate_ranking,
    evaluate_scorer,
)
from isoglot.evaluation.measures import DEFAULT_MEASURES
from isoglot.evaluation.ranking import Ranking
from isoglot.evaluation.runs import ranking_from_runs
from isoglot.evaluation.vectors import SIMILARITIES
from isoglot.records import ScoredDoc

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["BM25", "System", "evaluate_model", "load_system", "parse_run_spec"]

BM25 = "bm25"
"""Name of the lexical system, where a model is named."""


class System(Protocol):
    """Something that ranks the passages of a collection."""

    @property
    def name(self) -> str:
        """What results call it."""
        ...

    def evaluate(
        self, collection: Collection, *, measures: Iterable[str], run_depth: int
    ) -> Evaluation:
        """Measure it in every setting."""
        ...


def load_system(
    model: ModelConfig | None,
    scores: ScoresConfig,
    collection: Collection,
    *,
    batch_size: int | None = None,
) -> System:
    """Make the system that a configuration names, as far as possible before results are written.

    Args:
        model: An encoder or ``bm25``; None where embeddings or runs need none.
        scores: Where scores come from.
        collection: What it will be evaluated on.
        batch_size: Texts encoded at a time; default: by the kind of encoder.

    Raises:
        ConfigError: If nothing, or two things at once, are named.
        IsoglotError: If model, embeddings or runs cannot be used.
    """
    _check_combination(model, scores)
    if scores.runs:
        runs = _read_runs(scores.runs, collection)
        ranking = ranking_from_runs(collection, runs, depth=scores.depth)
        return _Runs(model.name if model else _run_name(scores.runs[0]), ranking)
    if model is not None and model.name == BM25:
        return _Bm25(scores.memory_mb)
    if scores.embeddings is not None:
        folder = Path(scores.embeddings)
        name = model.name if model else _stored_name(folder)
        return _Stored(name, _load(model) if model else None, folder, scores, batch_size)
    if model is None:
        raise ConfigError("no model; name an encoder or bm25, or give embeddings or runs instead")
    return _Encoder(model.name, _load(model), scores.memory_mb, batch_size)


def _check_combination(model: ModelConfig | None, scores: ScoresConfig) -> None:
    """Refuse options that contradict each other or would do nothing."""
    of_folder = sorted({"dtype", "shard_size"} & scores.model_fields_set)
    of_encoder = sorted(model.model_fields_set - {"name"}) if model is not None else []
    is_bm25 = model is not None and model.name == BM25
    embeddings = scores.embeddings
    faults = {
        "runs and embeddings are both given; measure one of them at a time": bool(scores.runs)
        and embeddings is not None,
        "a depth is given without runs; it says how much of them to take": not scores.runs
        and scores.depth is not None,
        f"{', '.join(of_folder)} is of a folder of embeddings, and none is given": bool(of_folder)
        and embeddings is None,
        "bm25 has no embeddings; leave the folder of embeddings out": is_bm25
        and embeddings is not None,
        f"bm25 is no encoder and has no {', '.join(of_encoder)}; leave it out": is_bm25
        and bool(of_encoder),
        f"{embeddings}: holds embeddings of another system; leave the model out to measure them, "
        "or choose another folder for the model's own": model is not None
        and embeddings is not None
        and _is_foreign(Path(embeddings)),
    }
    for message, holds in faults.items():
        if holds:
            raise ConfigError(message)


def parse_run_spec(text: str) -> tuple[str | None, Path]:
    """Split ``LANG=FILE``; a folder, and a file whose language is not said, have no language."""
    name, _, file = text.partition("=")
    lang = None if Path(text).is_dir() or not file else language_of_name(name)
    return (None, Path(text)) if lang is None else (lang, Path(file))


def evaluate_model(
    model: SentenceTransformer,
    collection: Collection,
    *,
    measures: Iterable[str] = DEFAULT_MEASURES,
    run_depth: int = DEFAULT_RUN_DEPTH,
    batch_size: int | None = None,
    memory_mb: int = DEFAULT_MEMORY_MB,
    show_progress: bool = False,
) -> Evaluation:
    """Encode a collection's texts once and measure every setting.

    Raises:
        ModelError: If the encoder is made for a similarity that cannot be ranked by.
    """
    from isoglot.encoding.encode import encode_texts

    similarity = _similarity(model)
    queries = [query.text for query in collection.queries]
    passages = [passage.text for passage in collection.passages]
    options: dict[str, Any] = {"batch_size": batch_size, "show_progress": show_progress}
    return evaluate(
        collection,
        encode_texts(model, queries, "query", **options),
        encode_texts(model, passages, "passage", **options),
        similarity=similarity,
        measures=measures,
        run_depth=run_depth,
        memory_mb=memory_mb,
    )


@dataclass(frozen=True)
class _Encoder:
    """An encoder, its embeddings in memory."""

    name: str
    model: SentenceTransformer
    memory_mb: int
    batch_size: int | None

    def evaluate(
        self, collection: Collection, *, measures: Iterable[str], run_depth: int
    ) -> Evaluation:
        return evaluate_model(
            self.model,
            collection,
            measures=measures,
            run_depth=run_depth,
            batch_size=self.batch_size,
            memory_mb=self.memory_mb,
            show_progress=True,
        )


@dataclass(frozen=True)
class _Stored:
    """Embeddings in a folder; with an encoder, those that are missing are made first."""

    name: str
    model: SentenceTransformer | None
    folder: Path
    scores: ScoresConfig
    batch_size: int | None

    def evaluate(
        self, collection: Collection, *, measures: Iterable[str], run_depth: int
    ) -> Evaluation:
        from isoglot.encoding.embeddings import read_embeddings

        if self.model is not None:
            self._encode(self.model, collection)
        found = read_embeddings(self.folder, collection)
        return evaluate(
            collection,
            found.queries,
            found.passages,
            similarity=_rankable(found.origin.similarity) if found.origin else "cosine",
            measures=measures,
            run_depth=run_depth,
            memory_mb=self.scores.memory_mb,
        )

    def _encode(self, model: SentenceTransformer, collection: Collection) -> None:
        from isoglot.encoding.stream import encode_corpus, encode_queries

        options: dict[str, Any] = {
            "model_name": self.name,
            "shard_size": self.scores.shard_size,
            "dtype": self.scores.dtype,
            "batch_size": self.batch_size,
        }
        # The corpus first: another one is refused before queries are replaced.
        encode_corpus(model, collection.passages, self.folder, **options)
        encode_queries(model, collection.queries, self.folder, **options)


@dataclass(frozen=True)
class _Bm25:
    """BM25, an index per passage language."""

    memory_mb: int
    name: str = BM25

    def evaluate(
        self, collection: Collection, *, measures: Iterable[str], run_depth: int
    ) -> Evaluation:
        from isoglot.lexical.bm25 import Bm25Scorer

        return evaluate_scorer(
            collection,
            Bm25Scorer.from_collection(collection, show_progress=True),
            similarity=BM25,
            measures=measures,
            run_depth=run_depth,
            memory_mb=self.memory_mb,
        )


@dataclass(frozen=True)
class _Runs:
    """TREC runs of any system, as deep as they are."""

    name: str
    ranking: Ranking

    def evaluate(
        self, collection: Collection, *, measures: Iterable[str], run_depth: int
    ) -> Evaluation:
        evaluation = evaluate_ranking(collection, self.ranking, measures=measures)
        return evaluation.keep_ranking(run_depth)


def _load(model: ModelConfig) -> SentenceTransformer:
    from isoglot.models.loading import load_encoder

    encoder = load_encoder(model)
    _similarity(encoder)
    return encoder


def _is_foreign(folder: Path) -> bool:
    """Say whether a folder holds embeddings that another system wrote."""
    from isoglot.encoding.shards import MANIFEST

    return (folder / "queries.npy").is_file() and not (folder / MANIFEST).is_file()


def _run_name(spec: str) -> str:
    """Name a system by its run: the file, or the folder, ``runs`` by the one it is in."""
    path = parse_run_spec(spec)[1].resolve()
    return path.parent.name if path.name == "runs" and path.is_dir() else path.stem


def _stored_name(folder: Path) -> str:
    """Return the encoder that embeddings say they are from, else the name of their folder."""
    from isoglot.encoding.shards import read_origin

    origin = read_origin(folder)
    return (origin.model if origin else "") or folder.name


def _similarity(model: SentenceTransformer) -> str:
    """Return the similarity the model was made for; see `_rankable`."""
    return _rankable(str(model.similarity_fn_name))


def _rankable(name: str) -> str:
    """Return the similarity that an encoder was made for.

    Raises:
        ModelError: If it is one that we do not rank by.
    """
    if name not in SIMILARITIES:
        raise ModelError(
            f"the encoder is made for {name} similarity; isoglot ranks by cosine and dot, as its "
            "config_sentence_transformers.json may say under similarity_fn_name"
        )
    return name


def _read_runs(specs: Sequence[str], collection: Collection) -> dict[str, list[ScoredDoc]]:
    """Read runs by query language.

    Raises:
        ConfigError: If the language of a file is not said, or comes twice.
        DataError: If a folder has no runs, or a file is malformed.
    """
    files = _run_files(specs, collection)
    runs = {lang: read_run(path) for lang, path in files.items()}
    if missing := [lang for lang in collection.query_langs if lang not in files]:
        raise ConfigError(
            f"no run for the queries in {', '.join(missing)}, which would all score 0; give it, or "
            f"evaluate the benchmark in {', '.join(files)} only"
        )
    return runs


def _run_files(specs: Sequence[str], collection: Collection) -> Mapping[str, Path]:
    files: dict[str, Path] = {}
    for spec in specs:
        for lang, path in _files_of(spec, collection):
            if lang not in collection.query_langs:
                raise ConfigError(
                    f"run {spec!r}: {collection.name} has no queries in {lang!r}; allowed: "
                    f"{', '.join(collection.query_langs)}"
                )
            if lang in files:
                raise ConfigError(
                    f"run {spec!r}: the run of {lang!r} is given twice, before as {files[lang]}"
                )
            files[lang] = path
    return files


def _files_of(spec: str, collection: Collection) -> list[tuple[str, Path]]:
    path = Path(spec)
    if path.is_dir():
        found = [(language_of_name(file.stem), file) for file in sorted(path.glob("*.trec"))]
        if not found:
            raise DataError(f"{path}: no runs named LANG.trec; found {list_folder(path)}")
        if nameless := [file for lang, file in found if lang is None]:
            raise DataError(f"{nameless[0]}: not named by a language; rename it, as to sw.trec")
        return [(lang, file) for lang, file in found if lang is not None]
    named, file = parse_run_spec(spec)
    if named is not None:
        return [(named, file)]
    if len(collection.query_langs) == 1:
        return [(collection.query_langs[0], path)]
    raise ConfigError(
        f"run {spec!r}: say the language of its queries, as in sw={spec}; or name a folder that "
        "holds LANG.trec files"
    )
