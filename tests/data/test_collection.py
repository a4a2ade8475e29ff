import pytest

from isoglot.data.collection import BLANK_PASSAGES, Collection
from isoglot.errors import DataError
from isoglot.records import Passage, Qrel, Query

QUERIES = [Query("1", "en", "what?"), Query("1", "sw", "nini?")]
PASSAGES = [Passage("a", "en", "that"), Passage("b", "sw", "hiyo")]
QRELS = [Qrel("1", "en", "a", 1), Qrel("1", "en", "b", 1), Qrel("1", "sw", "b", 0)]


def test_languages():
    collection = Collection("x", QUERIES, PASSAGES, QRELS)
    assert collection.query_langs == collection.passage_langs == ("en", "sw")


def test_restrict():
    part = Collection("x", QUERIES, PASSAGES, QRELS, {"f": "0"}, {"o": "1"}).restrict(["en"])
    assert (part.queries, part.passages, part.qrels) == (QUERIES[:1], PASSAGES[:1], QRELS[:1])
    assert (part.sources, part.options) == ({"f": "0"}, {"o": "1"})
    with pytest.raises(DataError, match="x: no texts in de; it has en, sw"):
        part = Collection("x", QUERIES, PASSAGES, QRELS).restrict(["de", "en"])


@pytest.mark.parametrize(
    ("queries", "passages", "qrels", "message"),
    [
        ([], PASSAGES, QRELS, "x: no queries"),
        (QUERIES, [], QRELS, "x: no passages"),
        (QUERIES, PASSAGES, [], "x: no judgment has a relevance above 0"),
        (QUERIES, PASSAGES, QRELS[2:], "x: no judgment has a relevance above 0"),
        (QUERIES * 2, PASSAGES, QRELS, r"query id '1 \(en\)' occurs more than once \(2 such ids\)"),
        (QUERIES, PASSAGES * 2, QRELS, "passage id 'a' occurs more than once"),
        (QUERIES, PASSAGES, QRELS * 2, r"judgment id '1 \(en\) a' occurs more than once"),
        ([Query("1", "en", " ")], PASSAGES, QRELS, r"query '1' has an empty text \(1 such id\)"),
        (QUERIES, [Passage("a", "en", "")], QRELS, "passage 'a' has an empty text"),
        (QUERIES[1:], PASSAGES, QRELS, r"names query '1' \(en\), which is not among the queries"),
        (QUERIES, PASSAGES[:1], QRELS, "passage 'b', which is not in the corpus"),
    ],
)
def test_inconsistent_collections(queries, passages, qrels, message):
    with pytest.raises(DataError, match=message):
        Collection("x", queries, passages, qrels)


def test_blank_passages_on_purpose():
    passages = [PASSAGES[0], Passage("b", "sw", "")]
    collection = Collection("x", QUERIES, passages, QRELS, options={BLANK_PASSAGES: "1"})
    assert collection.restrict(["en", "sw"]).passages == passages
