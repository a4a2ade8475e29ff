"""Example questions with their translations: the embedded ones, or those of a file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from isoglot.config.serve import QUERY_CHARACTERS
from isoglot.data.mini import load_mini_groups
from isoglot.errors import DataError, IsoglotError
from isoglot.languages import normalize_language
from isoglot.serve.messages import Question

__all__ = ["MOST_QUESTIONS", "embedded_questions", "read_questions"]

MOST_QUESTIONS = 100
"""Example questions at most."""
_FORM = '{"id": "milk", "text": {"en": "How ...?", "sw": "Je, ...?"}}'


def embedded_questions() -> list[Question]:
    """Return the questions of the embedded test collection."""
    groups = load_mini_groups("evaluation")
    return [Question(id=group.group_id, text=dict(group.query)) for group in groups]


def read_questions(path: Path) -> list[Question]:
    """Read questions from JSON lines ``{"id": ..., "text": {language: text}}``.

    Raises:
        DataError: If the file cannot be read, or a line has another form or comes twice, or there
            are none or too many.
    """
    questions = list(_questions(path))
    if not questions:
        raise DataError(f"{path}: no questions; expected lines such as {_FORM}")
    if len(questions) > MOST_QUESTIONS:
        raise DataError(
            f"{path}: {len(questions)} questions; the page offers {MOST_QUESTIONS} at most"
        )
    return questions


def _questions(path: Path) -> Iterator[Question]:
    seen: set[str] = set()
    for number, line in _lines(path):
        where = f"{path}:{number}"
        question = _question(line, where)
        if question.id in seen:
            raise DataError(f"{where}: the id {question.id!r} is there twice; give each its own")
        seen.add(question.id)
        yield question


def _lines(path: Path) -> Iterable[tuple[int, str]]:
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file with questions") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error}); it has to be UTF-8") from error
    return ((number, line) for number, line in enumerate(lines, start=1) if line.strip())


def _question(line: str, where: str) -> Question:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        raise DataError(f"{where}: not JSON; expected {_FORM}") from None
    if not isinstance(values, dict) or not isinstance(values.get("id"), str | int):
        raise DataError(f"{where}: no id; expected {_FORM}")
    return Question(id=str(values["id"]), text=_texts(values.get("text"), where))


def _texts(texts: Any, where: str) -> dict[str, str]:  # noqa: ANN401 - what JSON holds
    if not isinstance(texts, dict) or not texts:
        raise DataError(f"{where}: no text by language; expected {_FORM}")
    read = {}
    for code, text in texts.items():
        if not isinstance(text, str) or not 0 < len(text.strip()) <= QUERY_CHARACTERS:
            raise DataError(
                f"{where}: the text in {code!r} is not one of 1 to {QUERY_CHARACTERS:,} characters"
            )
        try:
            read[normalize_language(code, where)] = text.strip()
        except IsoglotError as error:
            raise DataError(str(error)) from error
    return read
