"""Texts are put together by tokens, within a budget."""

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from isoglot.models.token_batches import TokenRows, chunk_texts, token_batches


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


@pytest.fixture
def rows():
    tokenizer = Tokenizer(WordLevel({"a": 1, "b": 2, "c": 3}))
    tokenizer.pre_tokenizer = Whitespace()
    return TokenRows(tokenizer.encode_batch(["a b c", "", "c a"]), with_types=True)


def test_tokens_lie_end_to_end(rows):
    assert rows.ids.tolist() == [1, 2, 3, 3, 1]
    assert (rows.lengths.tolist(), rows.starts.tolist()) == ([3, 0, 2], [0, 3, 3])


@pytest.mark.parametrize(
    ("chosen", "options", "ids", "mask"),
    [
        ([2, 0], {}, [[3, 1, 9], [1, 2, 3]], [[1, 1, 0], [1, 1, 1]]),
        ([2, 1], {"left": True}, [[3, 1], [9, 9]], [[1, 1], [0, 0]]),
        ([2], {"at_least": 4}, [[3, 1, 9, 9]], [[1, 1, 0, 0]]),
        ([2], {"at_least": 4, "left": True}, [[9, 9, 3, 1]], [[0, 0, 1, 1]]),
        ([1], {}, [[9]], [[0]]),
    ],
)
def test_a_batch_is_padded_to_its_longest_text(rows, chosen, options, ids, mask):
    found = rows.pad(np.array(chosen), pad_id=9, pad_type=7, **options)
    assert found["input_ids"].tolist() == ids
    assert found["attention_mask"].tolist() == mask
    types = np.where(np.array(mask) == 1, 0, 7)
    assert np.array_equal(found["token_type_ids"], types)
    assert {array.dtype for array in found.values()} == {np.dtype("int64")}
