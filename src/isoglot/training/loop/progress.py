"""A progress bar for training: step, loss, rate and time left, on stderr."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from tqdm import tqdm
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from isoglot.progress import progress_bar

__all__ = ["LastLine", "ProgressBar"]


class ProgressBar(TrainerCallback):
    """Shows a run's progress; the trainer's own printers are to be removed."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Start at the step that a resumed run has reached."""
        self._bar = progress_bar("training", state.max_steps, "step", done=state.global_step)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Count the step."""
        if self._bar is not None:
            self._bar.update(state.global_step - self._bar.n)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Show the loss beside the bar and development scores on a line of their own."""
        if self._bar is None or self._bar.disable or not logs:
            return
        if "loss" in logs:
            self._bar.set_postfix(loss=f"{float(logs['loss']):.4f}", refresh=False)
        scores = {name: value for name, value in logs.items() if name in _SHOWN}
        if scores:
            line = ", ".join(f"{_SHOWN[name]} {float(value):.4f}" for name, value in scores.items())
            self._bar.write(f"step {state.global_step}: development {line}", file=sys.stderr)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Leave the finished bar on the screen."""
        self.close()

    def close(self) -> None:
        """End the bar, so that what is said next comes after it."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class LastLine(TrainerCallback):
    """Ends the log with what came after the last full interval."""

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Ask for a line at the last step."""
        if state.global_step >= state.max_steps:
            control.should_log = True


_SHOWN = {
    "eval_score": "score",
    "eval_monolingual": "monolingual",
    "eval_cross-lingual": "cross-lingual",
    "eval_multilingual": "multilingual",
}
