"""The demonstration: the whole path on the embedded collection, offline, in about a minute.

The encoder starts from nothing and sees a few hundred short texts, so its figures only show that
the path works and what the output looks like.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from isoglot.artifacts import is_complete
from isoglot.config.loading import parse_config
from isoglot.config.schema import AlignConfig, ExperimentConfig
from isoglot.data.groups import write_groups
from isoglot.data.mini import load_mini_groups
from isoglot.experiment import run_experiment
from isoglot.pipeline.training import run_alignment

__all__ = ["run_demo"]

_BATCH = {"size": 16}
_NO_DEVELOPMENT = {"groups": 0}
_NEXT = """
Next, on data of your own (the files are described in docs/data.md):
  isoglot train    configs/train.yaml -o runs/mine
  isoglot evaluate -m runs/mine -b xquad-r -o runs/mine-xquad-r
  isoglot experiment configs/experiment.yaml -o runs/comparison"""


def run_demo(folder: Path, report: Callable[[str], object]) -> None:
    """Align a small static encoder, fine-tune it in three regimes, evaluate and compare.

    Args:
        folder: Output folder; what is complete there is not run again.
        report: Takes lines for the reader.

    Raises:
        IsoglotError: If the folder cannot be written.
    """
    data = folder / "train.jsonl"
    write_groups(data, load_mini_groups("train"))
    source = {"path": str(data), "name": "mini"}
    aligned = folder / "aligned"
    if not is_complete(aligned):
        report("aligning a small static encoder on the training passages")
        run_alignment(parse_config(AlignConfig, _alignment(source)), aligned)
    (comparison,) = run_experiment(
        parse_config(ExperimentConfig, _grid(source, aligned)), folder / "experiment", report
    )
    report(f"\n{comparison.table().to_text()}\nresults: {folder / 'experiment'}")
    report(_NEXT)


def _alignment(source: dict[str, str]) -> dict[str, Any]:
    return {
        "data": [source],
        "model": {"vocabulary": 4000, "dim": 128},
        "batches": {**_BATCH, "regime": "cross-lingual"},
        "training": {"steps": 300, "learning_rate": 0.02, "weight_decay": 0.0},
        "development": _NO_DEVELOPMENT,
    }


def _grid(source: dict[str, str], encoder: Path) -> dict[str, Any]:
    return {
        "encoders": [{"label": "static", "name": str(encoder)}],
        "seeds": [0],
        "benchmarks": [{"benchmark": "mini"}],
        "data": [source],
        "batches": _BATCH,
        "training": {"steps": 100, "learning_rate": 0.005, "weight_decay": 0.0},
        "development": _NO_DEVELOPMENT,
    }
