"""Small tables of parallel groups for the tests of batches."""

from __future__ import annotations

import numpy as np

from isoglot.data.parallel import ParallelTable, build_table
from isoglot.records import Group

LANGS = ("ar", "de", "en", "sw")


def group(
    name: str, langs: tuple[str, ...] = LANGS, passage_langs: tuple[str, ...] | None = None
) -> Group:
    return Group(
        name,
        {lang: f"query {name} {lang}" for lang in langs},
        {lang: f"passage {name} {lang}" for lang in passage_langs or langs},
    )


def full_table(groups: int = 30) -> ParallelTable:
    """Every group has a query and a passage in every language."""
    return build_table({"full": [group(f"g{i}") for i in range(groups)]})


def ragged_table(seed: int = 0, groups: int = 60) -> ParallelTable:
    """Groups with random languages for queries and, separately, for passages; two data sets."""
    rng = np.random.default_rng(seed)

    def some() -> tuple[str, ...]:
        return tuple(rng.choice(LANGS, size=rng.integers(1, len(LANGS) + 1), replace=False))

    rows = [group(f"g{i}", some(), some()) for i in range(groups)]
    return build_table({"a": rows[: groups // 3], "b": rows[groups // 3 :]})


def negatives_table() -> ParallelTable:
    """Every group lists two negatives of its own, and the passage of the next group."""
    rows: list[Group] = []
    for i in range(12):
        base = group(f"g{i}")
        listed = [{lang: f"negative {i}.{k} {lang}" for lang in LANGS} for k in range(2)]
        # The third listed negative is the next group's passage: it may be in the same batch.
        listed.append(dict(group(f"g{(i + 1) % 12}").passage))
        rows.append(base._replace(negatives=listed))
    return build_table({"d": rows})
