from collections import Counter

import pytest

from isoglot.data.benchmarks import load_benchmark
from isoglot.data.lareqa import read_lareqa
from isoglot.data.published_counts import LAREQA_COUNTS
from isoglot.errors import ConfigError, DataError
from tests.data.builders import lareqa_paragraph, squad, write_json


@pytest.fixture
def folder(tmp_path):
    """Like MLQA-R: question 1 is in three languages, 2 in two, 3 in English alone."""
    one = lareqa_paragraph(["A one.", "A two."], {"1": 1, "3": 0})
    two = lareqa_paragraph(["B one.", "B two.", "A one."], {"2": 2})
    write_json(tmp_path / "en.json", squad(one, two))
    write_json(tmp_path / "de.json", squad(lareqa_paragraph(["Eins.", "Zwei."], {"1": 0, "2": 1})))
    write_json(tmp_path / "ar.json", squad(lareqa_paragraph(["واحد."], {"1": 0})))
    (tmp_path / "README.json").write_text("{}")
    return tmp_path


def relevant(collection):
    found = {}
    for qrel in collection.qrels:
        found.setdefault((qrel.query_lang, qrel.query_id), set()).add(qrel.doc_id)
    return found


def test_relevant_passages_are_the_answers_in_every_language(folder):
    collection = read_lareqa(folder, name="x")
    assert collection.query_langs == ("ar", "de", "en")
    assert [p.doc_id for p in collection.passages if p.lang == "en"] == [
        "en_0_0",
        "en_0_1",
        "en_1_0",
        "en_1_1",
        "en_1_2",
    ]  # equal texts (en_0_0, en_1_2) stay apart, paragraphs are numbered over the file
    first = {"ar_0_0", "de_0_0", "en_0_1"}
    second = {"de_0_1", "en_1_2"}
    assert relevant(collection) == {
        ("ar", "1"): first,
        ("de", "1"): first,
        ("en", "1"): first,
        ("de", "2"): second,
        ("en", "2"): second,
        ("en", "3"): {"en_0_0"},
    }
    assert sorted(collection.sources) == ["ar.json", "de.json", "en.json"]
    assert collection.options == {"candidates": "sentence"}


def test_languages_can_be_chosen(folder):
    collection = read_lareqa(folder, langs=["deu", "en"])
    assert collection.passage_langs == ("de", "en")
    assert relevant(collection)["en", "1"] == {"de_0_0", "en_0_1"}
    with pytest.raises(DataError, match=r"no file fr\.json; the languages here are ar, de, en"):
        read_lareqa(folder, langs=["fr"])


def test_sentence_with_paragraph(folder):
    collection = read_lareqa(folder, langs=["de"], candidates="sentence-with-paragraph")
    assert collection.passages[1].text == "Zwei. Eins. Zwei."
    assert collection.options == {"candidates": "sentence-with-paragraph"}
    with pytest.raises(ConfigError, match=r"candidates 'sentense' is unknown; allowed: .*did you"):
        read_lareqa(folder, candidates="sentense")


def write_answer(folder, start, breaks=((0, 4), (5, 9)), sentences=("One.", "Two.")):
    paragraph = {
        "context": "One. Two. ",
        "sentences": list(sentences),
        "sentence_breaks": [list(pair) for pair in breaks],
        "qas": [{"id": "q", "question": "?", "answers": [{"answer_start": start}]}],
    }
    write_json(folder / "en.json", squad(paragraph))
    return folder


@pytest.mark.parametrize(
    ("start", "sentence"),
    [(0, "en_0_0"), (3, "en_0_0"), (5, "en_0_1"), (8, "en_0_1"), (4, "en_0_1")],
)
def test_the_end_of_a_sentence_is_not_in_it(tmp_path, start, sentence):
    collection = read_lareqa(write_answer(tmp_path, start))
    assert [qrel.doc_id for qrel in collection.qrels] == [sentence]


@pytest.mark.parametrize("start", [-1, 9, 10, 99])
def test_answers_outside_every_sentence(tmp_path, start):
    with pytest.raises(DataError, match=rf"qas\[0\]: the answer at {start} lies in no sentence"):
        read_lareqa(write_answer(tmp_path, start))


def test_an_answer_in_text_that_no_sentence_covers(tmp_path):
    with pytest.raises(DataError, match="the answer at 1 lies in no sentence"):
        read_lareqa(write_answer(tmp_path, 1, breaks=((0, 1), (5, 9))))


def test_a_blank_sentence_stays_in_the_pool(tmp_path):
    collection = read_lareqa(write_answer(tmp_path, 5, sentences=(" ", "Two.")))
    assert [passage.text for passage in collection.passages] == [" ", "Two."]
    assert collection.options["blank_passages"] == "1"


def test_malformed_paragraphs(tmp_path, folder):
    paragraph = lareqa_paragraph(["One.", "Two."], {"q": 0})

    def message(**changed):
        write_json(tmp_path / "en.json", squad({**paragraph, **changed}))
        with pytest.raises(DataError) as caught:
            read_lareqa(tmp_path, langs=["en"])
        return str(caught.value)

    assert "expected the lists 'sentences' and 'sentence_breaks'" in message(sentences=None)
    assert "2 sentences but 1 sentence_breaks" in message(sentence_breaks=[[0, 4]])
    assert "must be [start, end], got [0]" in message(sentence_breaks=[[0], [5, 9]])
    assert "sentences must be texts" in message(sentences=["One.", 2])
    unanswered = {"id": "q", "question": "?", "answers": []}
    assert "question 'q' has no answer" in message(qas=[unanswered])
    assert "question id 'q' comes twice" in message(qas=paragraph["qas"] * 2)


def test_folders_that_hold_nothing(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError, match=r"no LANG\.json files such as en\.json; found notes\.txt"):
        read_lareqa(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        read_lareqa(tmp_path / "none")


def test_xquad_r(shared_data):
    collection = load_benchmark("xquad-r", data_dir=shared_data / "xquad-r")
    assert len(collection.queries) == 13_090
    assert len(collection.passages) == 13_014
    per_query = Counter((qrel.query_lang, qrel.query_id) for qrel in collection.qrels)
    assert len(per_query) == 13_090
    assert set(per_query.values()) == {11}
    assert Counter(p.lang for p in collection.passages) == {
        lang: counts.passages for lang, counts in LAREQA_COUNTS["xquad-r"].items()
    }
    assert "blank_passages" not in collection.options
    # 8,519 of the candidates answer some question, as published.
    assert len({qrel.doc_id for qrel in collection.qrels}) == 8_519


def test_published_totals():
    for name, queries, passages in (("xquad-r", 13_090, 13_014), ("mlqa-r", 4_199, 20_534)):
        counts = LAREQA_COUNTS[name].values()
        assert sum(count.queries for count in counts) == queries
        assert sum(count.passages for count in counts) == passages
