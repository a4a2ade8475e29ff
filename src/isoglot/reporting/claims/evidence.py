"""What runs say of themselves, as the statements need it. Reading it is ``pipeline``'s."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isoglot.evaluation.evaluate import SettingRow
from isoglot.reporting.differences import DifferenceReport

__all__ = [
    "REGIMES",
    "Audit",
    "Compared",
    "Evaluated",
    "Evidence",
    "Parallelism",
    "Trained",
    "Training",
]

REGIMES = ("monolingual", "cross-lingual", "hybrid")
_NOT_COMPARED = {
    "batches": ("regime", "monolingual_share"),
    "training": ("seed", "log_every", "workers", "report_to"),
}


@dataclass(frozen=True)
class Audit:
    """What an audit has found of one benchmark."""

    folder: Path
    benchmark: str
    record: Mapping[str, Any]
    """Its entry in ``audit.json``."""
    max_share: float
    sources: frozenset[str] | None = None
    """What of ``Training.sources`` was looked at; None where the audit does not say."""
    named: bool = True
    """Whether it is known of which training data it is: it lies with a training or experiment."""


@dataclass(frozen=True)
class Training:
    """A complete training."""

    folder: Path
    encoder: str
    """The label of the experiment, or the name of the encoder it started from."""
    known_encoder: str | None
    """``XLM-R`` or ``LaBSE`` if it started from one of them."""
    config: Mapping[str, Any]
    """Of ``config.yaml``, every default filled in."""
    census: Mapping[str, Any]
    files: Mapping[str, str]
    """SHA-256 of what was trained on, by data set."""
    audits: tuple[Audit, ...]
    cell: str | None = None
    """Its label in an experiment, without the seed; None outside of one."""

    @property
    def regime(self) -> str:
        """The kinds of batches that its share allows, whatever the regime is called."""
        batches = self.config["batches"]
        ends = {batches["monolingual_share"], self._end}
        if batches["regime"] == "monolingual" or ends == {1.0}:
            return "monolingual"
        return (
            "cross-lingual" if batches["regime"] == "cross-lingual" or ends == {0.0} else "hybrid"
        )

    @property
    def _end(self) -> float:
        batches = self.config["batches"]
        end = batches["monolingual_share_end"]
        return float(batches["monolingual_share"] if end is None else end)

    @property
    def is_named(self) -> bool:
        """Whether the config names the regime, rather than a share at its end."""
        return bool(self.config["batches"]["regime"] == self.regime)

    @property
    def share(self) -> float:
        """Probability of a monolingual batch: at the first batch, if it changes."""
        shares = {"monolingual": 1.0, "cross-lingual": 0.0}
        return shares.get(self.regime, float(self.config["batches"]["monolingual_share"]))

    @property
    def seed(self) -> int:
        """Seed of the training."""
        return int(self.config["training"]["seed"])

    @property
    def recipe(self) -> str:
        """All of the config but regime, share, seed, paths and what changes no result."""
        kept = {
            name: {key: value for key, value in section.items() if key not in _NOT_COMPARED[name]}
            if name in _NOT_COMPARED
            else section
            for name, section in self.config.items()
            if name != "audit"
        }
        kept["data"] = [{**source, "path": None} for source in self.config["data"]]
        return json.dumps(kept, sort_keys=True)

    @property
    def sources(self) -> frozenset[str]:
        """The data sets, each with the languages that were taken of it."""
        langs = self.config["languages"]
        return frozenset(json.dumps([s, langs], sort_keys=True) for s in self.config["data"])

    @property
    def languages(self) -> frozenset[str]:
        """Languages of the rows that were drawn."""
        pairs = self.census["drawn"]["rows_by_pair"]
        return frozenset(lang for pair in pairs for lang in pair.split("-"))


@dataclass(frozen=True)
class Parallelism:
    """How parallel a benchmark is, as the judged passages of its measured queries show it."""

    questions: int
    """Different query ids."""
    asked_in_all: int
    """Those of them that are asked in every query language."""
    answered_in_all: int
    """Queries with a relevant passage in every passage language."""
    queries: int
    answer_langs: float
    """Mean number of passage languages with a relevant passage, over queries."""


@dataclass(frozen=True)
class Evaluated:
    """A complete evaluation."""

    folder: Path
    benchmark: str
    """Its name, with options and languages where runs of one name differ in them."""
    name: str
    """Its name alone."""
    model: Mapping[str, Any] | None
    """``model`` of ``config.yaml``."""
    metrics: Mapping[str, Any]
    settings: Sequence[SettingRow]
    files: Mapping[str, str]
    """SHA-256 of the benchmark's files."""
    data: str | None
    """Folder that these were in, if one was named."""
    training: Training | None
    """The training whose model was evaluated, if it is among the runs."""


@dataclass(frozen=True)
class Trained:
    """One encoder trained with several regimes and seeds, and in nothing else different."""

    label: str
    known_encoder: str | None
    """``XLM-R`` or ``LaBSE`` if it is one of the paper's."""
    trainings: Mapping[str, tuple[Training, ...]]
    """By regime, by seed."""


@dataclass(frozen=True)
class Compared:
    """The regimes of one encoder on one benchmark, tested against each other."""

    trained: Trained
    benchmark: str
    measure: str
    evaluated: Mapping[str, tuple[Evaluated, ...]]
    """By regime, ``untrained`` and ``bm25``."""
    settings: DifferenceReport | None
    """Hybrid against the other regimes, settings and rank distance only; None without both."""
    details: DifferenceReport | None
    """The same by language and by pair of languages."""
    references: DifferenceReport | None
    """Hybrid against the encoder as it comes and BM25, by language; None without one."""
    unseen: tuple[str, ...]
    """Query languages of the benchmark that no hybrid training drew."""

    @property
    def name(self) -> str:
        """The name of the benchmark alone."""
        return self._any_run.name

    @property
    def langs(self) -> Sequence[str]:
        """The query languages, the same in all evaluations."""
        langs: Sequence[str] = self._any_run.metrics["query_langs"]
        return langs

    @property
    def _any_run(self) -> Evaluated:
        return next(iter(self.evaluated.values()))[0]

    def has_one_seed(self, regimes: Iterable[str]) -> bool:
        """Whether a regime among those named was trained and evaluated once only."""
        return any(len(self.evaluated[name]) == 1 for name in regimes if name in REGIMES)


@dataclass(frozen=True)
class Evidence:
    """All that was found in the given runs."""

    trained: Sequence[Trained]
    trainings: Sequence[Training]
    """Those that ``trained`` has and those that it leaves out."""
    evaluated: Sequence[Evaluated]
    parallelism: Mapping[str, Parallelism]
    """By benchmark."""
    audits: Sequence[Audit]
    """Those that do not lie with the training data they are of."""
    compared: Sequence[Compared]
    notes: Sequence[str]
    """What was left out, and what was chosen."""
