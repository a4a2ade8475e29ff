import pytest

from isoglot.data.trec import read_qrels, read_run, read_topics
from isoglot.errors import DataError
from isoglot.records import Qrel, Query, ScoredDoc


def write(path, text):
    path.write_text(text, "utf-8")
    return path


def test_qrels_with_tabs_or_spaces(tmp_path):
    path = write(tmp_path / "q.tsv", "1\tQ0\tdoc one\t0\r\n1 0  d2 2\n\n")
    assert read_qrels(path, "swa") == [Qrel("1", "sw", "doc one", 0), Qrel("1", "sw", "d2", 2)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 0 d\n", r"q\.tsv:1: expected 4 columns \(query_id 0 doc_id relevance\), got 3"),
        ("1 0 a 1\n1 0 d yes\n", "q.tsv:2: the relevance must be a whole number .* got 'yes'"),
        ("1 0 a 1\n1 0 a 0\n", "q.tsv:2: passage 'a' is judged twice for query '1'"),
        ("\n", "no judgments"),
    ],
)
def test_bad_qrels(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_qrels(write(tmp_path / "q.tsv", text), "en")


def test_topics(tmp_path):
    path = write(tmp_path / "t.tsv", "\ufeff1\tJe, mji\tmkuu?\r\n2\tNani?\n")
    assert read_topics(path, "sw") == [
        Query("1", "sw", "Je, mji\tmkuu?"),
        Query("2", "sw", "Nani?"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 what\n", "t.tsv:1: expected a query id, a tab and the text, got '1 what'"),
        ("1\t \n", "t.tsv:1: query '1' has an empty text"),
        ("1\ta\n1\tb\n", "t.tsv:2: query id '1' comes twice"),
        ("", "no topics"),
    ],
)
def test_bad_topics(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_topics(write(tmp_path / "t.tsv", text), "en")


def test_a_run_in_the_order_of_its_file(tmp_path):
    path = write(tmp_path / "a.run", "q2 Q0 d 1 0.5 t\nq1\tQ0\td e\t1\t1e-3\tt\n\n")
    assert read_run(path) == [ScoredDoc("q2", "d", 0.5), ScoredDoc("q1", "d e", 0.001)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("q Q0 d 1 0.5\n", r"a\.run:1: expected 6 columns .* got 5"),
        ("q Q0 d 1 nan t\n", "a.run:1: the score must be a finite number, got 'nan'"),
        ("q Q0 d 1 x t\n", "got 'x'"),
        ("q Q0 d 1 1 t\nq Q0 d 2 0 t\n", "a.run:2: passage 'd' comes twice for query 'q'"),
        ("", "no results"),
    ],
)
def test_bad_runs(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_run(write(tmp_path / "a.run", text))
