"""What complete cells were made from, against what is there now: data, benchmarks, encoders.

A config names its inputs by path, and what lies there can change under it. Where a file is no
longer there, or an older version of isoglot has noted nothing of it, nothing is said.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from isoglot.artifacts import is_complete, read_json, write_json
from isoglot.config.experiment import EncoderConfig, ExperimentConfig
from isoglot.config.schema import TrainConfig
from isoglot.config.sources import SourceConfig
from isoglot.config.training import DEVELOPMENT
from isoglot.data.collection import Collection
from isoglot.data.prepared.sources import remembered_sha256
from isoglot.errors import ArtifactError
from isoglot.experiment.cells import Cell
from isoglot.pipeline.correction import hash_texts

__all__ = ["check_evaluated", "check_inputs", "note_encoders"]

_ENCODERS = "encoders.json"
"""By label, the files of every encoder that is a folder."""
_EMBEDDED = "mini"

Hashes = Mapping[str, str]


def check_inputs(config: ExperimentConfig, cells: Sequence[Cell], root: Path) -> None:
    """Refuse to go on with cells of other data or of another encoder than there are now.

    Raises:
        ArtifactError: Naming a complete stage and what has changed.
    """
    _check_encoders(config, cells, root)
    # Methods and seeds share their data, which is hashed once for all of them.
    hash_training = functools.cache(_hash_training)
    hash_correction = functools.cache(_hash_correction)
    for cell in cells:
        stage = cell.model_stage(root)
        if stage is None or not is_complete(stage):
            continue
        if cell.training is not None and (stage / "data.json").is_file():
            now = hash_training(_Read(cell.training))
            _refuse_other_data(stage, read_json(stage / "data.json"), now, _gone(cell.training))
        if cell.correction is not None:
            now = hash_correction(cell.correction.data)
            _refuse_other_data(stage, _noted(stage), now, _absent(cell.correction.data))


class _Read:
    """A training by what it reads: two that read the same are equal."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        own_weights = config.model.lora is not None or config.loss.distillation is not None
        model = config.model if own_weights else None
        distillation = config.loss.distillation
        self._key = (config.data, config.development.path, model, distillation)

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Read) and self._key == other._key


def _hash_training(read: _Read) -> Hashes:
    from isoglot.training.run_folder import hash_data

    return hash_data(read.config)


def _hash_correction(sources: tuple[SourceConfig, ...]) -> Hashes:
    return hash_texts([source for source in sources if Path(source.path).exists()])


def check_evaluated(
    config: ExperimentConfig,
    cells: Sequence[Cell],
    collections: Mapping[str, Collection],
    root: Path,
) -> None:
    """Refuse to set results on other files of a benchmark beside one another.

    What is still to be measured is measured on ``collections``. A benchmark that is not among them
    is measured for all cells; these are compared among themselves.

    Raises:
        ArtifactError: Naming an evaluation and a file.
    """
    for benchmark in config.benchmarks:
        loaded = collections.get(benchmark.label)
        reference: Hashes = dict(loaded.sources) if loaded is not None else {}
        for cell in cells:
            folder = root / cell.folder / benchmark.label
            if not cell.is_evaluated(root, benchmark):  # it will be measured anew
                continue
            noted = _noted(folder)
            if noted and reference:
                _refuse_changed(folder, noted, reference)
            reference = reference or noted


def note_encoders(config: ExperimentConfig, root: Path) -> None:
    """Write down the files of the encoders, for ``check_inputs`` of later runs."""
    path = root / _ENCODERS
    known = read_json(path) if path.is_file() else {}
    found = {encoder.label: _hash_encoder(encoder) for encoder in config.encoders}
    noted = {**known, **{label: hashes for label, hashes in found.items() if hashes}}
    if noted != known:
        write_json(path, noted)


def _check_encoders(config: ExperimentConfig, cells: Sequence[Cell], root: Path) -> None:
    path = root / _ENCODERS
    known = read_json(path) if path.is_file() else {}
    for encoder in config.encoders:
        stored = known.get(encoder.label)
        stage = next(_complete_stages(config, cells, encoder, root), None)
        if stored is None or stage is None or not (now := _hash_encoder(encoder)):
            continue
        if changed := _changed(stored, now):
            raise ArtifactError(
                f"{stage}: was made with other files of {encoder.name} ({changed} has changed "
                f"since); choose another --output or delete {root / encoder.label}"
            )


def _complete_stages(
    config: ExperimentConfig, cells: Sequence[Cell], encoder: EncoderConfig, root: Path
) -> Iterator[Path]:
    for cell in (cell for cell in cells if cell.encoder == encoder):
        stages = [cell.model_stage(root)]
        stages += [root / cell.folder / benchmark.label for benchmark in config.benchmarks]
        yield from (stage for stage in stages if stage is not None and is_complete(stage))


def _hash_encoder(encoder: EncoderConfig) -> dict[str, str]:
    """Return the SHA-256 of an encoder's files by name; of one of the hub, nothing."""
    folder = Path(encoder.name).expanduser()
    if encoder.name == _EMBEDDED or not folder.is_dir():
        return {}
    if (folder / "model" / "modules.json").is_file():  # a run, which keeps its model there
        folder /= "model"
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*"))}
    return {
        name: remembered_sha256(path)
        for name, path in files.items()
        if path.is_file() and not name.startswith(".") and path.suffix != ".md"
    }


def _noted(folder: Path) -> Hashes:
    """Return the hashes that a folder's ``provenance.json`` holds."""
    path = folder / "provenance.json"
    record: dict[str, Any] = read_json(path) if path.is_file() else {}
    return dict(record.get("data_sha256", {}))


def _gone(config: TrainConfig) -> set[str]:
    """Return under which names there is nothing to compare with on this machine."""
    paths = {DEVELOPMENT: config.development.path, "model": config.model.name}
    if config.loss.distillation is not None and config.loss.distillation.teacher is not None:
        paths["loss.distillation.teacher"] = config.loss.distillation.teacher.name
    gone = {name for name, path in paths.items() if path is not None and not Path(path).exists()}
    return gone | _absent(config.data)


def _absent(sources: Sequence[SourceConfig]) -> set[str]:
    return {source.label for source in sources if not Path(source.path).exists()}


def _refuse_other_data(folder: Path, stored: Hashes, now: Hashes, gone: set[str]) -> None:
    """Compare the data sets that are known of both times and are there now."""
    known = (set(map(_dataset, stored)) & set(map(_dataset, now))) - set(map(_dataset, gone))
    of_both = ({k: v for k, v in each.items() if _dataset(k) in known} for each in (stored, now))
    _refuse_changed(folder, *of_both)


def _dataset(name: str) -> str:
    """Return what a file is of, as names are ``DATASET`` or ``DATASET/FILE``."""
    return name.partition("/")[0]


def _refuse_changed(folder: Path, stored: Hashes, now: Hashes) -> None:
    if changed := _changed(stored, now):
        raise ArtifactError(
            f"{folder}: was made from other data ({changed} has changed since); choose another "
            "--output or delete it"
        )


def _changed(stored: Hashes, now: Hashes) -> str | None:
    """Return the first name that is not as it was noted."""
    names = sorted({*stored, *now})
    return next((name for name in names if stored.get(name) != now.get(name)), None)
