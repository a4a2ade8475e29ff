"""What the policies of a search do to an answer: ``python -m benchmarks.policies [MODEL ...]``.

XQuAD-R, where a question is answered by a passage in each of 11 languages, and MIRACL-mini, where
it is answered in its own language only, from the project's development data. Only the half of the
queries on which no constant was chosen: the second half of XQuAD-R's questions (others than the
first half's paragraphs), and MIRACL-mini's queries whose number is odd. Differences to ``score``
come with a 95 % interval and a paired randomisation test, by question.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import SHARED_DATA
from benchmarks._policy_pools import HEAD, LanguagePools, encode, halves
from isoglot.bias.language_share import language_shares
from isoglot.bias.rank_distance import rank_distances
from isoglot.bias.values import QueryValues, macro_mean
from isoglot.config.search import POLICIES, Policy, SearchConfig
from isoglot.data.benchmarks import load_benchmark
from isoglot.data.collection import Collection
from isoglot.evaluation.evaluate import Evaluation, evaluate_ranking
from isoglot.evaluation.ranking import NO_PASSAGE, Ranking
from isoglot.evaluation.significance import Design, compare_systems
from isoglot.records import Qrel
from isoglot.retrieval.calibration import read_background
from isoglot.retrieval.policies import merge

DEPTHS = {"xquad-r": None, "miracl-mini": 1000}
"""How far rankings go; all of XQuAD-R's passages, for rank distance has no cutoff."""
FIGURES = ("nDCG@10", "nDCG@10, own language judged", "same language")
WITH_WORDS = "score, words"
PAIRS = (
    ("score", "balanced"),
    ("score", "quota"),
    (WITH_WORDS, "balanced, words"),
    (WITH_WORDS, "quota, words"),
)
"""What is tested: the second minus the first."""
DEEP: dict[str, tuple[Policy, float]] = {
    "score": ("score", SearchConfig().balance),
    "balanced": ("balanced", SearchConfig().balance),
    "quota": ("balanced", 1000.0),
}
"""Policy and balance of whole rankings. A quota of 10 goes on, page after page, with languages
taking turns where there are 10 or more, and so does a balance as large as that."""


@dataclass(frozen=True)
class Answers:
    """What a policy answers to the queries of a collection."""

    head: Evaluation
    own: Evaluation
    """Of the same answers, with the judgments of passages in the query's language only."""
    deep: Evaluation | None
    """Of the whole ranking; not of fused ones, which are made of heads."""


def main() -> None:
    """Print tables and, last, one JSON object."""
    if not SHARED_DATA.is_dir():
        sys.exit(f"{SHARED_DATA}: not there; set ISOGLOT_SHARED to the folder that holds data/")
    results = {}
    for model in sys.argv[1:] or ["mini"]:
        for benchmark in DEPTHS:
            started = time.monotonic()
            results[f"{model} {benchmark}"] = measure(model, benchmark)
            print(f"{time.monotonic() - started:.0f} s\n", flush=True)
    print(json.dumps(results))


def measure(model: str, benchmark: str) -> dict[str, object]:
    """Print and return the figures of one encoder on one benchmark."""
    _, collection = halves(load_benchmark(benchmark, data_dir=SHARED_DATA / benchmark))
    print(
        f"{model}, {benchmark}: {len(collection.queries):,} queries, "
        f"{len(collection.passages):,} passages in {len(collection.passage_langs)} languages"
    )
    queries, passages = encode(model, collection)
    pools = LanguagePools(collection, queries, passages, DEPTHS[benchmark])
    answers = {}
    ceilings = {}
    for name in ("score", WITH_WORDS):
        if name == WITH_WORDS:
            pools.read_words(collection)
        found = answer(collection, pools)
        for policy in POLICIES:
            answers[policy + name.removeprefix("score")] = found.by_policy[policy]
        ceilings[name] = best_possible(collection, found)
    figures = {name: figures_of(found) for name, found in answers.items()}
    print_figures(figures)
    differences = compare(answers, PAIRS)
    print_differences(differences)
    for name, ceiling in ceilings.items():
        print(
            f"half the excess of {name!r} leaves {ceiling['places']:.2f} of 10 places to the "
            f"query's language; with all of them on top, {FIGURES[1]}: {ceiling['nDCG@10']:.4f}"
        )
    return {"figures": figures, "differences": differences, "best_possible": ceilings}


@dataclass(frozen=True)
class Found:
    """What is found for the queries of a collection in one pass."""

    by_policy: Mapping[str, Answers]
    firsts: NDArray[np.int32]
    """(queries, 10): the first passages in the query's language."""


def answer(collection: Collection, pools: LanguagePools) -> Found:
    """Answer all queries by all policies, and measure what is found."""
    heads = [SearchConfig(policy=policy, k=HEAD) for policy in POLICIES]
    # A search has a limit to its length, and these have none.
    deep = [
        SearchConfig(policy=policy, balance=balance).model_copy(update={"k": pools.depth})
        for policy, balance in DEEP.values()
    ]
    rankings, firsts = rank(collection, pools, [*heads, *([] if pools.fused else deep)])
    own = replace(collection, qrels=own_language_only(collection))
    by_policy: dict[str, Answers] = {}
    for number, policy in enumerate(POLICIES):
        whole = None if pools.fused else rankings[len(heads) + number]
        by_policy[policy] = Answers(
            head=measure_ranking(collection, rankings[number], ["nDCG@10"]),
            own=measure_ranking(own, rankings[number], ["nDCG@10"]),
            deep=None if whole is None else measure_ranking(collection, whole, ["AP", "nDCG@10"]),
        )
    return Found(by_policy, firsts)


def measure_ranking(
    collection: Collection, passages: NDArray[np.int32], measures: Sequence[str]
) -> Evaluation:
    """Measure the order of passages alone."""
    scores = np.broadcast_to(np.float32(0), passages.shape)
    settings = ["monolingual", "multilingual"]
    ranking = Ranking(passages, scores)
    return evaluate_ranking(collection, ranking, measures=measures, settings=settings)


def rank(
    collection: Collection, pools: LanguagePools, configs: Sequence[SearchConfig]
) -> tuple[list[NDArray[np.int32]], NDArray[np.int32]]:
    """Merge the pools of all queries.

    Returns:
        (queries, k) rows of the collection by configuration, and `Found.firsts`.
    """
    langs = np.array([query.lang for query in collection.queries])
    firsts = np.full((len(langs), HEAD), NO_PASSAGE, dtype=np.int32)
    rankings = [np.full((len(langs), config.k), NO_PASSAGE, dtype=np.int32) for config in configs]
    start = 0
    for block, rows, samples in pools.blocks():
        background = read_background(samples)
        here = slice(start, start + len(rows[0]))
        for pool, own in zip(block, rows, strict=True):
            asked = langs[here] == pool.lang
            firsts[here][asked] = own[asked, :HEAD]
        for config, ranking in zip(configs, rankings, strict=True):
            short = [replace(pool, scores=pool.scores[:, : config.k]) for pool in block]
            merged = merge(short, background, config)
            for number, own in enumerate(rows):
                queries, ranks = np.nonzero(merged.pools == number)
                ranking[here][queries, ranks] = own[queries, merged.places[queries, ranks]]
        start = here.stop
    return rankings, firsts


def own_language_only(collection: Collection) -> list[Qrel]:
    """Return the judgments of passages in the query's language."""
    langs = {passage.doc_id: passage.lang for passage in collection.passages}
    return [qrel for qrel in collection.qrels if langs[qrel.doc_id] == qrel.query_lang]


def figures_of(answers: Answers) -> dict[str, float | None]:
    """Return the means over query languages."""
    shares = language_shares(answers.head, HEAD)
    if shares is None:
        raise RuntimeError("the collection has one language")
    same, expected = macro_mean(shares.same_language), macro_mean(shares.same_language_expected)
    return {
        "AP": answers.deep.summary["multilingual"]["AP"] if answers.deep else None,
        "nDCG@10": answers.head.summary["multilingual"]["nDCG@10"],
        "own": answers.own.summary["multilingual"]["nDCG@10"],
        "monolingual": answers.deep.summary["monolingual"]["nDCG@10"] if answers.deep else None,
        "same": same,
        "excess": (same or 0.0) - (expected or 0.0),
        "entropy": macro_mean(shares.entropy),
        "rank_distance": rank_distance(answers.deep) if answers.deep else None,
    }


def rank_distance(evaluation: Evaluation) -> float | None:
    """Return the mean over query languages; None where questions are answered in one language."""
    found = rank_distances(evaluation.ranks)
    return QueryValues(found.query_langs, found.distances).macro


def compare(answers: dict[str, Answers], pairs: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """Test what policies change: by question, p-values corrected for all tests."""
    names = list(answers)
    collection = answers["score"].head.collection
    langs = np.unique([query.lang for query in collection.queries])
    ids = np.unique([query.query_id for query in collection.queries], return_inverse=True)[1]
    lang_numbers = np.searchsorted(langs, [query.lang for query in collection.queries])
    values = [per_query(found) for found in answers.values()]
    measured = ~np.isnan(values[0])
    figure_numbers = np.broadcast_to(np.arange(len(FIGURES))[:, None], measured.shape)
    pools = np.unique((figure_numbers * len(langs) + lang_numbers)[measured], return_inverse=True)
    members = pools[0][:, None] // len(langs) == np.arange(len(FIGURES))
    clusters = np.unique(np.broadcast_to(ids, measured.shape)[measured], return_inverse=True)[1]
    found = compare_systems(
        np.stack([value[measured] for value in values]),
        Design(clusters, pools[1], members, families=np.zeros(len(FIGURES), np.int64)),
        [[number] for number in range(len(values))],
        [(names.index(before), names.index(after)) for before, after in pairs],
    )
    return [
        {
            "policy": policy,
            "figure": figure,
            "difference": float(found.differences[pair, number]),
            "low": float(found.intervals[0, pair, number]),
            "high": float(found.intervals[1, pair, number]),
            "p": float(found.corrected[pair, number]),
        }
        for pair, (_, policy) in enumerate(pairs)
        for number, figure in enumerate(FIGURES)
    ]


def per_query(answers: Answers) -> NDArray[np.float64]:
    """Return (figures, queries): NaN where a query is not measured."""
    queries = answers.head.collection.queries
    values = np.full((len(FIGURES), len(queries)), np.nan)
    for row, evaluation in enumerate((answers.head, answers.own)):
        for pool in evaluation.pools:
            if pool.pool.setting == "multilingual":
                values[row, pool.queries] = pool.values[0]
    langs, numbers = np.unique(
        [passage.lang for passage in answers.head.collection.passages], return_inverse=True
    )
    ranking = answers.head.ranking
    if ranking is None:
        raise RuntimeError("no ranking was kept")
    own = np.array([query.lang for query in queries])[:, None]
    values[2] = (langs[numbers[ranking.passages]] == own).mean(axis=1)
    return values


def best_possible(collection: Collection, found: Found) -> dict[str, float]:
    """Return what an answer with half the excess can have at best if own passages come first.

    Knowing the query's language, the same number of its passages on top of every answer, as many
    as half the excess leaves. No order of languages does better by the judgments of own passages
    alone, unless it knows for which queries to keep fewer of them.
    """
    figures = figures_of(found.by_policy["score"])
    places = HEAD * ((figures["same"] or 0.0) - (figures["excess"] or 0.0) / 2)
    own = replace(collection, qrels=own_language_only(collection))
    ends = []
    for kept in (int(places), int(places) + 1):
        cut = np.where(np.arange(HEAD) < kept, found.firsts, NO_PASSAGE).astype(np.int32)
        evaluation = measure_ranking(own, cut, ["nDCG@10"])
        ends.append(evaluation.summary["multilingual"]["nDCG@10"])
    return {"places": places, "nDCG@10": ends[0] + (places % 1) * (ends[1] - ends[0])}


def print_figures(figures: dict[str, dict[str, float | None]]) -> None:
    """Print a line per policy."""
    columns = ("AP", "nDCG@10", "own", "monolingual", "same", "excess", "entropy", "rank_distance")
    print(f"{'policy':16}" + "".join(f"{column:>14}" for column in columns))
    for policy, found in figures.items():
        cells = [found[column] for column in columns]
        shown = ["-" if value is None else f"{value:,.4f}" for value in cells]
        print(f"{policy:16}" + "".join(f"{cell:>14}" for cell in shown))


def print_differences(differences: list[dict[str, Any]]) -> None:
    """Print a line per policy and figure."""
    for row in differences:
        print(
            f"{row['policy']:16} {row['figure']:28} {row['difference']:+.4f} "
            f"[{row['low']:+.4f}, {row['high']:+.4f}]  p {row['p']:.4f}"
        )


if __name__ == "__main__":
    main()
