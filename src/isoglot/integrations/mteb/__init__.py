"""isoglot's encoders and mixed-language pools in MTEB.

``mteb.evaluate(load_mteb_model("mini"), mixed_pool_task("mini"))``. MTEB is an extra and is loaded
when one of the functions is called. It encodes the texts of every pool again;
``isoglot.pipeline.evaluation`` gives the same figures, and the bias, from one pass.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isoglot.config.schema import ModelConfig
from isoglot.data.benchmarks import load_benchmark
from isoglot.data.collection import Collection
from isoglot.errors import ConfigError
from isoglot.evaluation.settings import SETTINGS
from isoglot.integrations.mteb.subsets import setting_of

if TYPE_CHECKING:
    from isoglot.integrations.mteb.model import IsoglotEncoder
    from isoglot.integrations.mteb.task import MixedPoolTask

__all__ = ["load_mteb_model", "mixed_pool_task", "setting_means"]


def load_mteb_model(model: str | ModelConfig, *, device: str | None = None) -> IsoglotEncoder:
    """Load an encoder for ``mteb.evaluate``, as isoglot loads it: pooling, prompts, ``mini``.

    Its name and revision differ for any two models, which MTEB's cache of results needs: given a
    model from a folder, MTEB itself knows neither and may return another model's results.

    Args:
        model: Folder, hub name or ``mini``; or a config with options.
        device: Torch device; default: the fastest there is.

    Raises:
        ConfigError: If MTEB is not installed.
        ModelError: If the model cannot be found or loaded.
    """
    _require_mteb()
    from isoglot.integrations.mteb.model import IsoglotEncoder

    config = ModelConfig(name=model) if isinstance(model, str) else model
    return IsoglotEncoder.from_config(config, device=device)


def mixed_pool_task(
    benchmark: str | Collection, *, data_dir: Path | str | None = None
) -> MixedPoolTask:
    """Make an MTEB task of a benchmark, one subset per pool.

    Subsets are ``en-en`` (monolingual), ``en-de`` (cross-lingual) and ``en-all`` (multilingual);
    ``task.filter_languages(None, hf_subsets=["en-all"])`` keeps some of them.

    Args:
        benchmark: As for ``isoglot evaluate``, or a collection.
        data_dir: Folder that holds the files of a named benchmark; default the cache of downloads.

    Raises:
        ConfigError: If MTEB is not installed, or the benchmark is unknown.
        DataError: If files are missing or malformed.
        DownloadError: If files cannot be fetched.
    """
    _require_mteb()
    from isoglot.integrations.mteb.task import make_task

    if isinstance(benchmark, str):
        folder = None if data_dir is None else Path(data_dir)
        benchmark = load_benchmark(benchmark, data_dir=folder)
    return make_task(benchmark)


def setting_means(result: Any, score: str = "ndcg_at_10") -> dict[str, float]:  # noqa: ANN401
    """Average the subsets of a ``mteb`` ``TaskResult`` by setting, each weighing the same.

    MTEB's own mean is over all subsets, of which nearly all are cross-lingual.

    Args:
        result: The result of a mixed-pool task.
        score: A score of MTEB, such as ``map_at_1000``.

    Returns:
        Value by setting, for the settings that were run.

    Raises:
        ConfigError: If the subsets are not those of a mixed-pool task, or lack the score.
    """
    values: dict[str, list[float]] = defaultdict(list)
    for rows in result.scores.values():
        for row in rows:
            values[setting_of(row["hf_subset"])].append(_score(row, score))
    return {name: statistics.fmean(values[name]) for name in SETTINGS if name in values}


def _score(row: dict[str, Any], score: str) -> float:
    if score not in row:
        raise ConfigError(f"subset {row['hf_subset']!r} has no score {score!r}; try ndcg_at_10")
    return float(row[score])


def _require_mteb() -> None:
    try:
        import mteb  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "mteb":
            raise
        raise ConfigError(
            "MTEB is not installed; run pip install 'isoglot[mteb]' (Python 3.11 or newer)"
        ) from error
