"""The small transformer of the experiments: it starts as a static encoder, and can be trained."""

from pathlib import Path

import numpy as np
import pytest
import torch
from experiments import small_transformer
from experiments.small_transformer import Size, build_small_transformer
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import (
    Pooling,
    StaticEmbedding,
    Transformer,
)

from isoglot.config.loading import load_config
from isoglot.config.schema import TrainConfig
from isoglot.errors import ConfigError
from isoglot.pipeline.training import run_training
from tests.models.checkpoints import WIDTH, sentences
from tests.training.runs import train_config, write_training_groups

CONFIG = Path(__file__).parents[1] / "experiments" / "small-transformer-pretrain.yaml"
TINY = Size(layers=2, dim=WIDTH + 8, heads=2, inner=16, max_tokens=48)


@pytest.fixture(scope="module")
def static(checkpoints) -> StaticEmbedding:
    return SentenceTransformer(str(checkpoints["static"]), device="cpu")[0]


def constant_static(static, vector):
    vectors = torch.tensor([vector]).repeat(len(static.embedding.weight), 1)
    return StaticEmbedding(static.tokenizer, embedding_weights=vectors)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_it_starts_as_the_static_encoder(static):
    vectors = static.embedding.weight.detach()
    vectors = vectors - vectors.mean(dim=1, keepdim=True)  # which the norms take away
    static = StaticEmbedding(static.tokenizer, embedding_weights=vectors)
    model = build_small_transformer(static, TINY, ceiling=1000.0)
    assert [type(module) for module in model] == [Transformer, Pooling]
    texts = [text for text in sentences()[:40] if len(static.tokenizer.encode(text).ids) <= 48]
    embeddings = unit(model.encode(texts))
    expected = unit(SentenceTransformer(modules=[static], device="cpu").encode(texts))
    cosines = (embeddings[:, :WIDTH] * expected).sum(axis=1)
    assert len(texts) > 10
    assert cosines.min() > 0.9999
    assert np.abs(embeddings[:, -2:]).max() == 0.0


def test_a_vector_as_long_as_the_ceiling_is_divided_by_the_root_of_two(static):
    # (3, -3, C, -C) with 2 C^2 = 18: mean 0, spread sqrt((18 + 18) / 4) = 3.
    size = Size(layers=1, dim=4, heads=1, inner=4)
    model = build_small_transformer(constant_static(static, [3.0, -3.0]), size, ceiling=18**0.5)
    assert model.encode(["one text"])[0] == pytest.approx([1.0, -1.0, 0.0, 0.0], abs=1e-4)


def test_a_short_vector_stays_short(static):
    # (1, -1, C, -C) with 2 C^2 = 18: spread sqrt((2 + 18) / 4) = 2.2361.
    size = Size(layers=1, dim=4, heads=1, inner=4)
    model = build_small_transformer(constant_static(static, [1.0, -1.0]), size, ceiling=18**0.5)
    assert model.encode(["one text"])[0] == pytest.approx([0.4472, -0.4472, 0, 0], abs=1e-4)


def test_fewer_dimensions_keep_the_first_of_the_static_vectors(static):
    model = build_small_transformer(static, Size(layers=1, dim=16, heads=1, inner=8))
    words = model[0].model.embeddings.tok_embeddings.weight
    assert torch.equal(words[:-2, :14], static.embedding.weight[:, :14])
    assert words[:-2, 14:].unique().tolist() == pytest.approx([-(800**0.5), 800**0.5])


def test_more_dimensions_start_at_zero(static):
    words = build_small_transformer(static, TINY)[0].model.embeddings.tok_embeddings.weight
    assert torch.equal(words[:-2, :WIDTH], static.embedding.weight)
    assert not words[:, WIDTH:-2].any()


def test_what_fills_and_what_masks_come_after_the_subwords(static):
    model = build_small_transformer(static, TINY)
    subwords = static.tokenizer.get_vocab_size()
    ids = {model.tokenizer.pad_token_id, model.tokenizer.mask_token_id}
    assert ids == {subwords, subwords + 1}
    padding = model[0].model.embeddings.tok_embeddings.weight[model.tokenizer.pad_token_id]
    assert not padding.any()


def test_other_texts_of_a_call_do_not_matter(static):
    model = build_small_transformer(static, TINY)
    alone = model.encode(["short"])
    beside = model.encode(["short", " ".join(sentences()[:3])])
    assert beside[0] == pytest.approx(alone[0], abs=1e-5)


def test_longer_texts_are_cut(static):
    model = build_small_transformer(static, TINY)
    assert model.max_seq_length == 48
    assert model.preprocess(["long " * 100])["input_ids"].shape == (1, 48)


def test_it_trains_and_what_it_learns_is_in_its_layers(static, tmp_path):
    start = tmp_path / "start"
    build_small_transformer(static, TINY).save_pretrained(str(start))
    config = train_config(
        start,
        write_training_groups(tmp_path / "groups.jsonl"),
        training={"steps": 2},
        development={"every": 2},
    )
    model = SentenceTransformer(str(run_training(config, tmp_path / "run")), device="cpu")
    for layer in model[0].model.layers:
        assert layer.attn.Wo.weight.any()
        assert layer.mlp.Wo.weight.any()


def test_equal_seeds_give_equal_weights(static):
    first, second, other = (
        build_small_transformer(static, TINY, seed=seed)[0].model.layers[0].attn.Wqkv.weight
        for seed in (0, 0, 1)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_heads_that_do_not_fit_are_refused(static):
    with pytest.raises(ConfigError, match="heads: 3 do not divide 40 dimensions"):
        build_small_transformer(static, Size(dim=40, heads=3))


def test_dimensions_without_room_for_a_vector_are_refused(static):
    with pytest.raises(ConfigError, match="dim: 2 leaves no dimension"):
        build_small_transformer(static, Size(dim=2, heads=1))


def test_the_command_writes_a_folder_to_train_from(static, tmp_path, monkeypatch, capsys):
    arguments = ["--layers", "1", "--dim", "16", "--heads", "1", "--inner", "8"]
    monkeypatch.setattr("sys.argv", ["small_transformer", "-o", str(tmp_path / "m"), *arguments])
    small_transformer.main()
    assert SentenceTransformer(str(tmp_path / "m"), device="cpu").encode("a").shape == (16,)
    assert f"weights -> {tmp_path / 'm'}" in capsys.readouterr().out


def test_the_config_of_its_training_is_valid():
    config = load_config(TrainConfig, CONFIG)
    assert config.batches.regime == "hybrid"
    assert config.leave_out_leaks
