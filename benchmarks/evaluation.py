"""What measuring costs, beside what others need: ``python -m benchmarks.evaluation [PART ...]``.

settings  all settings of XQuAD-R, measures and bias from embeddings; sentence-transformers'
          InformationRetrievalEvaluator, a run per setting on the same embeddings
depth     the multilingual setting at depth 1,000; pytrec_eval, its dictionaries included
texts     from texts to all settings; MTEB, which encodes the texts of every setting again
large     1,000 queries against 1 million passages in 18 languages; one FAISS flat search
growth    the cost of larger and larger collections, drawn in docs/evaluation-cost.svg
collapsed an encoder that gives every text the same vector, so that every score is a tie

Without PART all are run. Encoder: the embedded one; XQuAD-R from the project's development data, or
the cache of downloads. Wall time on all cores, the variants by turns, median of repeats.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import SHARED_DATA, peak_mib
from benchmarks._evaluation_peers import (
    evaluate_with_mteb,
    evaluate_with_pytrec_eval,
    evaluate_with_sentence_transformers,
    multilingual_run,
    search_with_faiss,
)
from isoglot.bias import summarize
from isoglot.config.schema import ModelConfig
from isoglot.data.benchmarks import load_benchmark
from isoglot.data.collection import Collection
from isoglot.encoding.encode import encode_texts
from isoglot.evaluation import evaluate, evaluate_ranking
from isoglot.evaluation.counts import count_higher
from isoglot.evaluation.evaluate import Evaluation
from isoglot.evaluation.passages import PassageTable, Relevant
from isoglot.evaluation.ranking import Ranking
from isoglot.evaluation.scoring import VectorScorer
from isoglot.models.loading import load_encoder
from isoglot.pipeline.evaluation import evaluate_model
from isoglot.records import Passage, Qrel, Query

LANGS = ("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh")
QUESTIONS, PASSAGES, DIM = 1_190, 13_014, 384
DEPTH = 1_000
MEASURES = ("AP", "R@1", "R@10", "R@100", "nDCG@10", "RR", "Success@1")
LARGE_QUERIES, LARGE_PASSAGES, LARGE_LANGS, LARGE_RELEVANT = 1_000, 1_000_000, 18, 3
PLOT = Path("docs/evaluation-cost.svg")

Figures = dict[str, Any]


def xquad_sized_collection() -> Collection:
    """Return a collection of XQuAD-R's size, its texts empty of meaning."""
    passages = [Passage(f"{LANGS[i % 11]}_{i}", LANGS[i % 11], ".") for i in range(PASSAGES)]
    queries = [Query(str(i), lang, "?") for lang in LANGS for i in range(QUESTIONS)]
    qrels = [
        Qrel(query.query_id, query.lang, passages[11 * int(query.query_id) % 10_000 + k].doc_id, 1)
        for query in queries
        for k in range(11)
    ]
    return Collection("xquad-sized", queries, passages, qrels)


def xquad() -> Collection:
    """Load XQuAD-R."""
    folder = SHARED_DATA / "xquad-r"
    return load_benchmark("xquad-r", data_dir=folder if folder.is_dir() else None)


def embed(collection: Collection) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Encode queries and passages with the embedded encoder."""
    model = load_encoder(ModelConfig(name="mini"))
    return (
        encode_texts(model, [query.text for query in collection.queries], "query"),
        encode_texts(model, [passage.text for passage in collection.passages], "passage"),
    )


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds a call takes, and its result."""
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def by_turns(
    ours: Callable[[], Any], theirs: Callable[[], Any], repeats: int
) -> tuple[float, float]:
    """Return the median seconds of both, run in alternation."""
    pairs = [(timed(ours)[0], timed(theirs)[0]) for _ in range(repeats)]
    return median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)


def report(what: str, ours: float, theirs: float, peer: str) -> Figures:
    """Print a line and return its figures."""
    print(f"{what:60}  {ours:8.2f} s  {theirs:8.2f} s  {theirs / ours:6.1f} x  {peer}")
    return {"ours": round(ours, 3), peer: round(theirs, 3), "times": round(theirs / ours, 1)}


def settings() -> Figures:
    """All settings, measures and bias from the same embeddings."""
    collection = xquad()
    queries, passages = embed(collection)
    before = peak_mib()

    def ours() -> Evaluation:
        evaluation = evaluate(collection, queries, passages)
        assert evaluation.summary and summarize(evaluation)
        return evaluation

    seconds = median(timed(ours)[0] for _ in range(5))
    above = peak_mib() - before
    print(f"{'':60}  {above} MiB above the embeddings, bias and all measures included")
    results: Figures = {"mib_above_embeddings": above}
    for name, full_depth in (("AP at full depth", True), ("theirs with MAP@100", False)):
        theirs, aps = timed(
            partial(
                evaluate_with_sentence_transformers,
                collection,
                queries,
                passages,
                full_depth=full_depth,
            )
        )
        if full_depth:
            _check_against(aps, ours())
        what = f"all settings of XQuAD-R from embeddings, {name}"
        results[name] = report(what, seconds, theirs, "sentence-transformers")
    return results


def _check_against(aps: dict[tuple[str, str], float], evaluation: Evaluation) -> None:
    """Compare with theirs; only copies of a sentence, whose ties they break otherwise, differ."""
    for row in evaluation.settings:
        if row.measure == "AP" and row.setting != "multilingual":  # theirs has all queries in one
            assert abs(row.value - aps[row.query_lang, row.passage_lang]) < 1e-3, row


def depth() -> Figures:
    """The multilingual setting at depth 1,000, as it comes and with many ties."""
    collection = xquad()
    queries, passages = embed(collection)
    ranking = evaluate(collection, queries, passages, run_depth=DEPTH).ranking
    assert ranking is not None
    tied = _round_scores(collection, ranking)
    results = {}
    for name, head in (("as it comes", ranking), ("scores rounded to 0.01", tied)):
        run = multilingual_run(collection, head)
        ours = partial(
            evaluate_ranking, collection, head, measures=MEASURES, settings=["multilingual"]
        )
        seconds = median(timed(ours)[0] for _ in range(5))
        theirs, values = timed(partial(evaluate_with_pytrec_eval, collection, run, MEASURES))
        worst = _largest_difference(ours(), values)
        assert worst < 1e-6, worst
        what = f"multilingual setting, depth {DEPTH:,}, {name}"
        results[name] = report(what, seconds, theirs, "pytrec_eval")
        results[name]["largest_difference"] = float(f"{worst:.1e}")
    return results


def _round_scores(collection: Collection, ranking: Ranking) -> Ranking:
    """Make ties of near scores, in the order that ties have."""
    ids = np.array([passage.doc_id for passage in collection.passages])
    places = np.argsort(np.argsort(ids))
    scores = ranking.scores.round(2)
    order = np.lexsort((-places[ranking.passages], -scores), axis=1)
    return Ranking(
        np.take_along_axis(ranking.passages, order, axis=1),
        np.take_along_axis(scores, order, axis=1),
    )


def _largest_difference(evaluation: Evaluation, values: dict[tuple[str, str], Figures]) -> float:
    differences = [
        abs(row["value"] - values[row["query_lang"], row["query_id"]][row["measure"]])
        for row in evaluation.per_query.to_pylist()
    ]
    assert len(differences) == len(values) * len(MEASURES)
    return float(max(differences))


def texts() -> Figures:
    """From texts to all settings."""
    collection = xquad()
    model = load_encoder(ModelConfig(name="mini"))

    def ours() -> None:
        evaluation = evaluate_model(model, collection)
        assert evaluation.summary and summarize(evaluation)

    seconds = median(timed(ours)[0] for _ in range(3))
    theirs, _ = timed(lambda: evaluate_with_mteb(collection))
    return report("XQuAD-R from texts to all settings", seconds, theirs, "MTEB")


def _large_data(
    queries: int, passages: int, *, found: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32], PassageTable, Relevant]:
    """Return unit vectors; relevant passages lie near their query, or anywhere if not ``found``."""
    rng = np.random.default_rng(0)
    query_vectors = rng.standard_normal((queries, DIM), dtype=np.float32)
    vectors = rng.standard_normal((passages, DIM), dtype=np.float32)
    relevant = rng.permutation(passages)[: queries * LARGE_RELEVANT]
    if found:
        vectors[relevant] += 0.3 * np.repeat(query_vectors, LARGE_RELEVANT, axis=0)
    for part in (query_vectors, vectors):
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    table = PassageTable(
        tuple(f"l{number:02}" for number in range(LARGE_LANGS)),
        np.sort(rng.integers(0, LARGE_LANGS, passages)).astype(np.int32),
        [f"d{row}" for row in range(passages)],
    )
    pairs = np.arange(queries + 1) * LARGE_RELEVANT
    return query_vectors, vectors, table, Relevant(pairs, relevant, np.ones(len(relevant)))


def _count(
    queries: NDArray[np.float32],
    passages: NDArray[np.float32],
    table: PassageTable,
    relevant: Relevant,
) -> None:
    scorer = VectorScorer(
        queries,
        passages,
        query_names=[str(row) for row in range(len(queries))],
        doc_ids=table.doc_ids,
    )
    count_higher(scorer, relevant, table, depth=100)


def large() -> Figures:
    """Exact ranks in every pool and runs of 100, and a search for the best 100."""
    results: Figures = {}
    for name, found in (("relevant passages found", True), ("ranks at random", False)):
        data = _large_data(LARGE_QUERIES, LARGE_PASSAGES, found=found)
        search = search_with_faiss(data[0], data[1], 100)
        before = peak_mib()
        ours, theirs = by_turns(partial(_count, *data), search, 5)
        what = f"1,000 queries, 1 million passages, {name}"
        results[name] = report(what, ours, theirs, "FAISS flat")
        results[name]["ours_in_faiss_searches"] = round(ours / theirs, 2)
        results[name]["mib_above_embeddings"] = peak_mib() - before
        print(f"{'':60}  {ours / theirs:.2f} searches")
    return results


def growth() -> Figures:
    """Seconds by size; linear if seconds per score stay the same."""
    sizes = [(250, 125_000), (500, 125_000), (500, 250_000), (1_000, 250_000), (1_000, 500_000)]
    sizes.append((LARGE_QUERIES, LARGE_PASSAGES))
    points = []
    for queries, passages in sizes:
        data = _large_data(queries, passages, found=True)
        seconds = median(timed(partial(_count, *data))[0] for _ in range(3))
        nanoseconds = 1e9 * seconds / (queries * passages)
        print(f"{queries:6,} x {passages:9,}  {seconds:6.2f} s  {nanoseconds:5.1f} ns per score")
        points.append({"scores": queries * passages, "seconds": round(seconds, 3)})
    _draw(points)
    return {"points": points}


def _draw(points: list[dict[str, float]]) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    scores = np.array([point["scores"] for point in points])
    seconds = np.array([point["seconds"] for point in points])
    figure, axes = plt.subplots(figsize=(6, 3.5))
    line = (scores @ seconds) / (scores @ scores)
    axes.plot([0, scores.max()], [0, line * scores.max()], color="#999999", label="linear")
    axes.plot(scores, seconds, "o", color="#0b6e99", label="measured")
    axes.set(xlabel="queries x passages", ylabel="seconds", xlim=0, ylim=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(PLOT, metadata={"Date": None})


def collapsed() -> Figures:
    """An encoder that gives every text the same vector."""
    collection = xquad_sized_collection()
    vectors = np.ones((PASSAGES, DIM), dtype=np.float32)
    queries = np.ones((len(collection.queries), DIM), dtype=np.float32)
    seconds = median(timed(lambda: evaluate(collection, queries, vectors))[0] for _ in range(3))
    print(f"{'every score is a tie':60}  {seconds:8.2f} s")
    return {"ours": round(seconds, 2)}


PARTS = {part.__name__: part for part in (settings, depth, texts, large, growth, collapsed)}


def main() -> None:
    """Print a table and, last, one JSON object."""
    wanted = sys.argv[1:] or list(PARTS)
    results = {name: PARTS[name]() for name in wanted}
    print(json.dumps(results))


if __name__ == "__main__":
    main()
