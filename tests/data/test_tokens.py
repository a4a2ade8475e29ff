"""Tokens in memory and on disk: those of each text, made once, shard by shard."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from isoglot.artifacts import COMPLETE
from isoglot.data import tokens
from isoglot.data.tokens import build_tokens
from isoglot.errors import ArtifactError

TEXTS = ["a bc", "", "d e f", "gg", "x y z w", "q"]


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(tokens, "_SHARD_TEXTS", 2)


@pytest.fixture
def texts():
    return pa.array(TEXTS, type=pa.large_string())


def lengths_of_words(texts):
    return [[len(word) for word in text.split()] for text in texts]


def never(texts):
    raise AssertionError("tokenized again")


def per_text(store):
    return [
        store.tokens[start:end].tolist()
        for start, end in zip(store.starts, store.ends, strict=True)
    ]


@pytest.mark.parametrize("on_disk", [False, True])
def test_tokens_are_those_of_each_text(texts, tmp_path, on_disk):
    folder = tmp_path if on_disk else None
    store = build_tokens(texts, lengths_of_words, "k", folder)
    assert per_text(store) == [[1, 2], [], [1, 1, 1], [2], [1, 1, 1, 1], [1]]
    assert store.tokens.dtype == np.int32
    assert store.frequencies(4).tolist() == [0, 9, 2, 0]


@pytest.mark.parametrize("on_disk", [False, True])
def test_only_wanted_rows_are_tokenized(texts, tmp_path, on_disk):
    seen = []

    def tokenize(block):
        seen.extend(block)
        return lengths_of_words(block)

    folder = tmp_path if on_disk else None
    store = build_tokens(texts, tokenize, "k", folder, np.array([4, 0, 4]))
    assert per_text(store) == [[1, 2], [], [], [], [1, 1, 1, 1], []]
    assert seen == ["a bc", "x y z w"]
    others = build_tokens(texts, lengths_of_words, "k", folder, np.array([3]))
    assert per_text(others) == [[], [], [], [2], [], []]


def test_stored_tokens_are_opened_and_not_made_again(texts, tmp_path):
    made = build_tokens(texts, lengths_of_words, "k", tmp_path)
    opened = build_tokens(texts, never, "k", tmp_path)
    assert per_text(opened) == per_text(made)
    with pytest.raises(AssertionError, match="tokenized again"):
        build_tokens(texts, never, "another key", tmp_path)


def test_interrupted_work_goes_on_at_its_shard(texts, tmp_path):
    calls = []

    def fail_at_second(block):
        calls.append(block)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return lengths_of_words(block)

    with pytest.raises(KeyboardInterrupt):
        build_tokens(texts, fail_at_second, "k", tmp_path)
    store = build_tokens(texts, fail_at_second, "k", tmp_path)
    assert calls == [TEXTS[:2], TEXTS[2:4], TEXTS[2:4], TEXTS[4:]]
    assert per_text(store) == lengths_of_words(TEXTS)
    (folder,) = (path for path in (tmp_path / "tokens").iterdir() if path.is_dir())
    assert {path.name for path in folder.iterdir()} == {COMPLETE, "offsets.npy", "tokens.npy"}


def test_no_texts_have_no_tokens(tmp_path):
    nothing = pa.array([], type=pa.large_string())
    for folder in (None, tmp_path):
        assert len(build_tokens(nothing, lengths_of_words, "k", folder).tokens) == 0


def test_a_folder_that_cannot_be_written_is_an_error_with_advice(texts, tmp_path):
    (tmp_path / "tokens").write_text("in the way")
    with pytest.raises(ArtifactError, match=r"cannot be written .* set ISOGLOT_CACHE"):
        build_tokens(texts, lengths_of_words, "k", tmp_path)


def test_a_tokenizer_that_leaves_texts_out_is_noticed(texts):
    with pytest.raises(AssertionError, match="left out texts"):
        build_tokens(texts, lambda block: [[1]], "k")
