"""Presets: values that a config can start from with ``preset: NAME``.

They hold values of a training; in an experiment those of ``model`` are given to every encoder.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["PRESETS", "apply_preset"]

PRESETS: Mapping[str, Mapping[str, Any]] = {
    # What arXiv 2408.10536 states, and nothing it does not state: sections 2.1 (prefixes, equation
    # 1 with explicit negatives), 2.2 (batches) and 3.1 (AdamW, batch, learning rate, decay).
    "paper": {
        "model": {"query_prompt": "Query: ", "passage_prompt": "Passage: "},
        "batches": {
            "monolingual_share": 0.5,
            "size": 100,
            "size_exponent": 1.0,
            "language_exponent": 0.0,
        },
        "loss": {"negatives": "explicit"},
        "training": {"learning_rate": 3e-5, "weight_decay": 1e-2},
    },
    # Static encoders: vectors of single subwords need steps a hundred times as long, and a large
    # batch costs them little.
    "static": {
        "batches": {"size": 512},
        "training": {"learning_rate": 5e-3, "weight_decay": 0.0},
    },
}


def apply_preset(preset: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values with those of the preset wherever they are silent."""
    if isinstance(encoders := values.get("encoders"), list):
        model = preset.get("model", {})
        filled = [_merged(model, e) if isinstance(e, Mapping) else e for e in encoders]
        preset = {key: value for key, value in preset.items() if key != "model"}
        values = {**values, "encoders": filled}
    return _merged(preset, values)


def _merged(base: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` overlaid with ``values``, section by section."""
    merged = dict(base)
    for key, value in values.items():
        below = merged.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            merged[key] = _merged(below, value)
        else:
            merged[key] = value
    return merged
