"""The weighted sum of subword vectors: on paper, and against autograd through a plain loop."""

import math

import pytest
import torch
from tokenizers import Tokenizer, models

from isoglot.models.static import WeightedStaticEmbedding


def build(vectors, log_weight):
    words = {f"w{i}": i for i in range(len(vectors))}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="w0"))
    return WeightedStaticEmbedding(tokenizer, log_weight.exp(), vectors)


def features(texts):
    """Token lists to the inputs of a static embedding."""
    starts = torch.tensor([0, *map(len, texts[:-1])]).cumsum(0)
    ids = torch.tensor([token for text in texts for token in text], dtype=torch.long)
    return {"input_ids": ids, "offsets": starts}


def slow_sum(vectors, log_weight, texts):
    """Add one weighted vector after the other."""
    rows = []
    for text in texts:
        total = torch.zeros(vectors.shape[1], dtype=vectors.dtype)
        for token in text:
            total = total + log_weight[token].exp() * vectors[token]
        rows.append(total)
    return torch.stack(rows)


def test_the_example_on_paper():
    # Subword 0 has weight 1 and vector (1, 2), subword 1 weight 2 and vector (3, 0).
    module = build(torch.tensor([[1.0, 2.0], [3.0, 0.0]]), torch.tensor([1.0, 2.0]).log())
    result = module(features([[0, 1], [1, 1]]))["sentence_embedding"]
    assert result.tolist() == [[7.0, 2.0], [12.0, 0.0]]
    # Of text 0's first number plus ten times text 1's second:
    (result[0, 0] + 10 * result[1, 1]).backward()
    # vector 0 gets 1 * (1, 0); vector 1 gets 2 * (1, 0) of text 0 and twice 2 * (0, 10) of text 1;
    assert module.embedding.weight.grad.tolist() == [[1.0, 0.0], [2.0, 40.0]]
    # and the logarithm of a weight gets the product of the vector and its gradient.
    assert module.log_weight.grad.tolist() == [1.0, 6.0]


TEXTS = {
    "one text": [[0, 1, 2]],
    "repeated subwords": [[3, 3, 3], [3], [1, 3]],
    "empty texts": [[], [2, 4], [], [0], []],
    "nothing": [[], []],
}


@pytest.mark.parametrize("name", TEXTS)
def test_sum_and_gradient_equal_autograds_through_a_loop(name):
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(6, 4, generator=generator)
    log_weight = torch.randn(6, generator=generator)
    direction = torch.randn(len(TEXTS[name]), 4, generator=generator)

    module = build(vectors, log_weight)
    result = module(features(TEXTS[name]))["sentence_embedding"]
    (result * direction).sum().backward()

    slow_vectors = vectors.clone().requires_grad_()
    slow_weight = log_weight.clone().requires_grad_()
    expected = slow_sum(slow_vectors, slow_weight, TEXTS[name])
    (expected * direction).sum().backward() if expected.requires_grad else None

    assert torch.allclose(result, expected, atol=1e-6)
    pairs = [(module.embedding.weight, slow_vectors), (module.log_weight, slow_weight)]
    for fast, slow in pairs:
        gradient = slow.grad if slow.grad is not None else torch.zeros_like(slow)
        assert torch.allclose(fast.grad, gradient, atol=1e-5)


def test_folded_vectors_carry_the_weights():
    module = build(torch.tensor([[1.0, 2.0], [3.0, 0.0]]), torch.tensor([0.0, math.log(2.0)]))
    assert torch.allclose(module.folded().embedding.weight, torch.tensor([[1.0, 2.0], [6.0, 0.0]]))


def test_a_checkpoint_comes_back_to_the_last_bit(tmp_path):
    generator = torch.Generator().manual_seed(0)
    module = build(torch.randn(500, 2, generator=generator), torch.zeros(500))
    with torch.no_grad():
        module.log_weight.copy_(torch.randn(500, generator=generator))
    module.save(str(tmp_path))
    loaded = WeightedStaticEmbedding.load(str(tmp_path))
    assert torch.equal(loaded.log_weight, module.log_weight)
    assert torch.equal(loaded.embedding.weight, module.embedding.weight)
