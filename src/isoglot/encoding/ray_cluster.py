"""Shards made on a Ray cluster, joined or started, kept quiet, by the workers it has room for.

What is particular to Ray is here; what the workers do is in ``ray_worker``.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from isoglot.config.encoding import EncodingConfig
from isoglot.encoding.ray_worker import Answer, Job, ShardMaker, ShardTask
from isoglot.errors import ConfigError, IsoglotError, ModelError

__all__ = ["Workers", "joined_cluster", "plan_workers", "stream_answers"]

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # Ray's C++ parts write to stderr past all Python logging.
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    # Of retries, line after line; that a node died is said once, by us.
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
}
_OBJECT_STORE_BYTES = 100_000_000
"""Of a Ray of our own; only records of shards pass through it."""
_PROBE_TIMEOUT_S = 5.0


class Workers(NamedTuple):
    """How many workers a cluster has room for, and what each may use."""

    number: int
    threads: int
    gpus: int


@contextlib.contextmanager
def joined_cluster(address: str | None) -> Iterator[None]:
    """Join a cluster for the time of a block; without an address start one on this machine.

    A process that has joined one before stays with it, and in it.

    Args:
        address: ``auto`` for the cluster this machine is part of, or ``HOST:PORT``.

    Raises:
        ConfigError: If no cluster is there.
    """
    ray = _import_ray()
    if ray.is_initialized():
        yield
        return
    own = {"object_store_memory": _OBJECT_STORE_BYTES, "include_dashboard": False}
    try:
        if address:
            _probe(address)
        with _silent_stderr():
            ray.init(
                address=address or "local",
                log_to_driver=False,
                logging_level=logging.ERROR,
                **({} if address else own),
            )
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise ConfigError(
            f"no Ray cluster at {address!r} ({_first_line(error)}); give 'auto' on one "
            "of its machines or HOST:PORT of its head, as `ray start --head` prints it"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _probe(address: str) -> None:
    """Raise unless something answers within seconds; Ray itself tries for minutes.

    Raises:
        OSError: If nothing answers.
        ValueError: If it is no address.
    """
    if address == "auto" and "RAY_ADDRESS" not in os.environ:
        return  # Ray looks for processes on this machine
    host, _, port = (os.environ["RAY_ADDRESS"] if address == "auto" else address).rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError("expected HOST:PORT")
    socket.create_connection((host, int(port)), timeout=_PROBE_TIMEOUT_S).close()


def stream_answers(
    job: Job, tasks: Sequence[ShardTask], report: Callable[[str], None]
) -> Iterator[Answer]:
    """Have shards made on the cluster that was joined; yield the answers as they come.

    Nodes that join later get workers too. Where a node dies, its shards are made by another worker,
    at the latest when the others have nothing left to do.

    Raises:
        ConfigError: If no worker fits on a node, the precision is not stated for GPUs, or this
            package is not on every node.
        ModelError: If Ray cannot go on.
    """
    ray = _import_ray()
    nodes = _alive_nodes(ray)
    workers = plan_workers([node["Resources"] for node in nodes.values()], job.settings.threads)
    _refuse_guessed_precision(job.settings, workers)
    with ray.data.DataContext.current(_quiet_context(ray)):
        answers = ray.data.from_items(
            [task._asdict() for task in tasks], override_num_blocks=len(tasks)
        ).map_batches(
            ShardMaker,
            batch_size=1,
            fn_constructor_args=(job, workers.threads),
            # One shard at a time: what waits for a worker would be lost with it.
            compute=ray.data.ActorPoolStrategy(
                min_size=1,
                initial_size=min(workers.number, len(tasks)),
                max_tasks_in_flight_per_actor=1,
            ),
            num_cpus=workers.threads,
            num_gpus=workers.gpus,
        )
        try:
            for row in answers.iter_rows():
                _report_deaths(ray, nodes, report)
                yield Answer(**row)
        except ray.exceptions.RayTaskError:
            raise  # a fault of ours, whose traceback is wanted
        except ray.exceptions.RayError as error:
            raise _explain(error) from error


def _explain(error: Exception) -> IsoglotError:
    """Return what the user can do about a failure of Ray that is no fault in our code."""
    missing = re.search(r"No module named '[^']*'", str(error))
    if missing:
        return ConfigError(
            f"isoglot is not installed on every node ({missing.group()}); install the same version "
            "on all of them: pip install 'isoglot[ray]'"
        )
    return ModelError(
        f"the Ray cluster cannot go on ({_first_line(error)}); see `ray status` and Ray's logs, "
        "and run again: what is there is kept"
    )


def _refuse_guessed_precision(settings: EncodingConfig, workers: Workers) -> None:
    """Refuse to compute on GPUs in what this machine's CPU is best at."""
    import torch

    if workers.gpus and settings.precision == "auto" and not torch.cuda.is_available():
        raise ConfigError(
            "the nodes have GPUs and this machine has none, so it cannot tell which precision is "
            "fastest there; state precision, such as bfloat16, or float32 for a static encoder"
        )


def _report_deaths(
    ray: ModuleType, known: dict[str, dict[str, Any]], report: Callable[[str], None]
) -> None:
    """Tell of nodes that died since the last time, and know those that came."""
    alive = _alive_nodes(ray)
    for name in known.keys() - alive.keys():
        report(
            f"node {known[name]['NodeManagerHostname']} died; {len(alive)} left, which make its "
            "shards"
        )
    known.clear()
    known.update(alive)


def _alive_nodes(ray: ModuleType) -> dict[str, dict[str, Any]]:
    return {node["NodeID"]: node for node in ray.nodes() if node["Alive"]}


def plan_workers(nodes: list[dict[str, float]], threads: int | None) -> Workers:
    """Say how many workers fit: one per GPU if there are any, else one per ``threads`` CPUs.

    Args:
        nodes: ``CPU`` and ``GPU`` of every node that is alive.
        threads: CPUs of a worker; default: one with a GPU, else those of the smallest node, so
            that every node has a worker.

    Raises:
        ConfigError: If none fits.
    """
    gpus = sum(int(node.get("GPU", 0)) for node in nodes)
    cpus = [int(node.get("CPU", 0)) for node in nodes if node.get("CPU", 0) >= 1]
    if gpus:
        return Workers(gpus, threads or 1, 1)
    if not cpus:
        raise ConfigError(
            "the Ray cluster has no CPU and no GPU to work on; add a node with "
            "`ray start --address HOST:PORT`"
        )
    threads = threads or min(cpus)
    if threads > max(cpus):
        raise ConfigError(
            f"threads is {threads}, but no node of the Ray cluster has more than {max(cpus)} CPUs; "
            f"use {max(cpus)} or fewer"
        )
    return Workers(sum(count // threads for count in cpus), threads, 0)


def _import_ray() -> ModuleType:
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ConfigError(
            "engine ray needs Ray Data, which is not installed; pip install 'isoglot[ray]'"
        ) from error
    module: ModuleType = ray
    return module


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    """Drop what is written to the stderr of the process, past ``sys.stderr`` too."""
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("w") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _quiet_context(ray: ModuleType) -> Any:  # noqa: ANN401 - ray.data.DataContext
    """Return settings of Ray Data without messages, in which a busy pool may grow."""
    for handler in logging.getLogger("ray.data").handlers:
        if isinstance(handler, logging.StreamHandler):  # Ray's files keep everything
            handler.setLevel(logging.CRITICAL + 1)
    context = ray.data.DataContext.get_current().copy()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    # All workers busy is reason enough; by default only shards that wait at a worker are.
    context.autoscaling_config.actor_pool_util_upscaling_threshold = 1.0
    return context


def _first_line(error: Exception) -> str:
    lines = re.sub(r"\x1b\[\d*m", "", str(error)).strip().splitlines()
    return lines[0] if lines else type(error).__name__
