"""Encoders, data and runs for ``benchmarks.training``; the other side is in ``_training_peers``.

Everything but time is a function of the case. The encoders are the embedded one, its bytes turned
into fp32, and a BERT with its subwords and random weights.
"""

from __future__ import annotations

import functools
import gzip
import json
import resource
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, StaticEmbedding, Transformer
from tokenizers import Tokenizer, processors
from torch import nn
from transformers import (
    BertConfig,
    BertModel,
    PreTrainedTokenizerFast,
    TrainerCallback,
    TrainerControl,
)

from benchmarks import SHARED_DATA
from isoglot.batches.plan import Batch, BatchPlan
from isoglot.config.schema import BatchConfig, TrainConfig
from isoglot.data.parallel import ParallelTable
from isoglot.models.loading import embedded_encoder, load_encoder
from isoglot.pipeline.sources import load_training_data
from isoglot.training.inputs.build import build_collator
from isoglot.training.inputs.collate import Collate, Inputs, Parts, TokenCollator
from isoglot.training.inputs.slices import Process
from isoglot.training.loop.ahead import Ahead
from isoglot.training.prepared import Prepared
from isoglot.training.run_folder import claim_run
from isoglot.training.train import start

__all__ = [
    "Case",
    "Clock",
    "Padding",
    "Trained",
    "build_encoder",
    "plan_of",
    "planned_pairs",
    "time_batches",
    "tokenize",
    "train",
    "train_config",
    "write_data",
]

POSITIONS = 512
SHAPE = {
    "num_hidden_layers": 6,
    "hidden_size": 384,
    "num_attention_heads": 12,
    "intermediate_size": 1_536,
}
SMALL = {
    "num_hidden_layers": 2,
    "hidden_size": 128,
    "num_attention_heads": 4,
    "intermediate_size": 512,
}
SPECIAL = ("<s>", "</s>", "<pad>", "<mask>")
SENTENCES = SHARED_DATA / "bitext" / "sentences.jsonl.gz"
COURSES = SHARED_DATA / "parallel-pairs" / "courses.jsonl.gz"


@dataclass(frozen=True)
class Case:
    """What is trained."""

    folder: str
    """Holds encoders, data and what is prepared of them."""
    encoder: str
    """``static`` or ``transformer``."""
    data: str
    """``sentences``, ``mixed`` or ``apart``, as ``write_data`` writes them."""
    size: int
    """Rows of a batch."""
    steps: int
    precision: str = "fp32"
    mini_batch_size: int | None = None
    length_buckets: int = 8
    max_tokens: int | None = None


@dataclass(frozen=True)
class Trained:
    """What was measured of a run."""

    steps: NDArray[np.float64]
    """(steps, 3): wall, user and system seconds of each, drawing its batch included."""
    loss: float
    """Mean over the steps."""
    padding: float
    """Share of the tokens computed that are padding."""


class Clock(TrainerCallback):  # type: ignore[misc]
    """Reads wall, user and system seconds between steps; keeps the trainer from saving."""

    def __init__(self) -> None:
        self._readings: list[tuple[float, float, float]] = []

    def on_train_begin(self, *_: object, **__: object) -> None:
        """Read for the first time."""
        self._read()

    def on_step_end(self, _: object, __: object, control: TrainerControl, **___: object) -> None:
        """Read."""
        control.should_save = False
        self._read()

    def _read(self) -> None:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        self._readings.append((time.perf_counter(), usage.ru_utime, usage.ru_stime))

    def steps(self) -> NDArray[np.float64]:
        """Return the seconds of each step: (steps, 3)."""
        return np.diff(np.array(self._readings), axis=0)


class Padding:
    """Counts the tokens that an encoder is given, and those of them that are padding."""

    def __init__(self, model: SentenceTransformer) -> None:
        self._tokens = self._real = 0
        model[0].register_forward_pre_hook(self._count)

    def _count(self, _: nn.Module, inputs: tuple[dict[str, Any], ...]) -> None:
        mask = inputs[0].get("attention_mask")
        if mask is not None:
            self._tokens += mask.numel()
            self._real += int(mask.sum())

    def share(self) -> float:
        """Return the share of padding; 0 for encoders without any."""
        return 1 - self._real / self._tokens if self._tokens else 0.0


def write_data(folder: Path, groups: int, sections: int) -> None:
    """Write the training data.

    ``sentences`` are translations, ``sections`` course sections and their headings. ``mixed`` has
    all those sections, and as many translations, of those in most languages, in one data set, so
    that about half of the rows of a batch are of each kind; ``apart`` names two data sets, so that
    a batch is of one kind.

    Args:
        folder: Where to.
        groups: How many translations, spread over the file.
        sections: Most sections, likewise.
    """
    translations = [{"text": row["text"]} for row in _read_rows(SENTENCES)]
    _write(folder / "sentences.jsonl", _spread(translations, groups))
    courses = _spread(list(_read_rows(COURSES)), sections)
    _write(folder / "sections.jsonl", courses)
    translations.sort(key=lambda row: -len(row["text"]))
    pairs = [{"query": r["text"], "passage": r["text"]} for r in translations[: len(courses)]]
    _write(folder / "mixed.jsonl", [*courses, *pairs])


def _read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a compressed file."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


def _spread(rows: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    return rows[:: max(1, len(rows) // count)][:count]


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for number, row in enumerate(rows):
            file.write(json.dumps({**row, "id": str(number)}, ensure_ascii=False) + "\n")


def sources_of(case: Case) -> list[dict[str, str]]:
    """Return the data sets of a case, as a config names them."""
    sentences = {"path": f"{case.folder}/sentences.jsonl", "format": "bitext"}
    return {
        "sentences": [sentences],
        "mixed": [{"path": f"{case.folder}/mixed.jsonl"}],
        "apart": [{"path": f"{case.folder}/sections.jsonl"}, sentences],
    }[case.data]


def build_encoder(kind: str, folder: Path, seed: int = 0) -> None:
    """Save the encoder that is trained: ``static``, ``transformer``, or a ``small`` one."""
    vectors = SentenceTransformer(str(embedded_encoder()), device="cpu")[0]
    assert isinstance(vectors, StaticEmbedding)
    modules: list[nn.Module]
    if kind == "static":
        weights = vectors.embedding.weight.detach().float()
        modules = [StaticEmbedding(vectors.tokenizer, embedding_weights=weights)]
    else:
        with tempfile.TemporaryDirectory() as parts:
            shape = SMALL if kind == "small" else SHAPE
            _save_bert(vectors.tokenizer, Path(parts), shape, seed)
            modules = [Transformer(parts), Pooling(shape["hidden_size"], "mean")]
    SentenceTransformer(modules=modules, device="cpu").save_pretrained(str(folder))


def _save_bert(tokenizer: Tokenizer, folder: Path, shape: Mapping[str, int], seed: int) -> None:
    rules = Tokenizer.from_str(tokenizer.to_str())
    rules.add_special_tokens(list(SPECIAL))
    start, end, pad, mask = SPECIAL
    ids = {token: rules.token_to_id(token) for token in SPECIAL}
    rules.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}", special_tokens=[(start, ids[start]), (end, ids[end])]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=rules,
        unk_token="<unk>",
        bos_token=start,
        cls_token=start,
        eos_token=end,
        sep_token=end,
        pad_token=pad,
        mask_token=mask,
        model_max_length=POSITIONS,
    ).save_pretrained(folder)
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=rules.get_vocab_size(),
        **shape,
        max_position_embeddings=POSITIONS,
        bos_token_id=ids[start],
        eos_token_id=ids[end],
        pad_token_id=ids[pad],
    )
    BertModel(config).save_pretrained(folder)


def train_config(case: Case) -> TrainConfig:
    """Return the config of a case."""
    model = {"name": f"{case.folder}/{case.encoder}"}
    return TrainConfig.model_validate(
        {
            "model": {**model, "max_tokens": case.max_tokens} if case.max_tokens else model,
            "data": sources_of(case),
            "batches": {
                "regime": "cross-lingual",  # one language of a translation is no pair
                "size": case.size,
                "size_exponent": 0.0,  # as many batches of the one data set as of the other
            },
            "training": {
                "steps": case.steps,
                "learning_rate": 1e-2 if case.encoder == "static" else 1e-4,
                "warmup_share": 0.0,  # the peer's default
                "precision": case.precision,
                "mini_batch_size": case.mini_batch_size,
                "length_buckets": case.length_buckets,
            },
            "development": {"groups": 0, "every": case.steps},
            "audit": [],
        }
    )


@functools.cache
def _plan(case: Case) -> BatchPlan:
    config = train_config(case)
    table = load_training_data(config).table
    return BatchPlan(table, config.planned_batches, config.training.seed)


def plan_of(case: Case) -> BatchPlan:
    """Return the batches of a case; those of like cases are the same."""
    return _plan(replace(case, steps=1, precision="fp32", mini_batch_size=None, length_buckets=1))


class _TimedPlan(BatchPlan):
    """Measures how long drawing takes."""

    def __init__(self, table: ParallelTable, config: BatchConfig, seed: int) -> None:
        super().__init__(table, config, seed)
        self.seconds: list[float] = []

    def batch(self, index: int) -> Batch:
        started = time.perf_counter()
        batch = super().batch(index)
        self.seconds.append(time.perf_counter() - started)
        return batch


class _TimedCollate(TokenCollator):  # only such a one is drawn ahead
    """Measures how long looking up and packing tokens takes."""

    def __init__(self, collate: Collate) -> None:
        self._collate = collate
        self.seconds: list[float] = []

    def __call__(self, batch: Batch, process: Process) -> Parts:
        started = time.perf_counter()
        parts = self._collate(batch, process)
        self.seconds.append(time.perf_counter() - started)
        return parts


def tokenize(case: Case) -> float:
    """Make the tokens of a case's texts, which a run does once; return the seconds."""
    config = train_config(case)
    table = plan_of(case).table
    started = time.perf_counter()
    build_collator(load_encoder(config.model, "cpu"), table, config.training)
    return time.perf_counter() - started


def train(case: Case) -> Trained:
    """Train with ``isoglot.training``, in a run folder that is then deleted."""
    config, plan = train_config(case), plan_of(case)
    model = load_encoder(config.model)
    return _train(case, model, plan, build_collator(model, plan.table, config.training))


def time_batches(case: Case) -> NDArray[np.float64]:
    """Train; return seconds by step: of all, of drawing, of packing, of waiting for its batch.

    Returns:
        (steps, 4). Batches are drawn and packed beside the step before, so waiting is less.
    """
    config, whole = train_config(case), plan_of(case)
    plan = _TimedPlan(whole.table, whole.config, config.training.seed)
    model = load_encoder(config.model)
    collate = _TimedCollate(build_collator(model, plan.table, config.training))
    waited: list[float] = []
    take = Ahead.take

    def timed(ahead: Ahead, batches: Iterator[Inputs], count: int) -> list[Inputs]:
        begun = time.perf_counter()
        taken = take(ahead, batches, count)
        waited.append(time.perf_counter() - begun)
        return taken

    with patch.object(Ahead, "take", timed):
        steps = _train(case, model, plan, collate).steps
    # Before, all batches have been drawn for the census.
    count = len(steps)
    parts = (plan.seconds[-count:], collate.seconds[-count:], waited[-count:])
    return np.column_stack([steps[:, 0], *parts])


def _train(case: Case, model: SentenceTransformer, plan: BatchPlan, collate: Collate) -> Trained:
    model.similarity_fn_name = "cosine"
    with tempfile.TemporaryDirectory(dir=case.folder) as folder:
        run = claim_run(Path(folder) / "run", train_config(case))
        training, prepared = run.config.training, Prepared(plan, None, 0, None)
        trainer = start(model, collate, prepared, run, training, str, sharded=False)
        clock, padding = Clock(), Padding(model)
        trainer.add_callback(clock)
        trainer.resume(None)
        loss = float(trainer.state.log_history[-1]["train_loss"])
    return Trained(clock.steps(), loss, padding.share())


def planned_pairs(case: Case) -> Iterator[tuple[str, str]]:
    """Yield query and passage of the rows of the planned batches, one after another."""
    plan = plan_of(case)
    for index in range(case.steps):
        batch = plan.batch(index)
        queries = plan.table.texts.take(batch.query_texts).to_pylist()
        passages = plan.table.texts.take(batch.passage_texts).to_pylist()
        yield from zip(queries, passages, strict=True)
