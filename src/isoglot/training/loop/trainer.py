"""The sentence-transformers trainer, fed with planned batches.

What differs from the stock trainer: batches come from the plan and are shared out by row, so that
all processes train on one of them; the loss is ours, with or without a cached gradient; what a line
of the log says survives an interruption; checkpoints are sealed; no pickle is beside the model.
Schedules, precision, optimizer, wrapping for several processes and trackers are the ecosystem's.
"""

from __future__ import annotations

import contextlib
import functools
import math
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer
from sentence_transformers.base.evaluation import BaseEvaluator
from torch import Tensor, nn
from torch.utils.data import BatchSampler, DataLoader, SequentialSampler
from transformers import PrinterCallback

from isoglot.artifacts import read_json, write_json
from isoglot.batches.randomness import RandomStreams
from isoglot.errors import DataError, TrainingError
from isoglot.models.adapters import has_adapter, load_adapter_state, save_adapter_state
from isoglot.models.attention import attention_of_any_shape
from isoglot.training.inputs.collate import Inputs, PlannedBatches, TokenCollator
from isoglot.training.loop.ahead import Ahead
from isoglot.training.loop.checkpoints import checkpoint_of, remove_old, seal
from isoglot.training.loop.compact import compact_gradients
from isoglot.training.loop.ledger import Ledger, stopped
from isoglot.training.loop.meter import Meter
from isoglot.training.loop.precision import suited_attention
from isoglot.training.loop.processes import is_first, mean_over_processes, wait_for_all
from isoglot.training.loop.progress import LastLine, ProgressBar
from isoglot.training.loop.writing import complete_or_gone
from isoglot.training.objective import Objective

__all__ = ["DevelopmentScore", "PlannedTrainer"]

DevelopmentScore = Callable[[SentenceTransformer], Mapping[str, float]]
"""Scores a model on the development set; the value under ``score`` selects the checkpoint."""

_LEDGER = "ledger.json"
_HEADS = "heads.safetensors"
"""What objectives train beside the encoder."""
_CAN_FORK = "fork" in multiprocessing.get_all_start_methods()
_MARGIN = 1e-5
"""The library adds 1e-6 to a norm that it divides by; so far below the limit nothing is clipped."""


class PlannedTrainer(SentenceTransformerTrainer):
    """Trains on ``PlannedBatches``; step s of the run uses the batches s * accumulation onward.

    The run is one epoch of as many batches as it needs, so a resumed run skips to the batch of its
    step without drawing the ones before.

    Args:
        batches: What this process trains on.
        objective: The loss.
        cached: Whether the gradient is cached.
        score: Scores the model; default: it is not scored.
        kwargs: Of the stock trainer.
    """

    def __init__(
        self,
        *,
        batches: PlannedBatches,
        objective: Objective,
        cached: bool,
        score: DevelopmentScore | None,
        **kwargs: Any,
    ) -> None:
        evaluator = _DevelopmentEvaluator(score) if score is not None else None
        super().__init__(loss=objective, evaluator=evaluator, **kwargs)
        self._batches = batches
        self._objective = objective
        self._cached = cached
        self._alone = batches.process.count == 1
        self._ahead = Ahead(threaded=isinstance(batches.collate, TokenCollator))
        self._pending: tuple[Inputs, Tensor] | None = None
        self._step_indices: list[int] = []
        self.ledger = Ledger(objective.highest_loss(_candidates(batches)))
        self.meter = Meter()
        self.remove_callback(PrinterCallback)
        self._bar = ProgressBar()
        self.add_callback(self._bar)
        self.add_callback(LastLine)

    def resume(self, checkpoint: Path | None) -> None:
        """Train to the end, from a checkpoint if there is one."""
        if checkpoint is not None:
            self.ledger.load(read_json(checkpoint / _LEDGER))
            if (heads := checkpoint / _HEADS).is_file():
                self._objective.heads.load_state_dict(load_file(heads))
        start = str(checkpoint) if checkpoint is not None else None
        slow = self.args.bf16 and self.args.device.type == "cpu"
        keeping = compact_gradients(self.model) if self._alone else contextlib.nullcontext()
        try:
            with suited_attention(self.model, in_bf16_on_cpu=slow), keeping, self._ahead:
                with attention_of_any_shape():
                    self.train(resume_from_checkpoint=start)
        except RuntimeError as error:
            if "by peer" not in str(error):  # how gloo says that a connection is gone
                raise
            raise TrainingError(
                "another process of this run has ended, and says why; repeat the command: it goes "
                "on from the last checkpoint that is complete"
            ) from error
        finally:
            self._bar.close()

    def whole_model(self) -> SentenceTransformer:
        """Return the encoder with all weights in the first process; to be called in every one."""
        return self.model

    def get_train_dataloader(self) -> DataLoader[Inputs]:
        """Return a loader whose batch i is planned batch i."""
        # A loader "batch" of one index each: the trainer can then skip indices when it resumes.
        indices = BatchSampler(SequentialSampler(self._batches), batch_size=1, drop_last=False)
        workers = self.args.dataloader_num_workers
        return DataLoader(
            self._batches,
            batch_sampler=indices,
            collate_fn=_only,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=self.args.device.type == "cuda",
            worker_init_fn=_tokenize_alone,
            # A fork shares the mapped arrays; any other start would copy them.
            multiprocessing_context="fork" if workers and _CAN_FORK else None,
        )

    def get_batch_samples(
        self, epoch_iterator: Iterator[Inputs], num_batches: int, device: torch.device
    ) -> tuple[list[Inputs], None]:
        """Return the batches of a step, drawn while the step before was computed."""
        return self._ahead.take(epoch_iterator, num_batches), None

    def compute_loss(
        self,
        model: nn.Module,
        inputs: Inputs,
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Tensor:
        """Return the loss; with a cached gradient, every weight has its share already."""
        self._seed_dropout(inputs["index"])
        if self._cached:
            apart = functools.partial(self.accelerator.no_sync, model)
            loss = self._objective.backward(model, inputs, self._propagate, apart)
        else:
            loss = self._objective(model, inputs)
        self._pending = (inputs, loss.detach())
        # The trainer runs backward from what it gets; from a leaf that goes nowhere.
        return loss.detach().requires_grad_() if self._cached else loss

    def training_step(
        self, model: nn.Module, inputs: Any, num_items_in_batch: Any = None
    ) -> Tensor:
        """Run a batch forward and backward, and only then wait for the value of its loss."""
        share: Tensor = super().training_step(model, inputs, num_items_in_batch)
        assert self._pending is not None, "compute_loss has run"
        batch, loss = self._pending
        self._step_indices = [*self._step_indices, batch["index"]]
        self.ledger.add(batch["kind"], batch["index"], mean_over_processes(loss))
        self.meter.add(batch["total"])
        return share

    def _seed_dropout(self, index: int) -> None:
        """Make dropout, like the batch, a function of seed and index, and differ by process."""
        rank = self._batches.process.rank
        purpose = f"dropout of process {rank}"
        torch.manual_seed(int(RandomStreams(purpose, self.args.seed).at(index).integers(2**63)))

    def _propagate(self, scalar: Tensor) -> None:
        """Run backward as the trainer does."""
        self.accelerator.backward(scalar / self.current_gradient_accumulation_steps)

    def _clip_grad_norm(self, model: nn.Module) -> Tensor:
        """Return the norm, and clip where it is too large.

        The library multiplies all gradients even if by one, which for a static encoder is a third
        of its step.
        """
        heads = list(self._objective.heads.parameters())
        if not (self._alone or heads) or self.accelerator.scaler is not None:
            norm: Tensor = super()._clip_grad_norm(model)
            return norm
        weights = [*model.parameters(), *heads]
        norm = nn.utils.get_total_norm(w.grad for w in weights if w.grad is not None)
        if not float(norm) < self.args.max_grad_norm - _MARGIN:
            nn.utils.clip_grads_with_norm_(weights, self.args.max_grad_norm, norm)
        return norm

    def _get_grad_norm(self, model: nn.Module, grad_norm: Any = None) -> Any:
        norm = super()._get_grad_norm(model, grad_norm)
        if self.accelerator.scaler is None:  # fp16 leaves such steps out and scales down
            self.ledger.check_gradient(self._step_indices, float(norm))
        self._step_indices = []
        return norm

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Score; an encoder whose vectors are no numbers has lost its way."""
        try:
            scores: dict[str, float] = super().evaluate(*args, **kwargs)
        except DataError as error:
            index = self.state.global_step * self.args.gradient_accumulation_steps - 1
            raise TrainingError(stopped(index, f"then {error}")) from error
        return scores

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log; the loss is that of the batches since the last line, by kind."""
        if "loss" in logs:
            logs = {**logs, **self.ledger.line(), **self.meter.line()}
            if not math.isfinite(logs.get("grad_norm", 0.0)):  # of a step that fp16 leaves out
                del logs["grad_norm"]
        super().log(logs, start_time)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        folder = Path(self.args.output_dir)
        checkpoint = checkpoint_of(folder, self.state.global_step)
        with complete_or_gone(checkpoint):
            if is_first():  # what an interrupted run has left there
                shutil.rmtree(checkpoint, ignore_errors=True)
            wait_for_all()
            super()._save_checkpoint(model, trial)
            wait_for_all()
            if is_first():
                write_json(checkpoint / _LEDGER, self.ledger.state())
                if heads := self._objective.heads.state_dict():
                    save_file(heads, checkpoint / _HEADS)
                seal(checkpoint)
                remove_old(folder, self.state.best_global_step)
        wait_for_all()

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        if not self.args.should_save:  # the stock trainer would write in every process
            return
        folder = Path(output_dir or self.args.output_dir)
        if has_adapter(self.model):  # the frozen weights are the base encoder's
            save_adapter_state(self.model, folder)
            return
        super()._save(output_dir, state_dict)
        # The stock trainer pickles its arguments beside the model; our config is stored as YAML.
        (folder / "training_args.bin").unlink(missing_ok=True)

    def _load_from_checkpoint(self, checkpoint_path: str) -> None:
        if has_adapter(self.model):
            load_adapter_state(self.model, Path(checkpoint_path))
        else:
            super()._load_from_checkpoint(checkpoint_path)

    def _init_training_state(self, *args: Any, **kwargs: Any) -> tuple[int, int]:
        trained: tuple[int, int] = super()._init_training_state(*args, **kwargs)
        if best := self.state.best_global_step:  # recorded as a path, but the run may have moved
            self.state.best_model_checkpoint = str(checkpoint_of(Path(self.args.output_dir), best))
        return trained

    def _load_best_model(self) -> None:
        # The stock trainer only logs a failure and goes on with the last weights.
        self._load_from_checkpoint(self.state.best_model_checkpoint)


def _candidates(batches: PlannedBatches) -> int:
    """Return the most passages that a query is scored against."""
    config = batches.plan.config
    return config.size * (1 + config.negatives_per_query)


class _DevelopmentEvaluator(BaseEvaluator):
    """Hands the trainer's model to the development score."""

    def __init__(self, score: DevelopmentScore) -> None:
        super().__init__()
        self._score = score

    def __call__(
        self,
        model: SentenceTransformer,
        output_path: str | None = None,
        epoch: int = -1,
        steps: int = -1,
    ) -> dict[str, float]:
        """Return the scores; nothing is written."""
        return dict(self._score(model))


def _tokenize_alone(worker: int) -> None:
    """Keep a forked worker from waiting for the tokenizer's threads, which it does not have."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"


def _only(items: list[Inputs]) -> Inputs:
    return items[0]
