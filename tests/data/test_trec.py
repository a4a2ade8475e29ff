import random
import string

import ir_measures
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isoglot.data.trec import read_qrels, read_run, read_topics, write_run
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


def test_a_run_is_written_by_score_then_doc_id_descending(tmp_path):
    path = tmp_path / "out" / "a.run"
    results = [
        ScoredDoc("q2", "d1", 0.5),
        ScoredDoc("q1", "a", 1.0),
        ScoredDoc("q1", "c", 0.25),
        ScoredDoc("q1", "b", 1.0),
    ]
    write_run(path, results, tag="t")
    assert path.read_text() == (
        "q2 Q0 d1 1 0.5 t\nq1 Q0 b 1 1.0 t\nq1 Q0 a 2 1.0 t\nq1 Q0 c 3 0.25 t\n"
    )


word = st.text(string.ascii_letters + string.digits + ":#_/", min_size=1, max_size=8)


@given(st.dictionaries(st.tuples(word, word), st.floats(allow_nan=False, allow_infinity=False)))
def test_runs_round_trip(tmp_path_factory, scores):
    path = tmp_path_factory.mktemp("run") / "a.run"
    results = [ScoredDoc(query, doc, score) for (query, doc), score in scores.items()]
    write_run(path, results)
    if results:
        assert sorted(read_run(path)) == sorted(results)


def test_ir_measures_reads_our_run(tmp_path):
    random.seed(0)
    results = [ScoredDoc("q", f"d{i}", random.random()) for i in range(20)]
    write_run(tmp_path / "a.run", results)
    theirs = {r.doc_id: r.score for r in ir_measures.read_trec_run(str(tmp_path / "a.run"))}
    assert theirs == {r.doc_id: r.score for r in results}


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


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (ScoredDoc("q 1", "d", 0.0), "the query id 'q 1' is empty or has white space"),
        (ScoredDoc("q", "", 0.0), "the doc id '' is empty"),
        (ScoredDoc("q", "d", float("inf")), "gives passage 'd' the score inf"),
    ],
)
def test_results_that_a_run_cannot_hold(tmp_path, result, message):
    with pytest.raises(DataError, match=message):
        write_run(tmp_path / "a.run", [result])
    assert not list(tmp_path.iterdir())
