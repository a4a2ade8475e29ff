"""Training runs in processes of their own, with a fault at a chosen moment, and started again.

The processes are real, and so is the signal that kills them. They come from a fork server that has
imported what training needs, because that takes longer than a small run does.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection, get_context, set_start_method
from pathlib import Path
from typing import Any, NoReturn, Protocol

import psutil
import yaml

from isoglot.artifacts import file_sha256
from isoglot.config.schema import TrainConfig

__all__ = [
    "AtFile",
    "AtStep",
    "Ended",
    "FilesAtMost",
    "NoRoom",
    "Training",
    "assert_same_runs",
    "flip_byte",
    "start",
    "together",
    "torchrun",
    "truncate",
    "write_config",
]

KILLED = -signal.SIGKILL
"""Exit code of a process that was killed."""
_QUIET = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
_OF_FILES = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir"}
"""What the interpreter says it is about to do with files."""
_GRACE_S = 10.0
"""Seconds that the other processes have to say why they end, when one has ended with an error."""

_context = get_context("forkserver")
_context.set_forkserver_preload(
    [
        *("tests.training.faults", "isoglot.cli.app", "isoglot.pipeline.training"),
        *("isoglot.training.train", "transformers.models.xlm_roberta.modeling_xlm_roberta"),
    ]
)


class Fault(Protocol):
    """What happens to a process; ``rank`` says to which."""

    @property
    def rank(self) -> int: ...

    def arm(self) -> None:
        """Called in that process before the run starts."""


@dataclass(frozen=True)
class AtStep:
    """After so many optimizer steps of the process, before anything is written about the last."""

    steps: int
    rank: int = 0

    def arm(self) -> None:
        """Count the steps of any optimizer."""
        from torch.optim.optimizer import register_optimizer_step_post_hook

        left = self.steps

        def count(*_: Any) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        register_optimizer_step_post_hook(count)


@dataclass(frozen=True)
class AtFile:
    """When something whose path has this part is opened, made, renamed or removed, n-th time."""

    part: str
    time: int = 1
    rank: int = 0

    def arm(self) -> None:
        """Listen to what the interpreter does with files; extensions written in C go unheard."""
        left = self.time

        def listen(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal left
            if event in _OF_FILES and self.part in str(arguments[0]):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(listen)


@dataclass(frozen=True)
class NoRoom:
    """The disk is full for files whose path has this part, from the n-th one opened."""

    part: str
    time: int = 1
    rank: int = 0

    def arm(self) -> None:
        """Refuse what the interpreter opens; extensions written in C are not hindered."""
        before = self.time - 1

        def refuse(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal before
            if event != "open" or self.part not in str(arguments[0]):
                return
            if arguments[2] & (os.O_WRONLY | os.O_RDWR):
                if before == 0:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(arguments[0]))
                before -= 1

        sys.addaudithook(refuse)


@dataclass(frozen=True)
class FilesAtMost:
    """No file can grow beyond so many bytes, whoever writes it."""

    size: int
    rank: int = 0

    def arm(self) -> None:
        """Have the system cut writes off."""
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.size, self.size))


@dataclass(frozen=True)
class Ended:
    """How a run has ended."""

    codes: tuple[int, ...]
    """Exit codes by rank."""
    said_by: tuple[str, ...]
    """What each process wrote to its standard streams."""

    @property
    def said(self) -> str:
        """What they wrote together."""
        return "".join(self.said_by)

    @property
    def done(self) -> bool:
        """Whether every process has ended without an error."""
        return not any(self.codes)

    @property
    def killed(self) -> bool:
        """Whether any process was killed."""
        return KILLED in self.codes


class Training:
    """A run that goes on in processes of its own; to be waited for, or killed."""

    def __init__(self, processes: Sequence[Any], streams: Sequence[Path]) -> None:
        self._processes = processes
        self._streams = streams

    def kill(self) -> Ended:
        """Kill all processes at once, as when the machine goes down."""
        for process in self._processes:
            process.kill()
        return self._ended()

    def wait(self, timeout: float = 120.0) -> Ended:
        """Wait for the end; where one process was killed, the others are killed too.

        Raises:
            TimeoutError: If the run hangs; its processes are killed.
        """
        deadline = time.monotonic() + timeout
        while running := [p.sentinel for p in self._processes if p.exitcode is None]:
            if not connection.wait(running, max(0.0, deadline - time.monotonic())):
                raise TimeoutError(f"no end after {timeout:.0f} s: {self.kill().said}")
            codes = [process.exitcode for process in self._processes]
            if any(code is not None and code < 0 for code in codes):
                return self.kill()
            if any(codes):
                deadline = min(deadline, time.monotonic() + _GRACE_S)
        return self._ended()

    def _ended(self) -> Ended:
        for process in self._processes:
            process.join()
        codes = tuple(process.exitcode for process in self._processes)
        return Ended(codes, tuple(path.read_text("utf-8") for path in self._streams))


def start(
    config: Path,
    run: Path,
    *,
    command: str = "train",
    processes: int = 1,
    fault: Fault | None = None,
) -> Training:
    """Start ``isoglot train CONFIG --output RUN`` in processes that exchange gradients by gloo.

    Args:
        config: The file of the config.
        run: The run folder; what the processes say is written beside it.
        command: ``train`` or ``align``.
        processes: How many train together.
        fault: What happens to one of them.
    """
    faults = [fault if fault is not None and fault.rank == r else None for r in range(processes)]
    line = [command, *_arguments(config, run)]
    return _start(run, [(_train, (line, fault)) for fault in faults])


def together(
    function: Callable[..., object], folder: Path, *arguments: object, processes: int = 2
) -> Ended:
    """Call a function in several processes that can exchange tensors by gloo; wait for the end.

    Args:
        function: Of a module; is given ``folder`` and ``arguments``.
        folder: Where it may write; what the processes say is written beside it.
        arguments: Further ones.
        processes: How many.
    """
    call = (_call, (function, (folder, *arguments)))
    return _start(folder, [call] * processes).wait()


def _start(beside: Path, calls: Sequence[tuple[Callable[..., None], tuple[Any, ...]]]) -> Training:
    """Start a process for each call, by rank."""
    port = str(_free_port())
    started, streams = [], []
    for rank, (function, arguments) in enumerate(calls):
        environment = dict(_QUIET)
        if len(calls) > 1:
            environment |= {
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "WORLD_SIZE": str(len(calls)),
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": port,
            }
        streams.append(beside.with_name(f"{beside.name}.{rank}.txt"))
        started.append(
            _context.Process(target=function, args=(environment, streams[-1], *arguments))
        )
        started[-1].start()
    return Training(started, streams)


def torchrun(
    config: Path, run: Path, *, processes: int, kill_at: Path | None = None, timeout: float = 120.0
) -> Ended:
    """Run the command under torchrun, to its end or until a path is there.

    Args:
        config: The file of the config.
        run: The run folder.
        processes: How many train together.
        kill_at: The launcher and all below it are killed as soon as this path exists.
        timeout: Seconds after which all are killed, too.
    """
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    launcher += [f"--nproc_per_node={processes}", "-m", "isoglot"]
    said = run.with_name(f"{run.name}.torchrun.txt")
    deadline = time.monotonic() + timeout
    with said.open("w", encoding="utf-8") as stream:
        process = subprocess.Popen(
            [*launcher, "train", *_arguments(config, run)],
            env={**os.environ, **_QUIET},
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
        while process.poll() is None:
            if time.monotonic() > deadline or (kill_at is not None and kill_at.exists()):
                _kill_tree(process.pid)
            time.sleep(0.002)
    return Ended((process.returncode,), (said.read_text("utf-8"),))


def write_config(path: Path, config: TrainConfig) -> Path:
    """Write a config as a user would."""
    path.write_text(yaml.safe_dump(config.model_dump(mode="json")), "utf-8")
    return path


def truncate(path: Path) -> None:
    """Cut a file in half, as a full disk or a lost cache does."""
    os.truncate(path, path.stat().st_size // 2)


def flip_byte(path: Path) -> None:
    """Change one byte in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))


def assert_same_runs(one: Path, other: Path) -> None:
    """Compare what two runs have left: every byte of the weights, every line of the log."""
    assert _weights(one), f"{one}: no weights"
    assert _weights(one) == _weights(other)
    for name in ("log.json", "census.json"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def _arguments(config: Path, run: Path) -> list[str]:
    return [str(config), "--output", str(run)]


def _train(environment: dict[str, str], stream: Path, line: list[str], fault: Fault | None) -> None:
    """Be ``isoglot`` with a command line and an environment."""
    _begin(environment, stream)
    from isoglot.cli.app import run

    if fault is not None:
        fault.arm()
    _end(run(["--debug", *line]))


def _call(
    environment: dict[str, str],
    stream: Path,
    function: Callable[..., object],
    arguments: tuple[object, ...],
) -> None:
    """Call a function beside other processes that do the same."""
    _begin(environment, stream)
    from accelerate import PartialState

    PartialState(cpu=True)  # joins them
    try:
        function(*arguments)
    except BaseException:
        traceback.print_exc()
        _end(1)
    _end(0)


def _begin(environment: dict[str, str], stream: Path) -> None:
    os.environ.update(environment)
    with stream.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    import torch

    torch.set_num_threads(1)
    set_start_method("fork", force=True)  # as everywhere but below a fork server


def _end(code: int) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _kill_tree(pid: int) -> None:
    """Kill a process and all below it; torchrun gives each of its own a session of its own."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for each in [process, *process.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                each.kill()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _weights(run: Path) -> dict[str, str]:
    model = run / "model"
    return {
        str(path.relative_to(model)): file_sha256(path)
        for path in sorted(model.rglob("*.safetensors"))
    }
