"""Output folders: whole or absent, complete or not."""

from __future__ import annotations

import hashlib
import stat

import pytest

from isoglot.artifacts import (
    atomic_write,
    file_sha256,
    is_complete,
    mark_complete,
    prepare_folder,
    provenance,
    read_json,
    write_json,
)
from isoglot.errors import ArtifactError


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "result.txt"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(RuntimeError), atomic_write(path) as file:
        file.write("half of the n")
        raise RuntimeError
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_written_file_has_ordinary_permissions(tmp_path):
    path, ordinary = tmp_path / "a.json", tmp_path / "b"
    ordinary.touch()
    write_json(path, {"ü": 1})
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(ordinary.stat().st_mode)
    assert read_json(path) == {"ü": 1}


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ArtifactError, match=r"file/x.json: cannot be written \(File exists\)"):
        write_json(tmp_path / "file" / "x.json", 1)
    with pytest.raises(ArtifactError, match=r"file: cannot be used as an output folder"):
        prepare_folder(tmp_path / "file")


def test_a_complete_folder_is_not_overwritten_unasked(tmp_path):
    folder = prepare_folder(tmp_path / "out")
    assert not is_complete(folder)
    mark_complete(folder)
    with pytest.raises(ArtifactError, match=r"already holds a complete result; choose another"):
        prepare_folder(folder)
    assert is_complete(folder)
    assert not is_complete(prepare_folder(folder, overwrite=True))


def test_unreadable_json_is_named(tmp_path):
    with pytest.raises(ArtifactError, match=r"none.json: no such file"):
        read_json(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{", encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"bad.json: cannot be read as JSON"):
        read_json(tmp_path / "bad.json")


def test_not_a_number_is_refused_in_json(tmp_path):
    with pytest.raises(ValueError, match="Out of range float"):
        write_json(tmp_path / "x.json", float("nan"))
    assert list(tmp_path.iterdir()) == []


def test_the_hash_of_a_file_is_that_of_its_bytes(tmp_path):
    path = tmp_path / "big"
    path.write_bytes(b"x" * (1 << 20) + b"y")
    assert file_sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_provenance_names_versions_seeds_and_data():
    record = provenance(seeds={"training": 3}, data={"a.json": "00"})
    assert record["seeds"] == {"training": 3}
    assert record["data_sha256"] == {"a.json": "00"}
    assert {"python", "isoglot", "numpy"} <= record["versions"].keys()
