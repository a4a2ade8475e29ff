"""Queries to search with, from files."""

from __future__ import annotations

import pytest

from isoglot.data.queries import FileQuery, read_queries
from isoglot.errors import ConfigError, DataError


def write(path, *lines):
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_topics_have_the_language_that_names_their_file_or_none(tmp_path):
    assert read_queries(write(tmp_path / "sw.tsv", "1\tNani aliandika?", "2\tWapi?")) == [
        FileQuery("1", "sw", "Nani aliandika?"),
        FileQuery("2", "sw", "Wapi?"),
    ]
    assert read_queries(write(tmp_path / "topics.tsv", "1\tWho wrote?"))[0].lang is None


def test_json_lines_may_name_their_languages(tmp_path):
    path = write(
        tmp_path / "q.jsonl",
        '{"query_id": "1", "text": "Who?", "lang": "eng"}',
        '{"_id": 1, "query": "Nani?", "lang": "sw"}',
        '{"id": "2", "text": "Qui ?"}',
    )
    assert read_queries(path, "fra") == [
        FileQuery("1", "en", "Who?"),
        FileQuery("1", "sw", "Nani?"),
        FileQuery("2", "fr", "Qui ?"),
    ]


@pytest.mark.parametrize(
    ("name", "lines", "message"),
    [
        ("q.jsonl", ['{"text": "Who?"}'], r"q\.jsonl:1: no 'query_id' or '_id' or 'id'; found"),
        ("q.jsonl", ['{"id": "1"}'], r"q\.jsonl:1: no 'text' or 'query'; found id"),
        ("q.jsonl", ['{"id": "1", "text": " "}'], r"q\.jsonl:1: text"),
        ("q.jsonl", ['{"id": "1", "text": "a"}'] * 2, r"q\.jsonl:2: query id '1' comes twice"),
        ("q.jsonl", [], "no queries"),
        ("q.tsv", ["1 Who?"], r"q\.tsv:1: expected a query id, a tab and the text"),
        ("q.tsv", [], "no topics"),
    ],
)
def test_malformed_files_are_refused(tmp_path, name, lines, message):
    with pytest.raises(DataError, match=message):
        read_queries(write(tmp_path / name, *lines))


def test_unknown_languages_are_refused(tmp_path):
    path = write(tmp_path / "q.jsonl", '{"id": "1", "text": "a", "lang": "klingonian"}')
    with pytest.raises((ConfigError, DataError), match="unknown language 'klingonian'"):
        read_queries(path)
    with pytest.raises((ConfigError, DataError), match="--lang: unknown language 'xx-'"):
        read_queries(path, "xx-")
