"""A config to a trained model: data read, batches planned, the development score handed in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from isoglot.artifacts import refuse_complete
from isoglot.batches.plan import BatchPlan
from isoglot.config.experiment import ExperimentConfig
from isoglot.config.schema import (
    AlignConfig,
    AuditedConfig,
    DevelopmentConfig,
    ModelConfig,
    OptimisationConfig,
    TrainConfig,
)
from isoglot.data.groups import groups_to_collection
from isoglot.data.leakage import MAX_SHARE, LeakageReport
from isoglot.evaluation.measures import parse_measure
from isoglot.pipeline.evaluation import evaluate_model, load_audited
from isoglot.pipeline.sources import TrainingData, audit_data, load_training_data
from isoglot.records import Group
from isoglot.reporting.leakage import audit_record, audit_warnings
from isoglot.training.prepared import Prepared, Report

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from isoglot.training.loop.trainer import DevelopmentScore

__all__ = [
    "development_score",
    "plan_batches",
    "prepare_tokens",
    "run_alignment",
    "run_training",
]


def _unheard(line: str) -> None: ...


def development_score(groups: Sequence[Group], config: DevelopmentConfig) -> DevelopmentScore:
    """Return a function that scores a model on held-out groups.

    ``score`` is the mean of the measure over the settings that exist, so that no setting is bought
    with another.
    """
    collection = groups_to_collection(groups, "development")

    def score(model: SentenceTransformer) -> Mapping[str, float]:
        evaluation = evaluate_model(model, collection, measures=(config.measure,), run_depth=0)
        values = {
            setting: measures[evaluation.measures[0]]
            for setting, measures in evaluation.summary.items()
            if measures
        }
        return {**values, "score": sum(values.values()) / len(values)}

    return score


def run_training(config: TrainConfig, folder: Path, report: Report = _unheard) -> Path:
    """Train into a run folder; return the folder of the model.

    Args:
        config: The resolved config.
        folder: The run folder.
        report: Takes lines for the reader.

    Raises:
        IsoglotError: If data, config, model or folder cannot be used.
    """
    from isoglot.training.train import train

    return train(config, _prepare(config, folder, report), folder, report)


def run_alignment(config: AlignConfig, folder: Path, report: Report = _unheard) -> Path:
    """Align a static encoder into a run folder; return the folder of the model.

    Args:
        config: The resolved config.
        folder: The run folder.
        report: Takes lines for the reader.

    Raises:
        IsoglotError: If data, config or folder cannot be used.
    """
    from isoglot.training.align import align

    return align(config, _prepare(config, folder, report), folder, report)


def _prepare(config: AuditedConfig, folder: Path, report: Report) -> Prepared:
    """Read the data, plan the batches and look for benchmarks; what is cheap to refuse, first."""
    refuse_complete(folder, "delete the folder")
    parse_measure(config.development.measure)
    leaks: Sequence[LeakageReport] = ()
    if config.leave_out_leaks:
        leaks = _audit(config, report)
        report(f"{_count_groups(leaks):,} groups with texts of the benchmarks are left out")
    data = load_training_data(config, leaks)
    plan = _plan(config, data)
    if config.audit and not config.leave_out_leaks:
        leaks = _audit(config, report)
        for line in audit_warnings(leaks, MAX_SHARE):
            report(line)
    score = _score_of(data, config.development)
    audit = audit_record(leaks, MAX_SHARE) if leaks else None
    return Prepared(plan, score, data.dropped, audit)


def _audit(config: AuditedConfig, report: Report) -> Sequence[LeakageReport]:
    if "audit" in config.model_fields_set:  # the default is quiet unless it finds something
        report("looking for the benchmarks in the training data")
    return audit_data(config, [load_audited(audited) for audited in config.audit])


def _count_groups(leaks: Sequence[LeakageReport]) -> int:
    return len({(name, id) for leak in leaks for name, ids in leak.groups.items() for id in ids})


def prepare_tokens(
    config: TrainConfig | ExperimentConfig,
    encoder: ModelConfig,
    leaks: Sequence[LeakageReport] = (),
) -> None:
    """Make the tokens that a training of an encoder starts with, in the prepared folder.

    Args:
        config: Names the data sets.
        encoder: The encoder.
        leaks: Groups to leave out.

    Raises:
        IsoglotError: If data or encoder cannot be used.
    """
    from isoglot.models.loading import load_encoder
    from isoglot.training.inputs.build import build_collator

    build_collator(load_encoder(encoder), load_training_data(config, leaks).table, config.training)


def plan_batches(config: AuditedConfig) -> BatchPlan:
    """Return the plan of a run without training: for the census and for looking at batches."""
    leaks = _audit(config, _unheard) if config.leave_out_leaks else ()
    return _plan(config, load_training_data(config, leaks))


def _plan(config: OptimisationConfig, data: TrainingData) -> BatchPlan:
    training = config.training
    return BatchPlan(
        data.table,
        config.planned_batches,
        training.seed,
        count=training.steps * training.gradient_accumulation,
        parallels=config.loss.needs_parallel_texts,
    )


def _score_of(data: TrainingData, config: DevelopmentConfig) -> DevelopmentScore | None:
    return development_score(data.development, config) if data.development else None
