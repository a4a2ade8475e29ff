import json

import pytest

from isoglot.data.passages import (
    PassageOptions,
    corpus_key,
    read_passages,
    store_corpus,
    storing,
)
from isoglot.errors import DataError
from isoglot.records import Passage
from tests.data.builders import write_jsonl

pytest.importorskip("py3langid")

ROWS = [
    {"docid": "1", "text": "The law of gravity says that all bodies attract each other."},
    {"docid": "2", "text": "Das Gesetz der Schwerkraft gilt für alle Körper.", "lang": "de"},
    {"docid": "3", "text": "Un autre texte, écrit en français, sur la gravité.", "lang": "de"},
    {"docid": "4", "text": "1994"},
]


@pytest.fixture
def source(tmp_path):
    return write_jsonl(tmp_path / "corpus.jsonl", ROWS)


@pytest.fixture
def readings(monkeypatch):
    """Count how often rows are read."""
    calls = []
    original = storing.read_file_rows

    def read(file, options):
        calls.append(file.name)
        yield from original(file, options)

    monkeypatch.setattr(storing, "read_file_rows", read)
    return calls


def store(source, folder, **options):
    return store_corpus(str(source), folder, PassageOptions(**options))


def test_passages_and_report_are_stored(tmp_path, source):
    stored, report = store(source, tmp_path / "corpus", check=True)
    assert stored.sizes == {"en": 1, "de": 2, "und": 1}
    assert list(stored.restrict(["und"])) == [Passage("4", "und", "1994")]
    assert sorted(stored) == sorted(read_passages(str(source)))
    written = json.loads((tmp_path / "corpus" / "languages.json").read_text())
    assert written["passages"] == {"de": 2, "en": 1, "und": 1}
    assert written["doubts"] == report.doubts == {"de": {"fr": 1}}


def test_what_is_stored_is_not_read_again(tmp_path, source, readings):
    folder = tmp_path / "corpus"
    stored, report = store(source, folder)
    again, same = store(source, folder)
    assert (list(again), same) == (list(stored), report)
    assert len(readings) == 1


def test_other_checks_read_again_but_write_nothing_but_the_report(tmp_path, source, readings):
    folder = tmp_path / "corpus"
    store(source, folder)
    before = (folder / "de.arrow").stat().st_mtime_ns
    _, report = store(source, folder, check=True)
    assert report.doubts == {"de": {"fr": 1}}
    assert (folder / "de.arrow").stat().st_mtime_ns == before
    assert store(source, folder, check=True)[1] == report
    assert len(readings) == 2


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"key": "other"}'])
def test_a_lost_or_damaged_report_is_made_anew(tmp_path, source, content):
    folder = tmp_path / "corpus"
    _, report = store(source, folder, check=True)
    path = folder / "languages.json"
    path.unlink()
    if content is not None:
        path.write_text(content)
    assert store(source, folder, check=True)[1] == report
    assert json.loads(path.read_text())["doubts"] == report.doubts


def test_a_report_with_the_right_key_but_other_fields_is_made_anew(tmp_path, source):
    folder = tmp_path / "corpus"
    _, report = store(source, folder)
    path = folder / "languages.json"
    path.write_text(json.dumps({"key": json.loads(path.read_text())["key"], "examples": {}}))
    assert store(source, folder)[1] == report


def test_the_key_follows_files_and_options_but_not_checks(tmp_path, source):
    key = corpus_key(str(source))
    assert corpus_key(str(source), PassageOptions(check=True, check_share=0.5)) == key
    assert corpus_key(str(source), PassageOptions(lang="sw")) != key
    assert all(isinstance(value, str) for value in key.values())
    other = corpus_key(str(write_jsonl(tmp_path / "b" / "corpus.jsonl", ROWS)))
    assert other == key  # wherever the file lies
    write_jsonl(source, ROWS[:2])
    assert corpus_key(str(source)) != key
    folder = write_jsonl(tmp_path / "sw" / "a.jsonl", ROWS).parent
    named = corpus_key(str(folder))
    assert corpus_key(str(folder.rename(tmp_path / "plain"))) != named


def test_the_key_of_a_saved_data_set(tmp_path):
    datasets = pytest.importorskip("datasets")
    for name, rows in (("a", ROWS), ("b", ROWS[:2])):
        table = {"docid": [r["docid"] for r in rows], "text": [r["text"] for r in rows]}
        datasets.Dataset.from_dict(table).save_to_disk(tmp_path / name)
    keys = [corpus_key(str(tmp_path / name)) for name in "ab"]
    assert keys[0] != keys[1] and keys[0] == corpus_key(str(tmp_path / "a"))
    stored, report = store(tmp_path / "a", tmp_path / "corpus", lang="de")
    assert len(stored) == 4 and report.passages == {"de": 4}


def test_repeated_ids_are_refused_and_leave_nothing_usable(tmp_path, source):
    write_jsonl(source, [*ROWS, ROWS[0]])
    folder = tmp_path / "corpus"
    with pytest.raises(DataError, match=r"corpus.jsonl: passage id '1' occurs more than once"):
        store(source, folder)
    assert not (folder / "passages.json").exists() and not (folder / "languages.json").exists()
    write_jsonl(source, ROWS)
    assert len(store(source, folder)[0]) == 4


def test_a_corpus_without_a_text_is_refused(tmp_path):
    source = write_jsonl(tmp_path / "a.jsonl", [{"id": 1, "text": ""}, {"id": 2, "text": None}])
    for _ in range(2):
        with pytest.raises(DataError, match=r"a.jsonl: no passages; 2 rows, and none has a text"):
            store(source, tmp_path / "corpus")
