"""Tiny encoders saved in the layouts that real ones come in.

The weights are random; what is real is the files: names, places, config keys and tokenizers.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import sentencepiece
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import (
    Dense,
    Normalize,
    Pooling,
    StaticEmbedding,
    Transformer,
)
from tokenizers import BertWordPieceTokenizer
from transformers import (
    BertConfig,
    BertModel,
    BertTokenizer,
    XLMRobertaConfig,
    XLMRobertaModel,
    XLMRobertaTokenizer,
)

from isoglot.data.mini import load_mini_groups
from isoglot.models.static import learn_subwords

# Models as small as these gain nothing from threads, and wait for each other on busy machines.
torch.set_num_threads(1)

LANGS = ("de", "en", "sw")
WIDTH = 32
LABSE_MODULES = ("Transformer", "Pooling", "Dense", "Normalize")
LABSE_POOLING = {
    "word_embedding_dimension": WIDTH,
    "pooling_mode_cls_token": True,
    "pooling_mode_mean_tokens": False,
    "pooling_mode_max_tokens": False,
    "pooling_mode_mean_sqrt_len_tokens": False,
}


def sentences() -> list[str]:
    """Return 480 texts in 12 languages and 7 scripts, to learn subwords from."""
    groups = load_mini_groups("train")[:20]
    return [text for group in groups for text in (*group.query.values(), *group.passage.values())]


def save_xlm_roberta(folder: Path) -> Path:
    """As ``FacebookAI/xlm-roberta-base`` is on the hub: a transformer and no pooling."""
    folder.mkdir(parents=True)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences()),
        model_prefix=str(folder / "sentencepiece.bpe"),
        vocab_size=1000,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    (folder / "sentencepiece.bpe.vocab").unlink()
    tokenizer = XLMRobertaTokenizer.from_pretrained(str(folder), model_max_length=64)
    tokenizer.save_pretrained(str(folder))
    config = XLMRobertaConfig(
        vocab_size=len(tokenizer),
        # Positions start after the padding id, so 66 of them serve 64 tokens.
        max_position_embeddings=66,
        type_vocab_size=1,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
        layer_norm_eps=1e-5,
        **_small(),
    )
    torch.manual_seed(0)
    XLMRobertaModel(config).save_pretrained(str(folder))
    return folder


def save_labse(folder: Path) -> Path:
    """As ``sentence-transformers/LaBSE``: BERT at the root, CLS pooling, Dense with Tanh.

    Its small files are as the library wrote them years ago; that is how the hub still has them.
    """
    bert = _save_bert(folder.with_name(f"{folder.name}-bert"))
    transformer = Transformer(str(bert), max_seq_length=48)
    torch.manual_seed(1)
    dense = Dense(WIDTH, WIDTH, activation_function=torch.nn.Tanh())
    modules = [transformer, Pooling(WIDTH, pooling_mode="cls"), dense, Normalize()]
    _save(SentenceTransformer(modules=modules, device="cpu"), folder)
    shutil.copy(bert / "vocab.txt", folder)
    shutil.rmtree(folder / "3_Normalize")
    _write(folder / "modules.json", [_module(*row) for row in enumerate(LABSE_MODULES)])
    _write(folder / "sentence_bert_config.json", {"max_seq_length": 48, "do_lower_case": False})
    _write(folder / "1_Pooling" / "config.json", LABSE_POOLING)
    dense = {"in_features": WIDTH, "out_features": WIDTH, "bias": True}
    activation = "torch.nn.modules.activation.Tanh"
    _write(folder / "2_Dense" / "config.json", {**dense, "activation_function": activation})
    return folder


def save_e5(folder: Path) -> Path:
    """As ``intfloat/multilingual-e5-base``: mean pooling, here with its prompts in the config."""
    bert = _save_bert(folder.with_name(f"{folder.name}-bert"))
    modules = [Transformer(str(bert)), Pooling(WIDTH, pooling_mode="mean"), Normalize()]
    prompts = {"query": "query: ", "document": "passage: "}
    return _save(SentenceTransformer(modules=modules, prompts=prompts, device="cpu"), folder)


def save_static(folder: Path) -> Path:
    """As ``sentence-transformers/static-similarity-mrl-multilingual-v1``: vectors of subwords."""
    tokenizer = learn_subwords(sentences(), 1300)
    torch.manual_seed(0)
    module = StaticEmbedding(tokenizer, embedding_dim=WIDTH)
    return _save(SentenceTransformer(modules=[module], device="cpu"), folder)


def _save_bert(folder: Path) -> Path:
    folder.mkdir(parents=True)
    words = BertWordPieceTokenizer(lowercase=False)
    words.train_from_iterator(_letters_and(sentences()), vocab_size=1500, show_progress=False)
    words.save_model(str(folder))
    tokenizer = BertTokenizer.from_pretrained(str(folder), do_lower_case=False, model_max_length=64)
    tokenizer.save_pretrained(str(folder))
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, **_small())
    torch.manual_seed(0)
    BertModel(config).save_pretrained(str(folder))
    return folder


def _letters_and(texts: list[str]) -> Iterable[str]:
    return [*texts, *(" ".join(text) for text in texts)]


def _module(number: int, kind: str) -> dict[str, Any]:
    return {
        "idx": number,
        "name": str(number),
        "path": f"{number}_{kind}" if number else "",
        "type": f"sentence_transformers.models.{kind}",
    }


def _write(path: Path, value: Mapping[str, Any] | list[dict[str, Any]]) -> None:
    path.write_text(json.dumps(value), "utf-8")


def _small() -> dict[str, int]:
    return {
        "hidden_size": WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
    }


def _save(model: SentenceTransformer, folder: Path) -> Path:
    model.save_pretrained(str(folder), create_model_card=False)
    return folder
