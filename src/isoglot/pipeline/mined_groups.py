"""Mined negatives as files: the data sets as they were read, negatives added, and a record.

A file holds every group of its data set in its order, development groups too, so it takes the
place of what was read: the same config with another ``path`` holds out the same groups.
"""

from __future__ import annotations

import contextlib
import glob
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from isoglot.artifacts import mark_complete, prepare_folder, refuse_complete, write_json
from isoglot.config.mining import MiningConfig
from isoglot.config.sources import SourceConfig
from isoglot.data.mining import Mined
from isoglot.data.parallel import ABSENT, ParallelTable
from isoglot.errors import ArtifactError, ConfigError, DataError
from isoglot.records import Group

__all__ = ["MiningOutput", "claim_output", "describe_shortage", "mined_record", "with_negatives"]

IntArray = npt.NDArray[np.int64]

_RECORD = "mining.json"
_ENDINGS = (".jsonl", ".jsonl.gz")
_GROUPS_AT_A_TIME = 256

REASONS = {
    "too_few_passages": "too few passages of other meanings",
    "skipped": "the others are skipped",
    "above_limit": "the others score too near to the positive",
}
"""Why a query got fewer negatives than its quota, by the name in the record."""
_KINDS = ("same_language", "cross_language")


@dataclass(frozen=True)
class MiningOutput:
    """One file for the only data set, or a folder with one file for each."""

    files: Mapping[str, Path]
    """By data set."""
    record: Path
    """Written last."""
    folder: Path | None

    @contextlib.contextmanager
    def start(self) -> Iterator[Path]:
        """Take an earlier record and leftovers away; give a folder for files that need not stay.

        Raises:
            ArtifactError: If nothing can be written there.
        """
        workplace, prefix = self.record.parent, f".{self.record.name}."
        if self.folder is not None:
            prepare_folder(self.folder, overwrite=True)
        try:
            workplace.mkdir(parents=True, exist_ok=True)
            self.record.unlink(missing_ok=True)
            for leftover in workplace.glob(f"{glob.escape(prefix)}*"):  # of a killed process
                shutil.rmtree(leftover, ignore_errors=True)
            temporary = tempfile.TemporaryDirectory(prefix=prefix, dir=workplace)
        except OSError as error:
            raise ArtifactError(
                f"{workplace}: cannot be written to ({error.strerror or error})"
            ) from error
        with temporary as name:
            yield Path(name)

    def finish(self, record: Mapping[str, Any]) -> None:
        """Write the record, of a folder also the completion marker."""
        write_json(self.record, dict(record))
        if self.folder is not None:
            mark_complete(self.folder)


def claim_output(
    output: Path, sources: Sequence[SourceConfig], *, overwrite: bool = False
) -> MiningOutput:
    """Decide what is written, before anything is.

    Args:
        output: A name that ends in ``.jsonl`` or ``.jsonl.gz`` is a file; any other is a folder.
        sources: The data sets.
        overwrite: Whether to replace an earlier result.

    Raises:
        ConfigError: If the name is of one file and there are several data sets, or is of neither,
            or two data sets would have one file, or a file that is read would be lost.
        ArtifactError: If a result is there.
    """
    labels = [source.label for source in sources]
    if output.name.endswith(_ENDINGS):
        if len(labels) > 1:
            raise ConfigError(
                f"{output}: is one file, and there are {len(labels)} data sets "
                f"({', '.join(labels)}); name a folder, where each gets a file of its own"
            )
        stem = re.sub(r"\.jsonl(\.gz)?$", "", output.name)
        claimed = MiningOutput({labels[0]: output}, output.with_name(f"{stem}.{_RECORD}"), None)
        if output.exists() and not overwrite:
            raise ArtifactError(
                f"{output}: is there already; choose another --output or add --overwrite"
            )
    elif output.suffix in (".json", ".gz"):
        raise ConfigError(
            f"{output}: a file of groups is named .jsonl or .jsonl.gz; any other name is a "
            f"folder's, and does not end in {output.suffix}"
        )
    else:
        names = {label: re.sub(r"[^\w.-]+", "-", label) + ".jsonl.gz" for label in labels}
        if len(set(names.values())) < len(names):
            raise ConfigError(
                f"{output}: two of the data sets {', '.join(labels)} would have one file name; "
                "set other names in 'data'"
            )
        files = {label: output / name for label, name in names.items()}
        claimed = MiningOutput(files, output / _RECORD, output)
        if not overwrite:
            refuse_complete(output)
    _refuse_input(claimed, sources)
    return claimed


def _refuse_input(claimed: MiningOutput, sources: Sequence[SourceConfig]) -> None:
    read = {Path(source.path).resolve(): source.label for source in sources}
    for path in claimed.files.values():
        if path.resolve() in read:
            raise ConfigError(
                f"{path}: is the file that data set {read[path.resolve()]!r} is read from, and "
                "would be lost; choose another --output"
            )


def with_negatives(
    groups: Iterable[Group],
    table: ParallelTable,
    mined: Mined,
    config: MiningConfig,
) -> Iterator[Group]:
    """Yield the groups of a data set with their negatives; those that were not mined, as they are.

    Args:
        groups: The data set as it is read, in the order of the table.
        table: The groups that were mined.
        mined: Their negatives.
        config: Says whether listed negatives stay.

    Raises:
        DataError: If the data set is not the one that was mined.
    """
    rest = _entries(table, mined)
    current = next(rest, None)
    for group in groups:
        listed = group.negatives if config.keep_listed else ()
        if current is not None and table.group_ids[current[0]] == group.group_id:
            yield group._replace(negatives=(*listed, *current[1]))
            current = next(rest, None)
        else:
            yield group._replace(negatives=tuple(listed))
    if current is not None:
        name = table.datasets[table.dataset[current[0]]]
        raise DataError(
            f"data set {name!r} was changed while it was mined: group "
            f"{table.group_ids[current[0]]!r} is not where it was; mine again"
        )


def _entries(table: ParallelTable, mined: Mined) -> Iterator[tuple[int, list[dict[str, str]]]]:
    """Yield every group of the table, in its order, and its negatives, highest score first.

    Translations of one negative are one entry, so that a training row draws it in one language.
    """
    order = np.argsort(mined.group, kind="stable")
    members, starts = np.unique(mined.group[order], return_index=True)
    bounds = [*starts.tolist(), len(order)]
    for first in range(0, len(members), _GROUPS_AT_A_TIME):
        last = min(first + _GROUPS_AT_A_TIME, len(members))
        rows = mined.rows[order[bounds[first] : bounds[last]]]
        rows = np.unique(rows[rows != ABSENT])
        texts = dict(zip(rows.tolist(), table.texts.take(pa.array(rows)).to_pylist(), strict=True))
        for number in range(first, last):
            queries = order[bounds[number] : bounds[number + 1]]
            yield int(members[number]), _merge(table, mined, queries, texts)


def _merge(
    table: ParallelTable, mined: Mined, queries: IntArray, texts: Mapping[int, str]
) -> list[dict[str, str]]:
    """Join what the queries of a group found."""
    entries: dict[int, dict[str, str]] = {}
    best: dict[int, float] = {}
    there = mined.rows[queries] != ABSENT
    found = (part[queries][there].tolist() for part in (mined.sources, mined.langs, mined.rows))
    scores = mined.scores[queries][there].tolist()
    for source, lang, row, score in zip(*found, scores, strict=True):
        entries.setdefault(source, {})[table.langs[lang]] = texts[row]
        best[source] = max(score, best.get(source, score))
    ranked = sorted(entries, key=lambda source: (-best[source], source))
    return [dict(sorted(entries[source].items())) for source in ranked]


def mined_record(table: ParallelTable, mined: Mined, config: MiningConfig) -> dict[str, Any]:
    """Return what the record says of a data set: counts by pair, what is missing, mean scores."""
    counts = np.zeros((len(table.langs),) * 2, dtype=np.int64)
    query, slot = np.nonzero(mined.rows != ABSENT)
    np.add.at(counts, (mined.lang[query], mined.langs[query, slot]), 1)
    # Behind the skipped ones, but not below the limit.
    too_near = (mined.seen[:, :, 1] - mined.seen[:, :, 2]).mean(axis=0, dtype=np.float64)
    return {
        "mined_groups": len(np.unique(mined.group)),
        "queries": len(mined.group),
        "negatives": {
            table.langs[lang]: {
                table.langs[other]: int(row[other]) for other in np.flatnonzero(row)
            }
            for lang, row in enumerate(counts)
            if row.any()
        },
        "short": {
            name: _shortage(table, mined, kind, quota)
            for kind, (name, quota) in enumerate(_quotas(config).items())
        },
        "too_near_per_query": dict(zip(_KINDS, too_near.round(2).tolist(), strict=True)),
        "mean_scores": _mean_scores(mined, config),
    }


def _quotas(config: MiningConfig) -> dict[str, int]:
    return dict(zip(_KINDS, (config.same_language, config.cross_language), strict=True))


def _shortage(table: ParallelTable, mined: Mined, kind: int, quota: int) -> dict[str, Any]:
    """Count the queries with fewer negatives than their quota, by the first reason that holds."""
    open_ = np.ones(len(mined.group), dtype=bool)
    reasons = {}
    for column, reason in enumerate(REASONS):
        here = open_ & (mined.seen[:, kind, column] < quota)
        open_ &= ~here
        counts = np.bincount(mined.lang[here], minlength=len(table.langs))
        if here.any():
            reasons[reason] = {table.langs[lang]: int(counts[lang]) for lang in counts.nonzero()[0]}
    return {"queries": int((~open_).sum()), "reasons": reasons}


def _mean_scores(mined: Mined, config: MiningConfig) -> dict[str, Any]:
    """Return the mean score of the negatives, and of the positives they were measured by."""
    parts = (slice(config.same_language), slice(config.same_language, None))
    means: dict[str, Any] = {}
    for name, part in zip(_KINDS, parts, strict=True):
        there = mined.rows[:, part] != ABSENT
        values = {"positive": mined.positives[:, part], "negative": mined.scores[:, part]}
        means[name] = {
            what: round(float(scores[there].mean(dtype=np.float64)), 4) if there.any() else None
            for what, scores in values.items()
        }
    return means


def describe_shortage(name: str, record: Mapping[str, Any], config: MiningConfig) -> Iterator[str]:
    """Yield a line for every quota of a data set that was not met."""
    where = {"same_language": "their language", "cross_language": "other languages"}
    for kind, quota in _quotas(config).items():
        short = record["short"][kind]
        if not short["queries"]:
            continue
        why = "; ".join(
            f"{sum(langs.values()):,} {REASONS[reason]} ({_name_most(langs)})"
            for reason, langs in short["reasons"].items()
        )
        yield (
            f"{name}: {short['queries']:,} of {record['queries']:,} queries got fewer than {quota} "
            f"negatives in {where[kind]}: {why}"
        )


def _name_most(langs: Mapping[str, int], limit: int = 4) -> str:
    """Name the languages with the largest counts."""
    ranked = sorted(langs, key=lambda lang: (-langs[lang], lang))
    more = f" and {len(ranked) - limit} more" if len(ranked) > limit else ""
    return ", ".join(ranked[:limit]) + more
