"""Changes of an index that are killed, fail, or happen while it is searched."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from isoglot.config.index import IndexConfig
from isoglot.errors import ArtifactError, IsoglotError
from isoglot.retrieval import building
from isoglot.retrieval.changes import compact_index, delete_passages
from isoglot.retrieval.faiss_engine import FaissEngine
from isoglot.retrieval.manifest import lock_index, read_manifest
from tests.retrieval.cases import DIM, index, normalized, passages, write_embeddings

ROOT = Path(__file__).resolve().parents[2]
QUERIES = normalized(np.random.default_rng(1).normal(size=(5, DIM)).astype(np.float32))

KILLED = """
import os, signal, sys
from pathlib import Path
import {module} as module
from tests.retrieval.cases import index

calls = 0
original = module.{function}

def killed(*args, **kwargs):
    global calls
    calls += 1
    if calls == {call}:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*args, **kwargs)

module.{function} = killed
index(Path(sys.argv[1]), Path(sys.argv[2]), segment_rows=20)
"""


def kill_at(module, function, call, *arguments):
    code = KILLED.format(module=module, function=function, call=call)
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], cwd=ROOT, capture_output=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


def contents(root):
    """Return what is found, and the files of the index."""
    engine = FaissEngine.open(root)
    found = {
        lang: [
            [p.doc_id for p in engine.passages(lang, keys)]
            for keys in engine.search(lang, QUERIES, 10).keys
        ]
        for lang in engine.sizes
    }
    files = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    return engine.sizes, found, files


@pytest.mark.parametrize(
    ("module", "function", "call"),
    [
        ("isoglot.retrieval.building", "store_passages", 1),
        ("isoglot.retrieval.building", "build_words", 2),
        ("isoglot.retrieval.building", "_sync", 3),
        ("isoglot.retrieval.changes", "_mark", 1),
        ("isoglot.retrieval.changes", "write_manifest", 1),
        ("isoglot.retrieval.changes", "remove_unused", 1),
    ],
)
def test_a_killed_change_leaves_the_old_index_and_is_continued(tmp_path, module, function, call):
    old, new = passages("sw", 30), [*passages("sw", 50, first=20), *passages("en", 15)]
    first, second = (
        write_embeddings(tmp_path / name, texts) for name, texts in [("e", old), ("f", new)]
    )
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    for root in (calm, killed):
        index(root, first, segment_rows=20)
    before = contents(killed)
    index(calm, second, segment_rows=20)
    kill_at(module, function, call, killed, second)
    if function == "remove_unused":  # the manifest was written, only rubbish is left
        assert contents(killed)[:2] == contents(calm)[:2]
        return
    assert contents(killed)[:2] == before[:2]
    built = [path.name for path in (killed / "segments").iterdir() if path.name[0] != "."]
    lines = []
    index(killed, second, lines.append, segment_rows=20)
    assert sum("built before" in line for line in lines) == len(built) - 2
    assert contents(killed) == contents(calm)


def test_what_a_killed_build_left_is_removed_by_another_one(tmp_path):
    root = tmp_path / "i"
    first = write_embeddings(tmp_path / "e", passages("sw", 50))
    kill_at("isoglot.retrieval.building", "_sync", 2, root, first)
    assert len(list((root / "segments").iterdir())) == 2  # one of them unfinished
    index(root, write_embeddings(tmp_path / "f", passages("en", 5)))
    (entry,) = read_manifest(root).entries
    assert [path.name for path in (root / "segments").iterdir()] == [entry.name]


def test_a_first_build_that_was_killed_is_told_and_continued(tmp_path):
    embeddings = write_embeddings(tmp_path / "e", passages("sw", 50))
    kill_at("isoglot.retrieval.building", "_sync", 2, tmp_path / "i", embeddings)
    with pytest.raises(ArtifactError, match="a build was begun here; run the same isoglot index"):
        FaissEngine.open(tmp_path / "i")
    lines = []
    index(tmp_path / "i", embeddings, lines.append, segment_rows=20)
    assert [("built before" in line) for line in lines] == [True, False, False]


def test_a_full_disk_leaves_the_index_as_it_was(tmp_path, monkeypatch):
    root = tmp_path / "i"
    index(root, write_embeddings(tmp_path / "e", passages("sw", 30)))
    before = contents(root)

    def full(index_, path):
        raise RuntimeError("Error in faiss: write error: No space left on device")

    monkeypatch.setattr(building.import_faiss(), "write_index", full)
    with pytest.raises(ArtifactError, match=r"cannot be written \(.*No space left on device"):
        index(root, write_embeddings(tmp_path / "f", passages("en", 30)))
    assert contents(root)[:2] == before[:2]


@contextlib.contextmanager
def files_up_to(size):
    """No file can grow beyond a size: each write that would fails, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("kind", ["flat", "hnsw", "ivf-pq"])
def test_no_room_at_any_step_leaves_the_index_as_it_was(tmp_path, monkeypatch, kind):
    monkeypatch.setattr("isoglot.retrieval.kinds._LEAST_PQ_ROWS", 100)
    root, calm = tmp_path / "i", tmp_path / "calm"
    new = write_embeddings(tmp_path / "f", passages("sw", 400, first=100))
    for folder in (root, calm):
        index(folder, write_embeddings(tmp_path / "e", passages("sw", 200)))
    index(calm, new, kind=kind)
    (made,) = (path for path in (calm / "segments").iterdir() if "-000002-" in path.name)
    sizes = sorted({path.stat().st_size for path in made.rglob("*") if path.is_file()})
    before = contents(root)
    errors = 0
    for size in [*sizes, max(sizes) + 1]:
        with contextlib.suppress(IsoglotError), files_up_to(size - 1):
            errors += 1
            index(root, new, kind=kind)
            errors -= 1
        if size <= max(sizes):
            assert contents(root)[:2] == before[:2]
            assert not list((root / "segments").glob(".*"))  # on a full disk, the room counts
    assert errors == len(sizes)
    assert contents(root)[:2] == contents(calm)[:2]


def test_folders_are_brought_to_disk_before_the_manifest_names_them(tmp_path, monkeypatch):
    root, steps = tmp_path / "i", []
    fsync, replace = os.fsync, Path.replace

    def noted_fsync(file):
        steps.append(("sync", str(Path(f"/proc/self/fd/{file}").readlink())))
        fsync(file)

    def noted_replace(path, target):
        steps.append(("name", str(target)))
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    index(root, write_embeddings(tmp_path / "e", passages("sw", 10)))
    (entry,) = read_manifest(root).entries
    final = str(root / "segments" / entry.name)
    temporary = str(root / "segments" / f".{entry.name}")
    named, listed = (steps.index(("name", path)) for path in (final, str(root / "index.json")))
    for part in ("", "/segment.json", "/vectors.faiss", "/passages", "/passages/sw.arrow"):
        assert ("sync", f"{temporary}{part}") in steps[:named]
    assert ("sync", str(root / "segments")) in steps[named:listed]
    assert ("sync", str(root)) in steps[listed:]


def test_an_error_that_is_not_of_the_index_is_not_called_one(tmp_path):
    with pytest.raises(FileNotFoundError), lock_index(tmp_path / "i"):
        (tmp_path / "nothing").read_bytes()


@pytest.mark.parametrize(
    "change",
    [
        lambda root: delete_passages(root, ["sw-1"]),
        lambda root: compact_index(root, IndexConfig(), lambda line: None),
    ],
)
def test_a_change_of_an_index_that_is_not_there_leaves_nothing(tmp_path, change):
    with pytest.raises(ArtifactError, match="no index"):
        change(tmp_path / "i")
    assert not (tmp_path / "i").exists()


def test_searching_writes_nothing(tmp_path):
    root = tmp_path / "i"
    index(root, write_embeddings(tmp_path / "e", passages("sw", 30)))
    delete_passages(root, ["sw-1"])
    paths = [root, *root.rglob("*")]
    before = [(path, path.stat().st_mtime_ns) for path in paths]
    with files_up_to(0):
        engine = FaissEngine.open(root)
        engine.passages("sw", engine.search("sw", QUERIES, 5).keys[0])
        engine.search_words("sw", ["word1"], 5)
    assert [(path, path.stat().st_mtime_ns) for path in [root, *root.rglob("*")]] == before


def test_only_one_process_changes_an_index(tmp_path):
    index(tmp_path / "i", write_embeddings(tmp_path / "e", passages("sw", 3)))
    with (
        lock_index(tmp_path / "i"),
        pytest.raises(ArtifactError, match="another process is changing this index"),
    ):
        delete_passages(tmp_path / "i", ["sw-1"])


def test_searching_while_passages_come_and_go_sees_whole_generations(tmp_path):
    root = tmp_path / "i"
    steps = 6
    batches = [
        write_embeddings(tmp_path / f"e{step}", passages("sw", 10, first=10 * step))
        for step in range(steps)
    ]
    index(root, batches[0])
    seen, failures, stop = set(), [], threading.Event()

    def read():
        while not stop.is_set():
            try:
                engine = FaissEngine.open(root)
                found = engine.search("sw", QUERIES, 100)
                for keys in found.keys:
                    ids = {passage.doc_id for passage in engine.passages("sw", keys)}
                    assert len(ids) == engine.sizes["sw"]
                seen.add(engine.manifest.generation)
            except Exception as error:
                failures.append(error)
                return

    reader = threading.Thread(target=read)
    reader.start()
    for step in range(1, steps):
        index(root, batches[step])
        delete_passages(root, [f"sw-{10 * step - 1}"])
    compact_index(root, IndexConfig(), lambda line: None)
    last = read_manifest(root).generation
    while last not in seen and not failures:
        time.sleep(0.01)
    stop.set()
    reader.join()
    assert not failures
    assert len(seen) > 2
    assert FaissEngine.open(root).sizes == {"sw": 10 * steps - (steps - 1)}
