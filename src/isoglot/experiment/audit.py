"""What an experiment has still to read, and whether its benchmarks are in there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from isoglot.artifacts import read_json, write_json
from isoglot.config.schema import DevelopmentConfig, OptimisationConfig
from isoglot.data.collection import Collection
from isoglot.data.leakage import MAX_SHARE
from isoglot.experiment.cells import Cell
from isoglot.pipeline.sources import audit_data
from isoglot.reporting.leakage import audit_record, audit_warnings

__all__ = ["audit_experiment", "texts_read"]


def texts_read(cells: Sequence[Cell]) -> list[OptimisationConfig]:
    """Return what trainings and corrections read, every text once.

    Returns:
        Configs of which data sets, languages and the path of development groups mean something.
    """
    found = []
    seen: set[object] = set()
    for config in map(_reads, cells):
        langs, path = config.languages, config.development.path
        data = tuple(source for source in config.data if (source, langs) not in seen)
        path = path if (path, langs) not in seen else None
        if data or path is not None:
            seen |= {(path, langs), *((source, langs) for source in data)}
            development = DevelopmentConfig(path=path)
            found.append(
                OptimisationConfig.model_construct(
                    data=data, languages=langs, development=development
                )
            )
    return found


def _reads(cell: Cell) -> OptimisationConfig:
    """Return what makes a cell's model, but for the model that is corrected."""
    if cell.training is not None:
        return cell.training
    if cell.correction is not None:
        langs = cell.correction.languages
        return OptimisationConfig(data=cell.correction.data, languages=langs)
    return OptimisationConfig.model_construct(data=())


def audit_experiment(
    cells: Sequence[Cell],
    collections: Sequence[Collection],
    root: Path,
    report: Callable[[str], object],
) -> None:
    """Look for the benchmarks in what the cells read; warn, and go on.

    The result is in ``audit.json``. What it says of the same texts is not looked for again.

    Raises:
        DataError: If a file is missing or malformed.
    """
    texts = texts_read(cells)
    names = {"data", "languages", "development"}
    audited = {
        "collections": [collection.name for collection in collections],
        "texts": [config.model_dump(mode="json", include=names) for config in texts],
    }
    path = root / "audit.json"
    if not texts or (path.is_file() and read_json(path).get("audited") == audited):
        return
    report("looking for the benchmarks in the training data")
    reports = [one for config in texts for one in audit_data(config, collections)]
    write_json(path, {**audit_record(reports, MAX_SHARE), "audited": audited})
    for line in audit_warnings(reports, MAX_SHARE):
        report(line)
