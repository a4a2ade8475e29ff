"""A collection finds what brute force finds, one language at a time, and survives what may happen.

Milvus Lite is the server: real, in this process, over the same client and protocol as a cluster.
"""

import builtins
import itertools
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from isoglot.config.search import SearchConfig
from isoglot.errors import ArtifactError, ConfigError, DataError
from isoglot.records import Passage
from isoglot.retrieval.engine import SAMPLE
from isoglot.retrieval.milvus import MilvusEngine, choose_index, load_embeddings
from isoglot.retrieval.milvus.collection import Loading, search_params
from isoglot.retrieval.milvus.connection import Connection, parse_target
from isoglot.retrieval.milvus.entities import draw, has_ids, in_language
from isoglot.retrieval.opening import open_engine
from isoglot.retrieval.search import Searcher
from isoglot.retrieval.sources import open_sources
from tests.retrieval.cases import (
    DIM,
    MadeUpEncoder,
    normalized,
    origin,
    passages,
    vectors_of,
    write_embeddings,
)

pytest.importorskip("pymilvus")
pytest.importorskip("milvus_lite")

SIZES = {"ar": 30, "de": 140, "sw": 7, "zh": 1}
HOSTILE = (
    'q"uote',
    "q'uote",
    "back\\",
    '\\"',
    '"] or lang != "',
    '"]//',
    "%_*",
    "{ids}",
    "日本語",
    "e\u0301",
    "\N{PILE OF POO}",
    "\u202egnirts",
    "\x01\x00",
    "x" * 1024,
)
NAMES = (f"c{number}" for number in itertools.count())


@pytest.fixture(scope="module", autouse=True)
def impatience():
    """Have pymilvus ask more often than twice a second whether a collection is ready."""
    sleep = time.sleep
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.sleep", lambda seconds: sleep(min(seconds, 0.01)))
        yield


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    return tmp_path_factory.mktemp("milvus") / "test.db"


@pytest.fixture
def target(database):
    return f"{database}#{next(NAMES)}"


@pytest.fixture
def empty(target):
    """A complete collection without passages."""
    engine = MilvusEngine.create(target, origin(), 0)
    load_embeddings(engine, [], lambda line: None)
    return engine


@pytest.fixture(scope="module")
def filled(database, tmp_path_factory):
    """One with passages in four languages, opened for search."""
    texts = [passage for lang, size in SIZES.items() for passage in passages(lang, size)]
    folder = write_embeddings(tmp_path_factory.mktemp("embeddings"), texts)
    load(f"{database}#filled", folder)
    return MilvusEngine.open(f"{database}#filled")


def load(target, folder, report=lambda line: None):
    made_by, sources = open_sources(folder)
    engine = MilvusEngine.create(target, made_by, sum(source.rows for source in sources))
    sent = load_embeddings(engine, sources, report)
    return engine, sent


def own_vectors(texts):
    return normalized(vectors_of([passage.text for passage in texts]))


def add(engine, lang, texts):
    engine.add(lang, texts, own_vectors(texts))


def queries(count=5):
    return normalized(vectors_of([f"query {number}" for number in range(count)]))


def found(engine, lang, k=1000):
    keys = engine.search(lang, queries(1), k).keys
    return {passage.doc_id: passage.text for passage in engine.passages(lang, keys[0])}


@pytest.mark.parametrize("k", [1, 7, 1000])
@pytest.mark.parametrize("lang", SIZES)
def test_every_language_is_searched_as_by_brute_force(filled, lang, k):
    texts = passages(lang, SIZES[lang])
    scores = queries() @ own_vectors(texts).T
    best = np.argsort(-scores, axis=1)[:, :k]
    candidates = filled.search(lang, queries(), k)
    assert candidates.keys.shape == candidates.scores.shape == best.shape
    assert candidates.keys.tolist() == [[texts[place].doc_id for place in row] for row in best]
    np.testing.assert_allclose(
        candidates.scores, np.take_along_axis(scores, best, axis=1), atol=1e-6
    )
    assert candidates.scores.dtype == np.float32


def test_every_language_answers_where_grouping_by_milvus_loses_some(empty):
    # 300 passages in one language are nearer to the query than any in four others.
    query = queries(1)
    near = passages("en", 300)
    empty.add("en", near, np.repeat(query, 300, axis=0))
    for lang in ("fi", "sw", "te", "yo"):
        add(empty, lang, passages(lang, 20))
    empty.flush()
    grouped = empty._connection.call(
        "search",
        data=list(query),
        limit=10,
        group_by_field="lang",
        group_size=10,
        output_fields=["lang"],
    )
    langs = {hit["entity"]["lang"] for hit in grouped[0]}
    answers = {lang: empty.search(lang, query, 10) for lang in empty.languages}
    assert sorted(answers) == ["en", "fi", "sw", "te", "yo"]
    for lang, candidates in answers.items():
        assert np.isfinite(candidates.scores).all()
        assert candidates.scores.shape == (1, 10)
        assert all(doc_id.startswith(lang) for doc_id in candidates.keys[0])
    assert langs <= set(answers)  # Milvus' own grouping may have fewer, and is never asked


def test_sizes_are_counted_by_language(filled):
    assert dict(filled.sizes) == SIZES
    assert filled.languages == sorted(SIZES)
    assert filled.search("xx", queries(), 3).scores.shape == (5, 0)
    assert len(filled.sample("xx")) == 0


def test_named_passages_are_scored(filled):
    texts = passages("de", SIZES["de"])
    scores = queries() @ own_vectors(texts).T
    rows = np.random.default_rng(0).integers(0, len(texts), (5, 40))
    keys = np.array([[texts[row].doc_id for row in line] for line in rows], dtype=object)
    expected = np.take_along_axis(scores, rows, axis=1)
    keys[0, :3] = ["", "nobody", "\ud800"]
    expected[0, :3] = -np.inf
    np.testing.assert_allclose(filled.score("de", queries(), keys), expected, atol=1e-6)
    assert filled.score("de", queries(), keys[:, :0]).shape == (5, 0)


def test_more_ids_than_one_request_takes(filled, monkeypatch):
    monkeypatch.setattr("isoglot.retrieval.milvus.engine._IDS_AT_A_TIME", 9)
    monkeypatch.setattr("isoglot.retrieval.milvus.engine._QUERIES_AT_A_TIME", 2)
    candidates = filled.search("de", queries(), 100)
    scores = filled.score("de", queries(), candidates.keys)
    np.testing.assert_allclose(scores, candidates.scores, atol=1e-6)
    assert len(filled.known(candidates.keys.ravel())) == len(set(candidates.keys.ravel()))


def test_passages_are_returned_in_the_order_asked_for(filled):
    keys = np.array(["de-3", "gone", "de-0", "de-3", ""], dtype=object)
    text = "passage {} word{} in de".format
    assert filled.passages("de", keys) == [
        Passage("de-3", "de", text(3, 3)),
        Passage("gone", "de", ""),
        Passage("de-0", "de", text(0, 0)),
        Passage("de-3", "de", text(3, 3)),
        Passage("", "de", ""),
    ]


def test_a_small_language_is_its_own_sample(filled):
    for lang, size in SIZES.items():
        sample = filled.sample(lang)
        assert sample.shape == (size, DIM)
        expected = own_vectors(sorted(passages(lang, size), key=lambda p: draw(p.doc_id)))
        np.testing.assert_allclose(sample, expected, atol=1e-6)
        assert filled.sample(lang) is sample


def test_a_sample_is_drawn_at_random_and_always_the_same(empty, monkeypatch):
    monkeypatch.setattr("isoglot.retrieval.milvus.engine.SAMPLE", 50)
    texts = passages("de", 600)
    add(empty, "de", texts)
    drawn = sorted(texts, key=lambda p: draw(p.doc_id))[:50]
    np.testing.assert_allclose(empty.sample("de"), own_vectors(drawn), atol=1e-6)
    add(empty, "de", passages("de", 10, first=600))
    later = sorted(passages("de", 610), key=lambda p: draw(p.doc_id))[:50]
    np.testing.assert_allclose(empty.sample("de"), own_vectors(later), atol=1e-6)


def test_a_sample_goes_on_where_the_first_draws_were_too_few(empty, monkeypatch):
    monkeypatch.setattr("isoglot.retrieval.milvus.engine.SAMPLE", 50)
    monkeypatch.setattr(
        "isoglot.retrieval.milvus.entities.draw", lambda doc_id: draw(doc_id) // 2 + (1 << 31)
    )
    add(empty, "de", passages("de", 600))
    assert len(empty.sample("de")) == 50


def test_draws_are_spread_evenly():
    draws = np.array([draw(f"de-{number}") for number in range(4000)]) / 2**32
    assert draws.min() >= 0
    assert draws.max() < 1
    assert np.abs(np.histogram(draws, 10, (0, 1))[0] - 400).max() < 90
    assert SAMPLE == 1024


def test_a_passage_is_replaced_in_its_language_and_in_another(empty):
    add(empty, "de", passages("de", 4))
    empty.flush()
    add(empty, "de", [Passage("de-1", "de", "new text")])
    assert found(empty, "de")["de-1"] == "new text"
    assert dict(empty.sizes) == {"de": 4}
    add(empty, "sw", [Passage("de-1", "sw", "maandishi mapya")])
    assert dict(empty.sizes) == {"de": 3, "sw": 1}
    assert found(empty, "sw") == {"de-1": "maandishi mapya"}
    assert "de-1" not in found(empty, "de")
    empty.flush()
    add(empty, "de", [Passage("de-1", "de", "back")])
    assert dict(empty.sizes) == {"de": 4}
    assert found(empty, "de")["de-1"] == "back"


def test_of_passages_that_share_an_id_the_last_counts(empty):
    add(
        empty, "de", [Passage("a", "de", "one"), Passage("b", "de", "b"), Passage("a", "de", "two")]
    )
    assert found(empty, "de") == {"a": "two", "b": "b"}


def test_passages_are_deleted(empty):
    add(empty, "de", passages("de", 5))
    add(empty, "sw", passages("sw", 2))
    assert empty.delete(["de-1", "nobody", "de-3", "de-1", "sw-0", "sw-1"]) == 4
    assert empty.delete(["de-1"]) == 0
    assert empty.delete([]) == 0
    assert dict(empty.sizes) == {"de": 3}
    assert sorted(found(empty, "de")) == ["de-0", "de-2", "de-4"]


def test_no_id_breaks_out_of_a_filter(empty):
    bystanders = passages("de", 3)
    add(empty, "de", bystanders)
    hostile = [Passage(doc_id, "xx", f"text {number}") for number, doc_id in enumerate(HOSTILE)]
    add(empty, "xx", hostile)
    assert found(empty, "xx") == {passage.doc_id: passage.text for passage in hostile}
    for passage in hostile:
        assert empty.known([passage.doc_id]) == {passage.doc_id}
        keys = np.array([passage.doc_id], dtype=object)
        assert empty.passages("xx", keys) == [passage]
        score = empty.score("xx", own_vectors([passage]), keys[None])
        assert score == pytest.approx(1, abs=1e-6)
        assert empty.delete([passage.doc_id]) == 1
    assert dict(empty.sizes) == {"de": 3}
    assert empty.delete(["\ud800", "", "\n", 'de-0", "de-1']) == 0
    assert dict(empty.sizes) == {"de": 3}


def test_no_language_breaks_out_of_a_filter(empty):
    add(empty, "de", passages("de", 3))
    for lang in ('de" or lang != "', "de\\", '"', "'"):
        assert empty.search(lang, queries(), 5).scores.shape == (5, 0)
    assert in_language('"\\\n') == r'lang == "\"\\\n"'
    assert has_ids(["a", 'b"']) == r'doc_id in ["a", "b\""]'


def test_what_milvus_cannot_hold_is_refused_and_nothing_is_added(empty):
    good = Passage("good", "de", "good")
    for bad, message in (
        (Passage("x" * 1025, "de", "t"), r"the id has 1,025 bytes, and Milvus keeps 1,024; split"),
        (Passage("x", "de", "ä" * 32768), r"passage 'x': the text has 65,536 bytes, and .* 65,535"),
        (Passage("x", "de", "\ud800"), r"passage 'x': the text is no Unicode text"),
    ):
        with pytest.raises(DataError, match=message):
            empty.add("de", [good, bad], np.zeros((2, DIM), np.float32))
    with pytest.raises(DataError, match="1 passages, and 2 vectors; give as many"):
        empty.add("de", [good], np.zeros((2, DIM), np.float32))
    assert dict(empty.sizes) == {}
    add(empty, "de", [Passage("long", "de", "ä" * 32767)])
    assert found(empty, "de") == {"long": "ä" * 32767}


def test_vectors_of_another_dimension_are_refused(filled):
    message = r"holds vectors of 16 numbers, not \(1, 8\); encode with 'made-up'"
    wrong = np.zeros((1, 8), np.float32)
    with pytest.raises(ConfigError, match=message):
        filled.search("de", wrong, 5)
    with pytest.raises(ConfigError, match=message):
        filled.score("de", wrong, np.array([["de-0"]], dtype=object))
    with pytest.raises(ConfigError, match=message):
        filled.add("de", passages("de", 1), wrong)


def test_words_are_not_kept(filled):
    assert not filled.has_words
    with pytest.raises(
        ConfigError, match=r"#filled: a collection of Milvus has no words to search"
    ):
        filled.search_words("de", ["word"], 5)


def test_a_searcher_uses_it_as_any_engine(database, tmp_path):
    load(str(database), write_embeddings(tmp_path, [*passages("de", 20), *passages("sw", 9)]))
    searcher = Searcher(open_engine(str(database)), MadeUpEncoder())
    for policy in ("score", "balanced", "quota"):
        hits = searcher.search(["passage 3 word3 in de"], SearchConfig(k=8, policy=policy))[0]
        assert len(hits) == 8
        assert {hit.lang for hit in hits} == {"de", "sw"}
        assert Passage("de-3", "de", "passage 3 word3 in de") in [hit[:3] for hit in hits]


def test_what_is_loaded_is_what_was_encoded(target, tmp_path):
    texts = [*passages("de", 120), *passages("sw", 3)]
    lines = []
    engine, sent = load(target, write_embeddings(tmp_path, texts), lines.append)
    assert sent == 123
    assert found(engine, "de") == {p.doc_id: p.text for p in texts[:120]}
    assert lines[0].endswith("index FLAT (exact; Milvus Lite, for tests and small collections)")
    assert lines[1:] == ["de: 120 passages", "sw: 3 passages"]
    assert MilvusEngine.open(target).origin == origin()


def test_a_second_load_adds_and_replaces(target, tmp_path):
    load(target, write_embeddings(tmp_path / "one", passages("de", 60)))
    texts = [Passage("de-5", "sw", "sasa"), *passages("de", 2, first=60)]
    engine, sent = load(target, write_embeddings(tmp_path / "two", texts))
    assert sent == 3
    assert dict(engine.sizes) == {"de": 61, "sw": 1}


def test_a_killed_load_goes_on_where_it_stopped(target, tmp_path, monkeypatch):
    monkeypatch.setattr("isoglot.retrieval.milvus.loading._STEP_ROWS", 10)
    monkeypatch.setattr("isoglot.retrieval.milvus.loading._STEPS_PER_RECORD", 2)
    folder = write_embeddings(tmp_path, [*passages("ar", 20), *passages("de", 55)])
    with monkeypatch.context() as patch:
        kill_at(patch, "upsert", 6)
        with pytest.raises(KeyboardInterrupt):
            load(target, folder)
    with pytest.raises(
        ArtifactError,
        match=r"loading of collection 'c\d+' was not finished \(passages so far: 20 in ar, 20 in de"
        r"\); run the same isoglot index again, it continues there",
    ):
        MilvusEngine.open(target)
    lines = []
    engine, sent = load(target, folder, lines.append)
    assert sent == 35
    assert "ar: 20 of 20 are there from before" in lines
    assert "de: 20 of 55 are there from before" in lines
    assert dict(engine.sizes) == {"ar": 20, "de": 55}
    assert sorted(found(MilvusEngine.open(target), "de")) == sorted(
        passage.doc_id for passage in passages("de", 55)
    )


@pytest.mark.parametrize(
    ("method", "killed_at"),
    [
        *(("upsert", number) for number in (1, 3, 6)),
        *(("alter_collection_properties", number) for number in range(1, 8)),
        ("flush", 1),
    ],
)
def test_wherever_a_load_is_killed_every_passage_is_there_once(
    method, killed_at, target, tmp_path, monkeypatch
):
    monkeypatch.setattr("isoglot.retrieval.milvus.loading._STEP_ROWS", 2)
    monkeypatch.setattr("isoglot.retrieval.milvus.loading._STEPS_PER_RECORD", 2)
    folder = write_embeddings(tmp_path, [*passages("de", 7), *passages("sw", 5)])
    with monkeypatch.context() as patch:
        kill_at(patch, method, killed_at)
        try:
            load(target, folder)
        except KeyboardInterrupt:
            with pytest.raises(ArtifactError, match="was not finished"):
                MilvusEngine.open(target)
    engine, _ = load(target, folder)
    assert dict(engine.sizes) == {"de": 7, "sw": 5}
    assert len(found(engine, "de")) == 7


def test_other_embeddings_do_not_go_on_where_these_stopped(target, tmp_path, monkeypatch):
    monkeypatch.setattr("isoglot.retrieval.milvus.loading._STEP_ROWS", 10)
    monkeypatch.setattr("isoglot.retrieval.milvus.loading._STEPS_PER_RECORD", 1)
    with monkeypatch.context() as patch:
        kill_at(patch, "upsert", 3)
        with pytest.raises(KeyboardInterrupt):
            load(target, write_embeddings(tmp_path / "one", passages("de", 40)))
    _, sent = load(target, write_embeddings(tmp_path / "two", passages("de", 30)))
    assert sent == 30


def test_a_load_that_lost_passages_is_not_complete(target, tmp_path, monkeypatch):
    folder = write_embeddings(tmp_path, [*passages("de", 9), *passages("sw", 3)])
    call = Connection.call

    def lose(self, method, **options):
        if method == "upsert" and options["data"][0]["lang"] == "de":
            options["data"] = options["data"][1:]
        return call(self, method, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Connection, "call", lose)
        with pytest.raises(ArtifactError, match=r"has 8 of 9 passages in 'de'; run the same"):
            load(target, folder)
    with pytest.raises(ArtifactError, match=r"was not finished \(passages so far: 3 in sw\)"):
        MilvusEngine.open(target)
    engine, sent = load(target, folder)
    assert sent == 9
    assert dict(engine.sizes) == {"de": 9, "sw": 3}


def test_a_process_that_was_killed_loses_nothing_it_recorded(tmp_path):
    folder = write_embeddings(tmp_path / "embeddings", passages("de", 60))
    target = str(tmp_path / "killed.db")
    code = f"""
import os
from pathlib import Path
from isoglot.retrieval.milvus import MilvusEngine, load_embeddings, loading
from isoglot.retrieval.milvus.connection import Connection
from isoglot.retrieval.sources import open_sources
loading._STEP_ROWS, loading._STEPS_PER_RECORD = 20, 1
call = Connection.call
def killed(self, method, **options):
    if method == "upsert" and options["data"][0]["doc_id"] == "de-40":
        os._exit(9)
    return call(self, method, **options)
Connection.call = killed
origin, sources = open_sources(Path({str(folder)!r}))
load_embeddings(MilvusEngine.create({target!r}, origin, 60), sources, print)
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 9
    engine, sent = load(target, folder)
    assert sent == 20
    assert dict(engine.sizes) == {"de": 60}


def kill_at(patch, method, number):
    """Interrupt the process when a method is called for the ``number``-th time."""
    calls = itertools.count(1)
    call = Connection.call

    def killed(self, name, **options):
        if name == method and next(calls) == number:
            raise KeyboardInterrupt
        return call(self, name, **options)

    patch.setattr(Connection, "call", killed)


def test_many_threads_search_while_passages_are_added(empty):
    add(empty, "de", passages("de", 50))
    alone = empty.search("de", queries(), 10)

    def search(_):
        return empty.search("de", queries(), 10), dict(empty.sizes), empty.sample("de")

    with ThreadPoolExecutor(4) as threads:
        answers = threads.map(search, range(20))
        for number in range(5):
            add(empty, "sw", passages("sw", 5, first=5 * number))
        for candidates, sizes, sample in answers:
            assert candidates.keys.tolist() == alone.keys.tolist()
            assert sizes["de"] == len(sample) == 50
    assert dict(empty.sizes) == {"de": 50, "sw": 25}


def test_what_another_client_adds_is_counted_after_a_while(empty, target, monkeypatch):
    other = MilvusEngine.open(target)
    assert dict(other.sizes) == {}
    add(empty, "fi", passages("fi", 3))
    monkeypatch.setattr(other._connection, "is_lite", False)
    assert dict(other.sizes) == {}
    monkeypatch.setattr("isoglot.retrieval.milvus.engine._COUNTS_S", 0.0)
    assert dict(other.sizes) == {"fi": 3}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"identity": "1" * 64, "model": "another"}, r"made with model 'made-up', .* 'another'"),
        ({"dim": 8}, r"made with dim 16, the new embeddings with 8"),
        ({"passage_prompt": "p: "}, r"passage_prompt '', the new embeddings with 'p: '"),
        ({"similarity": "dot"}, r"made with similarity 'cosine', the new embeddings with 'dot'"),
    ],
)
def test_vectors_of_another_encoder_are_refused(filled, database, change, message):
    with pytest.raises(ArtifactError, match=message + ".*name another collection"):
        MilvusEngine.create(f"{database}#filled", origin(**change), 10)
    same = MilvusEngine.create(f"{database}#filled", origin(dtype="float16", shard_size=9), 10)
    assert same.origin == filled.origin


def test_a_collection_that_is_not_there(filled, database, tmp_path):
    with pytest.raises(ArtifactError, match=r"no collection 'nobody'; make it with isoglot index"):
        MilvusEngine.open(f"{database}#nobody")
    with pytest.raises(ArtifactError, match=r"none\.db: no such file; make it with isoglot index"):
        MilvusEngine.open(str(tmp_path / "none.db"))
    assert not list(tmp_path.iterdir())


def test_a_collection_of_others_is_refused(filled, database):
    filled._connection._client.create_collection("others", dimension=4)
    for open_it in (
        lambda: MilvusEngine.open(f"{database}#others"),
        lambda: MilvusEngine.create(f"{database}#others", origin(), 1),
    ):
        with pytest.raises(
            ArtifactError, match=r"'others' was not made by this version of isoglot"
        ):
            open_it()


def test_a_collection_of_another_version_is_refused(empty, target):
    record = empty.record.to_json().replace("isoglot milvus 1", "isoglot milvus 9")
    empty._connection.call("alter_collection_properties", properties={"isoglot": record})
    with pytest.raises(ArtifactError, match="was not made by this version of isoglot"):
        MilvusEngine.open(target)


def test_a_record_is_read_as_written(empty):
    record = replace(empty.record.with_language("sw").with_language("de"), complete=True)
    record = record.with_loading("de", Loading("key", 5)).with_loading("de", Loading("key", 7))
    assert record.languages == ("de", "sw")
    assert type(record).from_json(record.to_json()) == record


def test_a_database_is_open_in_one_process(filled, database, tmp_path):
    code = (
        "from isoglot.retrieval.milvus import MilvusEngine\n"
        "from isoglot.errors import ArtifactError\n"
        f"try: MilvusEngine.open({str(database)!r})\n"
        "except ArtifactError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Milvus Lite cannot open it; another process may have it open" in done.stdout
    assert done.stderr == ""


def test_a_database_in_no_folder(tmp_path):
    with pytest.raises(ArtifactError, match=r"x\.db: there is no folder .*nowhere; make it first"):
        MilvusEngine.create(str(tmp_path / "nowhere" / "x.db"), origin(), 1)


@pytest.mark.parametrize(
    "target",
    ["folder", "ftp://host", "http://host:99999", "http://host:port", "http://[", "host:19530"],
)
def test_what_is_no_address(target):
    with pytest.raises(ConfigError, match=r"is no address of Milvus; give http://HOST:19530"):
        MilvusEngine.open(target)


def test_an_address_names_a_collection():
    assert parse_target("http://h:1") == ("http://h:1", "isoglot")
    assert parse_target("https://h/db#news_2024") == ("https://h/db", "news_2024")
    for name in ("a b", "1a", "a-b", "a" * 256, '"'):
        with pytest.raises(ConfigError, match=r"is no name of a collection; use letters, digits"):
            parse_target(f"http://h#{name}")


def test_a_server_that_is_not_there_is_reported_within_seconds(monkeypatch):
    monkeypatch.setattr("isoglot.retrieval.milvus.connection._CONNECT_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        start = time.monotonic()
        with pytest.raises(ArtifactError, match=r"no Milvus answers there; check the address") as e:
            MilvusEngine.open(f"http://root:secret@127.0.0.1:{port}")
        assert time.monotonic() - start < 5
        assert str(e.value).startswith(f"http://127.0.0.1:{port}: ")
    with pytest.raises(ArtifactError, match="no Milvus answers there"):
        MilvusEngine.create(f"http://127.0.0.1:{port}", origin(), 1)


@pytest.fixture
def strict_server():
    """A server that lets nobody in."""
    grpc = pytest.importorskip("grpc")

    class Refuse(grpc.GenericRpcHandler):
        def service(self, details):
            def answer(request, context):
                if details.method.endswith("Connect") and self.lets_connect:
                    from pymilvus.grpc_gen import milvus_pb2

                    return milvus_pb2.ConnectResponse().SerializeToString()
                context.abort(self.code, "auth check failure" if self.auth else "overloaded")

            return grpc.unary_unary_rpc_method_handler(answer)

    handler = Refuse()
    handler.lets_connect, handler.auth = False, True
    handler.code = grpc.StatusCode.UNAUTHENTICATED
    handler.grpc = grpc
    server = grpc.server(ThreadPoolExecutor(2), handlers=[handler])
    handler.address = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield handler
    server.stop(0).wait()


@pytest.mark.parametrize("lets_connect", [False, True])
def test_a_token_that_is_refused(strict_server, lets_connect, monkeypatch, capfd):
    strict_server.lets_connect = lets_connect
    monkeypatch.setenv("MILVUS_TOKEN", "root:geheim")
    with pytest.raises(
        ConfigError,
        match=r"the server refuses the token in \$MILVUS_TOKEN; set \$MILVUS_TOKEN to USER:PASS",
    ) as e:
        MilvusEngine.open(strict_server.address)
    assert "geheim" not in str(e.value)
    monkeypatch.delenv("MILVUS_TOKEN")
    with pytest.raises(ConfigError, match=r"the server wants a token; set \$MILVUS_TOKEN"):
        MilvusEngine.open(strict_server.address)
    assert capfd.readouterr() == ("", "")


def test_a_server_that_does_not_answer_is_reported_within_its_time(strict_server, monkeypatch):
    strict_server.lets_connect, strict_server.auth = True, False
    strict_server.code = strict_server.grpc.StatusCode.UNAVAILABLE
    monkeypatch.setattr("isoglot.retrieval.milvus.connection._CALL_S", 0.5)
    connection = Connection(strict_server.address, "isoglot")
    start = time.monotonic()
    with pytest.raises(ArtifactError, match=r"Milvus could not describe collection \(.+\)"):
        connection.call("describe_collection", seconds=0.5)
    assert time.monotonic() - start < 5
    strict_server.code = strict_server.grpc.StatusCode.PERMISSION_DENIED
    with pytest.raises(ArtifactError, match=r"Milvus could not describe collection \(overloaded\)"):
        connection.call("describe_collection", seconds=0.5)


def test_what_is_not_installed(monkeypatch):
    real = builtins.__import__

    def missing(name, *args, **kwargs):
        if name == "pymilvus":
            raise ImportError
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ConfigError, match=r"needs pymilvus, .*pip install 'isoglot\[milvus\]'"):
        MilvusEngine.create("http://localhost:19530", origin(), 1)


def test_milvus_lite_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "milvus_lite.server_manager", None)
    with pytest.raises(ConfigError, match=r"needs milvus-lite, .*pip install 'isoglot\[milvus\]'"):
        MilvusEngine.create(str(tmp_path / "x.db"), origin(), 1)


def test_the_index_is_chosen_by_what_fits_in_memory():
    # A million vectors of 384 numbers: 1536 bytes each and 128 for the links of the graph.
    small = choose_index(1_000_000, 384, lite=False)
    assert (small.kind, dict(small.params)) == ("HNSW", {"M": 16, "efConstruction": 200})
    assert small.why == "graph; about 1.7 GB in the memory of the query nodes"
    large = choose_index(90_000_000, 768, lite=False)
    assert (large.kind, dict(large.params)) == ("IVF_SQ8", {"nlist": 2048})
    assert large.why == (
        "a byte per number; about 69.1 GB in the memory of the query nodes, a graph would need "
        "288.0 GB"
    )
    assert choose_index(90_000_000, 768, lite=True).kind == "FLAT"
    assert search_params("HNSW", 10) == {"params": {"ef": 128}}
    assert search_params("HNSW", 1000) == {"params": {"ef": 2000}}
    assert search_params("IVF_SQ8", 10) == {"params": {"nprobe": 64}}
    assert search_params("FLAT", 10) == {"params": {}}


def test_importing_it_loads_neither_pymilvus_nor_torch():
    code = (
        "import sys, isoglot.retrieval.milvus\n"
        "assert not {'pymilvus', 'grpc', 'torch', 'faiss'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_nothing_is_left_running(filled):
    assert all(thread.daemon for thread in threading.enumerate() if "grpc" in thread.name.lower())
