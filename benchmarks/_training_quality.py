"""Whether speed is paid for with quality, for ``benchmarks.training``: development scores.

A BERT of 2 x 128, from another random start for each seed, is trained on headings and sections of
courses in both kinds of batches, with our defaults of speed and without them.
"""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from scipy import stats

from benchmarks._training_cases import build_encoder
from isoglot.config.schema import TrainConfig
from isoglot.models.loading import load_encoder
from isoglot.pipeline.sources import load_training_data
from isoglot.pipeline.training import development_score, run_training

__all__ = ["compare_quality"]

TOKENS, LEARNING_RATE = 64, 1e-3
SETTINGS = ("monolingual", "cross-lingual", "multilingual")
SECTIONS, HELD_OUT = "sections.jsonl", "held-out.jsonl"
UNTRAINED, DEFAULT, PLAIN = "untrained", "default", "fp32, 1 part"
CHANGES: dict[str, dict[str, Any]] = {
    DEFAULT: {},
    PLAIN: {"precision": "fp32", "length_buckets": 1},
}

Figures = dict[str, Any]
Scores = dict[str, list[dict[str, float]]]


def compare_quality(folder: Path, *, steps: int, size: int, seeds: int, held_out: int) -> Figures:
    """Train with and without our defaults of speed; print and return scores and differences.

    Args:
        folder: Has the data; for encoders and runs.
        steps: Steps of each training.
        size: Rows of a batch.
        seeds: How many trainings of each, two at least.
        held_out: Groups that are scored.
    """
    _write_held_out(folder, held_out)
    scores: Scores = {name: [] for name in (UNTRAINED, *CHANGES)}
    for seed in range(seeds):
        encoder = folder / f"seed-{seed}"
        build_encoder("small", encoder, seed)
        config = _config(encoder, folder, steps, size, seed)
        scores[UNTRAINED].append(_score_untrained(config))
        for name, changes in CHANGES.items():
            changed = config.training.model_copy(update=changes)
            run = folder / f"run-{seed}-{name}"
            run_training(config.model_copy(update={"training": changed}), run)
            log = json.loads((run / "log.json").read_text())
            last = next(line for line in reversed(log) if "eval_score" in line)
            scores[name].append({key: last[f"eval_{key}"] for key in (*SETTINGS, "score")})
    return {key: _summarize(key, scores) for key in (*SETTINGS, "score")}


def _write_held_out(folder: Path, count: int) -> None:
    """Write course sections spread over the file; what means the same is not trained on."""
    lines = (folder / SECTIONS).read_text(encoding="utf-8").splitlines(keepends=True)
    spread = lines[:: max(1, len(lines) // count)][:count]
    (folder / HELD_OUT).write_text("".join(spread), encoding="utf-8")


def _config(encoder: Path, folder: Path, steps: int, size: int, seed: int) -> TrainConfig:
    return TrainConfig.model_validate(
        {
            "model": {"name": str(encoder), "max_tokens": TOKENS},
            "data": [{"path": str(folder / SECTIONS)}],
            "batches": {"size": size},
            "training": {"steps": steps, "learning_rate": LEARNING_RATE, "seed": seed},
            "development": {"path": str(folder / HELD_OUT), "groups": 0, "every": steps},
            "audit": [],
        }
    )


def _score_untrained(config: TrainConfig) -> dict[str, float]:
    data = load_training_data(config)
    score = development_score(data.development, config.development)
    return dict(score(load_encoder(config.model)))


def _summarize(key: str, scores: Scores) -> Figures:
    """Print and return means, deviations over seeds, and the difference paired by seed.

    Its interval is Student's, 95 %.
    """
    values = {name: [run[key] for run in runs] for name, runs in scores.items()}
    pairs = zip(values[DEFAULT], values[PLAIN], strict=True)
    differences = [ours - plain for ours, plain in pairs]
    half = float(stats.t.ppf(0.975, len(differences) - 1) * stats.sem(differences))
    centre = mean(differences)
    found: Figures = {name: (mean(of), stdev(of)) for name, of in values.items()}
    means = "  ".join(f"{name} {m:.4f} (sd {sd:.4f})" for name, (m, sd) in found.items())
    low, high = centre - half, centre + half
    print(f"{key:14}  {means}  difference {centre:+.4f} [{low:+.4f}, {high:+.4f}]")
    found["difference"] = (centre, low, high)
    return {name: [round(value, 4) for value in of] for name, of in found.items()}
