"""Folders of small evaluations to report on: three scripts, two directions, hostile texts."""

import json

import numpy as np

from isoglot.artifacts import mark_complete, provenance, write_json, write_text
from isoglot.bias import summarize
from isoglot.data.collection import Collection
from isoglot.evaluation import DEFAULT_MEASURES, evaluate, write_evaluation
from isoglot.records import Passage, Qrel, Query
from isoglot.reporting.examples import worst_queries

LANGS = ("ar", "en", "ur", "zh")
HOSTILE = (
    "<script>document.title = 'taken'</script> \"double\" 'single' & <img src=x onerror=alert(1)>"
)
_WORDS = {
    "ar": "ما هي عاصمة البلد",
    "en": "Which river",
    "ur": "دریا کہاں ہے",
    "zh": "哪一条河流最长",
}


def small_collection(questions=12, name="small"):
    """Parallel questions in four languages, each with a relevant passage in every language."""
    queries, passages, qrels = [], [], []
    for lang in LANGS:
        for number in range(questions):
            queries.append(Query(f"q{number:02}", lang, f"{_WORDS[lang]} {number}?"))
            text = HOSTILE if (lang, number) == ("en", 3) else f"{_WORDS[lang]} {number}."
            passages.append(Passage(f"{lang}_{number}", lang, text))
            qrels += [Qrel(f"q{number:02}", lang, f"{other}_{number}", 1) for other in LANGS]
    return Collection(name, queries, passages, qrels, sources={"ar.json": "c0ffee"})


def biased_embeddings(collection, *, bias, seed=0):
    """Vectors of meaning, language and noise; ``bias`` is the weight of language."""
    rng = np.random.default_rng(seed)
    meaning, language = rng.normal(size=(100, 16)), rng.normal(size=(len(LANGS), 16))

    def vectors(items, ids):
        noise = rng.normal(size=(len(items), 16))
        langs = [LANGS.index(item.lang) for item in items]
        return meaning[ids] + bias * language[langs] + 0.7 * noise

    queries = vectors(collection.queries, [int(q.query_id[1:]) for q in collection.queries])
    passages = vectors(
        collection.passages, [int(p.doc_id.rpartition("_")[2]) for p in collection.passages]
    )
    return queries, passages


def write_folder(
    folder, *, model="small-model", bias=1.0, seed=0, measures=DEFAULT_MEASURES, **options
):
    """Evaluate and write a complete folder, as ``isoglot evaluate`` does."""
    collection = options.pop("collection", None) or small_collection()
    queries, passages = biased_embeddings(collection, bias=bias, seed=seed)
    evaluation = evaluate(collection, queries, passages, measures=measures, **options)
    write_evaluation(evaluation, folder, model=model, bias=summarize(evaluation))
    records = worst_queries(evaluation, per_language=12)
    lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    write_text(folder / "examples.jsonl", "".join(lines))
    write_json(folder / "provenance.json", provenance(data=collection.sources))
    mark_complete(folder)
    return folder
