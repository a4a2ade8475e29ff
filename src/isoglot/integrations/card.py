"""Results in the model card of a model folder: its ``README.md``.

Two places are written and nothing else is touched: ``model-index`` in the front matter, which the
Hugging Face hub reads, and a section between two comments in the text. Both are replaced when the
same benchmark is written again, in the same languages. What a card says is in ``card_text``, the
front matter in ``front_matter``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from isoglot.artifacts import atomic_write, is_complete, read_json
from isoglot.errors import ArtifactError
from isoglot.integrations.card_text import benchmark_of, model_index_entries, section
from isoglot.integrations.front_matter import add_results
from isoglot.pipeline.systems import BM25

__all__ = ["write_card"]

_NEEDED = (
    *("benchmark", "isoglot_version", "model", "summary", "bias"),
    *("queries", "query_langs", "passages", "passage_langs"),
)
_NEW_CARD = """---
library_name: sentence-transformers
pipeline_tag: sentence-similarity
---

# {name}
"""


def write_card(results: Path, model: Path) -> Path:
    """Write the results of an evaluation into the card of the model that was evaluated.

    Args:
        results: Folder of a complete evaluation.
        model: Folder of the model, or the run that trained it.

    Returns:
        The card.

    Raises:
        ArtifactError: If either folder is not what it should be, or the card cannot be edited; it
            is then as it was before.
    """
    metrics = _read_metrics(results)
    folder = _model_folder(model)
    path = folder / "README.md"
    name = folder.resolve().name
    text, line_end = _read_card(path)
    text = text if text is not None else _NEW_CARD.format(name=name)
    text = add_results(text, model_index_entries(metrics), name, path)
    text = _with_section(text, metrics, path)
    with atomic_write(path, "wb") as file:
        file.write(text.replace("\n", line_end).encode("utf-8"))
    return path


def _read_metrics(results: Path) -> dict[str, Any]:
    advice = "give the --output of isoglot evaluate"
    if not is_complete(results):
        raise ArtifactError(f"{results}: no complete evaluation; {advice}")
    path = results / "metrics.json"
    metrics = read_json(path)
    for key in _NEEDED:
        if not isinstance(metrics, dict) or key not in metrics:
            raise ArtifactError(f"{path}: is not of an evaluation (no {key!r}); {advice}")
    if metrics["model"] == BM25:
        raise ArtifactError(
            f"{path}: is of {BM25}, not of a model; give an evaluation of the model"
        )
    if metrics.get("depth") is not None:
        raise ArtifactError(
            f"{path}: was measured on runs of {metrics['depth']:,} passages per query, which "
            "lowers figures; evaluate the model itself"
        )
    return dict(metrics)


def _model_folder(folder: Path) -> Path:
    inner = folder / "model"  # where a training run keeps it
    if (inner / "modules.json").is_file():
        return inner
    if not any((folder / name).is_file() for name in ("modules.json", "config.json")):
        raise ArtifactError(
            f"{folder}: holds no model (no modules.json, no config.json); give a model's folder"
        )
    return folder


def _read_card(path: Path) -> tuple[str | None, str]:
    """Return the card, if there is one, with plain line ends, and the line end that it uses."""
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None, "\n"
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{path}: cannot be read as UTF-8 text ({error})") from error
    return text.replace("\r\n", "\n"), "\r\n" if "\r\n" in text else "\n"


def _with_section(text: str, metrics: Mapping[str, Any], path: Path) -> str:
    """Put the section in the place of the benchmark's last one, or at the end."""
    slug = re.sub(r"[^\w.-]+", "-", benchmark_of(metrics))
    begin, end = f"<!-- isoglot:{slug}:begin -->\n", f"<!-- isoglot:{slug}:end -->\n"
    new = f"{begin}{section(metrics)}{end}"
    # The last line may have lost its line end in an editor.
    text = text if text.endswith("\n") else f"{text}\n"
    if (text.count(begin), text.count(end)) == (0, 0):
        return f"{text}\n{new}"
    start, stop = text.find(begin), text.find(end)
    if (text.count(begin), text.count(end)) != (1, 1) or stop < start:
        raise ArtifactError(
            f"{path}: expected one line {begin.strip()!r} and after it one line {end.strip()!r}; "
            "remove both or mend them and run again"
        )
    return f"{text[:start]}{new}{text[stop + len(end) :]}"
