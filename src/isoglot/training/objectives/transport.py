"""Tokens of parallel texts meet by optimal transport, after OPTICAL (Huang et al., 2301.12566).

Every token of a text has an equal share of it to give, and every token of its translation takes an
equal share. The cheapest way to move them, where moving costs 1 - cosine, says which tokens
correspond; the loss is its price. Only the text that is not in the target language learns: what it
moves towards stays where it is.

OPTICAL learns a query encoder from a frozen English one that keeps a vector per token. Here one
encoder gives both texts their vectors, and the loss goes beside others.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Transformer
from torch import Tensor, nn
from torch.nn import functional

from isoglot.batches.plan import Batch
from isoglot.config.objectives import TransportConfig
from isoglot.config.schema import TrainingConfig
from isoglot.data.parallel import ParallelTable
from isoglot.errors import ConfigError
from isoglot.training.inputs.collate import Collate
from isoglot.training.inputs.packing import Features, FlatPacker
from isoglot.training.inputs.pairs import (
    IntArray,
    Reader,
    StoredReader,
    pairs_towards,
    readers_of,
    split_pairs,
)
from isoglot.training.inputs.slices import Process
from isoglot.training.objectives.tokens import TokenInputs, TokenObjective

__all__ = ["Transport", "build_transport", "transport_cost", "transport_plan"]

_CELLS = 1 << 22
"""Pairs of tokens whose costs are in memory at a time, unless one pair of texts has more."""
_SMALL_EPSILON = 0.05
"""From here on no factor and no product of two is far from 1 by more than e^80; fp32 ends at e^88.
The kernel is e^-40 at least, and the factors of two rows, or columns, differ by e^40 at most."""
_HALF = (torch.bfloat16, torch.float16)


def build_transport(
    model: SentenceTransformer,
    table: ParallelTable,
    config: TransportConfig,
    training: TrainingConfig,
    collate: Collate,
) -> Transport:
    """Build the objective for an encoder and its training data.

    Args:
        model: The encoder.
        table: The training groups.
        config: The objective.
        training: Says how many texts are encoded at a time.
        collate: What the training feeds the encoder with; its stored tokens are used.

    Raises:
        ConfigError: If no text is in the target language, or the encoder has no vectors of tokens.
    """
    if config.lang not in table.langs:
        raise ConfigError(
            f"loss.transport.lang: no training text in {config.lang}; "
            f"the data has {', '.join(table.langs)}"
        )
    readers = readers_of(collate)
    if not _has_token_vectors(model, readers[0]):
        raise ConfigError(
            f"loss.transport: a {type(model[0]).__name__} encoder gives no vectors of tokens; take "
            "loss.transport out, or start from a transformer or a static encoder"
        )
    return Transport(table, config, training, readers)


def _has_token_vectors(model: SentenceTransformer, reader: Reader) -> bool:
    if isinstance(reader, StoredReader) and isinstance(reader.packer, FlatPacker):
        return True
    first = model[0]
    return isinstance(first, Transformer) and first.module_output_name == "token_embeddings"


class Transport(TokenObjective):
    """The price of moving a text's tokens to those of its translation in one language.

    Mean over the pairs of the global batch, of queries and of passages alike. The first tokens that
    the encoder reads take part, prompts and special ones included.

    Args:
        table: The training groups.
        config: The objective.
        training: Says how many texts are encoded at a time.
        readers: How queries and passages are read.
    """

    def __init__(
        self,
        table: ParallelTable,
        config: TransportConfig,
        training: TrainingConfig,
        readers: tuple[Reader, Reader],
    ) -> None:
        self.config = config
        self._table = table
        self._lang = table.langs.index(config.lang)
        self._training = training
        self._readers = readers

    @property
    def highest(self) -> float:
        """The largest price there is: that of moving to where all points away."""
        return 2.0

    def inputs(self, batch: Batch, process: Process) -> TokenInputs:
        """Return what a process trains on: texts and translations, part by part.

        A part without pairs, of which the loss is 0, has a text that is encoded all the same,
        because every process must encode as often as the others.
        """
        rows = len(batch)
        kinds = pairs_towards(batch, self._table, self._lang)
        total = sum(map(len, kinds))
        spare = (batch.query_texts[:1], batch.passage_texts[:1])
        parts = []
        for pairs, reader, one in zip(kinds, self._readers, spare, strict=True):
            if len(pairs) == 0:
                continue
            own = pairs.take(pairs.places(process, rows))
            lengths = reader.lengths(own.first) + reader.lengths(own.second)
            for places in split_pairs(lengths, pairs.most(process, rows), self._training):
                if len(places):
                    first, second = own.first[places], own.second[places]
                    parts.append(self._part(reader, first, second, process.count / total))
                else:
                    parts.append(self._part(reader, one, one, 0.0))
        return {"parts": parts or [self._part(self._readers[0], spare[0], spare[0], 0.0)]}

    def _part(self, reader: Reader, first: IntArray, second: IntArray, share: float) -> TokenInputs:
        """Return a part of the inputs.

        Args:
            reader: Reads the texts.
            first: (pairs,) texts in other languages.
            second: (pairs,) the same in the target language.
            share: Weight of a pair.
        """
        return {
            "first": _side(reader.read(first), self.config.max_tokens),
            "second": _side(reader.read(second), self.config.max_tokens),
            "share": share,
        }

    def shares(self, model: nn.Module, inputs: TokenInputs) -> Iterator[Tensor]:
        """Yield the parts' shares, of which the loss is the sum, each when it is asked for.

        With backward run between two of them, the memory is that of one part.
        """
        for part in inputs["parts"]:
            # In this order: not every torch casts weights again that it has cast without a graph.
            sources, vectors = _token_vectors(model, part["first"])
            with torch.no_grad():
                targets, _ = _token_vectors(model, part["second"])
            costs = transport_cost(
                sources,
                targets,
                part["first"]["mask"],
                part["second"]["mask"],
                epsilon=self.config.epsilon,
                iterations=self.config.iterations,
            )
            # Weights that only the vector of the whole text depends on get their zero: what
            # exchanges gradients between processes waits for every weight.
            yield part["share"] * costs.sum() + 0.0 * vectors.sum()


def transport_cost(
    sources: Tensor,
    targets: Tensor,
    source_mask: Tensor,
    target_mask: Tensor,
    *,
    epsilon: float,
    iterations: int,
) -> Tensor:
    """Return the price of the plan that moves each source to its target: <P, C>.

    The plan is taken as given and the targets stay where they are: neither has a gradient. It is
    computed in fp32 at least, whatever the vectors were computed in.

    Args:
        sources: (pairs, source tokens, dim), of any length; C is 1 - cosine.
        targets: (pairs, target tokens, dim)
        source_mask: (pairs, source tokens): which of them there are.
        target_mask: (pairs, target tokens)
        epsilon: Entropy that the plan may keep.
        iterations: Of Sinkhorn's algorithm.

    Returns:
        (pairs,), from 0 to 2; 0 where a text has no tokens.
    """
    with torch.autocast(sources.device.type, enabled=False):
        sources = functional.normalize(_full(sources), dim=2)
        with torch.no_grad():
            targets = functional.normalize(_full(targets), dim=2)
            step = max(1, _CELLS // max(1, sources.shape[1] * targets.shape[1]))
            carried, masses = [], []
            for start in range(0, len(sources), step):
                some = slice(start, start + step)
                plan = transport_plan(
                    1 - sources[some] @ targets[some].mT,
                    source_mask[some],
                    target_mask[some],
                    epsilon=epsilon,
                    iterations=iterations,
                )
                carried.append(plan @ targets[some])
                masses.append(plan.sum(dim=(1, 2)))
        # <P, 1 - S T'> = sum(P) - <S, P T>, which keeps no matrix of tokens by tokens.
        return torch.cat(masses) - (sources * torch.cat(carried)).sum(dim=(1, 2))


def transport_plan(
    cost: Tensor, source_mask: Tensor, target_mask: Tensor, *, epsilon: float, iterations: int
) -> Tensor:
    """Return the entropic optimal transport plan between uniform marginals.

    Sinkhorn's algorithm (Cuturi, arXiv 1306.0895). It ends with the targets, whose shares are
    exact; those of the sources are as exact as the number of iterations makes them. Where
    ``epsilon`` is so small that the factors would leave the range of fp32, it works on their
    logarithms, which takes several times as long.

    Args:
        cost: (pairs, sources, targets), from 0 to 2.
        source_mask: (pairs, sources): which of them there are.
        target_mask: (pairs, targets)
        epsilon: Weight of the entropy.
        iterations: How often sources and targets take turns.

    Returns:
        (pairs, sources, targets): of sum 1, and 0 where there is no source or no target.
    """
    there = source_mask[:, :, None] & target_mask[:, None, :]
    scores = (-cost / epsilon).where(there, -torch.inf)
    shares = _shares(source_mask, scores)[:, :, None], _shares(target_mask, scores)[:, None, :]
    scale = _scaled if epsilon >= _SMALL_EPSILON else _scaled_by_logarithms
    # Of a pair with an empty text no factor is a number.
    return scale(scores, *shares, iterations).where(there, 0.0)


def _scaled(scores: Tensor, of_sources: Tensor, of_targets: Tensor, iterations: int) -> Tensor:
    """Return exp(scores), its rows and columns multiplied until they sum up to their shares.

    Args:
        scores: (pairs, sources, targets); -inf where there is no source or no target.
        of_sources: (pairs, sources, 1) the shares; 0 where there is no source.
        of_targets: (pairs, 1, targets)
        iterations: How often.
    """
    kernel = scores.exp()
    least = torch.finfo(kernel.dtype).tiny  # so that padding has 0, not 0 / 0
    rows, columns = of_sources, of_targets
    for _ in range(iterations):
        rows = of_sources / (kernel @ columns.mT).clamp(min=least)
        columns = of_targets / (rows.mT @ kernel).clamp(min=least)
    return rows * kernel * columns


def _scaled_by_logarithms(
    scores: Tensor, of_sources: Tensor, of_targets: Tensor, iterations: int
) -> Tensor:
    """Return the same; nothing overflows."""
    of_sources, of_targets = of_sources.log(), of_targets.log()
    there = scores.isfinite()
    rows, columns = of_sources, of_targets
    for _ in range(iterations):
        rows = of_sources - torch.logsumexp(scores + columns, dim=2, keepdim=True)
        rows = rows.where(there.any(dim=2, keepdim=True), -torch.inf)
        columns = of_targets - torch.logsumexp(scores + rows, dim=1, keepdim=True)
        columns = columns.where(there.any(dim=1, keepdim=True), -torch.inf)
    return (scores + rows + columns).exp()


def _shares(mask: Tensor, like: Tensor) -> Tensor:
    """Return each token's equal share; padding has none."""
    counts = mask.sum(dim=1, keepdim=True).clamp(min=1)
    return mask.to(like.dtype) / counts


def _full(vectors: Tensor) -> Tensor:
    return vectors.float() if vectors.dtype in _HALF else vectors


def _side(features: Features, most: int) -> TokenInputs:
    """Return the inputs of texts, with a mask (texts, tokens) of where their first tokens are."""
    if "offsets" not in features:
        there = features["attention_mask"].bool()
        mask = there & (there.cumsum(dim=1) <= most)
        columns = mask.any(dim=0).nonzero().squeeze(1)
        return {"features": features, "mask": mask[:, columns], "columns": columns}
    # A static encoder is given each token as a text of its own.
    ids, starts = features["input_ids"], features["offsets"]
    lengths = torch.cat([starts[1:], torch.tensor([len(ids)])]) - starts
    place = torch.arange(len(ids)) - torch.repeat_interleave(starts, lengths)
    ids, lengths = ids[place < most], lengths.clamp(max=most)
    mask = torch.arange(max(1, int(lengths.max()))) < lengths[:, None]
    return {"features": {"input_ids": ids, "offsets": torch.arange(len(ids))}, "mask": mask}


def _token_vectors(model: nn.Module, side: TokenInputs) -> tuple[Tensor, Tensor]:
    """Return vectors of tokens, (texts, tokens, dim), and those of whatever was given as a text."""
    encoded = model(dict(side["features"]))
    vectors: Tensor = encoded["sentence_embedding"]
    if "offsets" not in side["features"]:
        return encoded["token_embeddings"][:, side["columns"]], vectors
    mask: Tensor = side["mask"]
    tokens = vectors.new_zeros(*mask.shape, vectors.shape[1])
    return tokens.index_put((mask,), vectors), vectors
