"""Read the SQuAD layout: articles, paragraphs, questions with answer spans.

``{"data": [{"paragraphs": [{"context": ..., "qas": [{"id", "question", "answers"}]}]}]}``. A file
is in one language and does not say which, so the caller does. LAReQA's extension is in
``lareqa.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from isoglot.data.files import ask_id, ask_language, ask_text, read_json
from isoglot.errors import DataError
from isoglot.records import Group

__all__ = ["Paragraph", "Question", "SquadFile", "read_paragraphs", "read_squad"]


class Question(NamedTuple):
    """A question on a paragraph; without answer starts it cannot be answered there (SQuAD 2)."""

    question_id: str
    text: str
    answer_starts: tuple[int, ...]
    where: str
    """Place in the file, for errors."""


class Paragraph(NamedTuple):
    """A context and its questions; ``fields`` are the paragraph's JSON fields as they stand."""

    context: str
    questions: tuple[Question, ...]
    fields: dict[str, Any]
    where: str


class SquadFile(NamedTuple):
    """What a file holds for training: one group per answerable question."""

    groups: list[Group]
    unanswerable: int
    """Questions without an answer, which are left out."""


def read_squad(path: Path, lang: str) -> SquadFile:
    """Read question-paragraph pairs of one language.

    Raises:
        DataError: If the layout is not SQuAD's, or a question id comes twice.
    """
    lang = ask_language(lang, str(path))
    groups: dict[str, Group] = {}
    unanswerable = 0
    for paragraph in read_paragraphs(path):
        for question in paragraph.questions:
            if not question.answer_starts:
                unanswerable += 1
                continue
            if question.question_id in groups:
                raise DataError(
                    f"{question.where}: question id {question.question_id!r} comes twice; "
                    "ids must be unique in a file"
                )
            groups[question.question_id] = Group(
                question.question_id, {lang: question.text}, {lang: paragraph.context}
            )
    if not groups:
        raise DataError(f"{path}: no question with an answer ({unanswerable} without)")
    return SquadFile(list(groups.values()), unanswerable)


def read_paragraphs(path: Path) -> Iterator[Paragraph]:
    """Yield the paragraphs of all articles in their order.

    Raises:
        DataError: If the layout is not SQuAD's.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise DataError(f'{path}: not in SQuAD layout; expected {{"data": [...]}}')
    for article, where in _objects(content, "data", str(path), separator=": "):
        for fields, place in _objects(article, "paragraphs", where):
            context = ask_text(fields, "context", place)
            questions = tuple(_read_question(qa, w) for qa, w in _objects(fields, "qas", place))
            yield Paragraph(context, questions, fields, place)


def _read_question(qa: dict[str, Any], where: str) -> Question:
    answers = _objects(qa, "answers", where) if not qa.get("is_impossible") else ()
    starts = tuple(_answer_start(answer, place) for answer, place in answers)
    return Question(ask_id(qa, "id", where), ask_text(qa, "question", where), starts, where)


def _answer_start(answer: dict[str, Any], where: str) -> int:
    start = answer.get("answer_start")
    # CMRC marks with -1 an answer whose words are not in the context; the question still has its
    # paragraph.
    if not isinstance(start, int) or isinstance(start, bool) or start < -1:
        raise DataError(
            f"{where}: answer_start must be the position of the answer's first character in the "
            f"context, a whole number, got {start!r}"
        )
    return start


def _objects(
    parent: dict[str, Any], key: str, where: str, separator: str = "."
) -> list[tuple[dict[str, Any], str]]:
    """Return the objects of a list that must be there, each with its place."""
    values = parent.get(key)
    if not isinstance(values, list):
        raise DataError(f"{where}: not in SQuAD layout; expected a list {key!r}")
    places = [f"{where}{separator}{key}[{i}]" for i in range(len(values))]
    for value, place in zip(values, places, strict=True):
        if not isinstance(value, dict):
            raise DataError(f"{place}: not in SQuAD layout; expected an object in braces")
    return list(zip(values, places, strict=True))
