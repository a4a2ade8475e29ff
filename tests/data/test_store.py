"""The prepared folder: as the slow table has it, made once, in parallel, resumed, never stale."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pytest

from isoglot.artifacts import COMPLETE
from isoglot.config.sources import SourceConfig
from isoglot.data.groups import write_groups
from isoglot.data.parallel import build_table
from isoglot.data.prepared import reading, sources, store
from isoglot.data.prepared.sources import identify
from isoglot.data.prepared.store import prepare_table
from isoglot.errors import ArtifactError, ConfigError, DataError
from isoglot.records import Group
from tests.reference.slow_table import build_slowly

LANGS = ("de", "en", "sw", "zh")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ISOGLOT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def small_pieces(monkeypatch):
    monkeypatch.setattr(reading, "_PIECE_BYTES", 300)


def random_groups(rng, count, name="g"):
    """Groups with gaps, repeated texts in other case or spacing, and listed negatives."""

    def spell(text):
        return rng.choice([text, text.upper(), text.replace(" ", "  ")])

    def texts(what):
        langs = rng.choice(LANGS, size=rng.integers(1, len(LANGS) + 1), replace=False)
        return {str(lang): str(spell(f"{what} {rng.integers(8 * count)}")) for lang in langs}

    return [
        Group(
            f"{name}{i}",
            texts("Frage"),
            texts("answer"),
            [texts("answer") for _ in range(rng.integers(3))],
        )
        for i in range(count)
    ]


def write(path, groups):
    write_groups(path, groups)
    return SourceConfig(path=str(path))


def bitext(path, *rows, **options):
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return SourceConfig(path=str(path), format="bitext", **options)


def row(number, **fields):
    return {"text": {"en": f"sentence {number}", "sw": f"sentensi {number}"}, **fields}


def files_of(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name != COMPLETE}


def partition(meaning):
    return [set(np.flatnonzero(meaning == m).tolist()) for m in dict.fromkeys(meaning.tolist())]


def assert_equals_the_slow_one(table, given):
    slow = build_slowly(given)
    assert list(table.langs) == slow.langs
    assert table.texts.to_pylist() == slow.texts
    names = [table.datasets[d] for d in table.dataset]
    groups = [
        (name, table.group_ids[g], group.query, group.passage, tuple(group.negatives))
        for g, (name, group) in enumerate(zip(names, table.groups(), strict=True))
    ]
    assert groups == slow.groups
    assert partition(table.meaning) == slow.meanings
    having = [set(np.flatnonzero(table.meaning == m).tolist()) for m in table.negative_meaning]
    assert having == slow.negative_meanings


@pytest.mark.parametrize("seed", range(6))
def test_a_prepared_table_equals_the_slow_one(tmp_path, small_pieces, seed):
    rng = np.random.default_rng(seed)
    given = {name: random_groups(rng, 25, name) for name in ("a", "b")}
    found = [write(tmp_path / f"{name}.jsonl", groups) for name, groups in given.items()]
    table = prepare_table(found, jobs=1)
    assert_equals_the_slow_one(table, given)
    assert_equals_the_slow_one(build_table(given), given)
    in_memory = build_table(given)
    assert table.folder is not None
    assert in_memory.folder is None


def test_a_prepared_table_holds_out_the_groups_that_one_in_memory_does(tmp_path, small_pieces):
    groups = random_groups(np.random.default_rng(0), 50)
    # Without the listed negatives, which would join nearly all of them.
    groups = [group._replace(negatives=()) for group in groups]
    given = {"a": groups[:25], "b": groups[25:]}
    found = [write(tmp_path / f"{name}.jsonl", groups) for name, groups in given.items()]
    table, in_memory = prepare_table(found, jobs=1), build_table(given)
    for one, other in zip(table.hold_out(8), in_memory.hold_out(8), strict=True):
        assert one.group_ids == other.group_ids


def test_a_preparation_that_was_interrupted_goes_on_and_gives_the_same_bytes(
    tmp_path, cache, small_pieces, monkeypatch
):
    source = write(tmp_path / "a.jsonl", random_groups(np.random.default_rng(0), 30))
    made = []

    def make_or_stop(path, *task):
        if len(made) == 5:
            raise KeyboardInterrupt
        made.append(path.name)
        make(path, *task)

    make = store._make_block
    monkeypatch.setattr(store, "_make_block", make_or_stop)
    with pytest.raises(KeyboardInterrupt):
        prepare_table([source], jobs=1)
    first = set(made)
    made[:] = []
    monkeypatch.setattr(
        store, "_make_block", lambda path, *task: made.append(path.name) or make(path, *task)
    )
    resumed = prepare_table([source], jobs=1)
    assert len(made) > 5 and not first & set(made)
    monkeypatch.setenv("ISOGLOT_CACHE", str(tmp_path / "other"))
    assert files_of(prepare_table([source], jobs=1).folder) == files_of(resumed.folder)
    assert not (resumed.folder / "blocks").exists()


def test_processes_give_the_same_bytes_as_one(tmp_path, small_pieces, monkeypatch):
    source = write(tmp_path / "a.jsonl", random_groups(np.random.default_rng(0), 30))
    alone = prepare_table([source], jobs=1)
    monkeypatch.setenv("ISOGLOT_CACHE", str(tmp_path / "other"))
    assert files_of(prepare_table([source], jobs=2).folder) == files_of(alone.folder)


def test_it_is_prepared_once_however_many_ask(tmp_path, monkeypatch):
    source = write(tmp_path / "a.jsonl", random_groups(np.random.default_rng(0), 30))
    calls = []
    prepare = store._prepare
    monkeypatch.setattr(store, "_prepare", lambda *given: calls.append(1) or prepare(*given))
    with ThreadPoolExecutor(4) as threads:
        tables = list(threads.map(lambda _: prepare_table([source]), range(4)))
    assert len(calls) == 1
    assert len({table.folder for table in tables}) == 1


def test_other_content_or_options_are_prepared_anew(tmp_path):
    path = tmp_path / "a.jsonl"
    source = bitext(path, row(1, source="x"), row(2, source="y"))
    whole = prepare_table([source])
    part = prepare_table([source.model_copy(update={"sources": ("x",)})])
    assert (len(whole), len(part)) == (2, 1)
    assert len(prepare_table([bitext(path, row(1), row(2), row(3))])) == 3


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, monkeypatch):
    source = bitext(tmp_path / "a.jsonl", row(1))
    make = store._make_block

    def make_and_change(*task):
        make(*task)
        bitext(tmp_path / "a.jsonl", row(1), row(2))

    monkeypatch.setattr(store, "_make_block", make_and_change)
    with pytest.raises(DataError, match=r"a\.jsonl: was changed while it was read; run the"):
        prepare_table([source])


def test_the_sentences_of_a_bitext_are_both_query_and_passage_and_stored_once(tmp_path):
    rows = [row(1), {"text": {"en": "two", "de": "zwei", "zh": "二"}}]
    table = prepare_table([bitext(tmp_path / "a.jsonl", *rows)])
    assert [group.query for group in table.groups()] == [given["text"] for given in rows]
    assert [group.passage for group in table.groups()] == [given["text"] for given in rows]
    assert not (table.folder / "passage.npy").exists()


def test_blocks_of_a_file_that_was_changed_and_put_back_are_not_used(
    tmp_path, small_pieces, monkeypatch
):
    source = bitext(tmp_path / "a.jsonl", *(row(i) for i in range(20)))
    content = (tmp_path / "a.jsonl").read_bytes()
    make = store._make_block

    def change_and_stop(path, piece, *task):
        if path.name == "000002.npz":
            raise KeyboardInterrupt
        changed = piece.content.replace(b"sentence", b"MISTAKEN")
        make(path, reading.Piece(source, changed, piece.first, piece.head, 0), *task)
        (tmp_path / "a.jsonl").write_bytes(content)
        os.utime(tmp_path / "a.jsonl", (1, 1))

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(store, "_make_block", change_and_stop)
        prepare_table([source], jobs=1)
    assert prepare_table([source], jobs=1).text(0) == "sentence 0"


def test_a_script_without_a_guard_is_told_what_to_do(tmp_path, cache):
    rows = [Group(str(i), {"en": f"q{i}"}, {"en": f"p{i}"}) for i in range(200)]
    write(tmp_path / "a.jsonl", rows)
    script = tmp_path / "script.py"
    script.write_text(
        "from isoglot.config.sources import SourceConfig\n"
        "from isoglot.data.prepared import reading, store\n"
        "import isoglot.data.prepared.sources\n"
        "reading._PIECE_BYTES = 2_000\n"
        f"source = SourceConfig(path={str(tmp_path / 'a.jsonl')!r})\n"
        "print(len(store.prepare_table([source], jobs=2)))\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    assert "under `if __name__ == '__main__':`" in done.stderr


def test_files_of_a_folder_that_change_names_are_other_data(tmp_path, cache):
    for name, text in (("train", "A"), ("test", "T")):
        folder = tmp_path / "saved"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.csv").write_text(
            f"query,passage,lang\nq {text},p {text},en\n", encoding="utf-8"
        )
    source = SourceConfig(
        path=str(tmp_path / "saved"), format="hub", query_lang="lang", passage_lang="lang"
    )
    first = identify(source).record
    (tmp_path / "saved" / "train.csv").rename(tmp_path / "saved" / "other.csv")
    (tmp_path / "saved" / "test.csv").rename(tmp_path / "saved" / "train.csv")
    (tmp_path / "saved" / "other.csv").rename(tmp_path / "saved" / "test.csv")
    assert identify(source).record != first


def test_a_worker_that_is_gone_is_an_error_with_advice():
    workers, gone = store._Workers(2), Future()
    gone.set_exception(BrokenProcessPool())
    workers._running.append(gone)
    with pytest.raises(ArtifactError, match=r"a process that read training data has ended, .* run"):
        workers.finish()


@pytest.mark.parametrize("layout", ["groups", "bitext"])
def test_an_id_that_comes_again_in_another_piece_is_named_with_its_line(
    tmp_path, small_pieces, layout
):
    path = tmp_path / "a.jsonl"
    if layout == "groups":
        rows = [Group(str(i % 17), {"en": f"q{i}"}, {"en": f"p{i}"}) for i in range(20)]
        source, what = write(path, rows), "group id"
    else:
        source, what = bitext(path, *(row(i, id=i % 17) for i in range(20))), "id"
    with pytest.raises(DataError, match=rf"a\.jsonl:18: {what} '0' comes twice; ids must be"):
        prepare_table([source], jobs=1)


def test_a_malformed_line_of_a_later_piece_is_named(tmp_path, cache, small_pieces):
    rows = [row(i) for i in range(20)]
    rows[15]["txet"] = {}
    with pytest.raises(DataError, match=r"a\.jsonl:16: unknown field 'txet'"):
        prepare_table([bitext(tmp_path / "a.jsonl", *rows)], jobs=1)
    assert not [path for path in (cache / "prepared").iterdir() if path.is_dir()], "left behind"
    (tmp_path / "b.jsonl").write_text("\n\n[1]\n")
    with pytest.raises(DataError, match=r"b\.jsonl:3: expected a JSON object in braces, got a"):
        prepare_table([SourceConfig(path=str(tmp_path / "b.jsonl"))])
    one = bitext(tmp_path / "c.jsonl", {"text": {"en": "alone"}})
    with pytest.raises(DataError, match=r"c\.jsonl:1: a row needs texts in two languages, got en"):
        prepare_table([one])


def test_tsv_is_read_in_pieces_under_the_header_of_the_first(tmp_path, small_pieces):
    path = tmp_path / "a.tsv"
    lines = [f"sentence number {i}\tsentensi namba {i}" for i in range(40)]
    path.write_bytes("\r\n".join(["\ufeffen\tsw", *lines, ""]).encode())
    source = SourceConfig(path=str(path), format="bitext")
    table = prepare_table([source], jobs=1)
    assert list(table.groups())[-1].query == {"en": "sentence number 39", "sw": "sentensi namba 39"}
    assert table.group_ids[39] == "a.tsv:41"
    path.write_text("\n".join(["en\tsw", *lines, "one\ttwo\tthree"]))
    with pytest.raises(DataError, match=r"a\.tsv:42: expected 2 columns \(en sw\)"):
        prepare_table([source], jobs=1)


def test_sources_of_a_bitext_are_counted_over_all_pieces(tmp_path, small_pieces):
    rows = [row(i, source="x" if i < 15 else "y") for i in range(20)]
    wanted = bitext(tmp_path / "a.jsonl", *rows, sources=("x", "y"))
    assert len(prepare_table([wanted], jobs=1)) == 20
    absent = wanted.model_copy(update={"sources": ("y", "z")})
    with pytest.raises(DataError, match="no rows of source z; other sources here: x"):
        prepare_table([absent], jobs=1)


@pytest.mark.parametrize(
    ("layout", "message"), [("groups", "a.jsonl: no groups"), ("bitext", "a.jsonl: no rows")]
)
def test_an_empty_file_is_refused(tmp_path, layout, message):
    (tmp_path / "a.jsonl").write_text("\n")
    with pytest.raises(DataError, match=message):
        prepare_table([SourceConfig(path=str(tmp_path / "a.jsonl"), format=layout)])


def test_a_missing_or_damaged_file_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"none\.jsonl: no such file"):
        prepare_table([SourceConfig(path=str(tmp_path / "none.jsonl"))])
    write_groups(tmp_path / "a.jsonl.gz", random_groups(np.random.default_rng(0), 30))
    (tmp_path / "b.jsonl.gz").write_bytes((tmp_path / "a.jsonl.gz").read_bytes()[:-20])
    with pytest.raises(DataError, match=r"b\.jsonl\.gz: the gzip file is damaged or cut short"):
        prepare_table([SourceConfig(path=str(tmp_path / "b.jsonl.gz"))])


def test_groups_that_are_left_out_were_never_there(tmp_path):
    """Neither their texts nor the meanings that they join."""
    a = Group("a", {"en": "Q"}, {"en": "P1"})
    chain = Group("chain", {"en": "Q"}, {"fr": "P2"})
    b = Group("b", {"en": "R"}, {"en": "P2"})
    source = write(tmp_path / "a.jsonl", [a, chain, b])
    assert len(set(prepare_table([source]).meaning.tolist())) == 1
    left = prepare_table([source], {"a": {"chain"}})
    assert_equals_the_slow_one(left, {"a": [a, b]})
    with pytest.raises(ConfigError, match="leave_out_leaks: every group of a holds a text of a"):
        prepare_table([source], {"a": {"a", "b", "chain"}})


def test_squad_files_and_datasets_are_prepared_like_others(tmp_path):
    paragraph = {
        "context": "It rains.",
        "qas": [{"id": "q", "question": "Does it?", "answers": [{"answer_start": 3}]}],
    }
    squad = tmp_path / "squad.json"
    squad.write_text(json.dumps({"data": [{"paragraphs": [paragraph]}]}))
    table = tmp_path / "rows.csv"
    table.write_text("query,passage\nhow,so\n")
    found = prepare_table(
        [
            SourceConfig(path=str(squad), format="squad", language="en"),
            SourceConfig(path=str(table), format="hub", query_lang="en", passage_lang="en"),
        ]
    )
    assert [group.query["en"] for group in found.groups()] == ["Does it?", "how"]


def test_a_cache_folder_that_cannot_be_written_is_an_error_with_advice(tmp_path, monkeypatch):
    source = bitext(tmp_path / "a.jsonl", row(1))
    monkeypatch.setenv("ISOGLOT_CACHE", str(tmp_path / "a.jsonl"))
    with pytest.raises(ArtifactError, match=r"cannot be written .* set ISOGLOT_CACHE to a folder"):
        prepare_table([source])


def test_a_full_disk_is_an_error_and_what_was_made_is_kept(tmp_path, small_pieces, monkeypatch):
    source = write(tmp_path / "a.jsonl", random_groups(np.random.default_rng(0), 30))

    def full(*_):
        raise ArtifactError(
            "texts.arrow: cannot be written (No space left on device)"
        ) from OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with (
        monkeypatch.context() as patch,
        pytest.raises(ArtifactError, match=r"No space left .* set"),
    ):
        patch.setattr(store, "write_strings", full)
        prepare_table([source], jobs=1)
    monkeypatch.setattr(store, "make_block", None)  # no block is made again
    assert len(prepare_table([source], jobs=1)) == 30


@pytest.mark.parametrize("damage", ["cut", "lost"])
def test_a_damaged_folder_is_refused_with_what_to_do(tmp_path, damage):
    source = bitext(tmp_path / "a.jsonl", row(1))
    path = prepare_table([source]).folder / "query.npy"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    else:
        path.unlink()
    with pytest.raises(ArtifactError, match=r"query\.npy: .*, the manifest says .*; delete "):
        prepare_table([source])


def test_the_hash_of_a_large_file_is_remembered_until_it_changes(tmp_path, monkeypatch):
    path = tmp_path / "large"
    path.write_bytes(b"one")
    os.utime(path, (1, 1))
    monkeypatch.setattr(sources, "_LARGE_BYTES", 1)
    once = sources.remembered_sha256(path)
    hashed = []
    sha256 = sources.file_sha256
    monkeypatch.setattr(sources, "file_sha256", lambda path: hashed.append(path) or sha256(path))
    assert sources.remembered_sha256(path) == once
    assert not hashed
    path.write_bytes(b"two")
    # Changed just now: it could change again within the grain of the clock.
    assert sources.remembered_sha256(path) != once
    assert sources.remembered_sha256(path) == sha256(path)
    assert len(hashed) == 2
