"""What is ready before a run starts: batches, development score, and what an audit has found.

The parts above make it, training and alignment use it; it loads no model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from isoglot.batches.plan import BatchPlan

if TYPE_CHECKING:
    from isoglot.training.loop.trainer import DevelopmentScore

__all__ = ["Prepared", "Report"]

Report = Callable[[str], object]
"""Takes a line for the reader."""


@dataclass(frozen=True)
class Prepared:
    """The data of a run, read and planned."""

    plan: BatchPlan
    """The batches, drawn from the training groups."""
    score: DevelopmentScore | None
    """Scores the model on the development set."""
    dropped: int
    """Groups left out for the development set, for the census."""
    audit: Mapping[str, Any] | None
    """What was found of benchmarks in the data, for ``audit.json``."""
