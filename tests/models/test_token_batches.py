"""Texts are put together by tokens, within a budget."""

import pytest

from isoglot.models.token_batches import chunk_texts, token_batches


@pytest.mark.parametrize(
    ("batch_size", "most_tokens", "expected"),
    [
        # By hand: sorted 9 5 5 2 1 are rows 1 0 3 4 2; 2 x 9 and 3 x 5 tokens are more than 12.
        (3, 12, [[1], [0, 3], [4, 2]]),
        (2, 100, [[1, 0], [3, 4], [2]]),
        (3, 4, [[1], [0], [3], [4, 2]]),  # a text longer than the budget is alone
    ],
)
def test_batches_are_of_like_lengths_and_within_the_budget(batch_size, most_tokens, expected):
    batches = token_batches([5, 9, 1, 5, 2], batch_size, most_tokens)
    assert [rows.tolist() for rows in batches] == expected


def test_texts_without_tokens_are_batched_too():
    assert [rows.tolist() for rows in token_batches([0, 0], 1, 8)] == [[0], [1]]
    assert list(token_batches([], 1, 8)) == []


def test_chunks_are_bounded_in_texts_and_characters():
    texts = ["a", "b", "c" * 3_000_000, "d", "e"]
    assert list(chunk_texts(texts, 2)) == [slice(0, 2), slice(2, 3), slice(3, 5)]
    assert list(chunk_texts([], 2)) == []
