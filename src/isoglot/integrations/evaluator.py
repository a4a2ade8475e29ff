"""All settings and the language bias during training with sentence-transformers.

An evaluator for ``SentenceTransformerTrainer(evaluator=...)`` beside the library's own
``InformationRetrievalEvaluator``, which measures one pool at a time: here every text is encoded
once, and the monolingual, cross-lingual and multilingual figures come from one pass.
"""

from __future__ import annotations

import csv
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sentence_transformers.base.evaluation import BaseEvaluator

from isoglot.bias import summarize
from isoglot.data.collection import Collection
from isoglot.errors import ConfigError, did_you_mean
from isoglot.evaluation.evaluate import Evaluation
from isoglot.evaluation.measures import DEFAULT_MEASURES, parse_measures
from isoglot.evaluation.settings import SETTINGS
from isoglot.integrations.building import Languages, build_collection
from isoglot.pipeline.evaluation import evaluate_model

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["BIAS_FIGURES", "MultilingualRetrievalEvaluator"]

logger = logging.getLogger(__name__)

BIAS_FIGURES = ("rank_distance", "rank_distance_normalized", "language_preference_rate")
"""Figures of ``isoglot.bias.summarize`` among the metrics, where they can be computed."""

_LOWER_IS_BETTER = ("rank_distance", "rank_distance_normalized")


class MultilingualRetrievalEvaluator(BaseEvaluator):
    """Measures a model in all settings of a collection.

    Metrics are ``NAME_SETTING_MEASURE``, such as ``dev_cross-lingual_nDCG@10``, and
    ``NAME_rank_distance``; settings that the collection does not have are left out. The trainer
    puts ``eval_`` before them, as ``metric_for_best_model`` must.

    Args:
        collection: Queries, passages and judgments. Never a benchmark that will be reported.
        measures: Names as ir_measures writes them.
        name: Put before every metric; default: the collection's name.
        batch_size: Texts encoded at a time; default: by the kind of encoder.
        primary_metric: What selects the best checkpoint, without the name: ``SETTING_MEASURE``,
            ``rank_distance`` or ``rank_distance_normalized``; default: the first measure in the
            multilingual setting.
        truncate_dim: Dimensions of the embeddings to measure with; default: all.
        show_progress_bar: Whether to show the progress of encoding.
        write_csv: Whether to add a line to ``CSV_FILE`` where a folder is given.

    Attributes:
        evaluation: The last evaluation, for every pool and query: ``evaluation.settings``.

    Raises:
        ConfigError: If a measure is unknown, or the primary metric is not among the metrics.
    """

    evaluation: Evaluation | None = None

    def __init__(
        self,
        collection: Collection,
        *,
        measures: Iterable[str] = DEFAULT_MEASURES,
        name: str | None = None,
        batch_size: int | None = None,
        primary_metric: str | None = None,
        truncate_dim: int | None = None,
        show_progress_bar: bool = False,
        write_csv: bool = True,
    ) -> None:
        super().__init__()
        self.collection = collection
        self.measures = tuple(map(str, parse_measures(measures)))
        self.name = collection.name if name is None else name
        self.batch_size = batch_size
        self.truncate_dim = truncate_dim
        self.show_progress_bar = show_progress_bar
        self.write_csv = write_csv
        settings, several = _present(collection)
        figures = [f"{setting}_{measure}" for setting in settings for measure in self.measures]
        primary = primary_metric or f"multilingual_{self.measures[0]}"
        allowed = [*figures, *(_LOWER_IS_BETTER if several else ())]
        if primary not in allowed:
            raise ConfigError(
                f"primary metric {primary!r} is not measured on {collection.name}; "
                f"choose one of {', '.join(allowed)}{did_you_mean(primary, allowed)}"
            )
        self.greater_is_better = primary not in _LOWER_IS_BETTER
        self.primary_metric = f"{self.name}_{primary}" if self.name else primary
        self.csv_file = "_".join(
            filter(None, ("Multilingual-Retrieval_evaluation", self.name, "results.csv"))
        )
        self.csv_headers = ["epoch", "steps", *figures, *BIAS_FIGURES]

    @classmethod
    def from_dicts(
        cls,
        queries: Mapping[str, str],
        corpus: Mapping[str, str],
        relevant_docs: Mapping[str, Iterable[str] | Mapping[str, int]],
        query_langs: Languages,
        passage_langs: Languages,
        *,
        name: str = "",
        **options: object,
    ) -> MultilingualRetrievalEvaluator:
        """Build from what ``InformationRetrievalEvaluator`` takes, and the languages.

        Args:
            queries: Text by query id.
            corpus: Text by doc id.
            relevant_docs: By query id, the relevant doc ids, or their grades.
            query_langs: Language by query id, or one for all.
            passage_langs: Language by doc id, or one for all.
            name: As for the class.
            **options: As for the class.

        Raises:
            ConfigError: If a code names no language, or an option is wrong.
            DataError: If an id has no language, or a judgment names a text that is not there.
        """
        collection = build_collection(
            name or "collection",
            queries.items(),
            corpus.items(),
            _judgments(relevant_docs),
            query_langs=query_langs,
            passage_langs=passage_langs,
        )
        return cls(collection, name=name, **options)  # type: ignore[arg-type]

    def __call__(
        self,
        model: SentenceTransformer,
        output_path: str | None = None,
        epoch: float = -1,
        steps: int = -1,
    ) -> dict[str, float]:
        """Measure the model.

        Args:
            model: Any encoder.
            output_path: Folder of the CSV file.
            epoch: Epoch of the training, for the CSV file and the model card.
            steps: Steps, likewise.

        Returns:
            Value by metric.

        Raises:
            ModelError: If the model is made for another similarity than cosine and dot.
        """
        with model.truncate_embeddings(self.truncate_dim):
            self.evaluation = evaluate_model(
                model,
                self.collection,
                measures=self.measures,
                run_depth=0,
                batch_size=self.batch_size,
                show_progress=self.show_progress_bar,
            )
        figures = _flatten(self.evaluation)
        logger.info("%s: %s", self.name, figures)
        if output_path is not None and self.write_csv:
            self._write_csv(Path(output_path), {"epoch": epoch, "steps": steps, **figures})
        metrics: dict[str, float] = self.prefix_name_to_metrics(figures, self.name)
        self.store_metrics_in_model_card_data(model, metrics, epoch, steps)
        return metrics

    def get_config_dict(self) -> dict[str, object]:
        """Return what the model card says of this evaluator."""
        config: dict[str, object] = {
            "queries": len(self.collection.queries),
            "passages": len(self.collection.passages),
        }
        return config if self.truncate_dim is None else config | {"truncate_dim": self.truncate_dim}

    def _write_csv(self, folder: Path, row: Mapping[str, float]) -> None:
        """Add a line; to a file with other columns, what those have."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / self.csv_file
        columns = self.csv_headers
        if path.is_file():
            with path.open(newline="", encoding="utf-8") as file:
                columns = next(csv.reader(file), [])
        if missing := [column for column in self.csv_headers if column not in columns]:
            logger.warning("%s has no columns for %s", path, ", ".join(missing))
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, extrasaction="ignore")
            if not file.tell():
                writer.writeheader()
            writer.writerow(row)


def _flatten(evaluation: Evaluation) -> dict[str, float]:
    """Return the summary and the bias figures under one name each."""
    figures = {
        f"{setting}_{measure}": value
        for setting, values in evaluation.summary.items()
        for measure, value in values.items()
    }
    bias = summarize(evaluation)
    return figures | {key: bias[key] for key in BIAS_FIGURES if bias.get(key) is not None}


def _present(collection: Collection) -> tuple[list[str], bool]:
    """Return the settings with a judgment, and whether a query has several languages' passages."""
    langs = {passage.doc_id: passage.lang for passage in collection.passages}
    found = {"multilingual"}
    by_query: dict[tuple[str, str], set[str]] = defaultdict(set)
    for qrel in collection.qrels:
        if qrel.relevance > 0:
            lang = langs[qrel.doc_id]
            found.add("monolingual" if lang == qrel.query_lang else "cross-lingual")
            by_query[qrel.query_lang, qrel.query_id].add(lang)
    several = any(len(passage_langs) > 1 for passage_langs in by_query.values())
    return [setting for setting in SETTINGS if setting in found], several


def _judgments(
    relevant_docs: Mapping[str, Iterable[str] | Mapping[str, int]],
) -> Iterator[tuple[str, str, int]]:
    for query_id, docs in relevant_docs.items():
        grades = docs if isinstance(docs, Mapping) else dict.fromkeys(docs, 1)
        for doc_id, grade in grades.items():
            yield query_id, doc_id, int(grade)
