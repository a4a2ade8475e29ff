"""Translated topics keep the judgments of their sources and stay apart from native topics."""

from pathlib import Path

import pytest

from isoglot.data.collection import Collection
from isoglot.data.translated import TopicsSpec, add_translated_topics, parse_topics_spec
from isoglot.errors import ConfigError, DataError
from isoglot.records import Passage, Qrel, Query

# Topic 7 is another question in each language, as in MIRACL.
COLLECTION = Collection(
    "tiny",
    [Query("7", "en", "What?"), Query("8", "en", "Who?"), Query("7", "sw", "Wapi?")],
    [Passage("en:1", "en", "x"), Passage("en:2", "en", "y"), Passage("sw:1", "sw", "z")],
    [Qrel("7", "en", "en:1", 1), Qrel("7", "en", "en:2", 0), Qrel("7", "sw", "sw:1", 1)],
    options={"split": "dev"},
)


@pytest.fixture
def topics(tmp_path):
    path = tmp_path / "topics.sw.tsv"
    path.write_text("7\tNini?\n8\tNani?\n", "utf-8")
    return path


def test_topics_and_their_judgments_are_added_under_ids_of_their_own(topics):
    collection = add_translated_topics(COLLECTION, topics, lang="swa", source_lang="en")
    assert collection.queries[:3] == COLLECTION.queries
    assert collection.queries[3:] == [Query("en:7", "sw", "Nini?"), Query("en:8", "sw", "Nani?")]
    # The native topic 7 of Swahili keeps its judgment; en:7 has both of the English topic.
    assert collection.qrels[:3] == COLLECTION.qrels
    assert collection.qrels[3:] == [Qrel("en:7", "sw", "en:1", 1), Qrel("en:7", "sw", "en:2", 0)]
    assert collection.passages is COLLECTION.passages
    assert collection.options == {"split": "dev", "translated_topics": "en:sw"}
    assert list(collection.sources) == ["translated/en:sw/topics.sw.tsv"]


def test_several_pairs(topics):
    collection = add_translated_topics(COLLECTION, topics, lang="sw", source_lang="en")
    collection = add_translated_topics(collection, topics, lang="yo", source_lang="en")
    assert collection.options["translated_topics"] == "en:sw en:yo"
    assert collection.query_langs == ("en", "sw", "yo")


def test_some_of_the_topics(topics):
    topics.write_text("8\tNani?\n")
    collection = add_translated_topics(COLLECTION, topics, lang="sw", source_lang="en")
    assert collection.queries[3:] == [Query("en:8", "sw", "Nani?")]
    assert collection.qrels == COLLECTION.qrels


def test_an_unknown_topic_is_named_with_its_line(topics):
    topics.write_text("7\tNini?\n\n9\tNani?\n")
    with pytest.raises(
        DataError, match=r"topics\.sw\.tsv:3: tiny has no topic '9' in 'en'; translate topics of"
    ):
        add_translated_topics(COLLECTION, topics, lang="sw", source_lang="en")


def test_topics_that_were_added_before(topics):
    collection = add_translated_topics(COLLECTION, topics, lang="sw", source_lang="en")
    with pytest.raises(
        DataError, match=r"sw\.tsv:1: tiny has a query 'en:7' in 'sw' already; give"
    ):
        add_translated_topics(collection, topics, lang="sw", source_lang="en")


def test_a_language_is_no_translation_of_itself(topics):
    with pytest.raises(ConfigError, match="topics in 'en' are no translation of topics in 'en'"):
        add_translated_topics(COLLECTION, topics, lang="en", source_lang="en")


def test_malformed_files_and_languages(topics, tmp_path):
    with pytest.raises(ConfigError, match=r"topics\.sw\.tsv: unknown language 'xx'"):
        add_translated_topics(COLLECTION, topics, lang="xx", source_lang="en")
    topics.write_text("7 Nini?\n")
    with pytest.raises(DataError, match=r"topics\.sw\.tsv:1: expected a query id, a tab and the"):
        add_translated_topics(COLLECTION, topics, lang="sw", source_lang="en")
    with pytest.raises(DataError, match="none: no such file"):
        add_translated_topics(COLLECTION, tmp_path / "none", lang="sw", source_lang="en")


def test_spec():
    path = Path("a:b=c.tsv")
    assert parse_topics_spec("en:swa=a:b=c.tsv") == TopicsSpec("en", "sw", path)
    assert parse_topics_spec(" en : sw = t.tsv ") == TopicsSpec("en", "sw", Path("t.tsv"))


@pytest.mark.parametrize("spec", ["", "en:sw", "en=t.tsv", "en:=t.tsv", ":sw=t.tsv", "en:sw="])
def test_specs_of_another_form(spec):
    with pytest.raises(ConfigError, match=r"expected SOURCE:LANG=FILE, such as en:sw=topics"):
        parse_topics_spec(spec)


def test_a_spec_with_an_unknown_language():
    with pytest.raises(ConfigError, match=r"translated topics 'en:xx=t': unknown language 'xx'"):
        parse_topics_spec("en:xx=t")
