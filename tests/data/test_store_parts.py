"""The parts of a prepared folder: views, hashes, strings; each against the plain way."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pytest

from isoglot.data.parallel import ABSENT, build_table
from isoglot.data.prepared import hashing, views
from isoglot.data.prepared.files import (
    cut_strings,
    join_strings,
    open_array,
    open_strings,
    write_array,
    write_strings,
)
from isoglot.data.prepared.hashing import found_in, has_repeats, hash_strings, number_equal
from isoglot.data.prepared.views import Cells, Names
from isoglot.errors import ArtifactError
from tests.data.test_parallel import simple

KEYS = [
    3,
    np.int64(2),
    slice(1, 3),
    np.array([4, 0, 4]),
    (2, 1),
    (slice(None), 1),
    (slice(None), np.array([1, 0])),
    (np.array([1, 3]), np.array([0, 2])),
    (np.array([1, 3]), slice(0, 2)),
    (np.array([1, 3]), 1),
    (slice(None), slice(None)),
]


@pytest.mark.parametrize("key", KEYS, ids=str)
@pytest.mark.parametrize("chosen", ["all", "groups", "languages", "both"])
def test_cells_are_indexed_like_the_array_that_they_stand_for(key, chosen):
    array = np.arange(40, dtype=np.int32).reshape(8, 5)
    cells = Cells(array)
    if chosen in ("groups", "both"):
        cells = cells.choose(np.array([7, 1, 2, 5, 3, 0])).choose(np.array([5, 4, 3, 2, 1]))
        array = array[[0, 3, 5, 2, 1]]
    if chosen in ("languages", "both"):
        cells, array = cells.choose_langs(np.array([4, 0, 2])), array[:, [4, 0, 2]]
    assert cells.shape == array.shape
    assert (cells[key] == array[key]).all()
    assert cells[key].shape == array[key].shape
    assert cells[key].dtype == np.int64


def test_cells_give_pairs_blocks_and_whole_arrays(monkeypatch):
    monkeypatch.setattr(views, "_BLOCK", 3)
    array = np.arange(40, dtype=np.int32).reshape(8, 5)
    cells = Cells(array).choose(np.arange(1, 8)).choose_langs(np.array([4, 0]))
    seen = array[1:, [4, 0]]
    groups, langs = np.array([6, 0, 3]), np.array([1, 1, 0])
    assert (cells.at(groups, langs) == seen[groups, langs]).all()
    assert (np.concatenate([block for _, block in cells.blocks()]) == seen).all()
    assert [span for span, _ in cells.blocks(2, 6)] == [slice(2, 5), slice(5, 6)]
    assert ((cells != 4) == (seen != 4)).all()
    assert (np.asarray(cells) == seen).all()


def test_choosing_groups_and_languages_copies_no_cells():
    table = build_table({"d": [simple(f"g{i}") for i in range(10)]})
    chosen = table.restrict(["sw"]).hold_out(3)[0]
    for one, other in ((table.query, chosen.query), (table.negative, chosen.negative)):
        assert np.shares_memory(one._array, other._array) or one._array.size == 0
    assert chosen.texts is table.texts


def test_names_are_a_sequence_of_strings():
    names = Names(pa.array(["a", "b", "c", "d"], type=pa.large_string()))
    some = names.choose(np.array([3, 1, 0])).choose(np.array([0, 2]))
    assert list(some) == ["d", "a"] == some
    assert (some[0], some[-1], len(some)) == ("d", "a", 2)
    assert some[1:] == ["a"]
    assert some != ["d", "b"]
    assert some != 7
    assert "c" in names
    assert repr(some) == "Names(['d', 'a'])"


def test_a_hash_is_that_of_blake2b():
    """The halves of the 128 bits, lowest byte first."""
    ((high, low),) = hash_strings([b"text"]).tolist()
    digest = hashlib.blake2b(b"text", digest_size=16).digest()
    assert digest == high.to_bytes(8, "little") + low.to_bytes(8, "little")


@pytest.mark.parametrize("seed", range(10))
def test_equal_hashes_are_numbered_by_the_first_of_them(seed):
    """Few different halves, so that hashes often agree in the first half alone."""
    hashes = np.random.default_rng(seed).integers(0, 4, size=(60, 2)).astype(np.uint64)
    rows = list(map(tuple, hashes.tolist()))
    assert number_equal(hashes).tolist() == [rows.index(row) for row in rows]
    assert has_repeats(hashes)
    assert not has_repeats(np.unique(hashes, axis=0))
    wanted = hashes[:5]
    assert found_in(hashes, wanted).tolist() == [row in rows[:5] for row in rows]


def test_hashes_are_found_block_by_block(monkeypatch):
    monkeypatch.setattr(hashing, "_BLOCK", 3)
    hashes = hash_strings(str(i).encode() for i in range(10))
    assert np.flatnonzero(found_in(hashes, hashes[[7, 2]])).tolist() == [2, 7]
    assert not found_in(hashes, hashes[:0]).any()


def test_no_hashes_are_numbered_too():
    empty = hash_strings([])
    assert number_equal(empty).tolist() == []
    assert not has_repeats(empty)


def test_strings_come_back_from_disk_in_one_piece(tmp_path):
    blocks = [join_strings([b"ab", b"", "é".encode()]), join_strings([]), join_strings([b"xyz"])]
    write_strings(tmp_path / "s.arrow", blocks)
    strings = open_strings(tmp_path / "s.arrow")
    assert strings.to_pylist() == ["ab", "", "é", "xyz"]
    assert strings.type == pa.large_string()
    assert [path.name for path in tmp_path.iterdir()] == ["s.arrow"]
    write_strings(tmp_path / "empty.arrow", [])
    assert len(open_strings(tmp_path / "empty.arrow")) == 0


def test_strings_are_cut_out():
    content, ends = cut_strings(*join_strings([b"ab", b"c", b"def"]), np.array([True, False, True]))
    assert (content.tobytes(), ends.tolist()) == (b"abdef", [2, 5])


def test_arrays_are_written_by_blocks(tmp_path):
    path = tmp_path / "a.npy"
    write_array(path, ([[1, 2]], np.array([[3, 4], [5, ABSENT]])), np.int32, (3, 2))
    assert open_array(path).tolist() == [[1, 2], [3, 4], [5, ABSENT]]
    assert open_array(path).dtype == np.int32
    write_array(path, (), np.int32, (0, 2))
    assert open_array(path).shape == (0, 2)


@pytest.mark.parametrize(("name", "read"), [("a.npy", open_array), ("a.arrow", open_strings)])
def test_what_is_no_such_file_is_refused(tmp_path, name, read):
    for content in (b"", b"something else"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(
            ArtifactError, match=rf"{name}: cannot be read as .*; delete its folder"
        ):
            read(tmp_path / name)
