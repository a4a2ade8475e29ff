"""How many queries, passages and judgments the published benchmarks have, and the check on them.

Sources: the README of LAReQA (google-research-datasets/lareqa at 354d67d) and of MIRACL
(project-miracl/miracl), which gives no sizes for de and yo.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from isoglot.data.collection import Collection
from isoglot.data.corpus import count_passages
from isoglot.data.miracl import split_of
from isoglot.errors import DataError

__all__ = [
    "LAREQA_COUNTS",
    "MIRACL_COUNTS",
    "MIRACL_LANGS",
    "Counts",
    "check_lareqa_counts",
    "check_miracl_counts",
]


class Counts(NamedTuple):
    """Sizes of one language; judgments None where they follow from the rest."""

    queries: int
    passages: int
    judgments: int | None = None


LAREQA_COUNTS: Mapping[str, Mapping[str, Counts]] = {
    "xquad-r": {
        "ar": Counts(1190, 1222),
        "de": Counts(1190, 1276),
        "el": Counts(1190, 1234),
        "en": Counts(1190, 1180),
        "es": Counts(1190, 1215),
        "hi": Counts(1190, 1244),
        "ru": Counts(1190, 1219),
        "th": Counts(1190, 852),
        "tr": Counts(1190, 1167),
        "vi": Counts(1190, 1209),
        "zh": Counts(1190, 1196),
    },
    "mlqa-r": {
        "ar": Counts(517, 2545),
        "de": Counts(512, 2362),
        "en": Counts(1148, 6264),
        "es": Counts(500, 1787),
        "hi": Counts(507, 2426),
        "vi": Counts(511, 2828),
        "zh": Counts(504, 2322),
    },
}

MIRACL_LANGS = tuple("ar bn de en es fa fi fr hi id ja ko ru sw te th yo zh".split())

# passages, then (queries, judgments) of train and of dev
_MIRACL = {
    "ar": (2_061_414, (3_495, 25_382), (2_896, 29_197)),
    "bn": (297_265, (1_631, 16_754), (411, 4_206)),
    "en": (32_893_221, (2_863, 29_416), (799, 8_350)),
    "es": (10_373_953, (2_162, 21_531), (648, 6_443)),
    "fa": (2_207_172, (2_107, 21_844), (632, 6_571)),
    "fi": (1_883_509, (2_897, 20_350), (1_271, 12_008)),
    "fr": (14_636_953, (1_143, 11_426), (343, 3_429)),
    "hi": (506_264, (1_169, 11_668), (350, 3_494)),
    "id": (1_446_315, (4_071, 41_358), (960, 9_668)),
    "ja": (6_953_614, (3_477, 34_387), (860, 8_354)),
    "ko": (1_486_752, (868, 12_767), (213, 3_057)),
    "ru": (9_543_918, (4_683, 33_921), (1_252, 13_100)),
    "sw": (131_924, (1_901, 9_359), (482, 5_092)),
    "te": (518_079, (3_452, 18_608), (828, 1_606)),
    "th": (542_166, (2_972, 21_293), (733, 7_573)),
    "zh": (4_934_368, (1_312, 13_113), (393, 3_928)),
}

MIRACL_COUNTS: Mapping[str, Mapping[str, Counts]] = {
    "train": {lang: Counts(q, passages, j) for lang, (passages, (q, j), _) in _MIRACL.items()},
    "dev": {lang: Counts(q, passages, j) for lang, (passages, _, (q, j)) in _MIRACL.items()},
}
"""Expected sizes by split and language."""


def check_lareqa_counts(collection: Collection) -> None:
    """Check XQuAD-R or MLQA-R, by the collection's name.

    Raises:
        DataError: If a language has other counts than the published ones.
    """
    for lang, found in _count(collection).items():
        expected = LAREQA_COUNTS[collection.name][lang]
        _compare(f"{collection.name}: {lang}.json", found._replace(judgments=None), expected)


def check_miracl_counts(collection: Collection) -> None:
    """Check MIRACL in every language and split whose sizes are published.

    Raises:
        DataError: If a language has other counts than the published ones.
    """
    for lang, found in _count(collection).items():
        split = split_of(collection, lang)
        expected = MIRACL_COUNTS.get(split, {}).get(lang)
        if expected is not None:
            _compare(f"{collection.name}: {lang}, split {split}", found, expected)


def _count(collection: Collection) -> dict[str, Counts]:
    queries = Counter(query.lang for query in collection.queries)
    passages = count_passages(collection.passages)
    judgments = Counter(qrel.query_lang for qrel in collection.qrels)
    return {
        lang: Counts(queries[lang], passages.get(lang, 0), judgments[lang])
        for lang in sorted({*queries, *passages})
    }


def _compare(where: str, found: Counts, expected: Counts) -> None:
    for what, came, wanted in zip(Counts._fields, found, expected, strict=True):
        if came != wanted:
            raise DataError(
                f"{where}: found {came} {what}, the published benchmark has {wanted}; fetch the "
                "file again, or name its folder as the benchmark to use it as it is"
            )
