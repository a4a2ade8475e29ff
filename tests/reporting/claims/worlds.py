"""Folders of small experiments whose truth is chosen: how good and how biased each regime is."""

import functools

import numpy as np

from isoglot.artifacts import mark_complete, provenance, write_json, write_yaml
from isoglot.bias import summarize
from isoglot.config.model import ModelConfig
from isoglot.config.schema import EvaluationConfig, TrainConfig
from isoglot.data.collection import Collection
from isoglot.data.leakage import MAX_SHARE, Leak, LeakageReport, TrainingText
from isoglot.evaluation import evaluate, write_evaluation
from isoglot.pipeline.evaluation import evaluation_record
from isoglot.records import Passage, Qrel, Query
from isoglot.reporting.leakage import audit_record

LANGS = ("en", "sw", "yo")
REGIMES = ("monolingual", "cross-lingual", "hybrid")
QUESTIONS = 14
GOOD, MIDDLE, BAD = (0.3, 0.2), (0.9, 1.0), (1.2, 2.0)
"""Weight of noise, and of language, in the vectors."""


def parallel_collection(name="small", langs=LANGS, sources=None):
    """Parallel questions, each with one relevant passage in every language."""
    keys = [(lang, number) for lang in langs for number in range(QUESTIONS)]
    return Collection(
        name,
        [Query(f"q{number}", lang, f"question {number} {lang}") for lang, number in keys],
        [Passage(f"{lang}_{number}", lang, f"answer {number} {lang}") for lang, number in keys],
        [Qrel(f"q{n}", lang, f"{other}_{n}", 1) for lang, n in keys for other in langs],
        sources=sources or {"small.jsonl": "5ma11"},
    )


def embeddings(collection, noise, bias, seed):
    """Vectors of meaning, language and noise; only the weights differ between systems."""
    truth = np.random.default_rng(7)
    meaning = truth.normal(size=(QUESTIONS, 16))
    langs = dict.fromkeys((*collection.passage_langs, *collection.query_langs))
    language = dict(zip(langs, truth.normal(size=(len(langs), 16)), strict=True))
    rng = np.random.default_rng(seed)

    def vector(number, lang):
        return meaning[number] + bias * language[lang] + noise * rng.normal(size=16)

    queries = [vector(int(q.query_id[1:]), q.lang) for q in collection.queries]
    passages = [vector(int(p.doc_id.split("_")[1]), p.lang) for p in collection.passages]
    return np.array(queries), np.array(passages)


_SMALL = parallel_collection()


@functools.cache
def _measured_small(quality, seed, measures):
    return _measure(_SMALL, quality, seed, measures)


def _measured(collection, quality, seed, measures):
    if collection is _SMALL:
        return _measured_small(quality, seed, measures)
    return _measure(collection, quality, seed, measures)


def _measure(collection, quality, seed, measures):
    evaluation = evaluate(collection, *embeddings(collection, *quality, seed), measures=measures)
    return evaluation, summarize(evaluation)


def write_run(
    folder, model, quality, *, seed=0, collection=None, measures=("AP", "R@1"), **options
):
    """Evaluate and write a complete folder, as ``isoglot evaluate`` does."""
    collection = collection or _SMALL
    evaluation, bias = _measured(collection, quality, seed, measures)
    write_evaluation(evaluation, folder, model=str(model), bias=bias)
    config = EvaluationConfig(benchmark=collection.name, measures=measures)
    record = evaluation_record(ModelConfig(name=str(model), **options), config)
    write_yaml(folder / "config.yaml", record)
    write_json(folder / "provenance.json", provenance(data=collection.sources))
    mark_complete(folder)
    return folder


def write_training(folder, *, regime="hybrid", seed=0, model="small", drawn=None, **sections):
    """Write the folder of a training that never was."""
    files = sections.pop("files", {"train": "7ra1n"})
    values = {
        "model": {"name": model},
        "data": [{"path": "train.jsonl", "name": "train"}],
        "audit": [],
        **sections,
    }
    values["batches"] = {"regime": regime, **sections.get("batches", {})}
    values["training"] = {"seed": seed, **sections.get("training", {})}
    config = TrainConfig.model_validate(values)
    write_yaml(folder / "config.yaml", config.model_dump(mode="json"))
    default = {name: 6 for name in ("monolingual", "cross-lingual") if regime in (name, "hybrid")}
    census = {
        "batches": default if drawn is None else drawn,
        "rows_by_pair": {"en-en": 8, "en-sw": 8},
    }
    write_json(folder / "census.json", {"drawn": census})
    write_json(folder / "data.json", files)
    mark_complete(folder)
    return folder


def write_audit(folder, *, leaks=0, benchmark="small", **more):
    """Write an audit of 100 queries and 100 passages, some of the queries leaking."""
    text = TrainingText("train", "g", "query", "en", "question", ("en",))
    found = [Leak("query", "exact", f"q{n}", "en", "question", text, 1.0) for n in range(leaks)]
    texts = {("query", "en"): 100, ("passage", "en"): 100}
    report = LeakageReport(benchmark, texts, dict.fromkeys(texts, 0), found, {})
    write_json(folder / "audit.json", {**audit_record([report], MAX_SHARE), **more})
    return folder


def write_world(
    folder,
    truth,
    *,
    seeds=(0, 1),
    audited=True,
    collection=None,
    encoder="small",
    measures=("AP", "R@1"),
    **training,
):
    """Write an experiment: ``truth`` has the quality of each regime, and of ``untrained``."""
    label = (collection or parallel_collection()).name
    write_yaml(folder / "config.yaml", {"encoders": [{"label": "enc", "name": encoder}]})
    if audited:
        write_audit(folder, benchmark=label)
    for name, quality in truth.items():
        if name == "untrained":
            target = folder / "enc" / name / label
            write_run(target, encoder, quality, collection=collection, measures=measures)
            continue
        for seed in seeds:
            cell = folder / "enc" / f"{name}-seed{seed}"
            write_training(cell / "train", regime=name, seed=seed, model=encoder, **training)
            model = cell / "train" / "model"
            options = {"seed": seed, "collection": collection, "measures": measures}
            write_run(cell / label, model, quality, **options)
    return folder


def make_full_size(folder, model_type="xlm-roberta", layers=12):
    """Let the models of an experiment look like one of the paper's encoders."""
    for train in folder.glob("*/*/train"):
        write_json(
            train / "model" / "config.json", {"model_type": model_type, "num_hidden_layers": layers}
        )
