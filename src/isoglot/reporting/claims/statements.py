"""The eleven statements of arXiv 2408.10536 in our words, and what a verdict on one is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "DOES_NOT_HOLD",
    "HOLDS",
    "NOT_TESTABLE",
    "STATEMENTS",
    "Judgement",
    "Line",
    "Statement",
]

HOLDS = "holds"
DOES_NOT_HOLD = "does not hold"
NOT_TESTABLE = "not testable here"


@dataclass(frozen=True)
class Statement:
    """One statement, and what it takes to test it."""

    number: int
    text: str
    needs: str


STATEMENTS = (
    Statement(
        1,
        "The encoder is fine-tuned on a mix of monolingual and cross-lingual batches of questions "
        "and answers.",
        "a training with hybrid batches: its census of the batches drawn, and its config",
    ),
    Statement(
        2,
        "It is evaluated on XQuAD-R, MLQA-R and MIRACL.",
        "an evaluation of a trained encoder on each of the three, in all languages of the paper",
    ),
    Statement(
        3,
        "XQuAD-R and MLQA-R have parallel questions and passages in 11 and 7 languages.",
        "an evaluation on each: its languages, and the relevant passages of every question",
    ),
    Statement(
        4,
        "The evaluation data are separate and distinct from the training data.",
        "hashes of the files of both, and an audit that stays below its threshold",
    ),
    Statement(
        5,
        "No sample of the evaluation sets, train or test, was seen in training.",
        "an audit of the training data for every benchmark, with no leak of any kind",
    ),
    Statement(
        6,
        "mAP is reported on XQuAD-R and MLQA-R.",
        "an evaluation on each that holds AP, which is mAP once averaged",
    ),
    Statement(
        7,
        "There are 110 cross-lingual and 11 monolingual settings on XQuAD-R, 42 and 7 on MLQA-R.",
        "the pairs of languages for which an evaluation on each holds AP",
    ),
    Statement(
        8,
        "Hybrid batches are the best in the multilingual setting.",
        "encoders trained with all three regimes; on XQuAD-R and MLQA-R, hybrid better than both "
        "others, beyond chance",
    ),
    Statement(
        9,
        "Hybrid batches beat both baselines with XLM-R and with LaBSE.",
        "both encoders trained with all three regimes; on all three benchmarks, hybrid better than "
        "both others in every setting, beyond chance",
    ),
    Statement(
        10,
        "Hybrid batches substantially reduce language bias against monolingual training.",
        "both regimes on XQuAD-R or MLQA-R; the rank distance of hybrid lower by a tenth or more, "
        "and that beyond chance",
    ),
    Statement(
        11,
        "Hybrid batches give strong zero-shot performance across languages.",
        "the encoder as it comes, or BM25, on the same benchmark; hybrid better, beyond chance, "
        "in more than half of the languages and settings, and worse in none",
    ),
)


@dataclass(frozen=True)
class Line:
    """One thing that was looked at for a statement."""

    verdict: str
    why: str
    """The figures in words, or what is missing."""
    figures: Mapping[str, Any] = field(default_factory=dict)
    """The same to compute with, as JSON."""
    encoder: str | None = None
    """None where it is not about one encoder."""
    benchmark: str | None = None
    counts: bool = True
    """Whether the verdict on the statement rests on it; otherwise it is shown beside."""

    @property
    def subject(self) -> str:
        """Encoder and benchmark, as far as the line is about one."""
        return ", ".join(name for name in (self.encoder, self.benchmark) if name)


@dataclass(frozen=True)
class Judgement:
    """A statement with all that was looked at."""

    statement: Statement
    lines: Sequence[Line]

    @property
    def verdict(self) -> str:
        """``does not hold`` if that is so of one line; ``holds`` if it is so of all lines."""
        return _join(self.lines)

    @property
    def by_encoder(self) -> dict[str, str]:
        """The verdicts that rest on the lines of one encoder."""
        names = dict.fromkeys(line.encoder for line in self.lines if line.encoder)
        return {
            name: _join([line for line in self.lines if line.encoder == name]) for name in names
        }


def _join(lines: Sequence[Line]) -> str:
    found = {line.verdict for line in lines if line.counts}
    if DOES_NOT_HOLD in found:
        return DOES_NOT_HOLD
    return HOLDS if found == {HOLDS} else NOT_TESTABLE
