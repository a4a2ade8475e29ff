"""The index on disk finds what scoring every passage finds."""

import json
import subprocess
import sys
import threading

import numpy as np
import pytest

from isoglot.data.collection import BLANK_PASSAGES, Collection
from isoglot.errors import ArtifactError, ConfigError
from isoglot.lexical import Bm25Scorer, build_words, open_words
from isoglot.records import Passage, Qrel, Query

LANGS = ("de", "el", "en", "ja", "ko", "sw", "tr")
WORDS = (
    *("Haus", "Häuser", "house", "Houses", "1998", "日本語", "東京都", "नई", "IMF", "the", "die"),
    *("όταν", "ΣΊΣΥΦΟΣ", "İstanbul", "ışık", "서울에서", "ﬁn", "a", "aa", "𝔘𝔫𝔦", "naïve"),
)


def random_texts(rng, count, most=9):
    return [" ".join(rng.choice(WORDS, size=rng.integers(0, most))) for _ in range(count)]


def build(folder, lang, texts, **options):
    build_words(folder, lang, texts, **options)
    return open_words(folder)


def scored_by_hand(lang, queries, texts, **options):
    passages = [Passage(str(row), lang, text) for row, text in enumerate(texts)]
    asked = [Query(str(row), "en", text) for row, text in enumerate(queries)]
    blank = sum(not text.strip() for text in texts)
    collection = Collection(
        "test",
        asked,
        passages,
        [Qrel("0", "en", "0", 1)],
        options={BLANK_PASSAGES: str(blank)} if blank else {},
    )
    scorer = Bm25Scorer.from_collection(collection, **options)
    scores = np.empty((len(queries), len(texts)), dtype=np.float32)
    scorer.block(np.arange(len(texts))).scores(slice(0, len(queries)), scores)
    return scores


def best_by_sorting(scores, k):
    rows = np.full((len(scores), k), -1)
    found = np.full((len(scores), k), -np.inf, dtype=np.float32)
    for number, line in enumerate(scores):
        order = [row for row in np.lexsort((np.arange(len(line)), -line)) if line[row] > 0][:k]
        rows[number, : len(order)] = order
        found[number, : len(order)] = line[order]
    return rows, found


def test_an_example_worked_by_hand(tmp_path):
    # The example of test_bm25: "a" weighs 0.493343 in the first passage, "b" 0.100730 there and
    # 0.091619 in the second; a query that has "a" twice counts it twice.
    words = build(tmp_path, "sw", ["a b a", "c c b c c"])
    rows, scores = words.search(["a b", "a a b", "d", ""], 2)
    assert rows.tolist() == [[0, 1], [0, 1], [-1, -1], [-1, -1]]
    assert scores[:2] == pytest.approx(
        np.array([[0.594073, 0.091619], [1.087416, 0.091619]]), abs=1e-6
    )
    assert np.isneginf(scores[2:]).all()
    assert (words.lang, words.passages) == ("sw", 2)


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("k", [1, 7, 60])
def test_scores_equal_those_of_the_scorer_to_the_last_bit(lang, k, tmp_path):
    rng = np.random.default_rng(k)
    texts, queries = (
        ["Haus", *random_texts(rng, 49)],
        [f"? {text}" for text in random_texts(rng, 30, 30)],
    )
    words = build(tmp_path, lang, texts, k1=1.2, b=0.75)
    rows, scores = best_by_sorting(scored_by_hand(lang, queries, texts, k1=1.2, b=0.75), k)
    found_rows, found_scores = words.search(queries, k)
    assert found_rows.tolist() == rows.tolist()
    assert found_scores.tobytes() == scores.tobytes()


def test_passages_that_tie_come_by_row(tmp_path):
    words = build(tmp_path, "en", ["x y", "x", "x y", "x y", "x"])
    assert words.search(["y"], 2)[0].tolist() == [[0, 2]]
    assert words.search(["x"], 5)[0].tolist() == [[1, 4, 0, 2, 3]]


def test_deleted_passages_are_not_found_and_change_no_other_score(tmp_path):
    rng = np.random.default_rng(0)
    texts, queries = random_texts(rng, 40), random_texts(rng, 10)
    words = build(tmp_path, "en", texts)
    deleted = rng.random(40) < 0.5
    rows, scores = words.search(queries, 40)
    left_rows, left_scores = words.search(queries, 40, deleted)
    for number in range(len(queries)):
        kept = [row for row in rows[number] if row >= 0 and not deleted[row]]
        assert left_rows[number, : len(kept)].tolist() == kept
        assert (left_rows[number, len(kept) :] == -1).all()
        where = np.isin(rows[number], kept)
        assert left_scores[number, : len(kept)].tolist() == scores[number, where].tolist()
    assert (words.search(queries, 3, np.ones(40, dtype=bool))[0] == -1).all()


@pytest.mark.parametrize("texts", [[], ["", "?!"]])
def test_an_index_without_words_finds_nothing(texts, tmp_path):
    words = build(tmp_path, "en", texts)
    rows, scores = words.search(["house", ""], 3)
    assert (rows == -1).all()
    assert np.isneginf(scores).all()
    assert words.search([], 3)[0].shape == (0, 3)


def test_any_string_is_a_query(tmp_path):
    words = build(tmp_path, "en", ["one", "two"])
    hostile = ["\ud800", "\x00", "one\ud800", "x" * 100_000, "\N{COMBINING ACUTE ACCENT}" * 99]
    rows, _ = words.search(hostile, 1)
    assert rows.tolist() == [[-1], [-1], [0], [-1], [-1]]


def test_texts_may_stream_by(tmp_path):
    texts = random_texts(np.random.default_rng(1), 9000)
    build_words(tmp_path / "list", "en", texts)
    build_words(tmp_path / "stream", "en", iter(texts))
    for path in (tmp_path / "list").iterdir():
        assert path.read_bytes() == (tmp_path / "stream" / path.name).read_bytes()


def test_many_threads_search_at_once(tmp_path):
    rng = np.random.default_rng(2)
    words = build(tmp_path, "de", random_texts(rng, 300))
    queries = random_texts(rng, 40)
    alone = words.search(queries, 10)
    found = {}
    threads = [
        threading.Thread(target=lambda i=i: found.update({i: words.search(queries, 10)}))
        for i in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(4):
        assert found[i][0].tobytes() == alone[0].tobytes()
        assert found[i][1].tobytes() == alone[1].tobytes()


def test_an_index_is_replaced(tmp_path):
    build_words(tmp_path, "en", ["one", "two"])
    words = build(tmp_path, "sw", ["three"])
    assert (words.lang, words.passages) == ("sw", 1)
    assert words.search(["three two"], 2)[0].tolist() == [[0, -1]]


def test_an_index_that_was_not_finished_is_none(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    build_words(tmp_path, "en", ["one"])
    monkeypatch.setattr("numpy.lib.format.write_array", full)
    with pytest.raises(ArtifactError, match=r"cannot be written \(No space left on device\)"):
        build_words(tmp_path, "en", ["two"])
    with pytest.raises(ArtifactError, match=r"words\.json: no such file"):
        open_words(tmp_path)
    assert not list(tmp_path.glob(".*"))


def test_a_damaged_index_is_refused(tmp_path):
    build_words(tmp_path, "en", ["one two", "two"])
    whole = (tmp_path / "rows.npy").read_bytes()
    for content, message in (
        (whole[:-1], r"rows\.npy: has \d+ bytes, words\.json says \d+; index again"),
        (b"x" * len(whole), r"rows\.npy: cannot be read as \.npy \(.*\); index again"),
        ((tmp_path / "weights.npy").read_bytes(), r"rows\.npy: is no array of a BM25 index"),
    ):
        (tmp_path / "rows.npy").write_bytes(content)
        with pytest.raises(ArtifactError, match=message):
            open_words(tmp_path)
    (tmp_path / "rows.npy").unlink()
    with pytest.raises(ArtifactError, match=r"rows\.npy: cannot be read as \.npy"):
        open_words(tmp_path)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"format": "isoglot words 9"}, r"format 'isoglot words 9'; this version reads"),
        ({}, r"is no record of a BM25 index \('format'\)"),
        ([], r"is no record of a BM25 index"),
        ({"format": "isoglot words 1"}, r"is no record of a BM25 index \('bytes'\)"),
    ],
)
def test_a_foreign_record_is_refused(record, message, tmp_path):
    (tmp_path / "words.json").write_text(json.dumps(record))
    with pytest.raises(ArtifactError, match=message):
        open_words(tmp_path)


def test_parameters_out_of_range_are_an_error(tmp_path):
    with pytest.raises(ConfigError, match=r"BM25's k1 is -1; use 0 or more"):
        build_words(tmp_path, "en", ["one"], k1=-1)
    with pytest.raises(ConfigError, match=r"BM25's b is 2; use a number from 0 to 1"):
        build_words(tmp_path, "en", ["one"], b=2)
    assert not list(tmp_path.iterdir())


def test_progress_is_shown_when_asked_for(tmp_path, capfd):
    build_words(tmp_path, "en", ["one"], show_progress=True)
    assert "indexing words: 100%" in capfd.readouterr().err


def test_opening_loads_neither_terms_nor_weights(tmp_path):
    words = build(tmp_path, "en", ["one two"])
    assert all(
        isinstance(array.base, np.memmap) and not array.flags.writeable
        for array in (words._rows, words._weights, words._starts, words._columns)
    )


def test_searching_needs_no_bm25_library(tmp_path):
    build_words(tmp_path, "sw", ["one two"])
    code = (
        "import sys\nfrom pathlib import Path\nfrom isoglot.lexical import open_words\n"
        f"assert open_words(Path({str(tmp_path)!r})).search(['two'], 1)[0] == [[0]]\n"
        "assert not {'bm25s', 'torch', 'transformers'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
