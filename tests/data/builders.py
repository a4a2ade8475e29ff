"""Small files in the layouts under test."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


def write_json(path: Path, value: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False), "utf-8")
    return path


def lareqa_paragraph(sentences: list[str], answers: Mapping[str, int]) -> dict[str, Any]:
    """Make a paragraph of sentences joined by spaces; ``answers``: question id -> sentence."""
    breaks, start = [], 0
    for sentence in sentences:
        breaks.append([start, start + len(sentence)])
        start += len(sentence) + 1
    return {
        "context": " ".join(sentences),
        "sentences": sentences,
        "sentence_breaks": breaks,
        "qas": [
            {
                "id": question_id,
                "question": f"question {question_id}?",
                "answers": [{"answer_start": breaks[place][0], "text": sentences[place]}],
            }
            for question_id, place in answers.items()
        ],
    }


def squad(*paragraphs: Mapping[str, Any]) -> dict[str, Any]:
    return {"version": "1", "data": [{"title": "t", "paragraphs": list(paragraphs)}]}
