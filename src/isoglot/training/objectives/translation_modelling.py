"""Translation language modelling: masked tokens are found with the translation beside them.

Conneau and Lample (arXiv 1901.07291); before dense retrieval in languages an encoder barely knows,
Wu, Ren and Verberne (arXiv 2408.11942). Both texts are one sequence, as the tokenizer joins pairs.
XLM lets positions start again at the second text and marks languages by embeddings; the encoders
of today have been trained without either, and neither is done here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from accelerate.utils import extract_model_from_parallel
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Transformer
from tokenizers import Tokenizer
from torch import Tensor, nn

from isoglot.batches.plan import Batch
from isoglot.batches.randomness import RandomStreams
from isoglot.config.objectives import TranslationModellingConfig
from isoglot.config.schema import TrainingConfig
from isoglot.data.parallel import ParallelTable
from isoglot.data.tokens import TokenStore, tokenize_table
from isoglot.errors import ConfigError
from isoglot.training.inputs.masking import Masking, PairTemplate, mask_tokens
from isoglot.training.inputs.pairs import IntArray, Pairs, parallel_pairs, split_pairs
from isoglot.training.inputs.ragged import Ragged, gather
from isoglot.training.inputs.slices import Process
from isoglot.training.objectives.masked_head import MaskedTokenHead, build_head
from isoglot.training.objectives.tokens import TokenInputs, TokenObjective

__all__ = ["MaskedPairs", "TranslationModelling", "build_translation_modelling"]

_NOT_WANTED = -1
_LOST = 10
"""So many times the loss of guessing, tokens are found by no encoder that has not lost its way."""


def build_translation_modelling(
    model: SentenceTransformer,
    table: ParallelTable,
    config: TranslationModellingConfig,
    training: TrainingConfig,
    report: Callable[[str], object],
) -> TranslationModelling:
    """Build the objective for an encoder and its training data.

    Args:
        model: The encoder, as loaded; an adapter may be attached.
        table: The training groups. Their tokens are made here, unless they were before.
        config: The objective.
        training: Its seed, and how many texts are encoded at a time.
        report: Takes lines for the reader.

    Raises:
        ArtifactError: If the table's folder cannot be written.
        ConfigError: If the encoder has no masked tokens, reads too few, or is to be sharded.
    """
    transformer = _transformer(model)
    tokenizer = _tokenizer(model)
    if training.sharding != "none":
        raise ConfigError(
            "loss.translation_modelling does not go with training.sharding: full, because its head "
            "is not sharded; leave one of them out"
        )
    template = PairTemplate.of(tokenizer)
    most = (_positions(transformer) - template.specials) // 2
    if config.max_tokens > most:
        raise ConfigError(
            f"loss.translation_modelling.max_tokens: the encoder cannot read two texts of "
            f"{config.max_tokens} tokens at once; {most} is the most"
        )
    special = model.tokenizer.all_special_ids
    rows = transformer.auto_model.get_input_embeddings().num_embeddings
    ordinary = np.setdiff1d(np.arange(min(len(model.tokenizer), rows)), special)
    masked = MaskedPairs(
        tokenize_table(tokenizer, table),
        template,
        Masking(config.masked_share, model.tokenizer.mask_token_id, ordinary),
        max_tokens=config.max_tokens,
        padding=model.tokenizer.pad_token_id or 0,
        segments="token_type_ids" in model.tokenizer.model_input_names,
        training=training,
    )
    head, came = build_head(transformer.auto_model, training.seed)
    if not came:
        report("translation_modelling starts with a new head: the encoder was saved without one")
    return TranslationModelling(head, masked)


def _transformer(model: SentenceTransformer) -> Transformer:
    first = model[0]
    if not isinstance(first, Transformer):
        raise ConfigError(
            f"loss.translation_modelling: a {type(first).__name__} encoder reads tokens without "
            "their context and cannot find masked ones; take loss.translation_modelling out, or "
            "start from a transformer such as FacebookAI/xlm-roberta-base"
        )
    return first


def _tokenizer(model: SentenceTransformer) -> Tokenizer:
    """Return the tokenizer's rules, with texts neither cut nor padded."""
    backend = getattr(model.tokenizer, "backend_tokenizer", None)
    if getattr(model.tokenizer, "mask_token_id", None) is None:
        raise ConfigError(
            "loss.translation_modelling: the encoder's tokenizer has no mask token; take "
            "loss.translation_modelling out, or start from an encoder that was trained with one, "
            "such as FacebookAI/xlm-roberta-base"
        )
    if not isinstance(backend, Tokenizer):
        raise ConfigError(
            "loss.translation_modelling: the encoder's tokenizer is not one of the tokenizers "
            "library; take loss.translation_modelling out, or start from another encoder"
        )
    copy = Tokenizer.from_str(backend.to_str())
    copy.no_truncation()
    copy.no_padding()
    return copy


def _positions(transformer: Transformer) -> int:
    """Return how many tokens the transformer has positions for."""
    for name, part in transformer.auto_model.named_modules():
        if isinstance(part, nn.Embedding) and name.endswith("position_embeddings"):
            # RoBERTa and its kin count from the number of the padding token.
            return part.num_embeddings - (0 if part.padding_idx is None else part.padding_idx + 1)
    return int(getattr(transformer.auto_model.config, "max_position_embeddings", 1 << 20))


class MaskedPairs:
    """Turns the parallel texts of a batch into sequences with masked tokens.

    Args:
        store: Tokens of the texts, without special ones.
        template: How two texts become a sequence.
        masking: Which tokens are masked.
        max_tokens: Of each text.
        padding: The token that fills.
        segments: Whether the encoder is told which text a token is of.
        training: The seed, and how many texts are encoded at a time.
    """

    def __init__(
        self,
        store: TokenStore,
        template: PairTemplate,
        masking: Masking,
        *,
        max_tokens: int,
        padding: int,
        segments: bool,
        training: TrainingConfig,
    ) -> None:
        self._store = store
        self._template = template
        self._masking = masking
        self._max_tokens = max_tokens
        self._padding = padding
        self._segments = segments
        self._training = training
        self._random = RandomStreams("masked tokens", training.seed)
        nothing = np.zeros(0, dtype=np.int64)
        self._empty = self._sequence(nothing, nothing, 0)

    def __call__(self, batch: Batch, process: Process) -> TokenInputs:
        """Return the sequences of a process's rows, part by part.

        What is masked depends on the batch, not on which process trains on it. A part without
        pairs, of which the loss is 0, has a sequence without texts, because every process must
        encode as often as the others.
        """
        pairs = _join(parallel_pairs(batch))
        texts, firsts = self._tokens(pairs)
        seen, chosen = mask_tokens(self._random.at(batch.index), texts, self._masking)
        wanted = np.where(chosen, texts.ids, _NOT_WANTED)
        total = int(chosen.sum())
        starts = texts.starts
        own = pairs.places(process, len(batch))
        largest = max(1, pairs.most(process, len(batch)))
        parts = []
        for places in split_pairs(texts.lengths[own], largest, self._training):
            rows = []
            for pair in own[places]:
                tokens = slice(starts[pair], starts[pair] + texts.lengths[pair])
                rows.append(self._sequence(seen[tokens], wanted[tokens], firsts[pair]))
            part = self._part(rows or [self._empty])
            parts.append({**part, "share": process.count / max(1, total)})
        return {"parts": parts}

    def _tokens(self, pairs: Pairs) -> tuple[Ragged, IntArray]:
        """Return the tokens of both texts of each pair, and how many are of the first: (pairs,)."""
        texts = np.stack([pairs.first, pairs.second], axis=1).ravel()
        starts = self._store.starts[texts]
        lengths = np.minimum(self._store.ends[texts] - starts, self._max_tokens)
        tokens = gather(self._store.tokens, starts, lengths)
        return Ragged(tokens.ids, lengths.reshape(-1, 2).sum(axis=1)), lengths[::2]

    def _sequence(self, seen: IntArray, wanted: IntArray, first: int) -> _Sequence:
        """Return a pair as one sequence.

        Args:
            seen: (tokens of both texts,) what is seen of them.
            wanted: (tokens of both texts,) what is to be found.
            first: Tokens of the first text.
        """
        ids, segments, is_text = self._template.join(seen[:first], seen[first:])
        targets = np.full(len(ids), _NOT_WANTED)
        targets[is_text] = wanted
        return _Sequence(ids, segments, targets)

    def _part(self, rows: list[_Sequence]) -> TokenInputs:
        """Return sequences side by side, padded to the longest."""
        lengths = np.array([len(row.ids) for row in rows])
        mask = np.arange(lengths.max()) < lengths[:, None]
        filled = [
            _fill(mask, [row[column] for row in rows], filler)
            for column, filler in enumerate((self._padding, 0, _NOT_WANTED))
        ]
        ids, segments, targets = filled
        features = {"input_ids": ids, "attention_mask": torch.from_numpy(mask.astype(np.int64))}
        if self._segments:
            features["token_type_ids"] = segments
        places = torch.nonzero(targets.ravel() != _NOT_WANTED).squeeze(1)
        return {"features": features, "places": places, "wanted": targets.ravel()[places]}


class _Sequence(NamedTuple):
    """A pair of texts: (tokens,) each."""

    ids: IntArray
    segments: IntArray
    targets: IntArray


class TranslationModelling(nn.Module, TokenObjective):
    """The mean of -log p over the masked tokens of the global batch.

    Its weights are those of the head, which no saved encoder has.

    Args:
        head: Finds tokens.
        masked: Makes the sequences.
    """

    def __init__(self, head: MaskedTokenHead, masked: MaskedPairs) -> None:
        super().__init__()
        self.head = head
        self._masked = masked

    @property
    def highest(self) -> float:
        """What only an encoder that has lost its way reaches; guessing has log(vocabulary)."""
        return _LOST * math.log(len(self.head.bias))

    def inputs(self, batch: Batch, process: Process) -> TokenInputs:
        """Return what a process trains on: sequences with masked tokens, part by part."""
        return self._masked(batch, process)

    def shares(self, model: nn.Module, inputs: TokenInputs) -> Iterator[Tensor]:
        """Yield the parts' shares, of which the loss is the sum, each when it is asked for.

        With backward run between two of them, the memory is that of one part.
        """
        transformer = extract_model_from_parallel(model)[0].auto_model
        for part in inputs["parts"]:
            encoded = model(dict(part["features"]))
            vectors = encoded["token_embeddings"].flatten(0, 1)[part["places"]]
            embeddings = transformer.get_input_embeddings().weight
            loss = self.head.loss(vectors, part["wanted"], embeddings)
            # Weights that only the vector of the whole text depends on get their zero: what
            # exchanges gradients between processes waits for every weight.
            yield part["share"] * loss + 0.0 * encoded["sentence_embedding"].sum()


def _join(kinds: tuple[Pairs, Pairs]) -> Pairs:
    columns = ("rows", "first", "second")
    return Pairs(*(np.concatenate([getattr(k, name) for k in kinds]) for name in columns))


def _fill(mask: npt.NDArray[np.bool_], rows: list[IntArray], filler: int) -> Tensor:
    """Return rows side by side, (rows, longest), filled up on the right."""
    filled = np.full(mask.shape, filler, dtype=np.int64)
    filled[mask] = np.concatenate(rows)
    return torch.from_numpy(filled)
