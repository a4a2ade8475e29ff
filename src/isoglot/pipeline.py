"""The stages joined: what the command line and an experiment both run.

Each stage knows only its own business; reading sources, handing the development score to training
and writing an evaluation's folder happen here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
from isoglot.batches.plan import BatchPlan
from isoglot.bias.rank_distance import summarize
from isoglot.config.schema import (
    AlignConfig,
    AuditConfig,
    BatchConfig,
    DevelopmentConfig,
    EvaluationConfig,
    ExperimentConfig,
    ModelConfig,
    SourceConfig,
    TrainConfig,
)
from isoglot.data.benchmarks import load_benchmark
from isoglot.data.bitext import read_bitext
from isoglot.data.collection import Collection
from isoglot.data.groups import groups_to_collection, read_groups
from isoglot.data.hub import HubColumns, read_hub
from isoglot.data.leakage import MAX_SHARE, LeakageReport, find_leaks
from isoglot.data.parallel import ParallelTable, build_table
from isoglot.data.squad import read_squad
from isoglot.errors import ArtifactError, ConfigError, ModelError
from isoglot.evaluation.evaluate import DEFAULT_RUN_DEPTH, Evaluation, evaluate
from isoglot.evaluation.measures import DEFAULT_MEASURES, parse_measure, parse_measures
from isoglot.evaluation.outputs import check_trec_ids, write_evaluation
from isoglot.records import Group
from isoglot.reporting.leakage import audit_record

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from isoglot.training.trainer import DevelopmentScore

__all__ = [
    "TrainingData",
    "audit_data",
    "evaluate_model",
    "evaluation_record",
    "load_audited",
    "load_collection",
    "load_training_data",
    "plan_batches",
    "read_source",
    "run_alignment",
    "run_evaluation",
    "run_training",
]


@dataclass(frozen=True)
class TrainingData:
    """The groups to train on and those held out for development."""

    table: ParallelTable
    development: Sequence[Group]
    dropped: int = 0
    """Groups not trained on, because they mean the same as one of ``development.path``."""


def read_source(source: SourceConfig) -> Iterable[Group]:
    """Read the groups of one data set.

    Raises:
        DataError: If a file is missing or malformed.
    """
    path = Path(source.path)
    match source.format:
        case "groups":
            return read_groups(path)
        case "bitext":
            return read_bitext(path)
        case "squad":
            assert source.language is not None, "checked by the schema"
            return read_squad(path, source.language).groups
        case "hub":
            columns = HubColumns(
                query_column=source.query_column,
                passage_column=source.passage_column,
                query_lang=source.query_lang,
                passage_lang=source.passage_lang,
                negative_columns=source.negative_columns,
                id_column=source.id_column,
            )
            return read_hub(source.path, columns, split=source.split, revision=source.revision)


def load_training_data(config: TrainConfig | AlignConfig) -> TrainingData:
    """Read all data sets and set the development groups apart.

    Raises:
        ConfigError: If a language has no text, too many groups are to be held out, or none is left
            to train on.
        DataError: If a file is missing or malformed.
    """
    wanted = config.development
    parse_measure(wanted.measure)
    whole = build_table({source.label: read_source(source) for source in config.data})
    held = _read_development(wanted) if wanted.path is not None else None
    # Before languages are left out: a group is known by its texts in any language.
    table = whole.apart_from(held) if held is not None else whole
    dropped = len(whole) - len(table)
    if dropped == len(whole):
        raise ConfigError(
            "development.path: every training group means the same as one of its groups; name a "
            "file of other groups"
        )
    if config.languages is not None:
        table = table.restrict(config.languages)
    if held is None and wanted.groups > 0:
        table, held = table.hold_out(wanted.groups)
    return TrainingData(table, list(held.groups()) if held is not None else (), dropped)


def _read_development(config: DevelopmentConfig) -> ParallelTable:
    """Return the groups of ``development.path`` that are used."""
    assert config.path is not None, "asked for only where there is one"
    table = build_table({"development": read_groups(Path(config.path))})
    if 0 < config.groups * 2 < len(table):  # a smaller file is taken whole
        return table.hold_out(config.groups)[1]
    return table


def development_score(groups: Sequence[Group], config: DevelopmentConfig) -> DevelopmentScore:
    """Return a function that scores a model on held-out groups.

    ``score`` is the mean of the measure over the settings that exist, so that no setting is bought
    with another.
    """
    usable = [group for group in groups if group.query and group.passage]
    collection = groups_to_collection(usable, "development")

    def score(model: SentenceTransformer) -> Mapping[str, float]:
        evaluation = evaluate_model(model, collection, measures=(config.measure,), run_depth=0)
        values = {
            setting: measures[evaluation.measures[0]]
            for setting, measures in evaluation.summary.items()
            if measures
        }
        return {**values, "score": sum(values.values()) / len(values)}

    return score


def run_training(config: TrainConfig, folder: Path) -> Path:
    """Train into a run folder; return the folder of the model.

    Raises:
        IsoglotError: If data, config, model or folder cannot be used.
    """
    from isoglot.training.train import train

    refuse_complete(folder, "delete the folder")
    data = load_training_data(config)
    plan = BatchPlan(data.table, config.planned_batches, config.training.seed)
    audit = None
    if config.audit:
        reports = audit_data(config, [load_audited(audited) for audited in config.audit])
        audit = audit_record(reports, MAX_SHARE)
    score = _score_of(data, config.development)
    return train(config, plan, score, folder, dropped=data.dropped, audit=audit)


def run_alignment(config: AlignConfig, folder: Path) -> Path:
    """Align a static encoder into a run folder; return the folder of the model.

    Raises:
        IsoglotError: If data, config or folder cannot be used.
    """
    from isoglot.training.align import align

    refuse_complete(folder, "delete the folder")
    data = load_training_data(config)
    plan = BatchPlan(data.table, config.batches, config.training.seed)
    score = _score_of(data, config.development)
    return align(config, plan, score, folder, dropped=data.dropped)


def audit_data(
    config: TrainConfig | AlignConfig | ExperimentConfig, collections: Sequence[Collection]
) -> list[LeakageReport]:
    """Look for benchmarks in the training and development groups of a config.

    Raises:
        DataError: If a file is missing or malformed.
    """
    sources = [(source.label, read_source(source)) for source in config.data]
    if config.development.path is not None:
        sources.append(("development", read_groups(Path(config.development.path))))
    if config.languages is not None:
        langs = frozenset(config.languages)
        sources = [(name, _restrict(groups, langs)) for name, groups in sources]
    return find_leaks(sources, collections)


def _restrict(groups: Iterable[Group], langs: frozenset[str]) -> Iterator[Group]:
    """Yield the groups with only their texts in some languages."""

    def only(texts: Mapping[str, str]) -> dict[str, str]:
        return {lang: text for lang, text in texts.items() if lang in langs}

    for group in groups:
        negatives = [only(negative) for negative in group.negatives]
        yield Group(group.group_id, only(group.query), only(group.passage), negatives)


def load_audited(config: AuditConfig) -> Collection:
    """Load a benchmark to look for in training data.

    Raises:
        IsoglotError: If the benchmark is unknown, or files cannot be used.
    """
    return load_collection(EvaluationConfig(**config.model_dump()))


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


def _score_of(data: TrainingData, config: DevelopmentConfig) -> DevelopmentScore | None:
    return development_score(data.development, config) if data.development else None


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


def plan_batches(config: TrainConfig | AlignConfig) -> BatchPlan:
    """Return the plan of a run without training: for the census and for looking at batches."""
    batches: BatchConfig = (
        config.planned_batches if isinstance(config, TrainConfig) else config.batches
    )
    return BatchPlan(load_training_data(config).table, batches, config.training.seed)
