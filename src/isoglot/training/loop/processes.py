"""The processes that train together, as torchrun or accelerate started them."""

from __future__ import annotations

from typing import TypeVar

import torch
import torch.distributed as dist
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from sentence_transformers.util import get_device_name

from isoglot.errors import ConfigError
from isoglot.training.inputs.slices import Process

__all__ = ["current_process", "from_first", "is_first", "mean_over_processes", "wait_for_all"]

T = TypeVar("T")


def _state() -> PartialState:
    """Return what accelerate knows of the processes; without a GPU it must be told to look."""
    return PartialState(cpu=get_device_name() == "cpu")


def current_process(rows: int) -> Process:
    """Return which of the processes this is.

    Args:
        rows: Rows of a global batch; every process needs one.

    Raises:
        ConfigError: If there are too few rows, or one process has several GPUs.
    """
    state = _state()
    gpus = torch.cuda.device_count()
    if state.num_processes == 1 and gpus > 1:
        raise ConfigError(
            f"this process sees {gpus} GPUs and would use one; start one process for each with "
            f"`torchrun --nproc_per_node {gpus} -m isoglot train ...`, or name one GPU in "
            "CUDA_VISIBLE_DEVICES"
        )
    if rows < state.num_processes:
        raise ConfigError(
            f"batches.size: {rows} rows for {state.num_processes} processes; each needs one at "
            "least"
        )
    return Process(state.process_index, state.num_processes)


def is_first() -> bool:
    """Say whether this is the process that writes."""
    return bool(_state().is_main_process)


def wait_for_all() -> None:
    """Wait until every process is here."""
    _state().wait_for_everyone()


def from_first(value: T) -> T:
    """Return what the first process has, in all processes."""
    _state()
    shared: list[T] = broadcast_object_list([value])
    return shared[0]


def mean_over_processes(value: torch.Tensor) -> float:
    """Return the mean of a scalar of each process, the same in all of them."""
    count = int(_state().num_processes)
    if count == 1:
        return float(value.detach())
    total = value.detach().double()
    dist.all_reduce(total)
    return float(total) / count
