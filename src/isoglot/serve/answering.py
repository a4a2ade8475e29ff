"""From what a search found to what the API says."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, cast

from isoglot.config.search import Policy
from isoglot.languages import UNDETERMINED
from isoglot.reporting.html.names import language_name, text_direction
from isoglot.serve.messages import (
    Agreement,
    Compared,
    Direction,
    LanguageCount,
    LanguageFacts,
    Result,
    SearchAnswer,
    Shared,
    TranslatedQuery,
)
from isoglot.serve.searches import Found

__all__ = ["agreement", "compared", "language_counts", "language_facts", "search_answer"]


def language_facts(lang: str) -> LanguageFacts:
    """Return name and direction of a language."""
    return LanguageFacts(language=lang, name=language_name(lang), direction=_direction(lang))


def language_counts(counts: Mapping[str, int]) -> list[LanguageCount]:
    """Return counts with the names of their languages, in their order."""
    return [
        LanguageCount(
            language=lang, name=language_name(lang), direction=_direction(lang), passages=count
        )
        for lang, count in counts.items()
    ]


def search_answer(
    found: Sequence[Found], query_language: str | None, policy: Policy, took_s: float
) -> SearchAnswer:
    """Return the answer to one query."""
    answered = _answered(found, query_language)
    return SearchAnswer(**answered, policy=policy, took_ms=round(took_s * 1000, 2))


def compared(query: TranslatedQuery, found: Sequence[Found]) -> Compared:
    """Return the answer to one of several queries."""
    return Compared(**_answered(found, query.language), query=query.query)


def agreement(answers: Sequence[Sequence[str]]) -> Agreement:
    """Say what some answers have in common.

    The overlap of two answers is the number of passages in both, divided by the length of the
    longer one.

    Args:
        answers: Ids of the passages of every query.
    """
    sets = [set(answer) for answer in answers]
    holders: dict[str, list[int]] = {}
    for number, answer in enumerate(answers):
        for doc_id in dict.fromkeys(answer):
            holders.setdefault(doc_id, []).append(number)
    several = [(doc_id, numbers) for doc_id, numbers in holders.items() if len(numbers) > 1]
    several.sort(key=lambda item: -len(item[1]))
    overlaps = [
        len(one & other) / max(len(one), len(other))
        for one, other in combinations(sets, 2)
        if one or other
    ]
    return Agreement(
        shared=[Shared(doc_id=doc_id, queries=numbers) for doc_id, numbers in several],
        in_all=sum(len(numbers) == len(answers) for _, numbers in several),
        overlap=sum(overlaps) / len(overlaps) if overlaps else None,
    )


def _answered(found: Sequence[Found], query_language: str | None) -> dict[str, Any]:
    counts = Counter(hit.lang for hit in found)
    return {
        "query_language": query_language,
        "results": [_result(rank, hit) for rank, hit in enumerate(found, start=1)],
        "languages": language_counts(_most_first(counts.items())),
        "own_language": None if query_language is None else counts[query_language],
    }


def _result(rank: int, hit: Found) -> Result:
    return Result.model_construct(
        rank=rank,
        doc_id=_sendable(hit.doc_id),
        language=hit.lang,
        name=language_name(hit.lang),
        direction=_direction(hit.lang),
        text=_sendable(hit.text),
        score=_number(hit.score),
        similarity=_number(hit.similarity),
    )


def _most_first(counts: Iterable[tuple[str, int]]) -> dict[str, int]:
    return dict(sorted(counts, key=lambda item: (-item[1], item[0])))


def _number(value: float) -> float | None:
    """Return a number that JSON has; a query without any known word can score as none."""
    return float(value) if math.isfinite(value) else None


def _sendable(text: str) -> str:
    """Replace halves of characters, which UTF-8 cannot carry."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _direction(lang: str) -> Direction:
    return "auto" if lang == UNDETERMINED else cast("Direction", text_direction(lang))
