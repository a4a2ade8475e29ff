"""A benchmark and a model to the folder of an evaluation."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isoglot.artifacts import (
    mark_complete,
    prepare_folder,
    provenance,
    read_yaml,
    refuse_complete,
    write_json,
    write_yaml,
)
from isoglot.bias.rank_distance import summarize
from isoglot.config.schema import AuditConfig, EvaluationConfig, ModelConfig
from isoglot.data.benchmarks import load_benchmark
from isoglot.data.collection import Collection
from isoglot.errors import ArtifactError, ModelError
from isoglot.evaluation.evaluate import DEFAULT_RUN_DEPTH, Evaluation, evaluate
from isoglot.evaluation.measures import DEFAULT_MEASURES, parse_measures
from isoglot.evaluation.outputs import check_trec_ids, write_evaluation

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = [
    "evaluate_model",
    "evaluation_record",
    "load_audited",
    "load_collection",
    "run_evaluation",
]


def evaluate_model(
    model: SentenceTransformer,
    collection: Collection,
    *,
    measures: Iterable[str] = DEFAULT_MEASURES,
    run_depth: int = DEFAULT_RUN_DEPTH,
    batch_size: int | None = None,
    show_progress: bool = False,
) -> Evaluation:
    """Encode a collection's texts once and measure every setting."""
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
    )


def run_evaluation(
    model: ModelConfig,
    config: EvaluationConfig,
    folder: Path,
    *,
    collection: Collection | None = None,
    batch_size: int | None = None,
    overwrite: bool = False,
) -> Evaluation:
    """Load benchmark and model, evaluate, and write the evaluation's folder.

    Nothing is written before both are loaded, and the folder is tried before texts are encoded.

    Args:
        model: The encoder.
        config: The benchmark.
        folder: Where results go.
        collection: The benchmark's collection, if ``load_collection`` has loaded it before.
        batch_size: Texts encoded at a time; default: by the kind of encoder.
        overwrite: Whether to replace a complete evaluation.

    Raises:
        IsoglotError: If benchmark, model or folder cannot be used.
    """
    from isoglot.models.loading import load_encoder

    _refuse_other_results(folder)
    if not overwrite:
        refuse_complete(folder)
    collection = collection or load_collection(config)
    encoder = load_encoder(model)
    _start_evaluation(folder, model, config)
    evaluation = evaluate_model(
        encoder,
        collection,
        measures=config.measures,
        run_depth=config.run_depth,
        batch_size=batch_size,
        show_progress=True,
    )
    write_evaluation(evaluation, folder, model=model.name, bias=summarize(evaluation))
    write_json(folder / "provenance.json", provenance(data=collection.sources))
    mark_complete(folder)
    return evaluation


def load_collection(config: EvaluationConfig) -> Collection:
    """Load a benchmark, and check all that can be checked before a model is needed.

    Raises:
        IsoglotError: If the benchmark or a measure is unknown, or files cannot be used.
    """
    parse_measures(config.measures)
    collection = load_benchmark(
        config.benchmark,
        data_dir=Path(config.data) if config.data is not None else None,
        candidates=config.candidates,
        split=config.split,
        passage_text=config.passage_text,
        lang=config.lang,
    )
    check_trec_ids(collection)
    return collection


def load_audited(config: AuditConfig) -> Collection:
    """Load a benchmark to look for in training data.

    Raises:
        IsoglotError: If the benchmark is unknown, or files cannot be used.
    """
    return load_collection(EvaluationConfig(**config.model_dump()))


def evaluation_record(model: ModelConfig, config: EvaluationConfig) -> dict[str, Any]:
    """Return what ``config.yaml`` says of an evaluation."""
    return {"model": model.model_dump(mode="json"), "evaluation": config.model_dump(mode="json")}


def _refuse_other_results(folder: Path) -> None:
    """Refuse a folder whose ``config.yaml`` would be overwritten although it is not ours to write.

    Raises:
        ArtifactError: If it is not an evaluation's.
    """
    path = folder / "config.yaml"
    if path.is_file() and read_yaml(path).keys() != {"model", "evaluation"}:
        raise ArtifactError(
            f"{path}: is not the config of an evaluation and would be lost; choose another --output"
        )


def _start_evaluation(folder: Path, model: ModelConfig, config: EvaluationConfig) -> None:
    """Write the config and take away what an earlier evaluation may have left."""
    prepare_folder(folder, overwrite=True)
    write_yaml(folder / "config.yaml", evaluation_record(model, config))
    # Files only, and only of our naming: a folder "runs" may hold anything where -o is a project's.
    for file in (*folder.glob("runs/*.trec"), *folder.glob("qrels/*.qrels")):
        try:
            file.unlink()
        except OSError as error:
            raise ArtifactError(f"{file}: cannot be replaced ({error.strerror})") from error


def _similarity(model: SentenceTransformer) -> str:
    """Return the similarity the model was made for.

    Raises:
        ModelError: If it is one that we do not rank by.
    """
    name = str(model.similarity_fn_name)
    if name not in ("cosine", "dot"):
        raise ModelError(
            f"the encoder is made for {name} similarity; isoglot ranks by cosine and dot, as its "
            "config_sentence_transformers.json may say under similarity_fn_name"
        )
    return name
