"""Static encoders built from nothing: subwords learned from text, one vector each, averaged.

The saved model is a plain sentence-transformers ``StaticEmbedding``; what is special to training
(a weight per subword) is folded into the vectors when it is saved.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sentencepiece
import torch
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from torch import nn

from isoglot.errors import DataError

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["WeightedStaticEmbedding", "build_static_encoder", "learn_subwords"]

_UNKNOWN = "<unk>"


def learn_subwords(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """Learn a unigram subword vocabulary (Kudo, arXiv 1804.10959) with SentencePiece.

    Texts are folded by NFKC and case; characters outside the vocabulary fall back to bytes, so no
    text in any script is lost.

    Args:
        texts: Sentences, already balanced between languages.
        vocabulary: Most subwords; few texts give fewer.

    Raises:
        DataError: If the vocabulary is too small for the characters of the texts.
    """
    normalizer = normalizers.Sequence(
        [
            normalizers.NFKC(),
            normalizers.Lowercase(),
            normalizers.Replace(Regex(r"\s+"), " "),
            normalizers.Strip(),
        ]
    )
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(map(normalizer.normalize_str, texts)),
            model_writer=model,
            model_type="unigram",
            vocab_size=vocabulary,
            hard_vocab_limit=False,
            character_coverage=0.9998,
            byte_fallback=True,
            normalization_rule_name="identity",
            max_sentence_length=2048,
            shuffle_input_sentence=False,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise DataError(
            f"cannot learn {vocabulary} subwords from these texts; increase model.vocabulary "
            f"({str(error).splitlines()[-1].strip()})"
        ) from error
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    scored = [(pieces.id_to_piece(i), pieces.get_score(i)) for i in range(len(pieces))]
    tokenizer = Tokenizer(models.Unigram(scored, unk_id=pieces.unk_id(), byte_fallback=True))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


class WeightedStaticEmbedding(StaticEmbedding):
    """A static embedding whose subwords have a learned weight in the average.

    The weight is one number that moves a subword's vector in length only, so frequent subwords
    learn to count less within few steps.
    """

    def __init__(self, tokenizer: Tokenizer, weights: torch.Tensor, vectors: torch.Tensor) -> None:
        super().__init__(tokenizer, embedding_weights=vectors)
        self.embedding.mode = "sum"
        self.log_weight = nn.Parameter(weights.log())

    def forward(self, features: dict[str, torch.Tensor], **kwargs: Any) -> dict[str, torch.Tensor]:  # noqa: ANN401
        """Sum the weighted vectors; the length of a text does not matter to its direction."""
        ids = features["input_ids"]
        features["sentence_embedding"] = self.embedding(
            ids, features["offsets"], per_sample_weights=self.log_weight[ids].exp()
        )
        return features

    @classmethod
    def load(cls, model_name_or_path: str, subfolder: str = "", **kwargs: Any) -> Self:  # noqa: ANN401
        """Load a checkpoint of a run that is not finished; finished models are plain."""
        folder = Path(model_name_or_path, subfolder)
        state = load_file(folder / "model.safetensors")
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        module = cls(tokenizer, torch.ones_like(state["log_weight"]), state["embedding.weight"])
        module.load_state_dict(state)  # not through exp and log, which move the last bit
        return module

    def folded(self) -> StaticEmbedding:
        """Return the plain module that gives the same directions."""
        vectors = self.embedding.weight.detach() * self.log_weight.detach().exp()[:, None]
        return StaticEmbedding(self.tokenizer, embedding_weights=vectors.clone())


def build_static_encoder(
    tokenizer: Tokenizer, frequencies: torch.Tensor, dim: int, seed: int
) -> SentenceTransformer:
    """Build an untrained static encoder.

    Args:
        tokenizer: The subwords.
        frequencies: (vocabulary,) how often each subword occurs in the training texts. Weights
            start at a / (a + share) with a = 0.0001 (Arora et al., ICLR 2017), so that frequent
            subwords count less from the first step.
        dim: Length of the vectors.
        seed: Seed of the random vectors.
    """
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(len(frequencies), dim, generator=generator) / dim**0.5
    share = frequencies.double() / frequencies.sum().clamp(min=1)
    weights = (1e-4 / (1e-4 + share)).float()
    return SentenceTransformer(
        modules=[WeightedStaticEmbedding(tokenizer, weights, vectors)], device="cpu"
    )
