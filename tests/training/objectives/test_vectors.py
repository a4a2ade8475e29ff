"""Objectives on vectors, against slow obvious code and values worked by hand."""

import math

import pytest
import torch

from isoglot.config.objectives import (
    DistillationConfig,
    PassageAgreementConfig,
    QueryAgreementConfig,
    ReversedConfig,
)
from isoglot.training.objectives.agreement import (
    PassageAgreement,
    QueryAgreement,
    divergence,
    root_divergence,
)
from isoglot.training.objectives.blocks import Block, Side, Taught
from isoglot.training.objectives.distillation import Distillation
from isoglot.training.objectives.reversal import Reversed


def side(vectors, rows, total=None):
    return Side(
        vectors, torch.tensor(rows, dtype=torch.long), len(rows) if total is None else total
    )


def block_of(**changes):
    """Return a block with nothing in it but what a test is about."""
    none = torch.zeros(0, 2)
    columns = {"queries": none, "passages": none, "candidates": none, "negatives": none}
    parallel = {"parallel_queries": side(none, []), "parallel_passages": side(none, [])}
    places = {"all_queries": none, "first": 0, "total": 2}
    return Block(**(columns | parallel | places | changes))


def random_block(rows=5, others=3, dim=7):
    """Return rows 2 onward of a batch of 9, of which three have parallel texts."""
    numbers = torch.Generator().manual_seed(0)

    def draw(count):
        return torch.randn(count, dim, generator=numbers, dtype=torch.double)

    candidates, queries = draw(9), draw(9)
    return block_of(
        queries=queries[2 : 2 + rows],
        passages=candidates[2 : 2 + rows],
        candidates=candidates,
        negatives=draw(others),
        all_queries=queries,
        first=2,
        total=9,
        parallel_queries=side(draw(3), [0, 2, 3], total=6),
        parallel_passages=side(draw(2), [1, 4], total=4),
        taught=Taught(
            queries=side(draw(3), [0, 1, 4], total=7),
            passages=side(draw(2), [0, 3], total=5),
            candidates=side(draw(6), [0, 2, 3, 4, 5, 8]),
        ),
    )


def cosine(x, y):
    return float(x @ y / x.norm() / y.norm())


def softmax(scores):
    powers = [math.exp(score) for score in scores]
    return [power / sum(powers) for power in powers]


def kl(p, q):
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def test_a_divergence_worked_by_hand():
    # 1/2 log((1/2) / (1/4)) + 1/2 log((1/2) / (3/4)) = 1/2 log(4/3).
    p, q = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.25, 0.75]]).log()
    assert divergence(p, q).item() == pytest.approx(math.log(4 / 3) / 2)
    assert divergence(p, p).item() == 0


def test_a_root_divergence_worked_by_hand():
    # softmax(log 3, 0) = (3/4, 1/4), softmax(0, log 3) = (1/4, 3/4), their mean (1/2, 1/2):
    # KL = 3/4 log(3/2) + 1/4 log(1/2) for both.
    x, y = torch.tensor([[math.log(3), 0.0]]), torch.tensor([[0.0, math.log(3)]])
    wanted = math.sqrt(0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    assert root_divergence(x, y).item() == pytest.approx(wanted, rel=1e-5)


def test_the_root_divergence_of_equal_vectors_has_a_gradient():
    x = torch.tensor([[1.0, 2.0]], requires_grad=True)
    distance = root_divergence(x, torch.tensor([[1.0, 2.0]]))
    distance.sum().backward()
    assert distance.item() < 1e-5
    assert torch.isfinite(x.grad).all()


def test_distributions_far_apart_reach_the_highest_root_divergence():
    x, y = torch.tensor([[100.0, 0.0]]), torch.tensor([[0.0, 100.0]])
    assert root_divergence(x, y).item() == pytest.approx(math.sqrt(math.log(2)), rel=1e-5)


def test_agreement_of_queries_worked_by_hand():
    # Temperature 1. The query scores its two passages 1 and 0, the parallel one 0 and 1: with
    # p = e / (1 + e) both divergences are p - (1 - p) = (e - 1) / (e + 1). One of two rows has a
    # parallel query, and the mean is over that one.
    east, north = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    block = block_of(
        queries=torch.stack([2 * east, north]),
        candidates=torch.stack([east, 3 * north]),
        parallel_queries=side(north[None], [0]),
    )
    loss = QueryAgreement(QueryAgreementConfig(temperature=1.0))(block)
    assert loss.item() == pytest.approx((math.e - 1) / (math.e + 1))


def test_agreement_of_queries_is_that_of_a_slow_reference():
    block = random_block()
    candidates = torch.cat([block.candidates, block.negatives])
    total = 0.0
    for vector, row in zip(
        block.parallel_queries.vectors, block.parallel_queries.rows, strict=True
    ):
        p, q = (
            softmax([cosine(query, c) / 0.1 for c in candidates])
            for query in (block.queries[row], vector)
        )
        total += (kl(p, q) + kl(q, p)) / 2
    loss = QueryAgreement(QueryAgreementConfig(temperature=0.1))(block)
    assert loss.item() == pytest.approx(total / 6)


@pytest.mark.parametrize("distance", ["cosine", "sqrt-jsd"])
def test_agreement_of_passages_is_that_of_a_slow_reference(distance):
    block = random_block()
    total = 0.0
    for vector, row in zip(
        block.parallel_passages.vectors, block.parallel_passages.rows, strict=True
    ):
        own = block.passages[row]
        if distance == "cosine":
            total += 1 - cosine(own, vector)
        else:
            p, q = softmax(own.tolist()), softmax(vector.tolist())
            mean = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
            total += math.sqrt((kl(p, mean) + kl(q, mean)) / 2)
    loss = PassageAgreement(PassageAgreementConfig(distance=distance))(block)
    assert loss.item() == pytest.approx(total / 4)


def test_cosine_agreement_worked_by_hand():
    # A right angle, and 1 - 3/5.
    block = block_of(
        passages=torch.tensor([[1.0, 0.0], [0.0, 2.0]]),
        parallel_passages=side(torch.tensor([[0.0, 1.0], [4.0, 3.0]]), [0, 1]),
    )
    loss = PassageAgreement(PassageAgreementConfig(distance="cosine"))(block)
    assert loss.item() == pytest.approx((1 + 0.4) / 2)


def test_the_reversed_loss_worked_by_hand():
    # Temperature 1. The first passage scores the queries 1 and 0: log(1 + 1/e). The second scores
    # both 0: log 2.
    block = block_of(
        passages=torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
        all_queries=torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
    )
    loss = Reversed(ReversedConfig(weight=1.0), temperature=1.0)(block)
    assert loss.item() == pytest.approx((math.log(1 + 1 / math.e) + math.log(2)) / 2)


@pytest.mark.parametrize("agreement", [0.0, 0.2])
def test_the_reversed_loss_is_that_of_a_slow_reference(agreement):
    block = random_block()
    entropies = divergences = 0.0
    for row in range(5):
        backward = softmax([cosine(block.passages[row], q) / 0.1 for q in block.all_queries])
        forward = softmax([cosine(block.queries[row], c) / 0.1 for c in block.candidates])
        entropies -= math.log(backward[2 + row])
        divergences += kl(backward, forward)
    term = Reversed(ReversedConfig(weight=0.4, agreement=agreement), temperature=0.1)
    wanted = (0.4 * entropies + agreement * divergences) / 9
    assert (term.weight * term(block)).item() == pytest.approx(wanted)


@pytest.mark.parametrize("target", ["cosine", "mse"])
def test_distilled_vectors_are_those_of_a_slow_reference(target):
    block = random_block()

    def distance(x, y):
        return 1 - cosine(x, y) if target == "cosine" else float(((x - y) ** 2).mean())

    means = []
    for own, taught in (
        (block.queries, block.taught.queries),
        (block.passages, block.taught.passages),
    ):
        distances = [
            distance(own[row], vector)
            for vector, row in zip(taught.vectors, taught.rows, strict=True)
        ]
        means.append(sum(distances) / taught.total)
    loss = Distillation(DistillationConfig(target=target))(block)
    assert loss.item() == pytest.approx(sum(means) / 2)


def test_distilled_scores_are_those_of_a_slow_reference():
    block = random_block()
    taught, total = block.taught, 0.0
    for vector, row in zip(taught.queries.vectors, taught.queries.rows, strict=True):
        teacher = softmax([cosine(vector, p) / 0.1 for p in taught.candidates.vectors])
        passages = block.candidates[taught.candidates.rows]
        student = softmax([cosine(block.queries[row], p) / 0.1 for p in passages])
        total += kl(teacher, student)
    loss = Distillation(DistillationConfig(target="scores", temperature=0.1))(block)
    assert loss.item() == pytest.approx(total / 7)


def test_distillation_worked_by_hand():
    # The query is at a right angle to what the teacher says, the passage where it should be:
    # (1 + 0) / 2. Squared distance per dimension: ((1 + 1) / 2 + 0) / 2.
    block = block_of(
        queries=torch.tensor([[1.0, 0.0]]),
        passages=torch.tensor([[0.0, 1.0]]),
        taught=Taught(
            side(torch.tensor([[0.0, 1.0]]), [0]),
            side(torch.tensor([[0.0, 1.0]]), [0]),
            side(torch.tensor([[0.0, 1.0]]), [0]),
        ),
    )
    for target in ("cosine", "mse"):
        assert Distillation(DistillationConfig(target=target))(block).item() == pytest.approx(0.5)


TERMS = [
    QueryAgreement(QueryAgreementConfig()),
    PassageAgreement(PassageAgreementConfig()),
    PassageAgreement(PassageAgreementConfig(distance="cosine")),
    Reversed(ReversedConfig(agreement=0.2), 0.05),
    Distillation(DistillationConfig()),
    Distillation(DistillationConfig(target="scores")),
]


@pytest.mark.parametrize("term", TERMS, ids=lambda term: repr(term.config)[:40])
def test_an_encoder_that_knows_nothing_stays_below_the_highest_loss(term):
    assert 0 < term(random_block()).item() < term.highest(12)


@pytest.mark.parametrize("term", TERMS[:3] + TERMS[4:], ids=lambda term: repr(term.config)[:40])
def test_a_batch_without_parallel_texts_loses_nothing(term):
    none = side(torch.zeros(0, 7, dtype=torch.double), [])
    block = random_block()
    changes = {"parallel_queries": none, "parallel_passages": none}
    empty = Block(**{**vars(block), **changes, "taught": Taught(none, none, none)})
    assert term(empty).item() == 0


def test_the_vectors_of_some_rows():
    whole = side(torch.arange(3.0)[:, None], [0, 2, 3], total=9)
    part = whole.within(slice(2, 4))
    assert part.rows.tolist() == [0, 1]
    assert part.vectors.ravel().tolist() == [1.0, 2.0]
    assert part.total == 9
    assert whole.within(slice(0, 4)) is whole
