"""Every format gives the same passages, and what is wrong is named with its place."""

import gzip
import json
import tracemalloc

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from isoglot.data.passages import LanguageReport, PassageOptions, read_passages
from isoglot.errors import ConfigError, DataError, DownloadError
from isoglot.records import Passage
from tests.data.builders import write_jsonl

ROWS = [
    {"docid": "a", "title": "Tógò", "text": "orile-ede ni Iwoorun", "lang": "yor"},
    {"docid": "b", "title": "", "text": "面包 und – Brot\u2028", "lang": "de"},
    {"docid": "c", "title": "only a title", "text": "", "lang": "en"},
]
PASSAGES = [
    Passage("a", "yo", "Tógò orile-ede ni Iwoorun"),
    Passage("b", "de", "面包 und – Brot\u2028"),
    Passage("c", "en", "only a title"),
]


def read(source, report=None, **options):
    return list(read_passages(str(source), PassageOptions(**options), report))


def write_tsv(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    content = "".join("\t".join(line) + "\n" for line in lines).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def write_parquet(path, rows=ROWS, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path, **options)
    return path


def test_every_format_gives_the_same_passages(tmp_path):
    write_jsonl(tmp_path / "a.jsonl", ROWS)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress((tmp_path / "a.jsonl").read_bytes()))
    (tmp_path / "c.json").write_bytes((tmp_path / "a.jsonl").read_bytes())
    write_parquet(tmp_path / "d.parquet", row_group_size=1)
    lines = [list(ROWS[0]), *(list(row.values()) for row in ROWS)]
    for name in ("e.tsv", "f.tsv.gz"):
        write_tsv(tmp_path / name, *lines)
    for path in sorted(tmp_path.iterdir()):
        assert read(path) == PASSAGES, path.name


def test_data_sets_of_the_hub_s_library(tmp_path):
    datasets = pytest.importorskip("datasets")
    dataset = datasets.Dataset.from_list(ROWS)
    dataset.save_to_disk(tmp_path / "one")
    datasets.DatasetDict({"dev": dataset}).save_to_disk(tmp_path / "many")
    assert read(tmp_path / "one") == read(tmp_path / "many", split="dev") == PASSAGES
    with pytest.raises(DataError, match="no split 'train'; the splits here are dev"):
        read(tmp_path / "many")
    with pytest.raises(DataError, match=r"one: no column 'body'; the columns here are docid"):
        read(tmp_path / "one", text_column="body")
    with pytest.raises(DownloadError, match="nobody/nothing: no such file or folder, and not to"):
        read("nobody/nothing")


def test_columns_of_other_names(tmp_path):
    row = {"key": 7, "head": "h", "body": "b", "tongue": "sw", "id": "x", "text": "y", "lang": "de"}
    names = {
        "id_column": "key", "title_column": "head", "text_column": "body", "lang_column": "tongue"
    }  # fmt: skip
    for path in (write_jsonl(tmp_path / "a.jsonl", [row]), write_parquet(tmp_path / "b.pq", [row])):
        if path.suffix == ".pq":
            path = path.rename(path.with_suffix(".parquet"))
        assert read(path, **names) == [Passage("7", "sw", "h b")]
        assert read(path, **names, passage_text="text") == [Passage("7", "sw", "b")]
    beir = {"_id": "1", "contents": "c", "metadata": {"lang": "fr"}}
    assert read(write_jsonl(tmp_path / "c.jsonl", [beir])) == [Passage("1", "fr", "c")]


def test_tables_without_a_header_hold_ids_and_texts(tmp_path):
    path = write_tsv(tmp_path / "collection.tsv", ["0", 'a "quoted" text'], ["1", "another"])
    assert read(path, lang="en") == [
        Passage("0", "en", 'a "quoted" text'),
        Passage("1", "en", "another"),
    ]


def test_rows_without_ids_are_called_by_file_and_number(tmp_path):
    rows = [{"text": "one"}, {"text": "two"}]
    write_jsonl(tmp_path / "de" / "my file.jsonl", rows)
    write_parquet(tmp_path / "fr" / "b.parquet", rows)
    ids = [passage.doc_id for passage in read(tmp_path)]
    assert ids == [
        "de:de/my_file.jsonl:1",
        "de:de/my_file.jsonl:2",
        "fr:fr/b.parquet:0",
        "fr:fr/b.parquet:1",
    ]


def test_ids_have_their_language_before_them_where_files_are_named_by_language(tmp_path):
    for lang in ("de", "sw"):
        write_jsonl(tmp_path / lang / "corpus.jsonl", [{"docid": "1#0", "text": lang}])
    assert read(tmp_path) == [Passage("de:1#0", "de", "de"), Passage("sw:1#0", "sw", "sw")]
    assert [passage.doc_id for passage in read(tmp_path, prefix_ids=False)] == ["1#0", "1#0"]
    path = write_jsonl(tmp_path / "x.jsonl", [{"id": 1, "text": "t", "lang": "ha"}])
    assert read(path, prefix_ids=True) == [Passage("ha:1", "ha", "t")]


def test_which_language_counts(tmp_path):
    rows = [{"id": n, "text": "t", "lang": lang} for n, lang in enumerate(["fr", None, "", "und"])]
    path = write_jsonl(tmp_path / "sw.jsonl", rows)
    report = LanguageReport()
    assert [passage.lang for passage in read(path, report)] == ["fr", "sw", "sw", "sw"]
    assert report.known_by == {"fr": {"column": 1}, "sw": {"name": 3}}
    report = LanguageReport()
    assert [passage.lang for passage in read(path, report, lang="deu")] == ["fr", "de", "de", "de"]
    assert report.known_by == {"fr": {"column": 1}, "de": {"option": 3}}


def test_rows_without_a_text_are_passed_over_and_counted(tmp_path):
    rows = [{"id": n, "title": None, "text": text} for n, text in enumerate(["a", None, " \n", ""])]
    path = write_jsonl(tmp_path / "a.jsonl", rows)
    report = LanguageReport()
    assert read(path, report, lang="en") == [Passage("0", "en", "a")]
    assert (report.empty, report.empty_examples) == (3, [f"{path}:{line}" for line in (2, 3, 4)])
    assert report.lines() == [
        "1 passages in 1 languages: en 1",
        f"rows without a text, passed over: 3 ({path}:2, {path}:3, {path}:4)",
    ]


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (
            [{"id": 1, "body": "x"}],
            {},
            r"a.jsonl:2: no column 'text' or 'contents'; the columns here are id",
        ),
        (
            [{"text": "x"}],
            {"id_column": "key"},
            r"a.jsonl:2: no column 'key'; the columns here are",
        ),
        ([{"texts": "x"}], {}, r"did you mean 'texts'\?; say which one it is as text_col"),
        ([{"id": 1, "text": 3}], {}, r"a.jsonl:2: text must be a text, got 3"),
        ([{"id": None, "text": "x"}], {}, r"a.jsonl:2: id: expected a text, got null"),
        ([{"id": 1.5, "text": "x"}], {}, r"a.jsonl:2: id: expected a text, got the number 1.5"),
        (
            [{"id": 1, "text": "x", "lang": "quux9"}],
            {},
            r"a.jsonl:2: unknown language 'quux9'; use",
        ),
        (
            [{"id": 1, "text": "x", "lang": 3}],
            {},
            r"a.jsonl:2: expected a code such as 'sw', got 3",
        ),
        ([{"id": 1, "text": "\ud800"}], {}, r"a.jsonl:2: the text holds half of a surrogate pair"),
        (
            [{"id": 1, "text": "x"}],
            {"lang": None, "detect": False},
            r"a.jsonl:2: the language is not known; add a column 'lang', name one language",
        ),
    ],
)
def test_bad_rows(tmp_path, rows, options, message):
    path = tmp_path / "a.jsonl"
    path.write_text("\n" + "".join(json.dumps(row) + "\n" for row in rows))  # from line 2
    with pytest.raises(DataError, match=message):
        read(path, **{"lang": "en", **options})


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([["id", "text"], ["1", "a", "b"]], r"a.tsv:2: expected 2 columns \(id text\) with tabs"),
        ([["1", "a"], ["2"]], r"a.tsv:2: expected 2 columns \(id text\) with tabs between, got 1"),
        (
            [["docid", "passage"]],
            r"a.tsv:1: no column 'text' or 'contents'; the columns here are",
        ),
        (
            [["1", "a", "b"]],
            r"a.tsv:1: no column 'text' or 'contents'; the columns here are 1",
        ),
        ([["only"]], r"a.tsv:1: no column 'text'"),
        ([["id", "text", "text"]], r"a.tsv:1: column 'text' comes twice; rename or remove one"),
    ],
)
def test_bad_tables(tmp_path, lines, message):
    with pytest.raises(DataError, match=message):
        read(write_tsv(tmp_path / "a.tsv", *lines), lang="en")


def test_bad_parquet_files(tmp_path):
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1 no more")
    with pytest.raises(DataError, match=r"a.parquet: cannot be read as Parquet \(.*\); fetch it"):
        read(path)
    write_parquet(path, [{"id": "1", "body": "x"}])
    with pytest.raises(DataError, match=r"a.parquet: no column 'text' or 'contents'"):
        read(path)
    write_parquet(
        path, [{"id": "1", "text": "x", "lang": "en"}, {"id": "2", "text": "y", "lang": "q1"}]
    )
    with pytest.raises(DataError, match=r"a.parquet: row 1: unknown language 'q1'"):
        read(path)
    bad = pa.array([b"fine", b"\xff\xfe"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"id": ["1", "2"], "text": bad}), path)
    with pytest.raises(DataError, match=r"a.parquet: a text from row 0 on is not UTF-8"):
        read(path, lang="en")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lang": "quux9"}, "unknown language 'quux9'"),
        ({"detect_among": ("en", "quux9")}, "unknown language 'quux9'"),
        ({"passage_text": "both"}, "passage_text 'both' is unknown; allowed: title text, text"),
        ({"check_share": 2}, "check_share must be from 0 to 1, got 2"),
        ({"replace_stated": True, "check": True}, "replace_stated needs every stated language"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ConfigError, match=message):
        PassageOptions(**options)


def test_memory_does_not_grow_with_a_parquet_file(tmp_path):
    path = tmp_path / "large.parquet"
    text = "x" * 1000
    rows = {"id": list(range(20_000)), "text": [f"{n} {text}" for n in range(20_000)]}
    pq.write_table(
        pa.table(rows), path, row_group_size=20_000, compression="none", use_dictionary=False
    )
    del rows
    before = pa.total_allocated_bytes()
    most, count = 0, 0
    tracemalloc.start()
    try:
        for _ in read_passages(str(path), PassageOptions(lang="en")):
            count += 1
            most = max(most, pa.total_allocated_bytes() - before)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 20_000 and path.stat().st_size > 20e6
    assert peak + most < 8e6


def test_real_miracl_has_the_passages_of_the_collection(shared_data):
    from isoglot.data.miracl import read_miracl

    collection = read_miracl(shared_data / "miracl-mini", langs=["yo"], any_split=True)
    (expected,) = {passage for passage in collection.passages if passage.doc_id == "yo:10015#0"}
    report = LanguageReport()
    stream = read_passages(str(shared_data / "miracl-mini"), PassageOptions(), report)
    found = [passage for passage in stream if passage.lang == "yo"]
    assert found == list(collection.passages) and expected in found
    assert len(report.passages) == 18 and sum(report.passages.values()) == 80_971
