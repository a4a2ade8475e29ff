"""Which trainings may be compared: those that differ in regime and seed, and in nothing else."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from isoglot.errors import DataError
from isoglot.reporting.claims.evidence import REGIMES, Trained, Training

__all__ = ["HYBRID_SHARE", "group_trainings"]

HYBRID_SHARE = 0.5
"""The share that stands for hybrid batches: the paper's."""
_SHOWN = 3
_NOT_TOLD = ("batches.regime", "batches.monolingual_share", "training.seed", "audit")


def group_trainings(trainings: Sequence[Training]) -> tuple[list[Trained], list[str]]:
    """Bring together what differs in regime and seed only.

    Where an encoder was trained with hybrid and another regime in one way, its trainings in other
    ways are left out. Of several trainings of one regime and seed, the one that an experiment names
    after the regime is taken, else the first.

    Returns:
        The groups, and what is to be said about what was left out and chosen.

    Raises:
        DataError: If two trainings of a group have other data.
    """
    by_encoder: dict[str, dict[str, list[Training]]] = defaultdict(lambda: defaultdict(list))
    for training in trainings:
        key = json.dumps([training.encoder, training.config["model"]], sort_keys=True)
        by_encoder[key][training.recipe].append(training)
    groups, notes = [], []
    for recipes in by_encoder.values():
        full = [found for found in recipes.values() if _is_comparable(found)]
        for found in full or recipes.values():
            _check_data(found)
            regimes, told = _by_regime(found)
            notes += told
            groups.append(Trained(found[0].encoder, found[0].known_encoder, regimes))
        if full:
            notes += [_tell_variant(v, full[0]) for v in recipes.values() if v not in full]
    return _distinct(groups), notes


def _is_comparable(trainings: Sequence[Training]) -> bool:
    regimes = {training.regime for training in trainings}
    return "hybrid" in regimes and len(regimes) > 1


def _check_data(trainings: Sequence[Training]) -> None:
    first = trainings[0]
    for other in trainings:
        if sorted(other.files.values()) != sorted(first.files.values()):
            raise DataError(
                f"{first.folder} and {other.folder} have one config and were trained on different "
                "data; give the runs of one of them"
            )


def _by_regime(
    trainings: Sequence[Training],
) -> tuple[dict[str, tuple[Training, ...]], list[str]]:
    """Choose the trainings that stand for each regime, by seed."""
    found: dict[str, tuple[Training, ...]] = {}
    notes = []
    for regime in REGIMES:
        own = [training for training in trainings if training.regime == regime]
        named = [training for training in own if training.is_named] or own
        shares = sorted({training.share for training in named})
        if len(shares) > 1:
            chosen = min(shares, key=lambda share: (abs(share - HYBRID_SHARE), share))
            named = [training for training in named if training.share == chosen]
            told = ", ".join(f"{share:g}" for share in shares)
            notes.append(f"{own[0].encoder}: of the shares {told}, {chosen:g} stands for hybrid")
        elif regime == "hybrid" and shares and shares[0] != HYBRID_SHARE:
            notes.append(f"{own[0].encoder}: hybrid has the share {shares[0]:g} here")
        if named:
            found[regime], told_twice = _by_seed(named, regime)
            notes += told_twice
    return found, notes


def _by_seed(trainings: Sequence[Training], regime: str) -> tuple[tuple[Training, ...], list[str]]:
    """Return one training for each seed, and what is left out because it is another of one."""
    seeds: dict[int, Training] = {}
    notes = []
    for training in sorted(trainings, key=lambda each: (each.cell != regime, each.folder)):
        first = seeds.setdefault(training.seed, training)
        if first is not training:
            notes.append(
                f"{first.folder} and {training.folder} are both {regime}, seed {training.seed}; "
                "the first is taken"
            )
    return tuple(seeds[seed] for seed in sorted(seeds)), notes


def _tell_variant(variant: Sequence[Training], main: Sequence[Training]) -> str:
    keys = sorted(_differing(variant[0].config, main[0].config))
    told = ", ".join(keys[:_SHOWN]) + (", ..." if len(keys) > _SHOWN else "")
    more = f" and {len(variant) - 1} more" if len(variant) > 1 else ""
    return (
        f"{variant[0].encoder}: trained in another way ({told}), not compared: "
        f"{variant[0].folder}{more}"
    )


def _differing(one: Mapping[str, Any], other: Mapping[str, Any], where: str = "") -> set[str]:
    """Return the dotted keys in which two configs differ, regime and seed aside."""
    found = set()
    for key in one.keys() | other.keys():
        name, own, others = f"{where}{key}", one.get(key), other.get(key)
        if own == others or name in _NOT_TOLD:
            continue
        if isinstance(own, Mapping) and isinstance(others, Mapping):
            found |= _differing(own, others, where=f"{name}.")
        else:
            found.add(name)
    return found


def _distinct(groups: Sequence[Trained]) -> list[Trained]:
    """Tell groups of one label apart: what is said of one must not be taken for the other's."""
    alike: dict[str, list[Trained]] = defaultdict(list)
    for group in groups:
        alike[group.label].append(group)
    named = [new for found in alike.values() for new in _name_apart(found)]
    assert len({group.label for group in named}) == len(named), "labels tell groups apart"
    return named


def _name_apart(groups: Sequence[Trained]) -> list[Trained]:
    """Name groups of one label by the first of the ways that gives them different names."""
    if len(groups) == 1:
        return list(groups)
    # No two groups share a training, so that the last way always does.
    for way in (_cells, _place, _first_folder):
        names = [way(group) for group in groups]
        if all(names) and len(set(names)) == len(names):
            break
    return [
        replace(group, label=f"{group.label} ({name})")
        for group, name in zip(groups, names, strict=True)
    ]


def _cells(group: Trained) -> str:
    """Name the cells of an experiment; nothing if a training is not one."""
    order = sorted(group.trainings, key=lambda regime: regime != "hybrid")
    cells = [training.cell for regime in order for training in group.trainings[regime]]
    return ", ".join(dict.fromkeys(filter(None, cells))) if all(cells) else ""


def _place(group: Trained) -> str:
    return os.path.commonpath([t.folder for found in group.trainings.values() for t in found])


def _first_folder(group: Trained) -> str:
    return str(next(iter(group.trainings.values()))[0].folder)
