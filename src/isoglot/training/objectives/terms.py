"""A loss config to the terms that it has beside InfoNCE."""

from __future__ import annotations

from collections.abc import Callable

from sentence_transformers import SentenceTransformer

from isoglot.config.schema import LossConfig, TrainingConfig
from isoglot.data.parallel import ParallelTable
from isoglot.training.inputs.collate import Collate
from isoglot.training.objectives.agreement import PassageAgreement, QueryAgreement
from isoglot.training.objectives.blocks import VectorObjective
from isoglot.training.objectives.distillation import Distillation
from isoglot.training.objectives.reversal import Reversed
from isoglot.training.objectives.tokens import TokenObjective
from isoglot.training.objectives.translation_modelling import build_translation_modelling
from isoglot.training.objectives.transport import build_transport

__all__ = ["token_objectives", "vector_objectives"]


def vector_objectives(config: LossConfig) -> list[VectorObjective]:
    """Return a loss's objectives on vectors."""
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


def token_objectives(
    model: SentenceTransformer,
    table: ParallelTable,
    config: LossConfig,
    training: TrainingConfig,
    collate: Collate,
    report: Callable[[str], object],
) -> list[tuple[float, TokenObjective]]:
    """Return a loss's objectives on tokens, with their weights.

    Args:
        model: The encoder; an adapter may be attached.
        table: The training groups.
        config: The loss.
        training: Its seed, and how many texts are encoded at a time.
        collate: What feeds the encoder.
        report: Takes lines for the reader.

    Raises:
        ArtifactError: If tokens cannot be stored.
        ConfigError: If the encoder or the data cannot be used for one.
    """
    terms: list[tuple[float, TokenObjective]] = []
    if (transport := config.transport) is not None:
        built = build_transport(model, table, transport, training, collate)
        terms.append((transport.weight, built))
    if (modelling := config.translation_modelling) is not None:
        head = build_translation_modelling(model, table, modelling, training, report)
        terms.append((modelling.weight, head))
    return terms
