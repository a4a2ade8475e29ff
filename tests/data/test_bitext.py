import gzip

import pytest

from isoglot.data.bitext import read_bitext
from isoglot.errors import DataError
from isoglot.records import Group
from tests.data.builders import write_jsonl


def test_json_lines(tmp_path):
    rows = [
        {"source": "s", "text": {"en": "one", "swa": "moja"}},
        {"id": "x", "text": {"en": "two", "de": "zwei"}},
    ]
    first, second = {"en": "one", "sw": "moja"}, {"en": "two", "de": "zwei"}
    assert list(read_bitext(write_jsonl(tmp_path / "a.jsonl", rows))) == [
        Group("a.jsonl:1", first, first),
        Group("x", second, second),
    ]


def test_rows_of_some_sources_only(tmp_path):
    rows = [
        {"id": str(i), "source": source, "text": {"en": f"one {i}", "sw": f"moja {i}"}}
        for i, source in enumerate(["a", "b", "a", "c"])
    ]
    path = write_jsonl(tmp_path / "a.jsonl", rows)
    assert [group.group_id for group in read_bitext(path, ["a", "c"])] == ["0", "2", "3"]
    with pytest.raises(DataError, match=r"a\.jsonl: no rows of source d; other sources here: b, c"):
        list(read_bitext(path, ["a", "d"]))


def test_a_tsv_has_no_sources(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("en\tsw\none\tmoja\n", "utf-8")
    with pytest.raises(
        DataError, match=r"a\.tsv: no rows of source x; other sources here: rows without a source"
    ):
        list(read_bitext(path, ["x"]))


def test_tsv_with_empty_cells(tmp_path):
    text = "\ufeffen\tsw\tzh-Hans\r\none\tmoja\t\r\n\r\n two \t\t二\r\n"
    path = tmp_path / "a.tsv.gz"
    path.write_bytes(gzip.compress(text.encode()))
    first, second = {"en": "one", "sw": "moja"}, {"en": "two", "zh": "二"}
    assert list(read_bitext(path)) == [
        Group("a.tsv.gz:2", first, first),
        Group("a.tsv.gz:4", second, second),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("en\tsw\none\t\n", r"a\.tsv:2: a row needs texts in two languages, got en"),
        ("en\tsw\none\n", r"a\.tsv:2: expected 2 columns \(en sw\) with tabs between, got 1"),
        ("en\n", "a.tsv:1: expected a header row of language codes"),
        ("en\tzh\tzho\n", "a.tsv:1: a language comes twice in the header"),
        ("one sentence\tsentensi moja\n", "a.tsv:1: unknown language 'one sentence'"),
        ("en\tsw\n", "no rows"),
    ],
)
def test_bad_tsv(tmp_path, text, message):
    path = tmp_path / "a.tsv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        list(read_bitext(path))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"text": {"en": "a"}}], r"a\.jsonl:1: a row needs texts in two languages, got en"),
        ([{"texts": {}}], "a.jsonl:1: unknown field 'texts'; did you mean 'text'"),
        ([{"source": "s"}], "a.jsonl:1: no field 'text'"),
        ([{"id": 1, "text": {"en": "a", "de": "b"}}] * 2, "a.jsonl:2: id '1' comes twice"),
    ],
)
def test_bad_json_lines(tmp_path, rows, message):
    with pytest.raises(DataError, match=message):
        list(read_bitext(write_jsonl(tmp_path / "a.jsonl", rows)))
