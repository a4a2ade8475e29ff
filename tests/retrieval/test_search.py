"""Queries to answers over several languages, and what a changed index does to them."""

from __future__ import annotations

import numpy as np
import pytest

from isoglot.config.search import SearchConfig
from isoglot.data.queries import FileQuery
from isoglot.data.trec import read_run
from isoglot.errors import ConfigError, DataError
from isoglot.pipeline.searching import search_file
from isoglot.records import Passage
from isoglot.retrieval import search
from isoglot.retrieval.changes import delete_passages
from isoglot.retrieval.faiss_engine import FaissEngine
from isoglot.retrieval.opening import _newer
from isoglot.retrieval.search import Searcher
from tests.retrieval.cases import (
    MadeUpEncoder,
    index,
    normalized,
    passages,
    vectors_of,
    write_embeddings,
)

TEXTS = [*passages("sw", 40), *passages("en", 25), *passages("ar", 30)]
QUERIES = ["first question", "second question", "third question"]


@pytest.fixture
def root(tmp_path):
    index(tmp_path / "i", write_embeddings(tmp_path / "e", TEXTS))
    return tmp_path / "i"


@pytest.fixture
def searcher(root):
    return Searcher(FaissEngine.open(root), MadeUpEncoder(), reopen=_newer)


def by_score(query, texts=TEXTS, k=10):
    """Return ids and similarities of the best by comparing with every passage."""
    vectors = normalized(vectors_of([text.text for text in texts]))
    scores = vectors @ normalized(vectors_of([query]))[0]
    order = np.argsort(-scores, kind="stable")[:k]
    return [texts[row].doc_id for row in order], scores[order]


def test_by_score_the_answer_is_one_ranking_of_all_languages(searcher):
    answers = searcher.search(QUERIES, SearchConfig())
    texts = {text.doc_id: text for text in TEXTS}
    for query, hits in zip(QUERIES, answers, strict=True):
        ids, scores = by_score(query)
        assert [hit.doc_id for hit in hits] == ids
        assert np.allclose([hit.similarity for hit in hits], scores, atol=1e-6)
        assert np.allclose([hit.score for hit in hits], scores, atol=1e-6)
        for hit in hits:
            assert (hit.lang, hit.text) == (texts[hit.doc_id].lang, texts[hit.doc_id].text)


def test_many_queries_are_answered_as_each_alone(searcher, monkeypatch):
    monkeypatch.setattr(search, "_QUERIES_AT_A_TIME", 2)
    for policy in ("score", "balanced", "quota"):
        config = SearchConfig(policy=policy, k=7)
        alone = [searcher.search([query], config)[0] for query in QUERIES]
        for hits, others in zip(searcher.search(QUERIES, config), alone, strict=True):
            assert [hit.doc_id for hit in hits] == [hit.doc_id for hit in others]


@pytest.mark.parametrize("policy", ["score", "balanced", "quota"])
def test_only_the_languages_asked_for_answer(searcher, policy):
    config = SearchConfig(policy=policy, languages=("en", "ar"))
    for hits in searcher.search(QUERIES, config):
        assert len(hits) == 10
        assert {hit.lang for hit in hits} <= {"en", "ar"}


def test_a_quota_is_kept(searcher):
    config = SearchConfig(policy="quota", quota={"sw": 1, "en": 2, "ar": 3}, k=6)
    for hits in searcher.search(QUERIES, config):
        langs = [hit.lang for hit in hits]
        assert {lang: langs.count(lang) for lang in ("sw", "en", "ar")} == {
            "sw": 1,
            "en": 2,
            "ar": 3,
        }


@pytest.mark.parametrize("policy", ["score", "balanced", "quota"])
def test_words_bring_the_passages_that_have_them(searcher, policy):
    config = SearchConfig(policy=policy, words=True, k=9)
    (hits,) = searcher.search(["passage 12 word5"], config)
    assert {"sw-12", "en-12", "ar-12"} <= {hit.doc_id for hit in hits}


def test_more_than_there_is_gives_all(searcher):
    (hits,) = searcher.search(QUERIES[:1], SearchConfig(k=1000))
    assert len({hit.doc_id for hit in hits}) == len(hits) == len(TEXTS)


def test_no_query_has_no_answer(searcher):
    assert searcher.search([], SearchConfig()) == []


def test_a_language_without_passages_is_refused(searcher):
    with pytest.raises(ConfigError, match="no passages in 'fr'; the index has ar, en, sw"):
        searcher.search(QUERIES, SearchConfig(languages=("fr",)))


def test_an_empty_query_is_refused(searcher):
    with pytest.raises(DataError, match="query 2 is empty"):
        searcher.search(["a", " \n"], SearchConfig())


def test_an_index_that_lost_all_its_passages_says_so(root, searcher):
    delete_passages(root, [text.doc_id for text in TEXTS])
    assert searcher.refresh()
    with pytest.raises(DataError, match="the index has no passages; add some"):
        searcher.search(QUERIES, SearchConfig())


def test_a_refresh_brings_the_latest_passages(root, searcher):
    assert not searcher.refresh()
    ids, _ = by_score(QUERIES[0])
    delete_passages(root, ids[:1])
    (before,) = searcher.search(QUERIES[:1], SearchConfig())
    assert before[0].doc_id == ids[0]
    assert searcher.refresh()
    (after,) = searcher.search(QUERIES[:1], SearchConfig())
    kept = [text for text in TEXTS if text.doc_id != ids[0]]
    assert [hit.doc_id for hit in after] == by_score(QUERIES[0], kept)[0]


FILE = [FileQuery("1", "sw", QUERIES[0]), FileQuery("2", "sw", QUERIES[1])]


def test_a_file_of_queries_becomes_a_run(searcher, tmp_path):
    langs = search_file(searcher, FILE, SearchConfig(k=5), tmp_path / "all.trec")
    run = read_run(tmp_path / "all.trec")
    assert [row.doc_id for row in run] == [
        doc_id for query in QUERIES[:2] for doc_id in by_score(query, k=5)[0]
    ]
    assert sum(langs.values()) == 10


def test_a_folder_gets_a_run_per_query_language(searcher, tmp_path):
    queries = [*FILE, FileQuery("1", "en", QUERIES[2])]
    search_file(searcher, queries, SearchConfig(k=5), tmp_path / "runs")
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["en.trec", "sw.trec"]
    (first, *_) = read_run(tmp_path / "runs" / "en.trec")
    assert (first.query_id, first.doc_id) == ("1", by_score(QUERIES[2])[0][0])


@pytest.mark.parametrize(
    ("queries", "output", "message"),
    [
        ([FileQuery("1", None, "a")], "runs", "query '1' does not say its language; name it with"),
        ([FileQuery("a b", "sw", "a")], "r.trec", "query id 'a b' is empty or has white space"),
        (
            [FileQuery("1", "sw", "a"), FileQuery("1", "en", "a")],
            "r.trec",
            "query id '1' comes in several languages; give a folder",
        ),
    ],
)
def test_queries_that_make_no_run_are_refused(searcher, tmp_path, queries, output, message):
    with pytest.raises((ConfigError, DataError), match=message):
        search_file(searcher, queries, SearchConfig(), tmp_path / output)
    assert not (tmp_path / output).exists()


def test_an_index_that_was_deleted_and_made_again_is_opened(root, searcher, tmp_path):
    import shutil

    shutil.rmtree(root)
    index(root, write_embeddings(tmp_path / "f", passages("sw", 5, first=90)))
    assert searcher.refresh()
    assert not searcher.refresh()
    assert dict(searcher.sizes) == {"sw": 5}


def test_samples_are_looked_at_once(root):
    drawn = []

    class Counting(FaissEngine):
        def sample(self, lang):
            drawn.append(lang)
            return super().sample(lang)

    searcher = Searcher(Counting.open(root), MadeUpEncoder())
    for policy in ("score", "balanced", "quota"):
        assert len(searcher.search(QUERIES, SearchConfig(policy=policy))) == 3
    assert sorted(drawn) == ["ar", "en", "sw"]


def test_a_run_keeps_the_order_of_equal_scores(tmp_path):
    same = [Passage(f"sw-{number}", "sw", "the same text") for number in range(5)]
    index(tmp_path / "i", write_embeddings(tmp_path / "e", [*same, *passages("en", 3)]))
    searcher = Searcher(FaissEngine.open(tmp_path / "i"), MadeUpEncoder())
    queries = [FileQuery("1", "sw", "the same text")]
    search_file(searcher, queries, SearchConfig(), tmp_path / "all.trec")
    lines = [line.split() for line in (tmp_path / "all.trec").read_text().splitlines()]
    (hits,) = searcher.search(["the same text"], SearchConfig())
    assert [line[2] for line in lines] == [hit.doc_id for hit in hits]
    scores = np.array([float(line[4]) for line in lines], dtype=np.float32)
    assert (np.diff(scores) < 0).all()
    assert np.allclose(scores, [hit.score for hit in hits], atol=1e-6)
