"""Weights, gradients and optimizer in shards: each process holds a part of them (FSDP2).

Sharding is the ecosystem's (PyTorch's ``fully_shard`` through accelerate). What is added: weights
that no embedding depends on are frozen, because they would have no optimizer state to resume from;
checkpoints are plain folders; and a CPU, for which accelerate does not shard, is made to.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Transformer
from sentence_transformers.util import get_device_name
from torch import nn
from transformers import Trainer

from isoglot.config.schema import AlignConfig, TrainConfig, TrainingConfig
from isoglot.errors import ArtifactError, ConfigError
from isoglot.training.loop.trainer import PlannedTrainer

__all__ = [
    "ShardedTrainer",
    "check_resumable",
    "equal_parts",
    "is_sharded",
    "sharded_arguments",
]

_SHARDED_OPTIMIZER = "optimizer.bin"
"""What accelerate names it; of one process it is ``optimizer.pt``."""
_FOREIGN = {
    "ACCELERATE_USE_FSDP": "FSDP",
    "ACCELERATE_USE_DEEPSPEED": "DeepSpeed",
    "ACCELERATE_USE_MEGATRON_LM": "Megatron-LM",
}


def is_sharded(config: TrainConfig | AlignConfig, report: Callable[[str], object]) -> bool:
    """Say whether weights are sharded: the config asks for it, and there are several processes.

    Args:
        config: The config of the run.
        report: Takes a line for the reader.

    Raises:
        ConfigError: If an adapter is to be trained, or accelerate was told to shard by itself.
    """
    _refuse_foreign_sharding()
    if config.training.sharding == "none":
        return False
    if getattr(config.model, "lora", None) is not None:
        raise ConfigError(
            "training.sharding: full does not go with model.lora, whose trained weights are few; "
            "leave one of them out"
        )
    if _state().num_processes == 1:
        report("training.sharding: full has no effect, because one process trains alone")
        return False
    return True


def sharded_arguments(model: SentenceTransformer) -> dict[str, Any]:
    """Return the arguments of the trainer that have every layer of the encoder sharded.

    Args:
        model: The encoder; one without layers, as static ones are, is sharded as a whole.
    """
    first = model[0]
    named = getattr(first.auto_model, "_no_split_modules", None) if _is_transformer(first) else None
    present = {type(module).__name__ for module in model.modules()}
    layers = sorted(present.intersection(named or ()))
    units = {"transformer_layer_cls_to_wrap": layers} if layers else {"auto_wrap_policy": "NO_WRAP"}
    return {"fsdp": True, "fsdp_config": {"version": 2, **units}}


def check_resumable(checkpoint: Path, *, sharded: bool) -> None:
    """Raise if a checkpoint holds the optimizer in the form that the run cannot read.

    Args:
        checkpoint: The checkpoint.
        sharded: Whether weights are sharded now.

    Raises:
        ArtifactError: If they were not when it was written, or the other way round.
    """
    if (checkpoint / _SHARDED_OPTIMIZER).is_file() != sharded:
        written, now = ("one process", "several") if sharded else ("several processes", "one")
        raise ArtifactError(
            f"{checkpoint}: training.sharding: full was begun with {written} and cannot go on with "
            f"{now}; start as many as before, or choose another --output"
        )


def equal_parts(training: TrainingConfig) -> TrainingConfig:
    """Return a config by which every process encodes a batch in as many parts as the others.

    Shards are brought together for every part, by all processes at once. Parts of like length
    differ in number by process; parts of ``mini_batch_size`` do not.
    """
    return training.model_copy(update={"length_buckets": 1})


class ShardedTrainer(PlannedTrainer):
    """Trains an encoder of which every process holds a part.

    Args:
        model: The encoder.
        kwargs: Of ``PlannedTrainer``, with ``sharded_arguments`` among the arguments.
    """

    def __init__(self, *, model: SentenceTransformer, **kwargs: Any) -> None:
        _freeze_unused(model)
        # Accelerate looks below it for a last norm, and would take a Normalize module for one.
        model.base_model_prefix = "0"
        # Takes the whole weights whenever they are saved.
        self._whole = copy.deepcopy(model).cpu() if _state().is_main_process else None
        super().__init__(model=model, **kwargs)

    def create_accelerator_and_postprocess(self) -> None:
        """Shard in any case, fully when saved, and without a precision of its own."""
        super().create_accelerator_and_postprocess()
        if self.args.device.type == "cpu":
            self._shard_on_cpu()
        plugin = self.accelerator.state.fsdp_plugin
        plugin.set_state_dict_type("FULL_STATE_DICT")
        # The objective casts what is computed; weights and gradients are exchanged as they are.
        plugin.mixed_precision_policy = None

    def _shard_on_cpu(self) -> None:
        """Tell accelerate that it shards; for its own reasons it does so only on GPUs."""
        plugin = FullyShardedDataParallelPlugin(**self.args.fsdp_plugin_args)
        for state in (PartialState, AcceleratorState):
            state._shared_state["distributed_type"] = DistributedType.FSDP
        AcceleratorState._shared_state["fsdp_plugin"] = plugin
        self.is_fsdp_enabled = True

    def whole_model(self) -> SentenceTransformer:
        """Return the encoder with all weights in the first process; to be called in every one."""
        state = self.accelerator.get_state_dict(self.model)
        if self._whole is None:
            return self.model
        self._whole.load_state_dict(state)
        return self._whole

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        if self._whole is not None:
            self._whole.load_state_dict(state_dict)
            self._whole.save_pretrained(output_dir or self.args.output_dir)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        # That of sentence-transformers would load whole weights into shards.
        Trainer._load_from_checkpoint(self, resume_from_checkpoint, model or self.model)


def _state() -> PartialState:
    """Return what accelerate knows of the processes; without a GPU it must be told to look."""
    return PartialState(cpu=get_device_name() == "cpu")


def _refuse_foreign_sharding() -> None:
    for variable, name in _FOREIGN.items():
        if os.environ.get(variable, "").lower() in {"1", "true"}:
            raise ConfigError(
                f"accelerate was told to use {name}; take that out of its config or command line, "
                "and set training.sharding: full to shard the weights"
            )


def _is_transformer(module: nn.Module) -> bool:
    return isinstance(module, Transformer)


def _freeze_unused(model: SentenceTransformer) -> None:
    """Freeze the weights that no embedding depends on, such as the pooler of BERT and its kin."""
    features = model.preprocess(["a"])
    inputs = {k: v.to(model.device) if hasattr(v, "to") else v for k, v in features.items()}
    with torch.random.fork_rng(devices=[model.device] if model.device.type == "cuda" else []):
        model(inputs)["sentence_embedding"].sum().backward()
    for weight in model.parameters():
        weight.requires_grad_(weight.grad is not None)
        weight.grad = None
