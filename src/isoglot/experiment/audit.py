"""What an experiment has still to read, and whether its benchmarks are in there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from isoglot.artifacts import read_json, write_json
from isoglot.config.schema import DevelopmentConfig, OptimisationConfig
from isoglot.config.sources import SourceConfig
from isoglot.data.collection import Collection
from isoglot.data.leakage import MAX_SHARE
from isoglot.data.mini import EMBEDDED_GROUPS
from isoglot.data.prepared.sources import identify, remembered_sha256
from isoglot.experiment.cells import Cell
from isoglot.pipeline.sources import audit_data
from isoglot.reporting.leakage import audit_record, audit_warnings

__all__ = ["audit_experiment", "missing_files", "texts_read"]

Languages = tuple[str, ...] | None


def texts_read(cells: Sequence[Cell]) -> list[OptimisationConfig]:
    """Return what trainings and corrections read, every text once.

    The rows of a file are not read twice for another name of it, nor a part of a bitext where it
    is read as a whole.

    Returns:
        Configs of which data sets, languages and the path of development groups mean something;
        one for all cells of the same languages, so that a benchmark is prepared once for it.
    """
    sources: dict[Languages, dict[object, SourceConfig]] = {}
    paths: dict[Languages, list[str | None]] = {}
    for config in map(_reads, cells):
        own = sources.setdefault(config.languages, {})
        for source in config.data:
            own.setdefault(_rows_of(source), source)
        if (path := config.development.path) is not None:
            paths.setdefault(config.languages, []).append(path)
    found = []
    for langs, by_rows in sources.items():
        wholes = [s for s in by_rows.values() if not _is_part(s, by_rows)]
        first, *others = dict.fromkeys(paths.get(langs, [])) or [None]
        found.append(_texts(_named_apart(wholes), langs, first))
        found += [_texts((), langs, path) for path in others]
    return [config for config in found if config.data or config.development.path is not None]


def _texts(
    data: tuple[SourceConfig, ...], langs: Languages, path: str | None
) -> OptimisationConfig:
    return OptimisationConfig.model_construct(
        data=data, languages=langs, development=DevelopmentConfig(path=path)
    )


def _reads(cell: Cell) -> OptimisationConfig:
    """Return what makes a cell's model, but for the model that is corrected."""
    if cell.training is not None:
        return cell.training
    if cell.correction is not None:
        langs = cell.correction.languages
        return OptimisationConfig(data=cell.correction.data, languages=langs)
    return OptimisationConfig.model_construct(data=())


def _rows_of(source: SourceConfig) -> SourceConfig:
    """Return what tells which rows a data set has."""
    return source.model_copy(update={"name": None})


def _is_part(source: SourceConfig, others: Mapping[object, SourceConfig]) -> bool:
    """Say whether the file is also read as a whole."""
    whole = _rows_of(source).model_copy(update={"sources": None})
    return source.sources is not None and whole in others


def _named_apart(sources: Sequence[SourceConfig]) -> tuple[SourceConfig, ...]:
    """Give data sets of one name, which different methods may have, names of their own."""
    named: dict[str, SourceConfig] = {}
    for source in sources:
        name, number = source.label, 2
        while name in named:
            name, number = f"{source.label}-{number}", number + 1
        named[name] = source.model_copy(update={"name": name})
    return tuple(named.values())


def audit_experiment(
    cells: Sequence[Cell],
    collections: Sequence[Collection],
    root: Path,
    report: Callable[[str], object],
) -> None:
    """Look for the benchmarks in what the cells read; warn, and go on.

    The result is in ``audit.json``. What it says of the same files is not looked for again. A file
    that is not there, of a method that is not worked on now, is named and left out.

    Raises:
        DataError: If a file is malformed.
    """
    texts = _there(texts_read(cells), report)
    audited = {
        "collections": {collection.name: dict(collection.sources) for collection in collections},
        "texts": [_record(config) for config in texts],
    }
    path = root / "audit.json"
    if not texts or (path.is_file() and read_json(path).get("audited") == audited):
        return
    report("looking for the benchmarks in the training data")
    reports = [one for config in texts for one in audit_data(config, collections)]
    write_json(path, {**audit_record(reports, MAX_SHARE), "audited": audited})
    for line in audit_warnings(reports, MAX_SHARE):
        report(line)


def missing_files(texts: Sequence[OptimisationConfig]) -> list[str]:
    """Return the paths at which there should be something to read, and is nothing."""
    paths = [s.path for config in texts for s in config.data if s.format != "hub"]
    developments = [config.development.path for config in texts]
    paths += [path for path in developments if path not in (None, EMBEDDED_GROUPS)]
    return [path for path in dict.fromkeys(paths) if not Path(path).exists()]


def _there(
    texts: Sequence[OptimisationConfig], report: Callable[[str], object]
) -> list[OptimisationConfig]:
    """Leave out what is missing."""
    missing = missing_files(texts)
    for name in missing:
        report(f"{name}: no such file; not looked at for benchmarks")
    found = []
    for config in texts:
        data = tuple(source for source in config.data if source.path not in missing)
        path = config.development.path
        found.append(_texts(data, config.languages, path if path not in missing else None))
    return [config for config in found if config.data or config.development.path is not None]


def _record(config: OptimisationConfig) -> dict[str, Any]:
    """Return what tells whether the texts of a config are those of before."""
    record = config.model_dump(mode="json", include={"languages", "development"})
    path = config.development.path
    sha256 = remembered_sha256(Path(path)) if path and Path(path).is_file() else None
    data = [{"path": source.path, **identify(source).record} for source in config.data]
    return {"data": data, **record, "development_sha256": sha256}
