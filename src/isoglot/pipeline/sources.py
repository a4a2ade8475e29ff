"""Configured data sets to groups: to train on, to hold out, to look for benchmarks in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from isoglot.config.schema import DevelopmentConfig, OptimisationConfig
from isoglot.config.training import DEVELOPMENT
from isoglot.data.collection import Collection
from isoglot.data.groups import read_groups
from isoglot.data.leakage import LeakageReport, find_leaks
from isoglot.data.mini import EMBEDDED_GROUPS, load_mini_groups
from isoglot.data.parallel import ParallelTable, build_table
from isoglot.data.prepared.reading import nothing_left, read_source
from isoglot.data.prepared.store import prepare_table
from isoglot.errors import ConfigError
from isoglot.evaluation.measures import parse_measure
from isoglot.records import Group

__all__ = [
    "TrainingData",
    "audit_data",
    "load_training_data",
    "prepare_sources",
    "read_source",
]


@dataclass(frozen=True)
class TrainingData:
    """The groups to train on and those held out for development."""

    table: ParallelTable
    development: Sequence[Group]
    dropped: int = 0
    """Groups not trained on, because they mean the same as one of ``development.path``."""


def prepare_sources(
    config: OptimisationConfig, leaks: Sequence[LeakageReport] = ()
) -> ParallelTable:
    """Return all groups of a config's data sets, through their prepared folder.

    Args:
        config: Names the data sets.
        leaks: Groups to leave out, because a text of a benchmark was found in them.

    Raises:
        ArtifactError: If the prepared folder cannot be written or read.
        ConfigError: If all groups of a data set are left out.
        DataError: If a file is missing or malformed.
    """
    left_out = {
        source.label: {id for report in leaks for id in report.groups.get(source.label, ())}
        for source in config.data
    }
    return prepare_table(config.data, left_out)


def load_training_data(
    config: OptimisationConfig, leaks: Sequence[LeakageReport] = ()
) -> TrainingData:
    """Read all data sets, through their prepared folder, and set the development groups apart.

    Args:
        config: Names the data sets.
        leaks: Groups to leave out, because a text of a benchmark was found in them.

    Raises:
        ConfigError: If a language has no text, too many groups are to be held out, or none is left
            to train on.
        DataError: If a file is missing or malformed.
        ArtifactError: If the prepared folder cannot be written or read.
    """
    wanted = config.development
    parse_measure(wanted.measure)
    whole = prepare_sources(config, leaks)
    held = _read_development(wanted, leaks) if wanted.path is not None else None
    # Before languages are left out: a group is known by its texts in any language.
    table = whole.apart_from(held) if held is not None else whole
    dropped = len(whole) - len(table)
    if dropped == len(whole):
        raise ConfigError(
            "development.path: every training group means the same as one of its groups; name a "
            "file of other groups"
        )
    if config.languages is not None:
        table = table.restrict(config.languages)
    if held is None and wanted.groups > 0:
        table, held = table.hold_out(wanted.groups)
    return TrainingData(table, list(held.groups()) if held is not None else (), dropped)


def _without(leaks: Sequence[LeakageReport], name: str, groups: Iterable[Group]) -> Iterable[Group]:
    """Yield the groups of a data set in which no text of a benchmark was found.

    Raises:
        ConfigError: If there is none.
    """
    found = frozenset(id for report in leaks for id in report.groups.get(name, ()))
    left = False
    for group in groups:
        if group.group_id not in found:
            left = True
            yield group
    if found and not left:
        raise nothing_left(name)


def _read_development(config: DevelopmentConfig, leaks: Sequence[LeakageReport]) -> ParallelTable:
    """Return the groups of ``development.path`` that are used."""
    assert config.path is not None, "asked for only where there is one"
    groups = _without(leaks, DEVELOPMENT, _development_groups(config.path))
    table = build_table({"development": groups})
    if 0 < config.groups * 2 < len(table):  # a smaller file is taken whole
        return table.hold_out(config.groups)[1]
    return table


def _development_groups(path: str) -> Iterable[Group]:
    return load_mini_groups("train") if path == EMBEDDED_GROUPS else read_groups(Path(path))


def audit_data(
    config: OptimisationConfig, collections: Sequence[Collection]
) -> list[LeakageReport]:
    """Look for benchmarks in the training and development groups of a config.

    Raises:
        DataError: If a file is missing or malformed.
    """
    sources = [(source.label, read_source(source)) for source in config.data]
    if config.development.path is not None:
        sources.append((DEVELOPMENT, _development_groups(config.development.path)))
    if config.languages is not None:
        langs = frozenset(config.languages)
        sources = [(name, _restrict(groups, langs)) for name, groups in sources]
    return find_leaks(sources, collections)


def _restrict(groups: Iterable[Group], langs: frozenset[str]) -> Iterator[Group]:
    """Yield the groups with only their texts in some languages."""

    def only(texts: Mapping[str, str]) -> dict[str, str]:
        return {lang: text for lang, text in texts.items() if lang in langs}

    for group in groups:
        negatives = [only(negative) for negative in group.negatives]
        yield Group(group.group_id, only(group.query), only(group.passage), negatives)
