"""What a run has computed since the last line of its log: losses by kind of batch.

The trainer's own sum forgets, on resuming, what came after the last line; this one is stored with
every checkpoint, so the log of a resumed run is that of an uninterrupted one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from isoglot.errors import TrainingError

__all__ = ["Ledger", "stopped"]


class Ledger:
    """Losses of the batches since the last line of the log, and the numbers of batches in all.

    Args:
        limit: A loss above it has exploded.
    """

    def __init__(self, limit: float = math.inf) -> None:
        self.limit = limit
        self.batches: dict[str, int] = {}
        """Batches so far, by kind."""
        self._losses: dict[str, list[float]] = {}

    def add(self, kind: str, index: int, loss: float) -> None:
        """Add a batch.

        Args:
            kind: Its kind.
            index: Its number in the plan.
            loss: Its loss.

        Raises:
            TrainingError: If the loss is no number, or has exploded.
        """
        if not math.isfinite(loss):
            raise TrainingError(stopped(index, f"its loss is {loss}"))
        if loss > self.limit:
            raise TrainingError(stopped(index, f"its loss is {loss:.4g}, above {self.limit:.4g}"))
        self.batches[kind] = self.batches.get(kind, 0) + 1
        self._losses.setdefault(kind, []).append(loss)

    def check_gradient(self, indices: Sequence[int], norm: float) -> None:
        """Raise if the gradient of some batches is no number.

        Raises:
            TrainingError: If it is not.
        """
        if not math.isfinite(norm):
            among = "" if len(indices) == 1 else f" or one of the {len(indices) - 1} before it"
            raise TrainingError(stopped(indices[-1], f"the norm of its gradient{among} is {norm}"))

    def line(self) -> dict[str, float]:
        """Return the mean losses since the last line, and begin a new one."""
        kinds = sorted(self._losses)
        every = [loss for kind in kinds for loss in self._losses[kind]]
        line: dict[str, float] = {"loss": _mean(every)} if every else {}
        line |= {f"loss_{kind}": _mean(self._losses[kind]) for kind in kinds}
        self._losses = {}
        return line | {f"batches_{kind}": self.batches[kind] for kind in sorted(self.batches)}

    def state(self) -> dict[str, Any]:
        """Return what ``load`` needs, as JSON."""
        return {"batches": self.batches, "losses": self._losses}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a stored state."""
        self.batches = dict(state["batches"])
        self._losses = {kind: list(losses) for kind, losses in state["losses"].items()}


def _mean(losses: list[float]) -> float:
    return math.fsum(losses) / len(losses)


def stopped(index: int, reason: str) -> str:
    """Return what is said of a training that was stopped at a batch."""
    return (
        f"training stopped at batch {index}: {reason}; print the batch with --show-batch {index}, "
        "reduce training.learning_rate, or set training.precision: fp32; the checkpoints before it "
        "are kept"
    )
