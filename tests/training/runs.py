"""Configs of training runs that take a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from isoglot.config.schema import AlignConfig, TrainConfig
from isoglot.data.groups import write_groups
from isoglot.data.mini import load_mini_groups
from isoglot.records import Group
from tests.data.builders import write_jsonl
from tests.models.checkpoints import LANGS


def write_training_groups(path: Path, count: int = 12) -> Path:
    """Write the embedded groups in three languages."""
    groups = [*load_mini_groups("train"), *load_mini_groups("evaluation")][:count]
    assert len(groups) == count
    write_groups(
        path,
        [
            Group(
                group.group_id,
                {lang: group.query[lang] for lang in LANGS},
                {lang: group.passage[lang] for lang in LANGS},
            )
            for group in groups
        ],
    )
    return path


def write_bitext(path: Path) -> Path:
    """Write the questions of the same groups as translations."""
    groups = [*load_mini_groups("train"), *load_mini_groups("evaluation")]
    rows = [{"id": g.group_id, "text": {lang: g.query[lang] for lang in LANGS}} for g in groups]
    return write_jsonl(path, rows)


def train_config(model: Path, data: Path, /, **sections: Any) -> TrainConfig:
    """Return the config of a small run; keyword arguments are added to its sections."""
    values: dict[str, Any] = {
        "model": {"name": str(model)},
        "data": [{"path": str(data)}],
        "batches": {"size": 4},
        "training": {"steps": 6, "learning_rate": 1e-2, "log_every": 1},
        "development": {"groups": 3, "every": 2},
    }
    for name, section in sections.items():
        values[name] = {**values.get(name, {}), **section}
    return TrainConfig.model_validate(values)


def align_config(data: Path, /, **sections: Any) -> AlignConfig:
    """Return the config of a small alignment."""
    values: dict[str, Any] = {
        "model": {"vocabulary": 400, "dim": 16},
        "data": [{"path": str(data), "format": "bitext"}],
        "batches": {"size": 8},
        "training": {"steps": 20, "learning_rate": 2e-2, "weight_decay": 0.0, "log_every": 1},
        "development": {"groups": 4, "every": 5},
    }
    for name, section in sections.items():
        values[name] = {**values.get(name, {}), **section}
    return AlignConfig.model_validate(values)


def weights(model: Path) -> dict[str, dict[str, torch.Tensor]]:
    """Return the tensors of a saved model, by file."""
    return {
        str(path.relative_to(model)): load_file(path)
        for path in sorted(model.rglob("*.safetensors"))
    }


def assert_same_bits(one: Path, other: Path) -> None:
    """Compare two saved models bit by bit."""
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    for name, tensors in first.items():
        assert tensors.keys() == second[name].keys()
        for key, tensor in tensors.items():
            assert torch.equal(tensor, second[name][key]), f"{name}: {key}"
