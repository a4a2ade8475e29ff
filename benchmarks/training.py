"""Training beside sentence-transformers' own trainer: ``python -m benchmarks.training [PART ...]``.

static       a static encoder of the embedded one's size on translations, fp32
transformer  a small BERT on texts of mixed length: in equal precision, and as each comes
quality      our defaults against fp32 without parts of like length, over seeds: development scores
cache        gradient caching by size of the batch: memory, time, and whether gradients are equal
draw         how much of a step is drawing its batch, and packing its tokens
memory       most memory that either side takes

Without PART all are run. Both sides train on the same rows in the same batches, in one process on
all cores, by turns: blocks of steps, each a run from the start; its first steps are left out. Steps
are timed from the end of one to the end of the next, so all that a trainer does is in it. Data:
translations and course sections of the project's development data. ``--short`` shows that
everything works; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import sentence_transformers
import torch
from numpy.typing import NDArray

from benchmarks._training_cases import (
    Case,
    Trained,
    build_encoder,
    plan_of,
    time_batches,
    tokenize,
    train,
    train_config,
    write_data,
)
from benchmarks._training_peers import train_with_sentence_transformers
from benchmarks._training_quality import compare_quality
from isoglot.models.loading import load_encoder
from isoglot.training.inputs.build import build_collator
from isoglot.training.inputs.collate import PlannedBatches
from isoglot.training.loop.meter import peak_memory_mib
from isoglot.training.loop.precision import resolve_precision
from isoglot.training.objective import Objective

STATIC_SIZES = (512, 2_048)
CACHED_TEXTS, GRADIENT_SIZE = 32, 64
MEMORY_MIB = 8_192

Figures = dict[str, Any]


@dataclass(frozen=True)
class Effort:
    """How much is run."""

    groups: int = 100_000
    """Translations."""
    sections: int = 4_000
    blocks: int = 4
    static_steps: int = 20
    """Of a block."""
    transformer_steps: int = 5
    transformer_size: int = 32
    transformer_tokens: int = 256
    quality_steps: int = 300
    quality_size: int = 64
    seeds: int = 3
    held_out: int = 100
    """Groups that are scored."""
    cache_sizes: tuple[int, ...] = (64, 256, 1_024, 4_096)
    cache_pairs: int = 4_096
    """Pairs that every size trains on."""


SHORT = Effort(
    groups=20_000,
    sections=400,
    blocks=1,
    static_steps=4,
    transformer_steps=2,
    transformer_size=8,
    transformer_tokens=64,
    quality_steps=2,
    quality_size=4,
    seeds=2,
    held_out=4,
    cache_sizes=(64, 128),
    cache_pairs=128,
)


def static(folder: Path, effort: Effort) -> Figures:
    """A static encoder, fp32."""
    results: Figures = {}
    for size in STATIC_SIZES:
        case = Case(str(folder), "static", "sentences", size, effort.static_steps)
        seconds = tokenize(case)
        ours, theirs, row = by_turns(f"static, batch {size:,}", case, case, effort.blocks)
        assert abs(ours.loss - theirs.loss) < 1e-3, "not the same training"
        results[f"batch {size}"] = row | {"loss": [round(ours.loss, 6), round(theirs.loss, 6)]}
        results.setdefault("tokenize_s", round(seconds, 1))
    print(f"{'':44}  tokenizing once: {results['tokenize_s']} s")
    return results


def transformer(folder: Path, effort: Effort) -> Figures:
    """A small BERT on headings, sections and sentences."""
    results: Figures = {}
    for data, ours, theirs in (
        ("mixed", "fp32", "fp32"),
        ("mixed", "auto", "fp32"),
        ("mixed", "bf16", "bf16"),
        ("apart", "fp32", "fp32"),
        ("apart", "auto", "fp32"),
    ):
        case = transformer_case(folder, data, effort)
        tokenize(case)
        sides = replace(case, precision=ours), replace(case, precision=theirs)
        what = f"{data}, {ours} against {theirs}"
        results[what] = by_turns(what, *sides, effort.blocks)[2]
    return results


def transformer_case(folder: Path, data: str, effort: Effort) -> Case:
    """Return the training of the small BERT."""
    size, steps = effort.transformer_size, effort.transformer_steps
    return Case(str(folder), "transformer", data, size, steps, max_tokens=effort.transformer_tokens)


def by_turns(
    what: str, our_case: Case, their_case: Case, blocks: int
) -> tuple[Trained, Trained, Figures]:
    """Train on both sides in alternation, print a line; return the last runs and the figures."""
    sides = (lambda: train(our_case)), (lambda: train_with_sentence_transformers(their_case))
    runs: tuple[list[Trained], list[Trained]] = ([], [])
    for block in range(blocks):
        for side in (0, 1) if block % 2 == 0 else (1, 0):
            runs[side].append(sides[side]())
    left_out = min(3, our_case.steps // 2)
    ours, theirs = ([run.steps[left_out:] for run in side] for side in runs)
    row = compare(our_case.size, ours, theirs)
    row["padding"] = [round(side[-1].padding, 3) for side in runs]
    print_row(what, row)
    return runs[0][-1], runs[1][-1], row


def compare(
    size: int, ours: list[NDArray[np.float64]], theirs: list[NDArray[np.float64]]
) -> Figures:
    """Return medians per step, pairs per second, and ratios, theirs by ours.

    Args:
        size: Rows of a batch.
        ours: For each block (steps, 3), wall, user and system seconds.
        theirs: The same.
    """
    times = [
        np.median(their[:, 0]) / np.median(our[:, 0])
        for our, their in zip(ours, theirs, strict=True)
    ]
    steps = [np.concatenate(side) for side in (ours, theirs)]
    walls = [float(np.median(side[:, 0])) for side in steps]
    cpus = [float(np.median(side[:, 1:].sum(axis=1))) for side in steps]
    return {
        "ms": [round(1e3 * wall, 1) for wall in walls],
        "pairs_per_second": [round(size / wall) for wall in walls],
        "times": round(walls[1] / walls[0], 2),
        "times_by_block": [round(float(value), 2) for value in sorted(times)],
        "user_ms": [round(1e3 * float(np.median(side[:, 1])), 1) for side in steps],
        "system_ms": [round(1e3 * float(np.median(side[:, 2])), 1) for side in steps],
        "times_cpu": round(cpus[1] / cpus[0], 2),
    }


def print_row(what: str, row: Figures) -> None:
    """Print what ``compare`` gives: ours, theirs, and how many times ours."""
    ours, theirs = row["ms"]
    rates, blocks = row["pairs_per_second"], row["times_by_block"]
    print(
        f"{what:44}  {ours:9,.1f} ms  {theirs:9,.1f} ms  {row['times']:5.2f} x "
        f"({blocks[0]:.2f} to {blocks[-1]:.2f})  {rates[0]:6,} {rates[1]:6,} pairs/s"
    )
    print(
        f"{'':44}  user {row['user_ms'][0]:,} {row['user_ms'][1]:,} ms, system "
        f"{row['system_ms'][0]:,} {row['system_ms'][1]:,} ms, {row['times_cpu']:.2f} x; padding "
        f"{row['padding'][0]:.1%} {row['padding'][1]:.1%}"
    )


def quality(folder: Path, effort: Effort) -> Figures:
    """Whether speed is paid for with quality."""
    return compare_quality(
        folder,
        steps=effort.quality_steps,
        size=effort.quality_size,
        seeds=effort.seeds,
        held_out=effort.held_out,
    )


def cache(folder: Path, effort: Effort) -> Figures:
    """Gradient caching by size of the batch, each in a process of its own."""
    results: Figures = {"gradients": compare_gradients(transformer_case(folder, "mixed", effort))}
    fits = True
    for size in effort.cache_sizes:
        case = replace(
            transformer_case(folder, "mixed", effort),
            size=size,
            steps=max(1, effort.cache_pairs // size),
            precision="auto",
        )
        tokenize(case)
        row = {"cached": in_own_process("ours", replace(case, mini_batch_size=CACHED_TEXTS))}
        if fits:
            row["not cached"] = in_own_process("ours", case)
            # Sizes grow by no more than four times, and what a batch takes with them.
            cached, whole = (row[name]["peak_mib"] for name in ("cached", "not cached"))
            fits = cached + 4 * (whole - cached) < MEMORY_MIB
        for name, figures in row.items():
            print(
                f"batch {size:5,}, {name:12}  {figures['peak_mib']:6,} MiB  "
                f"{figures['ms_per_pair']:7.1f} ms per pair"
            )
        results[f"batch {size}"] = row
    return results


def compare_gradients(case: Case) -> Figures:
    """Print and return the largest difference of a weight's gradient, cached and not."""
    case = replace(case, size=GRADIENT_SIZE, mini_batch_size=CACHED_TEXTS)
    config, plan = train_config(case), plan_of(case)
    model = load_encoder(config.model)
    inputs = PlannedBatches(plan, build_collator(model, plan.table, config.training), 1)[0]
    objective = Objective(model, config.loss).train()

    def gradients(work: Callable[[], object]) -> torch.Tensor:
        objective.zero_grad()
        torch.manual_seed(0)
        work()
        return torch.cat([p.grad.ravel() for p in model.parameters() if p.grad is not None])

    whole = gradients(lambda: objective(model, inputs).backward())
    cached = gradients(
        lambda: objective.backward(model, inputs, torch.Tensor.backward, contextlib.nullcontext)
    )
    largest, difference = float(whole.abs().max()), float((whole - cached).abs().max())
    print(
        f"batch {case.size}, fp32, dropout on: gradients differ by {difference:.1e} at most, the "
        f"largest is {largest:.1e}"
    )
    return {"largest_difference": float(f"{difference:.1e}"), "largest": float(f"{largest:.1e}")}


def draw(folder: Path, effort: Effort) -> Figures:
    """How much of a step is drawing and packing."""
    results: Figures = {}
    cases = [
        Case(str(folder), "static", "sentences", size, effort.static_steps) for size in STATIC_SIZES
    ]
    cases.append(replace(transformer_case(folder, "mixed", effort), precision="auto"))
    for case in cases:
        tokenize(case)
        medians = np.median(time_batches(case), axis=0)
        step, drawing, packing, waiting = (1e3 * float(ms) for ms in medians)
        name = f"{case.encoder}, {case.precision}, batch {case.size:,}"
        results[name] = {
            "step_ms": round(step, 1),
            "draw_ms": round(drawing, 2),
            "pack_ms": round(packing, 2),
            "draw_percent": round(100 * drawing / step, 2),
            "pack_percent": round(100 * packing / step, 2),
            "wait_ms": round(waiting, 2),
            "wait_percent": round(100 * waiting / step, 2),
        }
        print(
            f"{name:44}  drawing {drawing:6.2f} ms ({drawing / step:.2%}), packing {packing:6.2f} "
            f"ms ({packing / step:.2%}), waiting {waiting:6.2f} ms ({waiting / step:.2%}) of "
            f"{step:,.1f} ms"
        )
    return results


def memory(folder: Path, effort: Effort) -> Figures:
    """Most memory of a process that trains, everything it has loaded included."""
    results: Figures = {}
    cases = [
        Case(str(folder), "static", "sentences", size, min(5, effort.static_steps))
        for size in STATIC_SIZES
    ]
    cases.append(transformer_case(folder, "mixed", effort))
    sides = [(case, case) for case in cases]
    sides.append((replace(cases[-1], precision="auto"), cases[-1]))
    for our_case, their_case in sides:
        tokenize(our_case)
        ours = in_own_process("ours", our_case)["peak_mib"]
        theirs = in_own_process("theirs", their_case)["peak_mib"]
        name = f"{our_case.encoder}, {our_case.precision}, batch {our_case.size:,}"
        results[name] = {"ours": ours, "theirs": theirs}
        print(f"{name:44}  {ours:9,} MiB {theirs:9,} MiB")
    return results


def in_own_process(side: str, case: Case) -> Figures:
    """Train in a process of its own; return memory and time."""
    command = [sys.executable, "-m", "benchmarks.training", "--child", side]
    output = subprocess.run(
        [*command, json.dumps(asdict(case))], stdout=subprocess.PIPE, check=True, text=True
    ).stdout
    figures: Figures = json.loads(output.splitlines()[-1])
    return figures


def child(side: str, case: Case) -> Figures:
    """Train; return memory and time."""
    trained = (train if side == "ours" else train_with_sentence_transformers)(case)
    seconds = float(trained.steps[:, 0].sum())
    return {
        "peak_mib": peak_memory_mib(),
        "ms_per_pair": round(1e3 * seconds / (case.steps * case.size), 2),
    }


def machine() -> Figures:
    """Print and return what the figures depend on besides the code."""
    facts = {
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "sentence-transformers": sentence_transformers.__version__,
        "auto": resolve_precision("auto"),
        **{name: os.environ.get(name) for name in ("OPENBLAS_CORETYPE", "OMP_WAIT_POLICY")},
        "load": round(os.getloadavg()[0], 1),
    }
    print(", ".join(f"{name} {value}" for name, value in facts.items()))
    return facts


PARTS = {part.__name__: part for part in (static, transformer, quality, cache, draw, memory)}


def main() -> None:
    """Print tables and, last, one JSON object."""
    parser = argparse.ArgumentParser(description="Training beside sentence-transformers.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--short", action="store_true", help="only see that everything works")
    parser.add_argument("--blocks", type=int, help="turns of each side")
    parser.add_argument("--steps", type=int, help="steps of each training of 'quality'")
    parser.add_argument("--child", choices=("ours", "theirs"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        print(json.dumps(child(options.child, Case(**json.loads(options.parts[0])))))
        return
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"unknown part {sorted(unknown)[0]!r}; allowed: {', '.join(PARTS)}")
    effort = SHORT if options.short else Effort()
    given = {"blocks": options.blocks, "quality_steps": options.steps}
    effort = replace(effort, **{name: value for name, value in given.items() if value})
    results: Figures = {"before": machine()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["ISOGLOT_CACHE"] = str(folder / "cache")
        write_data(folder, effort.groups, effort.sections)
        for kind in ("static", "transformer"):
            build_encoder(kind, folder / kind)
        for part in options.parts or PARTS:
            print(f"\n{part}")
            results[part] = PARTS[part](folder, effort)
    results["after"] = machine()
    print(json.dumps(results))


if __name__ == "__main__":
    main()
