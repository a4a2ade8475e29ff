"""Passages on disk are the same passages, and what a collection checks is checked when writing."""

import json
import os
import signal
import subprocess
import sys
import tracemalloc

import pyarrow as pa
import pytest

from isoglot.data import corpus
from isoglot.data.beir import read_beir
from isoglot.data.corpus import (
    StoredPassages,
    count_passages,
    find_missing_ids,
    open_passages,
    split_by_language,
    store_passages,
)
from isoglot.errors import ArtifactError, DataError
from isoglot.records import Passage
from tests.data.builders import write_jsonl

# Two languages that take turns; with batches of 2 every language has several.
PASSAGES = [
    Passage(f"{lang}:{i}", lang, f"text {i} {lang} – 面包") for i in range(5) for lang in "ab"
]
BY_LANGUAGE = [*PASSAGES[::2], *PASSAGES[1::2]]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(corpus, "_BATCH_ROWS", 2)


def store(folder, passages=PASSAGES, key="1", **options):
    return store_passages(folder, {"source": key}, lambda: passages, name="tiny", **options)


def test_a_sequence_like_any_other(tmp_path):
    stored = store(tmp_path)
    assert (len(stored), list(stored)) == (10, BY_LANGUAGE)
    assert [stored[row] for row in range(10)] == BY_LANGUAGE
    assert [stored[row] for row in range(-10, 0)] == BY_LANGUAGE
    for part in (slice(None), slice(2, 8), slice(4, 5), slice(7, 3), slice(9, 99), slice(1, 9, 3)):
        assert stored[part] == BY_LANGUAGE[part]
    assert list(reversed(stored)) == BY_LANGUAGE[::-1]
    for row in (10, -11):
        with pytest.raises(IndexError, match=f"row {row} of 10 passages"):
            stored[row]
    assert repr(stored) == "StoredPassages({'a': 5, 'b': 5})"


def test_some_rows_are_the_same_passages_and_copy_nothing(tmp_path):
    stored = store(tmp_path)
    for start, stop in [(0, 10), (2, 8), (4, 5), (7, 3), (9, 99), (5, 10)]:
        part = stored.rows(start, stop)
        assert list(part) == BY_LANGUAGE[start:stop]
        assert part.doc_ids.to_pylist() == [p.doc_id for p in BY_LANGUAGE[start:stop]]


def test_what_was_stored_is_opened_whatever_it_was_made_from(tmp_path):
    store(tmp_path)
    assert list(open_passages(tmp_path)) == BY_LANGUAGE


def test_nothing_stored_and_damaged_files_are_refused(tmp_path):
    with pytest.raises(ArtifactError, match="no such file"):
        open_passages(tmp_path)
    store(tmp_path)
    (tmp_path / "a.arrow").write_bytes(b"nonsense")
    with pytest.raises(ArtifactError, match="the stored passages are damaged; store them again"):
        open_passages(tmp_path)


def test_columns(tmp_path):
    stored = StoredPassages.join(
        [store(tmp_path / "b", PASSAGES[1::2]), store(tmp_path / "a", PASSAGES[::2])]
    )
    assert stored.langs == ("a", "b")
    assert stored.lang_numbers.tolist() == [1] * 5 + [0] * 5
    assert isinstance(stored.doc_ids, pa.ChunkedArray)
    assert stored.doc_ids.to_pylist() == [passage.doc_id for passage in stored]
    assert stored.restrict("a").doc_ids.to_pylist() == [f"a:{i}" for i in range(5)]
    empty = stored.restrict("c")
    assert (len(empty), list(empty), empty.langs, len(empty.doc_ids)) == (0, [], (), 0)


def test_rows_of_ids(tmp_path):
    stored = store(tmp_path)
    wanted = ["b:4", "none", "a:0", "b:4", "b:0"]
    assert stored.rows_of(wanted).tolist() == [9, -1, 0, 9, 5]
    assert stored.rows_of([]).tolist() == []
    assert stored.rows_of([passage.doc_id for passage in BY_LANGUAGE]).tolist() == list(range(10))


def test_in_memory_or_stored_makes_no_difference(tmp_path):
    stored = store(tmp_path)
    assert count_passages(stored) == count_passages(PASSAGES) == {"a": 5, "b": 5}
    assert find_missing_ids(stored, ["a:1", "x"]) == find_missing_ids(PASSAGES, ["a:1", "x"])
    apart = [split_by_language(passages) for passages in (stored, PASSAGES)]
    assert {lang: list(part) for lang, part in apart[0].items()} == apart[1]
    assert list(apart[0]) == ["a", "b"]


def test_what_is_stored_is_not_read_again_unless_its_key_changed_or_a_file_is_cut_short(tmp_path):
    store(tmp_path)

    def refuse():
        raise AssertionError("read again")

    again = store_passages(tmp_path, {"source": "1"}, refuse, name="tiny")
    assert list(again) == BY_LANGUAGE
    with pytest.raises(AssertionError, match="read again"):
        store_passages(tmp_path, {"source": "2"}, refuse, name="tiny")
    store(tmp_path)
    os.truncate(tmp_path / "a.arrow", 100)
    assert list(store(tmp_path)) == BY_LANGUAGE
    (tmp_path / "b.arrow").unlink()
    assert list(store(tmp_path)) == BY_LANGUAGE
    assert list(store(tmp_path, PASSAGES[:1], key="2")) == PASSAGES[:1]


@pytest.mark.parametrize(
    "record", ["", "{", "[]", "{}", '{"key": 1}', '{"key": {"format": "isoglot passages 1"}}']
)
def test_a_damaged_record_is_written_anew(tmp_path, record):
    store_passages(tmp_path, {}, lambda: PASSAGES, name="tiny")
    (tmp_path / "passages.json").write_text(record)
    for _ in range(2):
        assert list(store_passages(tmp_path, {}, lambda: PASSAGES, name="tiny")) == BY_LANGUAGE


def write_other_columns(path):
    schema = pa.schema([("id", pa.string())])
    with pa.ipc.new_file(str(path), schema) as writer:
        writer.write_batch(pa.record_batch([["a:0"]], schema=schema))


@pytest.mark.parametrize("other_columns", [False, True])
def test_a_file_of_the_right_size_that_cannot_be_used_is_written_anew(tmp_path, other_columns):
    store(tmp_path)
    path = tmp_path / "a.arrow"
    if other_columns:
        write_other_columns(path)
        record = json.loads((tmp_path / "passages.json").read_text())
        record["bytes"]["a"] = path.stat().st_size
        (tmp_path / "passages.json").write_text(json.dumps(record))
    else:
        path.write_bytes(bytes(path.stat().st_size))
    assert list(store(tmp_path)) == BY_LANGUAGE
    assert path.stat().st_size == json.loads((tmp_path / "passages.json").read_text())["bytes"]["a"]


@pytest.mark.parametrize(
    ("passages", "message"),
    [
        ([*PASSAGES, PASSAGES[3]], r"tiny: passage id 'b:1' occurs more than once \(1 such id\)"),
        (PASSAGES * 2, r"passage id 'a:0' occurs more than once \(10 such ids\)"),
        ([*PASSAGES, Passage("c", "a", " \n")], "tiny: passage 'c' has an empty text"),
        ([Passage("c d", "a", "x")], "passage id 'c d' is empty or has white space"),
        ([Passage("", "a", "x")], "passage id '' is empty or has white space"),
    ],
)
def test_what_a_collection_refuses_is_refused_and_the_folder_is_not_used(
    tmp_path, passages, message
):
    for _ in range(2):
        with pytest.raises(DataError, match=message):
            store(tmp_path, passages)
        assert not (tmp_path / "passages.json").exists()
    assert list(store(tmp_path)) == BY_LANGUAGE


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ArtifactError, match="cannot be written"):
        store(tmp_path / "file")


def test_ids_that_only_share_a_hash_are_no_repetition(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus, "hash", lambda text: len(text), raising=False)
    assert len(store(tmp_path)) == 10
    with pytest.raises(DataError, match="'a:0' occurs more than once"):
        store(tmp_path, [*PASSAGES, PASSAGES[0]], key="2")


def test_a_killed_writing_starts_again_and_leaves_nothing_behind(tmp_path):
    code = f"""
import os, signal
from pathlib import Path
from isoglot.data.corpus import store_passages
from isoglot.records import Passage
def read():
    for i in range(50_000):
        if i == 40_000:
            os.kill(os.getpid(), signal.SIGKILL)
        yield Passage(str(i), "a", "x" * 100)
store_passages(Path({str(tmp_path)!r}), {{"source": "1"}}, read, name="tiny")
"""
    killed = subprocess.run([sys.executable, "-c", code], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert list(tmp_path.glob(".a.arrow.*")) and not (tmp_path / "passages.json").exists()
    (tmp_path / ".passages.json.abc").touch()  # as if killed later, too
    assert list(store(tmp_path)) == BY_LANGUAGE
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a.arrow",
        "b.arrow",
        "passages.json",
    ]


def test_memory_does_not_grow_with_the_texts(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus, "_BATCH_ROWS", 1000)

    def read():
        for i in range(60_000):
            yield Passage(f"a:{i}", "a", f"{i} " + "x" * 1000)

    tracemalloc.start()
    try:
        stored = store_passages(tmp_path, {}, read, name="large")
        count = sum(1 for _ in stored)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 60_000
    assert (tmp_path / "a.arrow").stat().st_size > 60e6
    # One batch of texts is 1 MB, the hashes of all ids are 0.5 MB.
    assert peak < 8e6


def test_a_beir_corpus_is_stored_by_language(tmp_path):
    folder = tmp_path / "beir"
    rows = [{"_id": str(i), "text": f"t {i}", "lang": ("en", "sw")[i % 2]} for i in range(4)]
    write_jsonl(folder / "corpus.jsonl", rows)
    write_jsonl(folder / "queries.jsonl", [{"_id": "q", "text": "?", "lang": "en"}])
    (folder / "qrels").mkdir()
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\t3\t1\n")
    stored, in_memory = (read_beir(folder, store=place) for place in (tmp_path / "store", None))
    assert [passage.doc_id for passage in stored.passages] == ["0", "2", "1", "3"]
    assert sorted(stored.passages) == sorted(in_memory.passages)
    assert (stored.qrels, stored.sources) == (in_memory.qrels, in_memory.sources)
