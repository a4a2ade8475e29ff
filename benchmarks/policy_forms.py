"""Forms of ``balanced`` side by side: ``python -m benchmarks.policy_forms [MODEL ...]``.

Each form takes the strength at which the same-language excess is half of that of ``score``, and is
measured by what that costs. On the halves of XQuAD-R and MIRACL-mini that the constants were chosen
on; ``benchmarks.policies`` reports on the others. Nothing beyond the first ten passages of every
language can be in an answer of ten, so these are all that is looked at.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks import SHARED_DATA
from benchmarks._policy_pools import HEAD, LanguagePools, encode, halves, take
from isoglot.config.search import SearchConfig
from isoglot.data.benchmarks import load_benchmark
from isoglot.data.collection import Collection

_DISCOUNTS = 1 / np.log2(np.arange(2, HEAD + 2))
_IDEAL = np.cumsum(_DISCOUNTS)
_PLACES = np.arange(HEAD, dtype=np.float64)
_HALVINGS = 24
WEIGHTS = (0.0, 1.0, 2.0, 4.0, 8.0)
BALANCE = SearchConfig().balance
Vectors = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Of queries and passages."""


@dataclass(frozen=True)
class FirstPassages:
    """The first ten passages of every language for some queries."""

    scores: NDArray[np.float64]
    """(queries, languages, ten)."""
    relevant: NDArray[np.bool_]
    """(queries, languages, ten)."""
    means: NDArray[np.float64]
    """(queries, languages): of the background; and so the spreads."""
    spreads: NDArray[np.float64]
    relevants: NDArray[np.int64]
    """(2, queries): relevant passages, and those in the query's language."""
    own: NDArray[np.int64]
    """(queries,): number of the query's language."""
    expected: NDArray[np.float64]
    """(queries,): share of the query's language in the pool."""
    weights: NDArray[np.float64]
    """(queries,): by which a sum is the mean over languages of the mean over queries."""

    def standardize(self, mean: float, spread: float) -> NDArray[np.float64]:
        """Return standardized scores, by all languages (0) or more and more (1) by each its own."""
        common = self.means.mean(axis=1, keepdims=True)
        width = self.spreads.mean(axis=1, keepdims=True)
        location = common + mean * (self.means - common)
        scale = width * (self.spreads / width) ** spread
        standard: NDArray[np.float64] = (self.scores - location[..., None]) / scale[..., None]
        return standard


Form = Callable[[FirstPassages, float], NDArray[np.float64]]


def form(
    first: FirstPassages,
    strength: float,
    *,
    costs: NDArray[np.float64] = _PLACES**2,
    mean: float = 0,
    spread: float = 0,
    lift: float = 0,
) -> NDArray[np.float64]:
    """Return what is ranked by: standardized, less the cost of the place.

    Args:
        first: The passages.
        strength: Of the costs.
        costs: By place.
        mean: How far each language's own mean is used.
        spread: How far each language's own spread is used.
        lift: What a language gains by the mean of its three best scores.
    """
    standard = first.standardize(mean, spread)
    evidence = standard[..., :3].mean(axis=2, keepdims=True)
    ranked_by: NDArray[np.float64] = standard + lift * evidence - strength * costs
    return ranked_by


FORMS: dict[str, Form] = {
    "place^2": form,
    "ln(1 + 2 place)": partial(form, costs=np.log(1 + 2 * _PLACES)),
    "ln(1 + place)": partial(form, costs=np.log(1 + _PLACES)),
    "place": partial(form, costs=_PLACES),
    "place^3": partial(form, costs=_PLACES**3),
    "place^2, own mean by half": partial(form, mean=0.5),
    "place^2, own mean": partial(form, mean=1),
    "place^2, own mean and spread by half": partial(form, mean=0.5, spread=0.5),
    "place^2, own mean and spread": partial(form, mean=1, spread=1),
    "place^2, best languages lifted": partial(form, lift=1),
}


def main() -> None:
    """Print a table per encoder and benchmark and, last, one JSON object."""
    if not SHARED_DATA.is_dir():
        sys.exit(f"{SHARED_DATA}: not there; set ISOGLOT_SHARED to the folder that holds data/")
    results = {}
    for model in sys.argv[1:] or ["mini"]:
        for benchmark in ("xquad-r", "miracl-mini"):
            collection = halves(load_benchmark(benchmark, data_dir=SHARED_DATA / benchmark))[0]
            vectors = encode(model, collection)
            results[f"{model} {benchmark}"] = compare(model, collection, vectors)
            results[f"{model} {benchmark}, words"] = compare_weights(collection, vectors)
    print(json.dumps(results))


def compare(model: str, collection: Collection, vectors: Vectors) -> dict[str, list[float]]:
    """Print and return, by form, the strength and what half the excess costs."""
    first = read(collection, LanguagePools(collection, *vectors, HEAD))
    before = measure(first, form(first, 0.0))
    print(
        f"{model}, {collection.name}: excess {before[2]:.4f}, nDCG@10 {before[0]:.4f}, "
        f"own language judged {before[1]:.4f}; at half the excess:"
    )
    rows = {}
    for name, rule in FORMS.items():
        strength = halve(first, rule, before[2] / 2)
        found = measure(first, rule(first, strength)) - before
        rows[name] = [strength, *found[:2].tolist()]
        print(f"  {name:38} {strength:8.4f}  {found[0]:+.4f}  {found[1]:+.4f}")
    learned = learned_ceiling(first, before[2] / 2) - float(before[1])
    print(f"  {'query language known, relevance learned':56}  {learned:+.4f}")
    return rows | {"learned": [learned]}


def compare_weights(collection: Collection, vectors: Vectors) -> dict[str, list[float]]:
    """Print and return, by weight of BM25, figures of ``score`` and ``balanced``.

    Of every fourth question: monolingual nDCG@10, and with each policy nDCG@10 of all languages,
    that with own passages judged only, and the same-language excess.
    """
    queries, passages = vectors
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names_of(collection)))}
    rows = [row for row, name in enumerate(names_of(collection)) if numbers[name] % 4 == 0]
    part = take(collection, [collection.queries[row] for row in rows])
    pools = LanguagePools(part, queries[rows], passages, HEAD)
    pools.read_words(part)
    found = {}
    for weight in WEIGHTS:
        pools.weight = weight
        first = read(part, pools)
        by_score, balanced = (measure(first, form(first, balance)) for balance in (0.0, BALANCE))
        values = [monolingual(first), *by_score.tolist(), *balanced.tolist()]
        found[f"{weight:g}"] = values
        print(f"  BM25 weighs {weight:2g}: " + "  ".join(f"{value:.4f}" for value in values))
    return found


def names_of(collection: Collection) -> list[str]:
    """Return the ids of all queries."""
    return [query.query_id for query in collection.queries]


def monolingual(first: FirstPassages) -> float:
    """Return nDCG@10 in the pool of the query's language."""
    hits = first.relevant[np.arange(len(first.own)), first.own]
    ideals = _IDEAL[np.minimum(first.relevants[1], HEAD) - 1]
    return float(first.weights @ (hits @ _DISCOUNTS / ideals))


def read(collection: Collection, pools: LanguagePools) -> FirstPassages:
    """Take the first passages of all queries that have a relevant one."""
    scores, keys, means, spreads = [], [], [], []
    for block, rows, samples in pools.blocks():
        scores.append(np.stack([pool.scores for pool in block], axis=1))
        keys.append(np.stack(rows, axis=1))
        means.append(np.stack([own.mean(axis=1) for own in samples], axis=1))
        spreads.append(np.stack([own.std(axis=1) for own in samples], axis=1))
    judged = judgments(collection)
    langs = np.array([query.lang for query in collection.queries])
    passage_langs = np.array(list(pools.rows))
    sizes = np.array([len(rows) for rows in pools.rows.values()])
    own = np.searchsorted(passage_langs, langs)
    all_keys = np.concatenate(keys)
    found = np.array([np.isin(keys, rows) for keys, rows in zip(all_keys, judged, strict=True)])
    lang_of = np.empty(sizes.sum(), np.int64)
    for number, rows_of_lang in enumerate(pools.rows.values()):
        lang_of[rows_of_lang] = number
    own_judged = [(lang_of[rows] == number).sum() for rows, number in zip(judged, own, strict=True)]
    _, numbers, counts = np.unique(langs, return_inverse=True, return_counts=True)
    return FirstPassages(
        scores=np.concatenate(scores).astype(np.float64),
        relevant=found,
        means=np.concatenate(means),
        spreads=np.concatenate(spreads),
        relevants=np.array([[len(rows) for rows in judged], own_judged]),
        own=own,
        expected=(sizes / sizes.sum())[own],
        weights=1 / counts[numbers] / len(counts),
    )


def judgments(collection: Collection) -> list[NDArray[np.int64]]:
    """Return the rows of the relevant passages of every query."""
    rows = {passage.doc_id: row for row, passage in enumerate(collection.passages)}
    found: dict[tuple[str, str], list[int]] = {}
    for qrel in collection.qrels:
        if qrel.relevance > 0:
            found.setdefault((qrel.query_lang, qrel.query_id), []).append(rows[qrel.doc_id])
    return [np.array(found[query.lang, query.query_id]) for query in collection.queries]


def measure(first: FirstPassages, ranked_by: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return nDCG@10, the same with own passages judged only, and the same-language excess."""
    flat = ranked_by.reshape(len(ranked_by), -1)
    order = np.argsort(-flat, axis=1, kind="stable")[:, :HEAD]
    same = order // HEAD == first.own[:, None]
    hits = np.take_along_axis(first.relevant.reshape(flat.shape), order, axis=1)
    ideals = _IDEAL[np.minimum(first.relevants, HEAD) - 1]
    gains = np.stack([(hits * _DISCOUNTS).sum(axis=1), (hits * same * _DISCOUNTS).sum(axis=1)])
    values = np.vstack([gains / ideals, same.mean(axis=1) - first.expected])
    means: NDArray[np.float64] = values @ first.weights
    return means


def halve(first: FirstPassages, rule: Form, target: float) -> float:
    """Return the strength at which the excess comes down to the target."""
    low, high = 1e-5, 100.0
    for _ in range(_HALVINGS):
        middle = math.sqrt(low * high)
        if measure(first, rule(first, middle))[2] > target:
            low = middle
        else:
            high = middle
    return high


def learned_ceiling(first: FirstPassages, target: float) -> float:
    """Return nDCG@10, own language judged, if it is known which own passages are worth a place.

    The query's language is given, and boosted trees learn from the judgments, out of fold, which
    of its passages are relevant. Those most likely to be take as many places as half the excess
    leaves, on average over the queries, and all of them come first.
    """
    queries = np.arange(len(first.own))
    likely = np.minimum.accumulate(chances_of_own(first), axis=1)  # the order stays
    places = HEAD * (target + float(first.expected @ first.weights))
    by_chance = np.argsort(-likely, axis=None, kind="stable")
    used = np.cumsum(np.repeat(first.weights, HEAD)[by_chance])
    kept = np.zeros(likely.size, dtype=np.bool_)
    kept[by_chance[used <= places]] = True
    hits = first.relevant[queries, first.own] & kept.reshape(likely.shape)
    ideals = _IDEAL[np.minimum(first.relevants[1], HEAD) - 1]
    return float(first.weights @ (hits @ _DISCOUNTS / ideals))


def chances_of_own(first: FirstPassages) -> NDArray[np.float64]:
    """Return how likely own passages are relevant, learned from four fifths of the queries."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # type: ignore[import-untyped]

    queries = np.arange(len(first.own))
    standard = first.standardize(0, 0)
    scores, hits = standard[queries, first.own], first.relevant[queries, first.own]
    others = standard[..., 0].copy()
    others[queries, first.own] = -np.inf
    features = [
        scores,
        scores[:, :1] - scores,
        np.broadcast_to(_PLACES, scores.shape),
        scores - others.max(axis=1, keepdims=True),
        np.diff(scores, append=scores[:, -1:]),
    ]
    table = np.stack(features, axis=2)
    likely = np.empty(scores.shape)
    for fold in range(5):
        held = queries % 5 == fold
        trees = HistGradientBoostingClassifier(
            learning_rate=0.05, max_depth=4, max_iter=150, min_samples_leaf=100, random_state=0
        ).fit(table[~held].reshape(-1, len(features)), hits[~held].ravel())
        chances = trees.predict_proba(table[held].reshape(-1, len(features)))[:, 1]
        likely[held] = chances.reshape(-1, HEAD)
    return likely


if __name__ == "__main__":
    main()
