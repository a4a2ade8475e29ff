import gzip

import pytest

from isoglot.data.beir import read_beir
from isoglot.errors import DataError
from isoglot.records import Passage, Qrel, Query
from tests.data.builders import write_jsonl


@pytest.fixture
def folder(tmp_path):
    write_jsonl(
        tmp_path / "corpus.jsonl",
        [
            {"_id": "d1", "title": "Title", "text": "text", "lang": "swa"},
            {"_id": "d2", "title": "", "text": "zwei", "metadata": {"lang": "de"}},
            {"_id": "d3", "text": "three", "metadata": {}},
        ],
    )
    write_jsonl(
        tmp_path / "queries.jsonl",
        [{"_id": "q1", "text": "what", "lang": "sw"}, {"_id": "q2", "text": "of another split"}],
    )
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text(
        "query-id\tcorpus-id\tscore\nq1\td1\t1\r\nq1\td2\t0\n"
    )
    return tmp_path


def test_read(folder):
    collection = read_beir(folder, lang="en", name="x")
    assert collection.passages == [
        Passage("d1", "sw", "Title text"),
        Passage("d2", "de", "zwei"),
        Passage("d3", "en", "three"),
    ]
    assert collection.queries == [Query("q1", "sw", "what")]
    assert collection.qrels == [Qrel("q1", "sw", "d1", 1), Qrel("q1", "sw", "d2", 0)]
    assert collection.options == {"passage_text": "title text", "split": "test"}
    assert sorted(collection.sources) == ["corpus.jsonl", "qrels/test.tsv", "queries.jsonl"]


def test_gzip_and_text_alone(folder):
    plain = folder / "corpus.jsonl"
    (folder / "corpus.jsonl.gz").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    assert read_beir(folder, lang="en", passage_text="text").passages[0].text == "text"


def test_unknown_language(folder):
    with pytest.raises(DataError, match=r"queries\.jsonl:2: the language is not known; .*--lang"):
        read_beir(folder)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("q1 d1 1", r"test\.tsv:1: expected 3 columns \(query-id corpus-id score\)"),
        ("q1\td1\tx", "the relevance must be a whole number"),
        ("q9\td1\t1", r"query 'q9' is not in queries\.jsonl"),
        ("q1\td9\t1", "beir: query 'q1' .* passage 'd9', which is not in the corpus"),
        ("q1\td1\t0", "no judgment has a relevance above 0"),
    ],
)
def test_bad_judgments(folder, line, message):
    (folder / "qrels" / "test.tsv").write_text(line + "\n")
    with pytest.raises(DataError, match=message):
        read_beir(folder, lang="en")


def test_missing_files(folder):
    with pytest.raises(DataError, match=r"no qrels/dev\.tsv; the splits here are test"):
        read_beir(folder, lang="en", split="dev")
    (folder / "corpus.jsonl").unlink()
    with pytest.raises(DataError, match=r"no corpus\.jsonl or corpus\.jsonl\.gz; found qrels/, q"):
        read_beir(folder, lang="en")
    with pytest.raises(DataError, match="found no such folder"):
        read_beir(folder / "none")


def test_repeated_ids(folder):
    write_jsonl(folder / "queries.jsonl", [{"_id": "q1", "text": "a"}, {"_id": "q1", "text": "b"}])
    with pytest.raises(DataError, match=r"queries\.jsonl:2: query id 'q1' comes twice"):
        read_beir(folder, lang="en")
