import numpy as np
import pytest

from isoglot.retrieval.calibration import Background
from isoglot.retrieval.engine import Candidates
from isoglot.retrieval.fusion import WEIGHT, fuse, unite
from tests.reference import slow_policies


def candidates(keys, scores):
    return Candidates(np.array([keys]), np.array([scores], np.float32))


def similarities(*scores):
    return np.array([scores], np.float32)


BACKGROUND = Background(mean=np.array([0.0]), spread=np.array([0.1]))


def as_dict(fused, query=0):
    found = fused.candidates.scores[query] > -np.inf
    keys, scores = fused.candidates.keys[query, found], fused.candidates.scores[query, found]
    return dict(zip(keys.tolist(), scores.tolist(), strict=True))


def test_worked_example():
    # Passage 7 is in both rankings, 5 in that by similarity only, 9 in BM25's only.
    heads = unite(
        candidates([5, 7], [0.6, 0.5]), candidates([9, 7], [8, 4]), similarities(0.1, 0.5)
    )
    other = unite(candidates([5], [0.3]), candidates([5], [2]), similarities(0.3))
    # The best BM25 is 8; 4 standard deviations of 0.1 are worth 0.4.
    first, second = fuse([heads, other], BACKGROUND, k=10)
    assert as_dict(first) == pytest.approx({7: 0.5 + 0.2, 5: 0.6, 9: 0.1 + 0.4})
    assert as_dict(second) == pytest.approx({5: 0.3 + 0.1})
    assert first.candidates.keys[0, :3].tolist() == [7, 5, 9]
    assert first.similarities[0, :3] == pytest.approx([0.5, 0.6, 0.1])


def test_the_first_passages_are_kept():
    heads = unite(
        candidates([5, 7], [0.6, 0.5]), candidates([9, 7], [8, 4]), similarities(0.1, 0.5)
    )
    (fused,) = fuse([heads], BACKGROUND, k=2)
    assert fused.candidates.keys.tolist() == [[7, 5]]


def test_without_a_word_in_common_similarity_decides():
    nothing = Candidates(np.empty((1, 0), np.int64), np.empty((1, 0), np.float32))
    heads = unite(candidates([5, 7], [0.6, 0.5]), nothing, np.empty((1, 0), np.float32))
    (fused,) = fuse([heads], BACKGROUND, k=2)
    assert as_dict(fused) == pytest.approx({5: 0.6, 7: 0.5})


def test_what_was_not_found_has_no_key():
    # Behind the last of a ranking, keys mean nothing, and may be those of other passages.
    dense = candidates([5, 9], [0.6, -np.inf])
    words = candidates([9, 5], [3, -np.inf])
    (fused,) = fuse([unite(dense, words, similarities(0.2, -np.inf))], BACKGROUND, k=4)
    assert as_dict(fused) == pytest.approx({5: 0.6, 9: 0.2 + WEIGHT * 0.1})


def test_a_language_without_similarities_is_taken_from_its_words():
    nothing = Candidates(np.empty((1, 0), np.int64), np.empty((1, 0), np.float32))
    heads = unite(nothing, candidates([9], [3]), similarities(0.2))
    assert as_dict(fuse([heads], BACKGROUND, k=1)[0]) == pytest.approx({9: 0.2 + WEIGHT * 0.1})


def random_rankings(rng, keys):
    """The two rankings of one language for three queries, and similarities of all passages."""
    everything = rng.normal(size=(3, len(keys))).astype("f4")
    words = np.where(rng.random((3, len(keys))) < 0.5, rng.random((3, len(keys))) * 9, -np.inf)
    rankings = []
    for scores in (everything, words.astype("f4")):
        order = np.argsort(-scores, axis=1)[:, : rng.integers(1, len(keys))]
        rankings.append(Candidates(keys[order], np.take_along_axis(scores, order, axis=1)))
    return everything, rankings


@pytest.mark.parametrize("as_key", [int, str], ids=["rows", "ids"])
@pytest.mark.parametrize("seed", range(10))
def test_equals_the_definition(seed, as_key):
    rng = np.random.default_rng(seed)
    keys = np.array([as_key(key) for key in range(12)], dtype=object if as_key is str else np.int64)
    background = Background(np.zeros(3), rng.random(3) + 0.1)
    heads, by_definition = [], [[], [], []]
    for _ in range(3):
        everything, (dense, words) = random_rankings(rng, keys)
        places = np.vectorize({key: i for i, key in enumerate(keys.tolist())}.get)(words.keys)
        scored = np.take_along_axis(everything, places, axis=1)
        heads.append(unite(dense, words, scored))
        for query in range(3):
            found = np.isfinite(words.scores[query])
            own = dict(zip(dense.keys[query].tolist(), dense.scores[query].tolist(), strict=True))
            matched = words.keys[query, found].tolist()
            own |= dict(zip(matched, scored[query, found].tolist(), strict=True))
            bm25 = dict(zip(matched, words.scores[query, found].tolist(), strict=True))
            by_definition[query].append((own, bm25))
    fused = fuse(heads, background, k=24)
    for query in range(3):
        expected = slow_policies.fused(by_definition[query], background.spread[query], WEIGHT)
        for own, definition in zip(fused, expected, strict=True):
            assert as_dict(own, query) == pytest.approx(definition, rel=1e-5, abs=1e-6)
            scores = own.candidates.scores[query]
            assert (scores[:-1] >= scores[1:]).all()
