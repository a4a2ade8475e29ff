"""Training for ``benchmarks.gpu``: speed and memory, and whether every way to train gives the same.

``measure_training`` is beside sentence-transformers' trainer. ``check_processes`` trains one small
encoder in many ways and compares what comes out: precisions, gradient caching, processes that speak
by NCCL, shards, and runs that are killed and go on. Two processes share one GPU: they are told that
they are on different hosts, because NCCL has no two processes of one host on one GPU.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import yaml
from safetensors.torch import load_file
from sentence_transformers.sentence_transformer.losses import (
    CachedMultipleNegativesRankingLoss,
)

from benchmarks import _training_peers
from benchmarks._training_cases import Case, Trained, tokenize, train, train_config
from isoglot.models.attention import attention_of_any_shape
from isoglot.training.loop.meter import peak_memory_mib

__all__ = ["check_processes", "measure_training", "train_as_process"]

CACHED_TEXTS = 128
LIMIT_S = 240 if not torch.cuda.is_available() else 75
"""For the runs that are started together."""
LEFT_OUT = 3
"""First steps, which are slower."""

Figures = dict[str, Any]


def measure_training(folder: Path, *, short: bool) -> Figures:
    """Print and return steps, pairs per second and memory, of both sides where both can."""
    base = Case(str(folder), "base", "mixed", 64, 4 if short else 12, max_tokens=128)
    sizes = (8, 16, 32) if short else (64, 512, 2_048)
    small, middle, large = (replace(base, size=size, precision="bf16") for size in sizes)
    middle, large = replace(middle, steps=8), replace(large, steps=6)
    cached, larger = (replace(case, mini_batch_size=CACHED_TEXTS) for case in (middle, large))
    fp32 = [replace(case, precision="fp32", steps=6) for case in (small, cached, middle)]
    static = Case(str(folder), "static", "sentences", sizes[2], base.steps)
    tuned = "theirs, no cuDNN"
    cases = [
        *(("ours", cached), (tuned, cached), ("ours", middle), (tuned, middle)),
        *(("ours", fp32[1]), (tuned, fp32[1]), ("ours", larger), (tuned, larger)),
        *(("ours", small), (tuned, small), ("ours", fp32[0]), (tuned, fp32[0])),
        *(("ours", replace(small, precision="fp16")), ("ours", replace(cached, precision="fp16"))),
        *(("ours", static), ("theirs", static), ("ours", large), ("ours", fp32[2])),
        *(("theirs", small), ("theirs", cached)),
    ]
    results: Figures = {}
    for side, case in cases:
        if _device() == "cpu" and case.precision == "fp16":
            continue
        kind = "cached" if case.mini_batch_size else "whole"
        name = f"{case.encoder}, {case.precision}, batch {case.size}, {kind}, {side}"
        results[name] = _measured(side, case)
        print(f"{name:48} {json.dumps(results[name])}", flush=True)
    return results


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _measured(side: str, case: Case) -> Figures:
    """Train; return milliseconds of a step, pairs per second, memory and loss."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    try:
        tokenize(case)
        trained = train(case) if side == "ours" else _train_theirs(case, tuned="cuDNN" in side)
    except torch.OutOfMemoryError:
        return {"error": "out of memory"}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {str(error)[:300]}"}
    seconds = float(np.median(trained.steps[min(LEFT_OUT, case.steps // 2) :, 0]))
    return {
        "ms": round(1e3 * seconds, 1),
        "pairs_per_second": round(case.size / seconds),
        "peak_mib": peak_memory_mib(),
        "padding": round(trained.padding, 3),
        "loss": round(trained.loss, 5),
    }


def _train_theirs(case: Case, *, tuned: bool) -> Trained:
    """Train as sentence-transformers does, with its own gradient caching where the case asks."""
    name = "MultipleNegativesRankingLoss"
    cached = functools.partial(
        CachedMultipleNegativesRankingLoss, mini_batch_size=case.mini_batch_size
    )
    loss = patch.object(_training_peers, name, cached) if case.mini_batch_size else _nothing()
    with loss, attention_of_any_shape() if tuned else _nothing():
        return _training_peers.train_with_sentence_transformers(case)


@contextlib.contextmanager
def _nothing() -> Iterator[None]:
    yield


@dataclass
class Run:
    """One way to train the small encoder."""

    name: str
    encoder: str = "steady"
    precision: str = "fp32"
    processes: int = 0
    """That exchange by NCCL (by gloo on a CPU); 0 is a plain process without a launcher."""
    sharded: bool = False
    cached: bool = False
    kill: bool = False
    """Kill it (one process of several) at the fifth step of six, and start it again."""
    texts: list[str] = field(default_factory=list)
    """What the processes said."""


RUNS = (
    Run("one process"),
    Run("dropout, bf16", "transformer", "bf16"),
    Run("static", "static"),
    Run("the same again"),
    Run("gradient cached", cached=True),
    Run("bf16", precision="bf16"),
    Run("fp16", precision="fp16"),
    Run("fp16, cached", precision="fp16", cached=True),
    Run("DDP, 1 process", processes=1),
    Run("DDP, 2 processes", processes=2),
    Run("DDP, 2 processes, cached", processes=2, cached=True),
    Run("DDP, 2 processes, fp16", processes=2, precision="fp16"),
    Run("FSDP2, 1 process", processes=1, sharded=True),
    Run("FSDP2, 2 processes", processes=2, sharded=True),
    Run("FSDP2, 2 processes, bf16", processes=2, sharded=True, precision="bf16"),
    Run("FSDP2, 2 processes, fp16", processes=2, sharded=True, precision="fp16"),
    Run("FSDP2, 2 processes, killed", processes=2, sharded=True, kill=True),
    Run("killed", kill=True),
    Run("DDP, 2 processes, killed", processes=2, kill=True),
    Run("dropout, bf16, again", "transformer", "bf16"),
    Run("dropout, bf16, killed", "transformer", "bf16", kill=True),
    Run("static, again", "static"),
    Run("static, killed", "static", kill=True),
    Run("static, DDP, 2 processes", "static", processes=2),
)
REFERENCES = {"steady": "one process", "transformer": "dropout, bf16", "static": "static"}


def check_processes(folder: Path, *, short: bool) -> Figures:
    """Run all of ``RUNS``, some at a time; print and return how far each is from its reference."""
    runs = [replace(run, texts=[]) for run in RUNS]
    if _device() == "cpu":
        runs = [run for run in runs if run.precision != "fp16"]
    if short:  # of a CPU
        runs = [run for run in runs if run.name in SHORT_RUNS]
    for encoder in REFERENCES:
        tokenize(_case(folder, Run("", encoder)))
    together, results = 2 if short else 12, {}
    for start in range(0, len(runs), together):
        wave = runs[start : start + together]
        _run_to_end(folder, [run for run in wave if run.kill], kill=True)
        codes = _run_to_end(folder, wave, kill=False)
        for run in wave:
            results[run.name] = _compared(folder, run, codes[run.name])
            print(f"{run.name:32} {json.dumps(results[run.name])}", flush=True)
    return results


def _run_to_end(folder: Path, runs: list[Run], *, kill: bool) -> dict[str, list[int]]:
    """Run all at once; return the exit codes of their processes."""
    deadline = time.monotonic() + LIMIT_S
    begun = [(run, _begin(folder, run, kill=kill)) for run in runs]
    return {run.name: _ended(run, processes, deadline) for run, processes in begun}


SHORT_RUNS = ("one process", "DDP, 2 processes", "FSDP2, 1 process", "killed", "static")


def _case(folder: Path, run: Run) -> Case:
    return Case(
        str(folder),
        run.encoder,
        "sentences" if run.encoder == "static" else "mixed",
        32,
        6,
        precision=run.precision,
        mini_batch_size=16 if run.cached else None,
        max_tokens=None if run.encoder == "static" else 64,
    )


def _write_config(folder: Path, run: Run) -> Path:
    config = train_config(_case(folder, run)).model_dump(mode="json")
    config["training"] |= {"sharding": "full" if run.sharded else "none", "log_every": 1}
    config["development"]["every"] = 2
    path = folder / f"{_slug(run)}.yaml"
    path.write_text(yaml.safe_dump(config), "utf-8")
    return path


def _slug(run: Run) -> str:
    return run.name.replace(", ", "-").replace(" ", "-")


def _begin(folder: Path, run: Run, *, kill: bool) -> list[subprocess.Popen[str]]:
    """Start the processes of a run; they end at the fifth step if they are to be killed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "benchmarks.gpu", "--process"]
    command += [str(_write_config(folder, run)), str(folder / "runs" / _slug(run))]
    command += ["--sharded"] * run.sharded + ["--kill"] * kill
    started = []
    for rank in range(max(1, run.processes)):
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        if run.processes:
            environment |= {
                "RANK": str(rank),
                "LOCAL_RANK": str(rank) if _device() == "cpu" else "0",
                "WORLD_SIZE": str(run.processes),
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": port,
                "NCCL_HOSTID": f"host{rank}",
                "NCCL_SOCKET_IFNAME": "lo",
                "NCCL_IB_DISABLE": "1",
                "NCCL_DEBUG": "WARN",
            }
        process = subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
    return started


def _ended(run: Run, processes: list[subprocess.Popen[str]], deadline: float) -> list[int]:
    """Wait for the processes of a run; kill those that hang."""
    for process in processes:
        try:
            said = process.communicate(timeout=max(2.0, deadline - time.monotonic()))[0]
        except subprocess.TimeoutExpired:
            process.kill()
            said = process.communicate()[0] + "\n(killed, because it hung)"
        run.texts.append(said)
    return [process.returncode for process in processes]


def train_as_process(config: Path, run: Path, *, sharded: bool, kill: bool) -> None:
    """Train in this process, as ``isoglot train`` does; one process alone shards if told to."""
    from isoglot.config.loading import load_config
    from isoglot.config.schema import TrainConfig
    from isoglot.pipeline.training import run_training

    if kill:
        _kill_at_step(5)
    shards = patch("isoglot.training.train.is_sharded", lambda *_: True) if sharded else _nothing()
    with shards:
        run_training(load_config(TrainConfig, config), run, print)


def _kill_at_step(step: int) -> None:
    from torch.optim.optimizer import register_optimizer_step_post_hook

    left = step

    def count(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    register_optimizer_step_post_hook(count)


def _compared(folder: Path, run: Run, codes: list[int]) -> Figures:
    """Return how far losses and weights of a run are from those of its reference."""
    own = folder / "runs" / _slug(run)
    if any(codes) or not (own / "COMPLETE").is_file():
        said = [line for text in run.texts for line in text.splitlines() if line.strip()]
        return {"codes": codes, "error": said[-12:]}
    reference = folder / "runs" / _slug(Run(REFERENCES[run.encoder]))
    if not (reference / "COMPLETE").is_file():
        return {"error": "its reference has failed"}
    weights, expected = (_weights(path) for path in (own, reference))
    losses, wanted = (_losses(path) for path in (own, reference))
    return {
        "losses": [round(loss, 5) for loss in losses],
        "loss_difference": float(f"{np.abs(losses - wanted).max():.1e}"),
        "weight_difference": float(
            f"{max(float((w - expected[name]).abs().max()) for name, w in weights.items()):.1e}"
        ),
        "same_bits": all(torch.equal(w, expected[name]) for name, w in weights.items()),
        "went_on": any("going on from" in text for text in run.texts),
    }


def _weights(run: Path) -> dict[str, torch.Tensor]:
    files = sorted((run / "model").rglob("*.safetensors"))
    return {f"{f.parent.name}/{k}": v for f in files for k, v in load_file(f).items()}


def _losses(run: Path) -> np.ndarray[Any, np.dtype[np.float64]]:
    log = json.loads((run / "log.json").read_text("utf-8"))
    return np.array([line["loss"] for line in log if "loss" in line])
