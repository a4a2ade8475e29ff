"""Example questions from a file."""

import json

import pytest

from isoglot.errors import DataError
from isoglot.serve.questions import MOST_QUESTIONS, embedded_questions, read_questions

GOOD = {"id": "moon", "text": {"en": " Why does the moon change? ", "zh-Hans": "月亮为什么会变？"}}


def write(path, *lines):
    path.write_text("\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines), "utf-8")
    return path


def test_questions_are_read_with_the_languages_of_the_project(tmp_path):
    (question,) = read_questions(write(tmp_path / "q.jsonl", "", GOOD, ""))
    assert question.id == "moon"
    assert question.text == {"en": "Why does the moon change?", "zh": "月亮为什么会变？"}


def test_only_ends_of_lines_end_a_line(tmp_path):
    line = '{"id": "x", "text": {"en": "one\u2028two\u0085three"}}\r'
    (question,) = read_questions(write(tmp_path / "q.jsonl", line))
    assert question.text == {"en": "one\u2028two\u0085three"}


def test_the_embedded_ones_are_there_in_many_languages():
    questions = embedded_questions()
    assert len(questions) == 48
    assert all(len(question.text) == 12 for question in questions)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "q.jsonl:2: not JSON; expected"),
        ("[" * 100_000, "q.jsonl:2: not JSON; expected"),
        ("[]", "q.jsonl:2: no id; expected"),
        ({"text": {"en": "a"}}, "q.jsonl:2: no id; expected"),
        ({"id": "x", "text": "a"}, "q.jsonl:2: no text by language; expected"),
        ({"id": "x", "text": {"en": " "}}, "q.jsonl:2: the text in 'en' is not one of 1 to 2,000"),
        ({"id": "x", "text": {"qqq1": "a"}}, "q.jsonl:2: unknown language 'qqq1'"),
        (GOOD, "q.jsonl:2: the id 'moon' is there twice; give each its own"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(tmp_path, line, said):
    with pytest.raises(DataError, match=said.replace("(", r"\(")):
        read_questions(write(tmp_path / "q.jsonl", GOOD, line))


def test_a_file_without_questions_or_with_too_many_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"empty\.jsonl: no questions; expected lines such as"):
        read_questions(write(tmp_path / "empty.jsonl", ""))
    many = [{**GOOD, "id": str(n)} for n in range(MOST_QUESTIONS + 1)]
    with pytest.raises(DataError, match="101 questions; the page offers 100 at most"):
        read_questions(write(tmp_path / "many.jsonl", *many))


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(DataError, match="no such file with questions"):
        read_questions(tmp_path / "missing.jsonl")
    (tmp_path / "latin.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="has to be UTF-8"):
        read_questions(tmp_path / "latin.jsonl")
