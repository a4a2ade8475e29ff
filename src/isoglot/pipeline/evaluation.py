"""A benchmark and a system to the folder of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from isoglot.artifacts import (
    mark_complete,
    prepare_folder,
    provenance,
    read_yaml,
    refuse_complete,
    write_json,
    write_yaml,
)
from isoglot.bias import summarize
from isoglot.config.schema import AuditConfig, EvaluationConfig, ModelConfig, ScoresConfig
from isoglot.data.benchmarks import load_benchmark
from isoglot.data.collection import Collection
from isoglot.data.files import language_of_name, write_json_lines
from isoglot.data.translated import add_translated_topics, parse_topics_spec
from isoglot.errors import ArtifactError, ConfigError, DataError
from isoglot.evaluation.evaluate import Evaluation
from isoglot.evaluation.measures import parse_measures
from isoglot.evaluation.outputs import check_trec_ids, write_evaluation
from isoglot.evaluation.subsets import evaluate_subset
from isoglot.pipeline.systems import System, evaluate_model, load_system, parse_run_spec
from isoglot.reporting.by_resource import group_languages, summarize_by_resource
from isoglot.reporting.examples import EXAMPLES, worst_queries

__all__ = [
    "evaluate_model",
    "evaluation_record",
    "load_audited",
    "load_collection",
    "run_evaluation",
]


def run_evaluation(
    model: ModelConfig | None,
    config: EvaluationConfig,
    folder: Path,
    *,
    scores: ScoresConfig | None = None,
    collection: Collection | None = None,
    system: System | None = None,
    batch_size: int | None = None,
    overwrite: bool = False,
) -> Evaluation:
    """Load benchmark and system, evaluate, and write the evaluation's folder.

    Nothing is written before both are loaded, and the folder is tried before texts are encoded.

    Args:
        model: An encoder or ``bm25``; None where embeddings or runs need none.
        config: The benchmark.
        folder: Where results go.
        scores: Where scores come from; default: from the encoder, embeddings in memory.
        collection: The benchmark's collection, if ``load_collection`` has loaded it before.
        system: What ``load_system`` has made of the model, if it has before.
        batch_size: Texts encoded at a time; default: by the kind of encoder.
        overwrite: Whether to replace a complete evaluation.

    Raises:
        IsoglotError: If benchmark, system or folder cannot be used.
    """
    scores = scores or ScoresConfig()
    _refuse_other_results(folder)
    _refuse_own_runs(folder, scores)
    if not overwrite:
        refuse_complete(folder)
    collection = collection or load_collection(config, embeddings=scores.embeddings)
    system = system or load_system(model, scores, collection, batch_size=batch_size)
    _start_evaluation(folder, evaluation_record(model, config, scores))
    evaluation = system.evaluate(collection, measures=config.measures, run_depth=config.run_depth)
    bias = summarize(evaluation)
    more = {
        "resource_groups": _by_resource(evaluation, bias),
        "subsets": _measure_subsets(evaluation, config),
    }
    write_evaluation(evaluation, folder, model=system.name, bias=bias, more=more)
    write_json_lines(folder / EXAMPLES, worst_queries(evaluation))
    write_json(folder / "provenance.json", provenance(data=collection.sources))
    mark_complete(folder)
    return evaluation


def _by_resource(evaluation: Evaluation, bias: Mapping[str, Any]) -> dict[str, Any]:
    groups = group_languages(evaluation.collection.name, evaluation.ranks.pool_sizes)
    return summarize_by_resource(evaluation.settings, bias, groups)


def _measure_subsets(evaluation: Evaluation, config: EvaluationConfig) -> dict[str, Any]:
    """Measure the pools of some languages only, from the same counts."""
    found = {}
    for name, langs in config.subsets.items():
        part = evaluate_subset(evaluation, langs)
        found[name] = {
            "langs": list(langs),
            "summary": part.summary,
            "bias": summarize(part),
            "queries": len(part.collection.queries),
            "passages": len(part.collection.passages),
        }
    return found


def load_collection(config: EvaluationConfig, *, embeddings: str | None = None) -> Collection:
    """Load a benchmark, and check all that can be checked before a model is needed.

    Args:
        config: The benchmark.
        embeddings: Folder of embeddings; a corpus that can be large is then kept there, too, and
            not in memory.

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
        store=Path(embeddings) / "corpus" if embeddings is not None else None,
    )
    for spec in map(parse_topics_spec, config.topics):
        collection = add_translated_topics(
            collection, spec.path, lang=spec.lang, source_lang=spec.source_lang
        )
    _check_subsets(config, collection)
    check_trec_ids(collection)
    return collection


def _check_subsets(config: EvaluationConfig, collection: Collection) -> None:
    """Refuse a subset that cannot be measured, before hours of work."""
    for name, langs in config.subsets.items():
        if unknown := [lang for lang in langs if lang not in collection.passage_langs]:
            raise ConfigError(
                f"subset {name!r}: {collection.name} has no passages in {unknown[0]!r}; it has "
                f"{', '.join(collection.passage_langs)}"
            )
        try:
            collection.restrict(langs)
        except DataError as error:
            raise ConfigError(
                f"subset {name!r}: nothing can be measured in {', '.join(langs)} ({error})"
            ) from None


def load_audited(config: AuditConfig) -> Collection:
    """Load a benchmark to look for in training data.

    Raises:
        IsoglotError: If the benchmark is unknown, or files cannot be used.
    """
    return load_collection(EvaluationConfig(**config.model_dump()))


def evaluation_record(
    model: ModelConfig | None, config: EvaluationConfig, scores: ScoresConfig | None = None
) -> dict[str, Any]:
    """Return what ``config.yaml`` says of an evaluation."""
    parts = {"model": model, "evaluation": config, "scores": scores or ScoresConfig()}
    return {key: part and part.model_dump(mode="json") for key, part in parts.items()}


def _refuse_other_results(folder: Path) -> None:
    """Refuse a folder whose ``config.yaml`` would be overwritten although it is not ours to write.

    Raises:
        ArtifactError: If it is not an evaluation's.
    """
    path = folder / "config.yaml"
    if path.is_file() and not {"model", "evaluation"} <= read_yaml(path).keys():
        raise ArtifactError(
            f"{path}: is not the config of an evaluation and would be lost; choose another --output"
        )


def _refuse_own_runs(folder: Path, scores: ScoresConfig) -> None:
    """Refuse to write runs over those that are measured."""
    written = (folder / "runs").resolve()
    for spec in scores.runs:
        path = parse_run_spec(spec)[1].resolve()
        if written in (path, path.parent):
            raise ConfigError(
                f"run {spec!r}: lies where the runs of {folder} are written and would be lost; "
                "choose another --output"
            )


def _start_evaluation(folder: Path, record: Mapping[str, Any]) -> None:
    """Write the config and take away what an earlier evaluation has left.

    Only in a folder of an evaluation, and only files named as it names them: where -o is a
    project's folder, "runs" may hold anything.
    """
    ours = (folder / "config.yaml").is_file()
    files = [*folder.glob("runs/*.trec"), *folder.glob("qrels/*.qrels")]
    prepare_folder(folder, overwrite=True)
    write_yaml(folder / "config.yaml", record)
    for file in files:
        if not (ours and language_of_name(file.stem)):
            continue
        try:
            file.unlink()
        except OSError as error:
            raise ArtifactError(f"{file}: cannot be replaced ({error.strerror})") from error
