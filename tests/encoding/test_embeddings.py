"""Embeddings are brought into the collection's order by their ids, whoever made them."""

import json

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from isoglot.data.collection import Collection
from isoglot.data.corpus import store_passages
from isoglot.encoding.embeddings import read_embeddings
from isoglot.encoding.encode import encode_texts
from isoglot.encoding.stream import encode_corpus, encode_queries
from isoglot.errors import ArtifactError, DataError
from isoglot.records import Passage, Qrel, Query

PASSAGES = [Passage(f"{lang}:{i}", lang, f"text {i}") for i in range(3) for lang in ("sw", "bn")]
QUERIES = [Query("7", "sw", "Nini?"), Query("7", "bn", "ki?"), Query("8", "sw", "Nani?")]
QRELS = [Qrel("7", "sw", "sw:0", 1), Qrel("7", "bn", "bn:0", 1)]
COLLECTION = Collection("tiny", QUERIES, PASSAGES, QRELS)


def write(folder, doc_ids=None, query_ids=None, **arrays):
    """The form for other systems; by default in the order of the collection, row i holds i."""
    folder.mkdir(exist_ok=True)
    doc_ids = [passage.doc_id for passage in PASSAGES] if doc_ids is None else doc_ids
    query_ids = ["sw\t7", "bn\t7", "sw\t8"] if query_ids is None else query_ids
    (folder / "passages.ids.txt").write_text("".join(f"{line}\n" for line in doc_ids))
    (folder / "queries.ids.tsv").write_text("".join(f"{line}\n" for line in query_ids))
    for name, count in (("passages", len(doc_ids)), ("queries", len(query_ids))):
        default = np.arange(2 * count, dtype=np.float16).reshape(count, 2)
        np.save(folder / f"{name}.npy", arrays.get(name, default))
    return folder


def test_rows_in_the_collections_order_stay_on_disk(tmp_path):
    found = read_embeddings(write(tmp_path), COLLECTION)
    (passages,) = found.passages
    assert isinstance(passages, np.memmap) and passages.shape == (6, 2)
    assert found.queries.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert found.origin is None


def test_rows_in_another_order_are_put_in_order(tmp_path):
    doc_ids = [passage.doc_id for passage in PASSAGES][::-1]
    found = read_embeddings(write(tmp_path, doc_ids, ["sw\t8", "swa\t7", "bn\t7"]), COLLECTION)
    assert found.passages[0].tolist() == [[10 - 2 * i, 11 - 2 * i] for i in range(6)]
    assert found.queries.tolist() == [[2, 3], [4, 5], [0, 1]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"doc_ids": ["sw:0", "bn:0", "sw:1"]},
            r"passages\.ids\.txt: no row for passage 'bn:1' of tiny \(3 of 6 are missing\); encode",
        ),
        (
            {"doc_ids": [*(passage.doc_id for passage in PASSAGES), "te:0"]},
            r"passage 'te:0' is not in tiny \(1 such of 7\); take these rows out",
        ),
        (
            {"doc_ids": [*(passage.doc_id for passage in PASSAGES), "bn:1"]},
            r"passage 'bn:1' has more than one row \(1 such\); keep one row for each",
        ),
        ({"doc_ids": ["sw:0", "", "bn:0"]}, r"passages\.ids\.txt:2: an empty line; every row"),
        (
            {"query_ids": ["sw\t7", "sw\t8"]},
            r"queries\.ids\.tsv: no row for query '7 \(bn\)' of tiny \(1 of 3 are missing\)",
        ),
        (
            {"query_ids": ["7"]},
            r"queries\.ids\.tsv:1: expected language, tab and query id, got '7'",
        ),
        ({"query_ids": ["xx\t7"]}, r"queries\.ids\.tsv:1: unknown language 'xx'"),
        (
            {"passages": np.zeros((5, 2))},
            r"passages\.npy: 5 rows, but passages\.ids\.txt has 6 ids",
        ),
        (
            {"queries": np.zeros(3)},
            r"queries\.npy: expected floating-point .* float64 of shape \(3,",
        ),
        ({"queries": np.zeros((3, 2), dtype=int)}, r"queries\.npy: expected .* got int64 of shape"),
        ({"queries": np.array([{}])}, r"queries\.npy: cannot be read as a \.npy file of numbers"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, changes, message):
    with pytest.raises(DataError, match=message):
        read_embeddings(write(tmp_path, **changes), COLLECTION)


def test_missing_files(tmp_path):
    with pytest.raises(DataError, match=r"none: no embeddings; found no such folder; allowed: man"):
        read_embeddings(tmp_path / "none", COLLECTION)
    with pytest.raises(DataError, match="no embeddings; found nothing; allowed: manifest"):
        read_embeddings(tmp_path, COLLECTION)
    for name in ("queries.ids.tsv", "passages.npy"):
        (write(tmp_path) / name).unlink()
        with pytest.raises(DataError, match=rf"{name}: no such file"):
            read_embeddings(tmp_path, COLLECTION)


@pytest.fixture
def model(checkpoints):
    return SentenceTransformer(str(checkpoints["static"]), device="cpu")


@pytest.fixture
def shards(model, tmp_path):
    folder = tmp_path / "shards"
    for encode, texts in ((encode_corpus, PASSAGES), (encode_queries, QUERIES)):
        encode(model, texts, folder, model_name="tiny", shard_size=2, show_progress=False)
    return folder


def test_shards_of_a_collection_in_any_order(model, shards):
    found = read_embeddings(shards, COLLECTION, verify=True)
    expected = encode_texts(model, [passage.text for passage in PASSAGES], "passage")
    assert np.allclose(np.concatenate(found.passages), expected, atol=1e-6)
    expected = encode_texts(model, [query.text for query in QUERIES], "query")
    assert np.allclose(found.queries, expected, atol=1e-6)
    assert found.origin.similarity == "cosine"


def test_shards_of_a_stored_corpus_stay_on_disk(shards, tmp_path):
    by_language = sorted(PASSAGES, key=lambda passage: passage.lang)
    stored = store_passages(tmp_path / "store", {}, lambda: by_language, name="tiny")
    found = read_embeddings(shards, Collection("tiny", QUERIES, stored, QRELS))
    assert [len(array) for array in found.passages] == [2, 1, 2, 1]
    assert all(isinstance(array, np.memmap) for array in found.passages)


def test_a_part_of_the_languages_is_enough(shards):
    found = read_embeddings(shards, COLLECTION.restrict(["sw"]))
    assert sum(map(len, found.passages)) == 3 and len(found.queries) == 2


def test_other_languages_need_not_be_finished_those_of_the_collection_must(shards):
    manifest = json.loads((shards / "manifest.json").read_text())
    manifest["passages"]["bn"]["complete"] = False  # as a killed process leaves it
    (shards / "manifest.json").write_text(json.dumps(manifest))
    found = read_embeddings(shards, COLLECTION.restrict(["sw"]))
    assert sum(map(len, found.passages)) == 3
    with pytest.raises(ArtifactError, match="the passages in 'bn' are unfinished"):
        read_embeddings(shards, COLLECTION)


def test_other_queries_of_our_shards_are_left_out(shards):
    found = read_embeddings(shards, Collection("less", QUERIES[:2], PASSAGES, QRELS))
    whole = read_embeddings(shards, COLLECTION)
    assert np.array_equal(found.queries, whole.queries[:2])


def test_shards_that_lack_a_language(shards):
    passages = [*PASSAGES, Passage("te:0", "te", "x")]
    with pytest.raises(DataError, match=r"shards, passages: no row for passage 'te:0' of more \(1"):
        read_embeddings(shards, Collection("more", QUERIES, passages, QRELS))


def test_damaged_shards(shards):
    path = shards / "passages" / "sw-00000.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    read_embeddings(shards, COLLECTION)
    with pytest.raises(ArtifactError, match="another SHA-256"):
        read_embeddings(shards, COLLECTION, verify=True)
