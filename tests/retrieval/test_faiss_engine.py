"""Indexes on disk: what is found, and what changes do to it."""

from __future__ import annotations

import numpy as np
import pytest

from isoglot.config.index import IndexConfig
from isoglot.errors import ArtifactError, ConfigError, DataError
from isoglot.retrieval import building
from isoglot.retrieval.changes import compact_index, delete_passages
from isoglot.retrieval.faiss_engine import FaissEngine
from isoglot.retrieval.manifest import read_manifest
from tests.retrieval.cases import (
    DIM,
    index,
    normalized,
    origin,
    passages,
    vectors_of,
    write_embeddings,
)

QUERIES = normalized(np.random.default_rng(1).normal(size=(5, DIM)).astype(np.float32))


def found(engine, lang, k=10, queries=QUERIES):
    """Return the ids and scores of every query."""
    candidates = engine.search(lang, queries, k)
    return [
        (
            [passage.doc_id for passage in engine.passages(lang, keys[scores > -np.inf])],
            scores[scores > -np.inf],
        )
        for keys, scores in zip(candidates.keys, candidates.scores, strict=True)
    ]


def brute_force(texts, k=10, queries=QUERIES):
    """Return the same by comparing every query with every passage."""
    scores = queries @ normalized(vectors_of([text.text for text in texts])).T
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return [
        ([texts[row].doc_id for row in rows], own[rows])
        for rows, own in zip(order, scores, strict=True)
    ]


def assert_same(got, wanted, tolerance=1e-6):
    for (ids, scores), (other_ids, other_scores) in zip(got, wanted, strict=True):
        assert ids == other_ids
        assert np.allclose(scores, other_scores, atol=tolerance)


@pytest.mark.parametrize("segment_rows", [1000, 40])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_every_language_is_searched_exactly(tmp_path, segment_rows, dtype):
    texts = {"sw": passages("sw", 130), "en": passages("en", 70)}
    write_embeddings(tmp_path / "e", [*texts["sw"], *texts["en"]], origin(dtype=dtype))
    index(tmp_path / "i", tmp_path / "e", segment_rows=segment_rows)
    engine = FaissEngine.open(tmp_path / "i")
    assert engine.sizes == {"en": 70, "sw": 130}
    for lang, own in texts.items():
        assert_same(found(engine, lang), brute_force(own), 1e-6 if dtype == "float32" else 1e-3)


def test_more_passages_than_there_are_give_all_of_them(tmp_path):
    texts = passages("sw", 7)
    index(tmp_path / "i", write_embeddings(tmp_path / "e", texts))
    assert_same(found(FaissEngine.open(tmp_path / "i"), "sw", 100), brute_force(texts, 100))


@pytest.mark.parametrize("kind", ["hnsw", "ivf-pq"])
def test_approximate_kinds_say_how_much_they_find(tmp_path, monkeypatch, kind):
    monkeypatch.setattr("isoglot.retrieval.kinds._LEAST_PQ_ROWS", 100)
    monkeypatch.setattr(building, "_RECALL_QUERIES", 40)
    texts = passages("sw", 3000)
    lines = []
    index(tmp_path / "i", write_embeddings(tmp_path / "e", texts), lines.append, kind=kind)
    engine = FaissEngine.open(tmp_path / "i")
    (line,) = lines
    assert f"3,000 passages, {kind}" in line
    told = float(line.split("recall@10 ")[1].split()[0])
    exact = brute_force(texts)
    hits = [
        len(set(ids) & set(best)) / 10
        for (ids, _), (best, _) in zip(found(engine, "sw"), exact, strict=True)
    ]
    assert abs(np.mean(hits) - told) < 0.2
    assert told > 0.7
    # Whatever is found has its true score.
    true = {text.doc_id: normalized(vectors_of([text.text]))[0] for text in texts}
    for (ids, scores), query in zip(found(engine, "sw"), QUERIES, strict=True):
        assert np.allclose(scores, [true[id] @ query for id in ids], atol=2e-3)


def test_new_passages_are_added_and_known_ids_replaced(tmp_path):
    old, new = passages("sw", 60), passages("sw", 20, first=50)
    new = [passage._replace(text=f"another {passage.text}") for passage in new]
    index(tmp_path / "i", write_embeddings(tmp_path / "e", old))
    changed = index(tmp_path / "i", write_embeddings(tmp_path / "f", new))
    assert (changed.added, changed.deleted) == (20, 10)
    engine = FaissEngine.open(tmp_path / "i")
    assert engine.sizes == {"sw": 70}
    assert_same(found(engine, "sw", 70), brute_force([*old[:50], *new], 70))


def test_a_passage_that_changes_its_language_leaves_the_old_one(tmp_path):
    old = passages("sw", 5)
    moved = [old[2]._replace(lang="en")]
    index(tmp_path / "i", write_embeddings(tmp_path / "e", old))
    index(tmp_path / "i", write_embeddings(tmp_path / "f", moved))
    engine = FaissEngine.open(tmp_path / "i")
    assert engine.sizes == {"en": 1, "sw": 4}
    assert "sw-2" not in found(engine, "sw")[0][0]
    assert found(engine, "en")[0][0] == ["sw-2"]


@pytest.mark.parametrize("kind", ["flat", "hnsw"])
def test_deleted_passages_are_not_found(tmp_path, kind):
    texts = passages("sw", 200)
    index(tmp_path / "i", write_embeddings(tmp_path / "e", texts), kind=kind)
    gone = {f"sw-{number}" for number in range(0, 200, 3)}
    changed = delete_passages(tmp_path / "i", [*sorted(gone), "sw-999"])
    assert (changed.deleted, changed.missing) == (len(gone), ("sw-999",))
    engine = FaissEngine.open(tmp_path / "i")
    assert engine.sizes == {"sw": 200 - len(gone)}
    kept = [text for text in texts if text.doc_id not in gone]
    assert_same(found(engine, "sw"), brute_force(kept))
    assert not gone & {id for ids, _ in found(engine, "sw", 200) for id in ids}
    words = engine.search_words("sw", ["word3"], 200)
    ids = {p.doc_id for p in engine.passages("sw", words.keys[0][words.scores[0] > -np.inf])}
    assert ids == {text.doc_id for text in kept if "word3" in text.text}


def test_a_language_whose_passages_are_all_deleted_is_gone(tmp_path):
    texts = [*passages("sw", 3), *passages("en", 3)]
    index(tmp_path / "i", write_embeddings(tmp_path / "e", texts))
    delete_passages(tmp_path / "i", ["sw-0", "sw-1", "sw-2"])
    assert FaissEngine.open(tmp_path / "i").sizes == {"en": 3}


@pytest.mark.parametrize("kind", ["flat", "hnsw"])
def test_compaction_keeps_what_is_found(tmp_path, kind):
    root, texts = tmp_path / "i", passages("sw", 90)
    for number in range(3):
        part = texts[30 * number : 30 * number + 30]
        index(root, write_embeddings(tmp_path / f"e{number}", part), kind=kind)
    delete_passages(root, ["sw-5", "sw-45"])
    before = found(FaissEngine.open(root), "sw")
    lines = []
    compact_index(root, IndexConfig(kind=kind), lines.append)
    (entry,) = read_manifest(root).entries
    assert (entry.rows, entry.deleted_rows) == (88, 0)
    assert_same(found(FaissEngine.open(root), "sw"), before)
    assert sorted(path.name for path in (root / "segments").iterdir()) == [entry.name]
    assert not list((root / "deleted").iterdir())


def test_an_open_index_stays_as_it_was_opened(tmp_path):
    texts = passages("sw", 40)
    index(tmp_path / "i", write_embeddings(tmp_path / "e", texts))
    engine = FaissEngine.open(tmp_path / "i")
    before = found(engine, "sw")
    delete_passages(tmp_path / "i", [text.doc_id for text in texts[:30]])
    compact_index(tmp_path / "i", IndexConfig(), lambda line: None)
    assert_same(found(engine, "sw"), before)


def test_named_passages_have_the_score_of_the_search(tmp_path):
    texts = passages("sw", 60)
    index(tmp_path / "i", write_embeddings(tmp_path / "e", texts), segment_rows=25)
    engine = FaissEngine.open(tmp_path / "i")
    candidates = engine.search("sw", QUERIES, 12)
    assert np.allclose(engine.score("sw", QUERIES, candidates.keys), candidates.scores, atol=1e-6)


def test_the_sample_is_of_the_language_and_all_its_segments(tmp_path):
    texts = passages("sw", 60)
    index(tmp_path / "i", write_embeddings(tmp_path / "e", texts), segment_rows=25)
    sample = FaissEngine.open(tmp_path / "i").sample("sw")
    own = normalized(vectors_of([text.text for text in texts]))
    nearest = np.abs(sample[:, None] - own[None]).max(axis=2).argmin(axis=1)
    assert sorted(nearest.tolist()) == list(range(60))
    assert np.allclose(sample, own[nearest], atol=1e-6)


def test_words_are_searched_by_language(tmp_path):
    texts = [*passages("sw", 30), *passages("en", 30)]
    index(tmp_path / "i", write_embeddings(tmp_path / "e", texts))
    engine = FaissEngine.open(tmp_path / "i")
    words = engine.search_words("en", ["word3", "nothing"], 30)
    ids = {p.doc_id for p in engine.passages("en", words.keys[0][words.scores[0] > -np.inf])}
    assert ids == {f"en-{number}" for number in range(3, 30, 7)}
    assert (words.scores[1] == -np.inf).all()


def test_an_index_without_words_says_so(tmp_path):
    index(tmp_path / "i", write_embeddings(tmp_path / "e", passages("sw", 3)), words=False)
    engine = FaissEngine.open(tmp_path / "i")
    assert not engine.has_words
    with pytest.raises(ConfigError, match="has no words to search; index again without --no-words"):
        engine.search_words("sw", ["word"], 3)


def test_vectors_of_another_encoder_are_refused(tmp_path):
    index(tmp_path / "i", write_embeddings(tmp_path / "e", passages("sw", 3)))
    other = write_embeddings(tmp_path / "f", passages("sw", 3), origin(identity="1" * 64))
    with pytest.raises(ArtifactError, match="vectors of different encoders cannot be compared"):
        index(tmp_path / "i", other)


def test_vectors_of_passages_with_another_prompt_are_refused(tmp_path):
    index(tmp_path / "i", write_embeddings(tmp_path / "e", passages("sw", 3)))
    other = write_embeddings(
        tmp_path / "f", passages("sw", 3), origin(passage_prompt="passage: ", query_prompt="q: ")
    )
    with pytest.raises(ArtifactError, match="made with passage_prompt '', the new embeddings with"):
        index(tmp_path / "i", other)


def test_vectors_that_cannot_be_scored_are_refused_and_the_index_stays(tmp_path):
    root = tmp_path / "i"
    index(root, write_embeddings(tmp_path / "e", passages("sw", 3)))
    broken = write_embeddings(
        tmp_path / "f", passages("en", 3), vectors=lambda texts: vectors_of(texts) * np.nan
    )
    with pytest.raises(DataError, match=r"passage 'en-0': .*holds NaN, infinity or huge values"):
        index(root, broken)
    assert FaissEngine.open(root).sizes == {"sw": 3}


def test_few_passages_cannot_be_compressed(tmp_path):
    embeddings = write_embeddings(tmp_path / "e", passages("sw", 3))
    with pytest.raises(ConfigError, match="ivf-pq index of 3 passages cannot be trained"):
        index(tmp_path / "i", embeddings, kind="ivf-pq")


def test_a_folder_without_an_index_says_what_to_do(tmp_path):
    with pytest.raises(ArtifactError, match=r"no index, there is no index\.json; make one with"):
        FaissEngine.open(tmp_path)


def test_embeddings_without_passages_are_refused(tmp_path):
    write_embeddings(tmp_path / "e", passages("sw", 3))
    for file in (tmp_path / "e" / "corpus").iterdir():
        file.unlink()
    (tmp_path / "e" / "corpus").rmdir()
    with pytest.raises(ArtifactError, match="no passages to show"):
        index(tmp_path / "i", tmp_path / "e")


@pytest.mark.parametrize("file", ["vectors.faiss", "sample.npy", "passages/sw.arrow"])
def test_a_damaged_segment_is_named(tmp_path, file):
    index(tmp_path / "i", write_embeddings(tmp_path / "e", passages("sw", 30)))
    (segment,) = (tmp_path / "i" / "segments").iterdir()
    (segment / file).write_bytes(b"nonsense")
    with pytest.raises(ArtifactError, match=segment.name):
        FaissEngine.open(tmp_path / "i")
