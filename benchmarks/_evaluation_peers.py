"""How others measure, for ``benchmarks.evaluation``: each as its users would call it."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoglot.data.collection import Collection
from isoglot.evaluation.ranking import Ranking
from isoglot.languages import ALL_LANGUAGES

__all__ = [
    "evaluate_with_mteb",
    "evaluate_with_pytrec_eval",
    "evaluate_with_sentence_transformers",
    "multilingual_run",
    "search_with_faiss",
]

_PYTREC_NAMES = {
    "AP": "map",
    "R@1": "recall_1",
    "R@10": "recall_10",
    "R@100": "recall_100",
    "nDCG@10": "ndcg_cut_10",
    "RR": "recip_rank",
    "Success@1": "success_1",
}

Vectors = NDArray[np.float32]
Run = dict[tuple[str, str], tuple[Sequence[str], Sequence[float]]]


class _StoredVectors:
    """Stands in for a model whose texts have been encoded."""

    def __init__(self, vectors: Vectors) -> None:
        import torch

        self._vectors = torch.from_numpy(vectors)

    def of(self, rows: Sequence[int]) -> Any:  # noqa: ANN401 - a tensor
        return self._vectors[list(rows)]


def evaluate_with_sentence_transformers(
    collection: Collection, queries: Vectors, passages: Vectors, *, full_depth: bool
) -> dict[tuple[str, str], float]:
    """Run InformationRetrievalEvaluator once per setting: 11 + 110, and one with all passages.

    Args:
        collection: The benchmark.
        queries: Their embeddings.
        passages: Their embeddings.
        full_depth: Average precision over the whole pool, and over 1,000 passages in the pool of
            all languages, whose 170 million hits it could not hold; else its default, MAP@100.

    Returns:
        Mean average precision by query and passage language.
    """
    from sentence_transformers import util
    from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator

    query_store, passage_store = _StoredVectors(queries), _StoredVectors(passages)

    class Evaluator(InformationRetrievalEvaluator):  # type: ignore[misc]
        """Takes the embeddings of the setting's queries instead of encoding them."""

        def embed_inputs(self, *_: Any, **__: Any) -> Any:  # noqa: ANN401
            return query_store.of(self.rows)

    found = {}
    for query_lang, passage_lang in _settings(collection):
        query_rows = [
            row
            for row, query in enumerate(collection.queries)
            if query_lang in (query.lang, ALL_LANGUAGES)
        ]
        passage_rows = [
            row
            for row, passage in enumerate(collection.passages)
            if passage_lang in (passage.lang, ALL_LANGUAGES)
        ]
        keys = {
            f"{q.lang}/{q.query_id}": q.text for q in (collection.queries[r] for r in query_rows)
        }
        corpus = {p.doc_id: p.text for p in (collection.passages[r] for r in passage_rows)}
        relevant: dict[str, set[str]] = {}
        for qrel in collection.qrels:
            key = f"{qrel.query_lang}/{qrel.query_id}"
            if key in keys and qrel.doc_id in corpus and qrel.relevance > 0:
                relevant.setdefault(key, set()).add(qrel.doc_id)
        depth = (1_000 if passage_lang == ALL_LANGUAGES else len(corpus)) if full_depth else 100
        evaluator = Evaluator(
            keys,
            corpus,
            relevant,
            precision_recall_at_k=[1, 10, 100],
            map_at_k=[depth],
            score_functions={"cosine": util.cos_sim},
            write_csv=False,
        )
        evaluator.rows = query_rows
        values = evaluator.compute_metrices(
            model=None, corpus_embeddings=passage_store.of(passage_rows)
        )
        found[query_lang, passage_lang] = values["cosine"]["map@k"][depth]
    return found


def _settings(collection: Collection) -> Iterator[tuple[str, str]]:
    yield from itertools.product(collection.query_langs, collection.passage_langs)
    yield ALL_LANGUAGES, ALL_LANGUAGES


def multilingual_run(collection: Collection, ranking: Ranking) -> Run:
    """Return ids and scores of the best passages by query: what any search gives."""
    ids = np.array([passage.doc_id for passage in collection.passages], dtype=object)
    heads, scores = ids[ranking.passages].tolist(), ranking.scores.tolist()
    return {
        (query.lang, query.query_id): (heads[row], scores[row])
        for row, query in enumerate(collection.queries)
    }


def evaluate_with_pytrec_eval(
    collection: Collection, run: Run, measures: Iterable[str]
) -> dict[tuple[str, str], dict[str, float]]:
    """Build the dictionaries that pytrec_eval takes, and call it.

    Returns:
        By query language and id, the values of ``measures``.
    """
    import pytrec_eval

    names = {measure: _PYTREC_NAMES[measure] for measure in measures}
    qrels: dict[str, dict[str, int]] = {}
    for qrel in collection.qrels:
        key = f"{qrel.query_lang}/{qrel.query_id}"
        qrels.setdefault(key, {})[qrel.doc_id] = qrel.relevance
    results = {
        f"{lang}/{query_id}": dict(zip(ids, scores, strict=True))
        for (lang, query_id), (ids, scores) in run.items()
    }
    wanted = {"map", "recall.1,10,100", "ndcg_cut.10", "recip_rank", "success.1"}
    values = pytrec_eval.RelevanceEvaluator(qrels, wanted).evaluate(results)
    return {
        tuple(key.split("/", 1)): {ours: found[theirs] for ours, theirs in names.items()}
        for key, found in values.items()
    }


def evaluate_with_mteb(collection: Collection) -> None:
    """Run MTEB on all settings; it encodes queries and passages of each."""
    import mteb

    from isoglot.integrations.mteb import load_mteb_model, mixed_pool_task

    with tempfile.TemporaryDirectory() as folder:
        mteb.evaluate(
            load_mteb_model("mini"),
            mixed_pool_task(collection),
            cache=mteb.ResultCache(folder),
            encode_kwargs={"batch_size": 2_048},
        )


def search_with_faiss(queries: Vectors, passages: Vectors, depth: int) -> Callable[[], object]:
    """Return a search of the whole index, which is built before."""
    import faiss

    index = faiss.IndexFlatIP(passages.shape[1])
    index.add(passages)
    return lambda: index.search(queries, depth)
