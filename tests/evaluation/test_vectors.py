import numpy as np
import pytest

from isoglot.evaluation.vectors import first_copies, repeated_rows


def slow_first_copies(vectors):
    rows = [row.tobytes() for row in vectors]
    return [rows.index(row) for row in rows]


def vectors_with_copies(seed, dtype):
    rng = np.random.default_rng(seed)
    vectors = rng.integers(0, 3, size=(60, 3)).astype(dtype)
    # Rows that begin alike and differ at the end, with and without twins.
    return np.concatenate([np.zeros((60, 20), dtype), vectors], axis=1)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("seed", range(5))
def test_first_copies_by_definition(seed, dtype):
    vectors = vectors_with_copies(seed, dtype)
    assert first_copies(vectors).tolist() == slow_first_copies(vectors)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("seed", range(5))
def test_repeated_rows_are_found_across_segments_and_in_files(tmp_path, seed, dtype):
    vectors = vectors_with_copies(seed, dtype)[:, 15:]
    rows = [row.tobytes() for row in vectors]
    expected = [i for i, row in enumerate(rows) if rows.count(row) > 1]
    np.save(tmp_path / "a.npy", vectors[:25])
    segments = [np.load(tmp_path / "a.npy", mmap_mode="r"), vectors[25:25], vectors[25:]]
    assert repeated_rows(segments).tolist() == expected


def test_one_dimension():
    vectors = np.array([[1], [2], [1]], dtype=np.float16)
    assert first_copies(vectors).tolist() == [0, 1, 0]
    assert repeated_rows([vectors]).tolist() == [0, 2]
