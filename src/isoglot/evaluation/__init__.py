"""Ranks, measures and settings from one pass over the scores. No torch."""

from isoglot.evaluation.evaluate import (
    Evaluation,
    SettingRow,
    evaluate,
    evaluate_ranking,
    evaluate_scorer,
)
from isoglot.evaluation.measures import DEFAULT_MEASURES
from isoglot.evaluation.outputs import StoredEvaluation, read_evaluation, write_evaluation
from isoglot.evaluation.settings import SETTINGS

__all__ = [
    "DEFAULT_MEASURES",
    "SETTINGS",
    "Evaluation",
    "SettingRow",
    "StoredEvaluation",
    "evaluate",
    "evaluate_ranking",
    "evaluate_scorer",
    "read_evaluation",
    "write_evaluation",
]
