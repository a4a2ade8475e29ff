"""Which trainings may be compared: those that differ in regime and seed, and in nothing else."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
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
    ways are left out.

    Returns:
        The groups, and what is to be said about what was left out and chosen.

    Raises:
        DataError: If two trainings of a group have the same regime and seed, or other data.
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
            found[regime] = tuple(_by_seed(named))
    return found, notes


def _by_seed(trainings: Sequence[Training]) -> Iterator[Training]:
    seeds: dict[int, Training] = {}
    for training in sorted(trainings, key=lambda training: training.seed):
        other = seeds.setdefault(training.seed, training)
        if other is not training:
            raise DataError(
                f"{other.folder} and {training.folder} are both {training.regime}, seed "
                f"{training.seed}; give one of them"
            )
        yield training


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
    """Tell groups of one label apart by where their trainings lie."""
    labels = [group.label for group in groups]
    return [
        Trained(f"{group.label} ({_place(group)})", group.known_encoder, group.trainings)
        if labels.count(group.label) > 1
        else group
        for group in groups
    ]


def _place(group: Trained) -> str:
    return os.path.commonpath([t.folder for found in group.trainings.values() for t in found])
