"""Static encoders with kept gradients are trained to the same bits."""

import pytest
import torch
from sentence_transformers.sentence_transformer.modules import StaticEmbedding

from isoglot.models.static import WeightedStaticEmbedding, learn_subwords
from isoglot.training.loop.compact import compact_gradients
from tests.models.checkpoints import sentences


@pytest.fixture(scope="module")
def tokenizer():
    return learn_subwords(sentences(), 1300)


def plain(tokenizer):
    torch.manual_seed(0)
    return StaticEmbedding(tokenizer, embedding_dim=16)


def weighted(tokenizer):
    torch.manual_seed(0)
    size = tokenizer.get_vocab_size()
    return WeightedStaticEmbedding(tokenizer, torch.rand(size) + 0.5, torch.randn(size, 16))


def trained(module, steps=4):
    """Train with two backward passes to a step, so that gradients are added up."""
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.1)
    for step in range(steps):
        for part in range(2):
            texts = sentences()[step * 20 + part * 10 :][:10]
            vectors = module(module.preprocess(texts))["sentence_embedding"]
            (vectors @ vectors.T).square().mean().backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        module.zero_grad()
    return {name: weight.clone() for name, weight in module.state_dict().items()}


@pytest.mark.parametrize("build", [plain, weighted])
def test_the_weights_are_the_same_bits(tokenizer, build):
    dense = trained(build(tokenizer))
    module = build(tokenizer)
    with compact_gradients(module):
        compact = trained(module)
    assert dense.keys() == compact.keys()
    assert all(torch.equal(dense[name], compact[name]) for name in dense)


def test_afterwards_the_module_is_as_before(tokenizer):
    module = plain(tokenizer)
    bag = module.embedding
    with pytest.raises(RuntimeError), compact_gradients(module):
        assert module.embedding is not bag
        raise RuntimeError
    assert module.embedding is bag
    assert bag.weight.grad is None


def test_texts_without_tokens_are_zeros_as_before(tokenizer):
    module = plain(tokenizer)
    features = module.preprocess(["", "text", ""])
    dense = module(dict(features))["sentence_embedding"]
    with compact_gradients(module):
        assert torch.equal(module(dict(features))["sentence_embedding"], dense)
        with torch.no_grad():
            assert torch.equal(module(dict(features))["sentence_embedding"], dense)


def test_bags_with_options_of_their_own_are_left_alone():
    for options in ({"padding_idx": 0}, {"max_norm": 1.0}, {"include_last_offset": True}):
        model = torch.nn.Sequential(torch.nn.EmbeddingBag(5, 3, mode="sum", **options))
        bag = model[0]
        with compact_gradients(model):
            assert model[0] is bag


def test_a_model_without_bags_is_left_alone():
    model = torch.nn.Linear(2, 2)
    with compact_gradients(model):
        model(torch.ones(1, 2)).sum().backward()
        model.zero_grad()
    assert model.weight.grad is None
