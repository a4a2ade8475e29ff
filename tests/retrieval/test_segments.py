"""Segments of every kind: whole answers whatever is deleted, and how a language is cut."""

from __future__ import annotations

import numpy as np
import pytest

from isoglot.artifacts import read_json
from isoglot.retrieval import kinds, segments
from isoglot.retrieval.changes import compact_index, delete_passages
from isoglot.retrieval.faiss_engine import FaissEngine
from isoglot.retrieval.kinds import choose_kind, comparing_all_is_cheaper
from isoglot.retrieval.manifest import read_manifest
from tests.retrieval.cases import DIM, index, normalized, passages, vectors_of, write_embeddings

QUERIES = normalized(np.random.default_rng(2).normal(size=(20, DIM)).astype(np.float32))


@pytest.fixture
def easily_compressed(monkeypatch):
    monkeypatch.setattr(kinds, "_LEAST_PQ_ROWS", 300)


def found(root, k, lang="sw"):
    """Return the ids of every query."""
    engine = FaissEngine.open(root)
    candidates = engine.search(lang, QUERIES, k)
    assert np.isfinite(candidates.scores).all()
    return [[p.doc_id for p in engine.passages(lang, keys)] for keys in candidates.keys]


def exact(texts, k):
    scores = QUERIES @ normalized(vectors_of([text.text for text in texts])).T
    return [[texts[row].doc_id for row in rows[:k]] for rows in np.argsort(-scores, axis=1)]


def recall(got, best):
    return np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(got, best, strict=True)])


@pytest.mark.parametrize(
    ("kind", "walked"), [("flat", False), ("hnsw", False), ("hnsw", True), ("ivf-pq", False)]
)
@pytest.mark.parametrize("left", [0.5, 0.02])
def test_as_many_passages_are_found_however_many_are_deleted(
    tmp_path, easily_compressed, monkeypatch, kind, walked, left
):
    if walked:  # as a graph too large to compare with what is left
        monkeypatch.setattr(segments, "comparing_all_is_cheaper", lambda *arguments: False)
    texts = passages("sw", 1500)
    index(tmp_path / "i", write_embeddings(tmp_path / "e", texts), kind=kind)
    # Those nearest to the first query stay or go together, as a topic would.
    near = np.argsort(-(vectors_of([text.text for text in texts]) @ QUERIES[0]))
    kept = [texts[row] for row in near[-int(len(texts) * left) :]]
    delete_passages(
        tmp_path / "i", {text.doc_id for text in texts} - {text.doc_id for text in kept}
    )
    for k in (10, 1000):
        got = found(tmp_path / "i", k)
        assert {len(ids) for ids in got} == {min(k, len(kept))}
        assert recall(got, exact(kept, k)) > (0.7 if kind == "ivf-pq" else 0.95)


def test_compressed_lists_give_as_many_passages_as_are_wanted(tmp_path, easily_compressed):
    texts = passages("sw", 1000)
    index(tmp_path / "i", write_embeddings(tmp_path / "e", texts), kind="ivf-pq")
    assert {len(set(ids)) for ids in found(tmp_path / "i", 1000)} == {1000}


def test_a_language_is_cut_into_segments_of_one_size(tmp_path, easily_compressed, monkeypatch):
    monkeypatch.setattr(kinds, "FLAT_ROWS", 100)
    monkeypatch.setattr(kinds, "HNSW_ROWS", 800)
    # Cut after 800, the last segment would have 10 passages, which train no compressed lists.
    texts = passages("sw", 810)
    index(tmp_path / "i", write_embeddings(tmp_path / "e", texts), segment_rows=800)
    entries = read_manifest(tmp_path / "i").entries
    assert [entry.rows for entry in entries] == [405, 405]
    for entry in entries:
        record = read_json(tmp_path / "i" / "segments" / entry.name / "segment.json")
        assert record["kind"] == "ivf-pq"
    assert {len(ids) for ids in found(tmp_path / "i", 10)} == {10}


def test_the_kind_goes_by_passages_and_small_segments_are_not_compressed():
    assert [choose_kind(rows, rows) for rows in (1, 50_000)] == ["flat", "flat"]
    assert [choose_kind(rows, rows) for rows in (50_001, 2_000_000)] == ["hnsw", "hnsw"]
    assert choose_kind(2_000_001, 1_000_000) == "ivf-pq"
    assert choose_kind(2_000_001, 9_999) == "hnsw"
    assert choose_kind(10_000, 10_000, "ivf-pq") == "ivf-pq"


def test_a_graph_of_one_passage_can_be_made(tmp_path):
    lines = []
    texts = passages("sw", 1)
    index(tmp_path / "i", write_embeddings(tmp_path / "e", texts), lines.append, kind="hnsw")
    assert lines[0].startswith("sw: 1 passages, hnsw")
    assert "nan" not in lines[0]
    assert found(tmp_path / "i", 10) == [["sw-0"]] * len(QUERIES)


def test_a_graph_with_little_left_is_not_walked():
    # Breadth 128 in a whole graph, 1,280 in one of which a tenth is left; 32 neighbours each.
    assert not comparing_all_is_cheaper("hnsw", 128, 10, 2_000, 2_000)
    assert comparing_all_is_cheaper("hnsw", 128, 10, 409_600, 40_960)
    assert not comparing_all_is_cheaper("hnsw", 128, 10, 409_620, 40_962)
    assert not comparing_all_is_cheaper("ivf-pq", 16, 10, 20_000, 10)


def test_many_deletions_are_advised_to_be_compacted(tmp_path):
    index(tmp_path / "i", write_embeddings(tmp_path / "e", passages("sw", 10)))
    lines = []
    delete_passages(tmp_path / "i", ["sw-0", "sw-1"], lines.append)
    assert lines == []
    delete_passages(tmp_path / "i", ["sw-2"], lines.append)
    assert lines == [
        "sw: 1 segments, 3 of 10 passages deleted; isoglot index --compact makes searching faster"
    ]


def test_compaction_leaves_alone_what_is_compact(tmp_path):
    from isoglot.config.index import IndexConfig

    root, lines = tmp_path / "i", []
    index(root, write_embeddings(tmp_path / "e", passages("sw", 50)), segment_rows=20)
    before = read_manifest(root)
    compact_index(root, IndexConfig(segment_rows=20), lines.append)
    assert (read_manifest(root), lines) == (before, [])
    compact_index(root, IndexConfig(segment_rows=20, kind="hnsw"), lines.append)
    shown = [line.split(" (")[0] for line in lines]
    assert shown == [f"sw: {rows} passages, hnsw" for rows in (16, 17, 17)]
    compact_index(root, IndexConfig(), lines.append)
    assert [entry.rows for entry in read_manifest(root).entries] == [50]


def test_a_passage_in_many_segments_is_replaced_by_many(tmp_path):
    root = tmp_path / "i"
    for step in range(3):  # 0..39, 20..59, 40..79, each cut into two
        texts = passages("sw", 40, first=20 * step)
        texts = [text._replace(text=f"{text.text} at {step}") for text in texts]
        index(root, write_embeddings(tmp_path / f"e{step}", texts), segment_rows=20)
    sizes = [(entry.rows, entry.deleted_rows) for entry in read_manifest(root).entries]
    assert sizes == [(20, 0), (20, 20), (20, 0), (20, 20), (20, 0), (20, 0)]
    changed = delete_passages(root, ["sw-25", "sw-25", "sw-79"])
    assert (changed.deleted, changed.missing) == (2, ())
    ids = [f"sw-{number}" for number in range(79) if number != 25]
    assert sorted(found(root, 100)[0]) == sorted(ids)
    engine = FaissEngine.open(root)
    keys = engine.search("sw", QUERIES[:1], 100).keys[0]
    texts = {p.doc_id: p.text for p in engine.passages("sw", keys)}
    for number in range(79):
        if number != 25:
            assert texts[f"sw-{number}"].endswith(f"at {min(2, number // 20)}")


def test_scores_of_named_passages_in_several_segments(tmp_path):
    texts = passages("sw", 60)
    index(tmp_path / "i", write_embeddings(tmp_path / "e", texts), segment_rows=25)
    engine = FaissEngine.open(tmp_path / "i")
    keys = np.array([[59, 0, 20, 19], [40, 39, 0, 0]])
    true = normalized(vectors_of([text.text for text in texts]))
    wanted = np.einsum("qd,qkd->qk", QUERIES[:2], true[keys])
    assert np.allclose(engine.score("sw", QUERIES[:2], keys), wanted, atol=1e-6)
