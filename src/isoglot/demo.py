"""The demonstration: the embedded encoder and collection, the whole path, offline, in a minute.

The encoder is fine-tuned in the three regimes on the collection's training groups and measured on
facts it has not seen. Eighty groups are few: the figures show what the output says, not what the
regimes do to a large encoder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from isoglot.config.experiment import ExperimentConfig
from isoglot.config.loading import parse_config
from isoglot.config.schema import ModelConfig
from isoglot.data.collection import Collection
from isoglot.data.groups import write_groups
from isoglot.data.mini import load_mini, load_mini_groups
from isoglot.errors import ConfigError
from isoglot.evaluation.vectors import prepare_vectors
from isoglot.experiment import Cell, run_experiment
from isoglot.reporting.writers import shorten

__all__ = ["run_demo"]

_ENCODER = "isoglot-mini"
_HITS = 6
_WIDTH = 100
_NEXT = """
Next:
  isoglot train configs/train.yaml -o runs/mine             on data of your own (docs/data.md)
  isoglot evaluate -m mini -b xquad-r -o runs/mini-xquad-r  on XQuAD-R, downloaded
  isoglot index passages.jsonl -m mini -o runs/index        passages of your own (docs/search.md)
  isoglot serve runs/index                                  a page to search them, in any language
  isoglot demo -l {other}                                      search in another language, or with
                                                            a question of your own: -q "..." """


def run_demo(
    folder: Path,
    report: Callable[[str], object],
    *,
    language: str = "sw",
    query: str | None = None,
) -> None:
    """Fine-tune the embedded encoder in three regimes, evaluate, compare, and search once.

    Args:
        folder: Output folder; what is complete there is not run again.
        report: Takes lines for the reader.
        language: Language of the question that is searched with.
        query: A question of the reader's own; default: one of the collection's.

    Raises:
        ConfigError: If the question is empty, or the collection has none in the language.
        IsoglotError: If the folder cannot be written.
    """
    collection = load_mini("evaluation")
    question = _a_question(collection, language) if query is None else query.strip()
    if not question:
        raise ConfigError("--query: the question is empty; leave it out for one of the collection")
    data = folder / "train.jsonl"
    write_groups(data, load_mini_groups("train"))
    grid = parse_config(ExperimentConfig, _grid({"path": str(data), "name": "mini"}))
    (comparison,) = run_experiment(grid, folder / "experiment", report)
    report(f"\n{comparison.table().to_text()}\nresults: {folder / 'experiment'}")
    hybrid = Cell(grid.encoders[0], "hybrid", grid.seeds[0])
    model = folder / "experiment" / hybrid.folder / "train"
    for line in _search(model, collection, question):
        report(line)
    report(_NEXT.format(other="sw" if language == "yo" else "yo"))


def _a_question(collection: Collection, language: str) -> str:
    questions = [query.text for query in collection.queries if query.lang == language]
    if not questions:
        langs = sorted({query.lang for query in collection.queries})
        raise ConfigError(
            f"--language: the embedded collection has no question in {language!r}; allowed: "
            f"{', '.join(langs)}; or ask your own with --query, in any language"
        )
    return questions[0]


def _search(model: Path, collection: Collection, question: str) -> Iterator[str]:
    """Yield a line per passage, of all languages, that the fine-tuned encoder ranks highest."""
    from isoglot.encoding.encode import encode_texts
    from isoglot.models.loading import load_encoder

    encoder = load_encoder(ModelConfig(name=str(model)))
    texts = [passage.text for passage in collection.passages]
    ids = [passage.doc_id for passage in collection.passages]
    (query,) = prepare_vectors(
        encode_texts(encoder, [question], "query"), ["--query"], what="query", similarity="cosine"
    )
    scores = (
        query
        @ prepare_vectors(
            encode_texts(encoder, texts, "passage"), ids, what="passage", similarity="cosine"
        ).T
    )
    yield f"\nsearching the passages of all languages for: {question}"
    for row in np.argsort(-scores, kind="stable")[:_HITS]:
        passage = collection.passages[row]
        yield f"  {scores[row]:.2f}  {passage.lang}  {shorten(passage.text, _WIDTH)}"


def _grid(source: dict[str, str]) -> dict[str, Any]:
    return {
        "encoders": [{"label": _ENCODER, "name": "mini"}],
        "seeds": [0],
        "benchmarks": [{"benchmark": "mini"}],
        "data": [source],
        "batches": {"size": 32},
        "training": {"steps": 150, "learning_rate": 0.01, "weight_decay": 0.0},
        "development": {"groups": 0},
    }
