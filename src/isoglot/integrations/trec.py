"""Exchange with ir_measures, ir_datasets and pytrec_eval, in memory.

Files are read by ``isoglot.data.trec`` and written by ``isoglot.evaluation.outputs``; what is given
out here is what these files hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from isoglot.data.collection import Collection
from isoglot.errors import ConfigError, DataError
from isoglot.evaluation.evaluate import Evaluation
from isoglot.evaluation.outputs import measured_judgments, ranked_results
from isoglot.integrations.building import Languages, build_collection

__all__ = ["collection_from_records", "to_ir_measures", "to_pytrec_eval"]


def to_ir_measures(evaluation: Evaluation, query_lang: str) -> tuple[list[Any], list[Any]]:
    """Return judgments and run of one query language over the pool of all languages.

    Queries without a relevant passage are left out, as in the evaluation; judged negatives are
    kept. The run is as deep as the evaluation kept it (``run_depth``), so a measure that looks
    deeper, ``AP`` above all, can be lower than the evaluation's own.

    Args:
        evaluation: Made with a ``run_depth`` above 0.
        query_lang: One language, because a query id is unique within its language only.

    Returns:
        ``ir_measures.Qrel`` and ``ir_measures.ScoredDoc``, the latter best first:
        ``ir_measures.calc_aggregate([AP], *to_ir_measures(evaluation, "sw"))``.

    Raises:
        ConfigError: If there are no queries in the language.
        DataError: If the evaluation kept no run.
    """
    import ir_measures

    collection = evaluation.collection
    if query_lang not in collection.query_langs:
        raise ConfigError(
            f"{collection.name} has no queries in {query_lang!r}; "
            f"it has {', '.join(collection.query_langs)}"
        )
    if evaluation.ranking is None:
        raise DataError(
            f"{collection.name}: the evaluation kept no run; evaluate with a run_depth above 0"
        )
    judgments = [
        ir_measures.Qrel(qrel.query_id, qrel.doc_id, qrel.relevance)
        for qrel in measured_judgments(collection, query_lang)
    ]
    measured = {qrel.query_id for qrel in judgments}
    run = [
        ir_measures.ScoredDoc(*result)
        for result in ranked_results(evaluation, query_lang)
        if result.query_id in measured
    ]
    return judgments, run


def to_pytrec_eval(
    evaluation: Evaluation, query_lang: str
) -> tuple[dict[str, dict[str, int]], dict[str, dict[str, float]]]:
    """Return the same as ``to_ir_measures`` as pytrec_eval takes it.

    Returns:
        Judgments and run, both ``{query id: {doc id: value}}``:
        ``RelevanceEvaluator(judgments, {"map"}).evaluate(run)``.

    Raises:
        ConfigError: If there are no queries in the language.
        DataError: If the evaluation kept no run.
    """
    judgments, run = to_ir_measures(evaluation, query_lang)
    qrels: dict[str, dict[str, int]] = {}
    for qrel in judgments:
        qrels.setdefault(qrel.query_id, {})[qrel.doc_id] = qrel.relevance
    scores: dict[str, dict[str, float]] = {}
    for row in run:
        scores.setdefault(row.query_id, {})[row.doc_id] = row.score
    return qrels, scores


def collection_from_records(
    queries: Iterable[Any],
    docs: Iterable[Any],
    qrels: Iterable[Any],
    *,
    query_langs: Languages,
    passage_langs: Languages,
    name: str = "records",
) -> Collection:
    """Build a collection from the records of ir_datasets or ir_measures.

    The text is the record's ``default_text()`` where it has one, as ir_datasets' records do (title
    and body), else its field ``text``.

    Args:
        queries: Records with ``query_id`` and a text.
        docs: Records with ``doc_id`` and a text.
        qrels: Records with ``query_id``, ``doc_id`` and ``relevance``.
        query_langs: One code for all, or the code of each query id.
        passage_langs: One code for all, or the code of each doc id.
        name: What messages and results call it.

    Raises:
        ConfigError: If a code names no language.
        DataError: If a record lacks a field, an id has no language, or a judgment names a text that
            is not there.
    """
    return build_collection(
        name,
        ((_field(q, "query_id", "query"), _text(q, "query")) for q in queries),
        ((_field(d, "doc_id", "passage"), _text(d, "passage")) for d in docs),
        (
            (
                _field(qrel, "query_id", "judgment"),
                _field(qrel, "doc_id", "judgment"),
                _field(qrel, "relevance", "judgment"),
            )
            for qrel in qrels
        ),
        query_langs=query_langs,
        passage_langs=passage_langs,
    )


def _text(record: Any, what: str) -> str:  # noqa: ANN401 - any namedtuple
    default = getattr(record, "default_text", None)
    return str(default()) if callable(default) else str(_field(record, "text", what))


def _field(record: Any, name: str, what: str) -> Any:  # noqa: ANN401 - any namedtuple
    try:
        return getattr(record, name)
    except AttributeError:
        has = ", ".join(getattr(record, "_fields", ())) or type(record).__name__
        raise DataError(f"a {what} record has no field {name!r}; it has {has}") from None
