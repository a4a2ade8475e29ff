"""The configuration of ``isoglot experiment``: encoders x (regimes, shares, variants) x seeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, model_validator
from typing_extensions import Self

from isoglot.config.correction import CorrectionConfig
from isoglot.config.loading import StrictModel, parse_config
from isoglot.config.model import ModelConfig
from isoglot.config.presets import apply_preset
from isoglot.config.schema import EvaluationConfig, OptimisationConfig, TrainConfig
from isoglot.config.sources import SourceConfig
from isoglot.config.training import Regime
from isoglot.config.types import Language, Seed, Share
from isoglot.errors import ConfigError, did_you_mean
from isoglot.languages import LOW_RESOURCE

__all__ = [
    "BM25_ENCODER",
    "CORRECTION_STAGE",
    "TRAINING_STAGE",
    "UNTRAINED",
    "EncoderConfig",
    "ExperimentConfig",
    "VariantConfig",
]

UNTRAINED = "untrained"
"""Stands for the training of an encoder that is evaluated as it comes."""

Label = Annotated[str, Field(pattern=r"^\w[\w.-]*$")]
"""A name in tables and folders: letters, digits, ``_``, ``.`` and ``-``."""

_REGIMES: tuple[Regime, ...] = ("monolingual", "cross-lingual", "hybrid")
_OWN_KEYS = {
    ("batches", "regime"): "the variant's 'regime'",
    ("training", "seed"): "the experiment's 'seeds'",
}
"""Keys of a training that an experiment has another place for."""
TRAINING_STAGE, CORRECTION_STAGE = "train", "correction"
"""Folders of a cell that hold its model, beside those of its benchmarks."""


class EncoderConfig(ModelConfig):
    """An encoder of an experiment."""

    label: Label
    """Its name in tables and folders."""


BM25_ENCODER = EncoderConfig(label="bm25", name="bm25")
"""The lexical baseline, where one is wanted."""


class VariantConfig(StrictModel):
    """A way to train that differs from the experiment's own, or a correction after training."""

    label: Label
    """Its name in tables and folders."""
    regime: Regime | None = None
    """Default: hybrid."""
    set: dict[str, Any] = Field(default_factory=dict)
    """What differs from the experiment: ``loss.temperature: 0.1``, or the same in sections. A list,
    such as ``data``, and ``batches.dataset_weights`` are replaced as a whole; ``null`` takes an
    optional section out. With ``data`` go the weights and names of data sets that are not in it."""
    of: str | None = None
    """Of a correction: the regime or variant whose trained models are corrected, or
    ``untrained``."""
    correction: CorrectionConfig | None = None
    """Correct trained models instead of training."""

    @property
    def changes(self) -> dict[str, Any]:
        """What ``set`` changes, as sections within sections."""
        changes: dict[str, Any] = {}
        for key, value in self.set.items():
            *sections, last = key.split(".")
            for section in reversed(sections):
                last, value = section, {last: value}
            changes = apply_preset(changes, {last: value})
        return changes

    @model_validator(mode="after")
    def _trained_or_corrected(self) -> Self:
        if (self.of is None) != (self.correction is None):
            have, lack = ("of", "correction") if self.of else ("correction", "of")
            raise ValueError(
                f"variant {self.label!r}: has {have!r} and lacks {lack!r}; a correction needs both"
            )
        if self.of is not None and (self.set or self.regime):
            key = "set" if self.set else "regime"
            raise ValueError(
                f"variant {self.label!r}: a correction trains nothing and has no {key!r}; "
                f"give it to the variant named in 'of'"
            )
        return self


class ExperimentConfig(OptimisationConfig):
    """``isoglot experiment``: a grid of trainings and corrections, all evaluated."""

    name: str = "experiment"
    """For the reader; stored with the config."""
    encoders: Annotated[tuple[EncoderConfig, ...], Field(min_length=1)]
    regimes: tuple[Regime, ...] = _REGIMES
    shares: tuple[Share, ...] = ()
    """Values of ``batches.monolingual_share`` to train with, each a variant ``share-0.1``. Those
    that draw the batches of a regime, 0 and 1 and the experiment's own, are that regime."""
    variants: tuple[VariantConfig, ...] = ()
    """Further ways to train, and corrections after training."""
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0, 1, 2)
    untrained: bool = True
    """Also evaluate every encoder as it comes."""
    bm25: bool = False
    """Also evaluate BM25, as an encoder of that name."""
    benchmarks: Annotated[tuple[EvaluationConfig, ...], Field(min_length=1)]
    measures: Annotated[tuple[str, ...], Field(min_length=1)] = ("AP",)
    """Measures to compare by, a table each; names as ir_measures writes them."""
    baseline: str | None = None
    """The regime or variant that the others are tested against; default: hybrid, if it is there."""
    low_resource: tuple[Language, ...] = LOW_RESOURCE
    """Query languages to report by themselves, as far as a benchmark has them; default: those of
    MIRACL with less than a million passages, and the African ones of AfriQA."""
    audit: bool = True
    """Look for the benchmarks in the data before training."""

    @property
    def methods(self) -> tuple[VariantConfig, ...]:
        """What is done with every encoder and seed: regimes, shares and variants, in this order."""
        found: dict[str, VariantConfig] = {
            regime: VariantConfig(label=regime, regime=regime) for regime in self.regimes
        }
        for share in self.shares:
            label = self.share_label(share)
            if label in _REGIMES:
                method = VariantConfig(label=label, regime=label)
            else:
                batches = {"monolingual_share": share, "monolingual_share_end": None}
                method = VariantConfig(label=label, set={"batches": batches})
            found.setdefault(label, method)
        return (*found.values(), *self.variants)

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of all rows of an encoder, in the order to show them."""
        return (UNTRAINED,) * self.untrained + tuple(method.label for method in self.methods)

    @property
    def tested_against(self) -> str | None:
        """The label of the baseline, None if nothing is to be tested."""
        return self.baseline or ("hybrid" if "hybrid" in self.labels else None)

    @property
    def _share_labels(self) -> list[str]:
        """The labels of the shares that are no regime."""
        labels = map(self.share_label, self.shares)
        return [label for label in labels if label not in _REGIMES]

    @property
    def _variant_labels(self) -> list[str]:
        return [variant.label for variant in self.variants]

    def share_label(self, share: float) -> str:
        """Return what a share is called: the regime that draws the same batches, or ``share-X``."""
        of_regime = {0.0: "cross-lingual", 1.0: "monolingual"}
        first, last = self.batches.monolingual_share, self.batches.monolingual_share_end
        if last in (None, first):
            of_regime.setdefault(first, "hybrid")
        return of_regime.get(share, f"share-{share:g}")

    def seeds_of(self, method: VariantConfig) -> tuple[int, ...]:
        """Return the seeds of a method; an encoder as it comes has one."""
        return (0,) if method.of == UNTRAINED else self.seeds

    @staticmethod
    def model_of(encoder: EncoderConfig) -> ModelConfig:
        """Return an encoder without its label."""
        return ModelConfig(**encoder.model_dump(exclude={"label"}, exclude_unset=True))

    def train_config(self, encoder: EncoderConfig, method: str, seed: int) -> TrainConfig:
        """Return the training of one cell of the grid.

        Args:
            encoder: The encoder to start from.
            method: Label of a regime or of a variant that trains.
            seed: Its seed.

        Raises:
            ConfigError: If the variant names no training.
        """
        (variant,) = (found for found in self.methods if found.label == method)
        values = apply_preset(self._training_values(), variant.changes)
        values["batches"] = _fitting_batches(values["batches"], variant.changes)
        values["model"] = self.model_of(encoder)
        values["audit"] = ()  # an experiment looks for its own benchmarks, once
        for section, key, value in (
            ("batches", "regime", variant.regime or "hybrid"),
            ("training", "seed", seed),
        ):
            if isinstance(values[section], Mapping):  # what else it may be is told by the schema
                values[section] = {**values[section], key: value}
        return parse_config(TrainConfig, values, where=f"variant {method!r}")

    def _training_values(self) -> dict[str, Any]:
        """Return the sections of the experiment's own training."""
        values = {name: getattr(self, name) for name in OptimisationConfig.model_fields}
        return {k: v.model_dump() if isinstance(v, StrictModel) else v for k, v in values.items()}

    @model_validator(mode="after")
    def _distinct_cells(self) -> Self:
        bm25 = [BM25_ENCODER.label] * self.bm25
        for key, names in (
            ("encoders: label", [*bm25, *(encoder.label for encoder in self.encoders)]),
            ("benchmarks: benchmark", [benchmark.label for benchmark in self.benchmarks]),
            ("seeds: seed", list(map(str, self.seeds))),
            ("regimes: regime", [*map(str, self.regimes)]),
            ("shares: share", [f"{share:g}" for share in self.shares]),
            # A variant is no regime, whether or not the regime is run.
            ("variants: label", [UNTRAINED, *_REGIMES, *self._share_labels, *self._variant_labels]),
        ):
            if repeated := {name for name in names if names.count(name) > 1}:
                raise ValueError(f"{key} {sorted(repeated)[0]!r} is used twice")
        for benchmark in self.benchmarks:
            if benchmark.label in (TRAINING_STAGE, CORRECTION_STAGE):
                raise ValueError(
                    f"benchmarks: {benchmark.benchmark!r} would be written to a folder "
                    f"{benchmark.label!r}, which holds a cell's model; rename it"
                )
        return self

    @model_validator(mode="after")
    def _something_to_do(self) -> Self:
        if not self.labels and not self.bm25:
            raise ValueError(
                "nothing to do; name regimes, shares or variants, or set 'untrained' or 'bm25'"
            )
        return self

    @model_validator(mode="after")
    def _usable_variants(self) -> Self:
        trained = [method.label for method in self.methods if method.correction is None]
        for method in self.methods:
            if method.correction is None:
                self._check_keys(method)
                self.train_config(self.encoders[0], method.label, self.seeds[0])
            elif method.of not in (UNTRAINED, *trained):
                corrected = method.of in self._variant_labels
                what = "is a correction itself" if corrected else "is not trained here"
                raise ValueError(
                    f"variant {method.label!r}: of: {method.of!r} {what}; allowed: "
                    f"{', '.join((UNTRAINED, *trained))}{did_you_mean(str(method.of), trained)}"
                )
        return self

    def _check_keys(self, variant: VariantConfig) -> None:
        """Refuse what is no part of a training, and what the experiment says in another place."""
        changes, sections = variant.changes, OptimisationConfig.model_fields
        if unknown := sorted(changes.keys() - sections.keys()):
            raise ConfigError(
                f"variant {variant.label!r}: set: unknown key {unknown[0]!r}"
                f"{did_you_mean(unknown[0], sections)}; allowed: {', '.join(sections)}"
            )
        for (section, key), place in _OWN_KEYS.items():
            if isinstance(changes.get(section), Mapping) and key in changes[section]:
                raise ConfigError(
                    f"variant {variant.label!r}: set: {section}.{key} comes from {place}"
                )

    @model_validator(mode="after")
    def _known_baseline(self) -> Self:
        if self.baseline is not None and self.baseline not in self.labels:
            raise ValueError(
                f"baseline: nothing is called {self.baseline!r}; allowed: "
                f"{', '.join(self.labels)}{did_you_mean(self.baseline, self.labels)}"
            )
        return self


def _fitting_batches(batches: Any, changes: Mapping[str, Any]) -> Any:  # noqa: ANN401 - unchecked
    """Return a variant's ``batches`` without what only the experiment's own data sets have.

    Args:
        batches: The experiment's section with the variant's changes in it, maybe no section.
        changes: The variant's changes; what they name is never left out, so that a wrong name is
            told.
    """
    own = changes.get("batches", {})
    if not isinstance(batches, Mapping) or not isinstance(own, Mapping):
        return batches
    fitting = dict(batches)
    names = _labels(changes.get("data"))
    if "dataset_weights" in own:
        fitting["dataset_weights"] = own["dataset_weights"]
    elif names is not None:
        weights = fitting["dataset_weights"].items()
        fitting["dataset_weights"] = {name: weight for name, weight in weights if name in names}
    for key in ("monolingual_from", "cross_lingual_from"):
        if names is not None and key not in own and fitting[key] is not None:
            fitting[key] = tuple(name for name in fitting[key] if name in names) or None
    return fitting


def _labels(data: Any) -> set[str] | None:  # noqa: ANN401 - unchecked
    """Return the names of a variant's data sets; None if it sets none, or none that are valid."""
    try:
        return {SourceConfig.model_validate(source).label for source in data or ()} or None
    except (TypeError, ValueError):  # the schema tells it with the place
        return None
