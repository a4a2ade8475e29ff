"""A loss config to its terms on vectors."""

from __future__ import annotations

from isoglot.config.schema import LossConfig
from isoglot.training.objectives.agreement import PassageAgreement, QueryAgreement
from isoglot.training.objectives.blocks import VectorObjective
from isoglot.training.objectives.distillation import Distillation
from isoglot.training.objectives.reversal import Reversed

__all__ = ["vector_objectives"]


def vector_objectives(config: LossConfig) -> list[VectorObjective]:
    """Return the objectives on vectors that a loss has beside InfoNCE."""
    terms: list[VectorObjective] = []
    if config.query_agreement is not None:
        terms.append(QueryAgreement(config.query_agreement))
    if config.passage_agreement is not None:
        terms.append(PassageAgreement(config.passage_agreement))
    if config.reversed is not None:
        terms.append(Reversed(config.reversed, config.temperature))
    if config.distillation is not None:
        terms.append(Distillation(config.distillation))
    return terms
