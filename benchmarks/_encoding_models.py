"""Transformers to time: of any size, random weights, a tokenizer learned from the texts at hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast, XLMRobertaConfig, XLMRobertaModel

from isoglot.models.static import learn_subwords

__all__ = ["build_transformer"]

_VOCABULARY = 16_000
_HEAD_WIDTH = 64


def build_transformer(folder: Path, texts: Sequence[str], *, layers: int, width: int) -> str:
    """Save an XLM-R with mean pooling and return the name of its folder.

    Args:
        folder: An empty folder.
        texts: What subwords are learned from.
        layers: Layers.
        width: Numbers of a token's vector; the layers in between have four times as many.
    """
    tokenizer = learn_subwords(texts, _VOCABULARY)
    begin, end = (tokenizer.token_to_id(token) for token in ("<s>", "</s>"))
    tokenizer.post_processor = TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", begin), ("</s>", end)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<unk>",
        model_max_length=512,
    )
    torch.manual_seed(0)
    config = XLMRobertaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=width // _HEAD_WIDTH,
        intermediate_size=4 * width,
        max_position_embeddings=514,
        type_vocab_size=1,
        pad_token_id=tokenizer.token_to_id("<unk>"),
    )
    bare = str(folder / "bare")
    XLMRobertaModel(config).save_pretrained(bare)
    fast.save_pretrained(bare)
    modules = [Transformer(bare), Pooling(width, pooling_mode="mean"), Normalize()]
    whole = str(folder / "whole")
    SentenceTransformer(modules=modules, device="cpu").save(whole)
    return whole
