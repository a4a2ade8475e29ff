"""InfoNCE with each kind of negatives: on paper, against slow loops and against the library."""

import math

import pytest
import torch
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

from isoglot.training.losses import info_nce, matryoshka_info_nce

KINDS = ("in-batch", "explicit", "both")

# Two rows in two dimensions; every vector has length 1 or 5, so cosines are easy.
QUERIES = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
POSITIVES = torch.tensor([[4.0, 3.0], [0.0, 1.0]])
NEGATIVES = torch.tensor([[0.0, 5.0], [3.0, 4.0]])
# cos(query 0, .): positives 0.8 and 0, negatives 0 and 0.6
# cos(query 1, .): positives 0.6 and 1, negatives 1 and 0.8
# With temperature 0.5 every cosine is doubled:
#   query 0: positives 1.6 and 0,   negatives 0 and 1.2
#   query 1: positives 1.2 and 2,   negatives 2 and 1.6
ON_PAPER = {
    # query 0: log(e^1.6 + e^0) - 1.6;              query 1: log(e^1.2 + e^2) - 2
    "in-batch": ((math.log(math.exp(1.6) + 1) - 1.6) + (math.log(math.exp(1.2) + math.exp(2)) - 2))
    / 2,
    # query 0: log(e^1.6 + e^0 + e^1.2) - 1.6;      query 1: log(e^2 + e^2 + e^1.6) - 2
    "explicit": (
        (math.log(math.exp(1.6) + 1 + math.exp(1.2)) - 1.6)
        + (math.log(2 * math.exp(2) + math.exp(1.6)) - 2)
    )
    / 2,
    # query 0: log(e^1.6 + e^0 + e^0 + e^1.2) - 1.6;  query 1: log(e^1.2 + 2e^2 + e^1.6) - 2
    "both": (
        (math.log(math.exp(1.6) + 2 + math.exp(1.2)) - 1.6)
        + (math.log(math.exp(1.2) + 2 * math.exp(2) + math.exp(1.6)) - 2)
    )
    / 2,
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_on_paper(kind):
    loss = info_nce(QUERIES, POSITIVES, NEGATIVES, temperature=0.5, kind=kind)
    assert loss.item() == pytest.approx(ON_PAPER[kind], abs=1e-6)


def test_the_numbers_of_the_example():
    rounded = {kind: round(value, 4) for kind, value in ON_PAPER.items()}
    assert rounded == {"in-batch": 0.2775, "explicit": 0.8047, "both": 0.9336}


def random_columns(seed=0, rows=7, negatives=3, dim=5):
    generator = torch.Generator().manual_seed(seed)
    sizes = (rows, rows, rows * negatives)
    return [torch.randn(size, dim, generator=generator) for size in sizes]


def double_loop(queries, positives, negatives, temperature):
    """Equation 1 of arXiv 2408.10536: own positive against every negative of the batch."""

    def score(a, b):
        return math.exp(torch.nn.functional.cosine_similarity(a, b, dim=0).item() / temperature)

    total = 0.0
    for query, positive in zip(queries, positives, strict=True):
        own = score(query, positive)
        others = sum(score(query, negative) for negative in negatives)
        total -= math.log(own / (own + others))
    return total / len(queries)


@pytest.mark.parametrize("temperature", [1.0, 0.05])
def test_explicit_negatives_are_equation_1_of_the_paper(temperature):
    columns = random_columns()
    loss = info_nce(*columns, temperature=temperature, kind="explicit")
    assert loss.item() == pytest.approx(double_loop(*columns, temperature), rel=1e-5)


class _GivenVectors(torch.nn.Module):
    """Stands for a model: its features are the vectors themselves."""

    def forward(self, features):
        return features


@pytest.mark.parametrize(("kind", "negatives"), [("in-batch", 0), ("both", 1), ("both", 3)])
def test_equals_the_librarys_ranking_loss_with_the_inverse_scale(kind, negatives):
    queries, positives, flat = random_columns(negatives=negatives)
    # Negative j of every row is column j, as the trainer hands them over.
    columns = [queries, positives, *flat.chunk(negatives)] if negatives else [queries, positives]
    features = [{"sentence_embedding": column} for column in columns]
    theirs = MultipleNegativesRankingLoss(_GivenVectors(), scale=1 / 0.05)(features, None)
    ours = info_nce(queries, positives, flat, temperature=0.05, kind=kind)
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("temperature", [1.0, 0.01])
def test_gradients_are_finite_even_for_a_zero_vector(kind, temperature):
    columns = random_columns()
    columns[0][0] = 0.0
    for column in columns:
        column.requires_grad_()
    info_nce(*columns, temperature=temperature, kind=kind).backward()
    used = columns if kind != "in-batch" else columns[:2]
    assert all(torch.isfinite(column.grad).all() for column in used)


def test_the_scale_of_a_vector_does_not_matter():
    queries, positives, negatives = random_columns()
    plain = info_nce(queries, positives, negatives, temperature=0.1, kind="both")
    scaled = info_nce(3 * queries, positives / 7, 2 * negatives, temperature=0.1, kind="both")
    assert scaled.item() == pytest.approx(plain.item(), rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_some_queries_of_a_batch_are_scored_against_all_of_its_passages(kind):
    queries, positives, negatives = random_columns(rows=6)
    options = {"temperature": 0.1, "kind": kind}
    whole = info_nce(queries, positives, negatives, **options)
    parts = [
        info_nce(queries[first:last], positives, negatives, first=first, **options) * (last - first)
        for first, last in ((0, 1), (1, 4), (4, 6))
    ]
    assert sum(parts).item() / 6 == pytest.approx(whole.item(), rel=1e-6)


def test_the_matryoshka_example_on_paper():
    # With two dimensions: the in-batch loss above, 0.2775. With the first one alone, cosines are
    # signs: query 0 is [1] and its passages [4] and [0]: 1 and 0; query 1 is [0], so 0 and 0.
    # At temperature 0.5: log(e^2 + 1) - 2 = 0.1269, and log 2 = 0.6931; their mean is 0.4100.
    loss = matryoshka_info_nce(
        QUERIES, POSITIVES, None, dims=(1,), temperature=0.5, kind="in-batch"
    )
    one = (math.log(math.exp(2) + 1) - 2 + math.log(2)) / 2
    assert one == pytest.approx(0.4100, abs=1e-4)
    assert loss.item() == pytest.approx((ON_PAPER["in-batch"] + one) / 2, abs=1e-6)


def test_without_dims_the_matryoshka_loss_is_the_plain_one():
    columns = random_columns()
    options = {"temperature": 0.1, "kind": "both"}
    plain = info_nce(*columns, **options)
    assert torch.equal(matryoshka_info_nce(*columns, dims=(), **options), plain)


def test_the_matryoshka_loss_is_the_mean_over_the_librarys_truncated_losses():
    queries, positives, _ = random_columns(dim=8)
    losses = [
        MultipleNegativesRankingLoss(_GivenVectors(), scale=1 / 0.05)(
            [{"sentence_embedding": column[:, :dim]} for column in (queries, positives)], None
        )
        for dim in (2, 4, 8)
    ]
    ours = matryoshka_info_nce(
        queries, positives, None, dims=(2, 4), temperature=0.05, kind="in-batch"
    )
    assert ours.item() == pytest.approx(torch.stack(losses).mean().item(), abs=1e-6)


@pytest.mark.parametrize("kind", ["explicit", "both"])
def test_a_loss_that_needs_explicit_negatives_does_not_do_without(kind):
    vectors = torch.eye(2)
    with pytest.raises(ValueError, match=f"kind '{kind}' need explicit negatives, got none"):
        info_nce(vectors, vectors, None, temperature=1.0, kind=kind)
