"""What is refused before a run starts, because it could not be trained as the config says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Router
from transformers.integrations import get_reporting_integration_callbacks

from isoglot.config.schema import LossConfig, ModelConfig
from isoglot.errors import ConfigError, ModelError
from isoglot.models.correction.attach import refuse_corrected

__all__ = ["check_dims", "check_encoder", "check_parallels", "check_trackers"]


def check_encoder(model: SentenceTransformer, config: ModelConfig) -> None:
    """Check that an encoder can be trained with its options.

    Raises:
        ConfigError: If texts are to be cut by an encoder that cuts none.
        ModelError: If it has routes of its own for queries and passages, or a correction.
    """
    if any(isinstance(module, Router) for module in model):
        raise ModelError(
            f"model {config.name!r} has one route for queries and another for passages (a Router), "
            "which cannot be trained here; name an encoder with one"
        )
    refuse_corrected(model, f"model {config.name!r}")
    if config.max_tokens is not None and model.max_seq_length != config.max_tokens:
        raise ConfigError(
            f"model.max_tokens: {config.name} reads texts of any length; take max_tokens out"
        )


def check_dims(model: SentenceTransformer, loss: LossConfig) -> None:
    """Check that an encoder has more dimensions than are to serve alone.

    Raises:
        ConfigError: If it has not.
    """
    dim = model.get_embedding_dimension()
    if too_many := [dims for dims in loss.matryoshka_dims if dims >= dim]:
        raise ConfigError(
            f"loss.matryoshka_dims: {too_many[0]} is not below the encoder's {dim} dimensions"
        )


def check_trackers(names: Sequence[str]) -> None:
    """Check that trackers are known and installed.

    Raises:
        ConfigError: If one is not.
    """
    try:
        for callback in get_reporting_integration_callbacks(list(names)):
            callback()
    except (ImportError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"training.report_to: cannot report to {', '.join(names)} ({reason})"
        ) from error


def check_parallels(loss: LossConfig, drawn: Mapping[str, Any]) -> None:
    """Check that the objectives on parallel texts have some in the run.

    Args:
        loss: The objectives.
        drawn: What ``count_batches`` has counted of the run.

    Raises:
        ConfigError: If there are none.
    """
    rows = drawn.get("parallel_rows", {})
    for name, sides in (
        ("query_agreement", ("query",)),
        ("passage_agreement", ("passage",)),
        ("transport", ("query", "passage")),
        ("translation_modelling", ("query", "passage")),
    ):
        if getattr(loss, name) is not None and not any(rows.get(side) for side in sides):
            raise ConfigError(
                f"loss.{name}: no row of this run has its {' or '.join(sides)} in a second "
                f"language; add parallel texts or take {name} out"
            )
