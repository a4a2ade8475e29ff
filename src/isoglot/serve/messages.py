"""Requests and answers of the API, as OpenAPI describes them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from typing_extensions import Self

from isoglot.config.search import MOST_RESULTS, Policy
from isoglot.config.serve import ALL_COMPARED, MOST_COMPARED, QUERY_CHARACTERS
from isoglot.errors import ConfigError
from isoglot.languages import normalize_language

__all__ = [
    "Agreement",
    "CompareAnswer",
    "CompareRequest",
    "Compared",
    "IndexAnswer",
    "LanguageCount",
    "Limits",
    "PolicyAnswer",
    "Question",
    "QuestionsAnswer",
    "Result",
    "SearchAnswer",
    "SearchRequest",
    "Shared",
    "State",
    "TranslatedQuery",
]

_MOST_LANGUAGES = 200
_MOST_MS = 1e9


def _language(code: str) -> str:
    try:
        return normalize_language(code)
    except ConfigError:
        raise ValueError("is no language; use an ISO 639-1 code such as sw") from None


def _text(text: str) -> str:
    if not text.strip():
        raise ValueError("has no words")
    return text


# Patterns are for readers of OpenAPI; the functions above say in words what is wrong.
Code = Annotated[
    str,
    Field(
        max_length=35,
        examples=["sw"],
        json_schema_extra={"pattern": "^[A-Za-z]{2,3}([-_][A-Za-z0-9]+)*$"},
    ),
    AfterValidator(_language),
]
QueryText = Annotated[
    str,
    Field(
        min_length=1,
        max_length=QUERY_CHARACTERS,
        examples=["How does milk turn into yoghurt?"],
        json_schema_extra={"pattern": r"\S"},
    ),
    AfterValidator(_text),
]
Codes = Annotated[list[Code], Field(min_length=1, max_length=_MOST_LANGUAGES)]
Count = Annotated[int, Field(ge=1, le=MOST_RESULTS)]
Direction = Literal["ltr", "rtl", "auto"]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class _Request(_Message):
    model_config = ConfigDict(strict=True)


class _Wanted(_Request):
    """What a search and a comparison have in common."""

    k: Count = 10
    """Passages per query."""
    policy: Policy | None = None
    """``score``: one ranking by similarity. ``balanced``: the more passages of a language there
    are, the more similar the next one must be. ``quota``: so many passages per language. Default:
    the service's, see ``/index``."""
    languages: Codes | None = None
    """Languages of passages; default: all."""
    quota: Count | Annotated[dict[Code, Count], Field(min_length=1)] | None = None
    """With policy ``quota``: passages per language, or by language; default: equal shares."""
    balance: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)] | None = None
    """With policy ``balanced``: what the second passage of a language pays, in standard deviations
    of the query's scores; default: that of ``isoglot search``."""
    words: bool = False
    """Fuse the ranking of every language with its BM25 ranking."""


class SearchRequest(_Wanted):
    """One query."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"query": "How does milk turn into yoghurt?", "k": 10, "policy": "balanced"},
                {"query": "Maziwa hugeukaje kuwa mtindi?", "languages": ["sw", "en"]},
            ]
        }
    )

    query: QueryText
    query_language: Code | None = None
    """Language of the query; not needed to search, only to count the results in it."""


class TranslatedQuery(_Request):
    """One of the queries to compare."""

    query: QueryText
    language: Code | None = None
    """Its language."""


class CompareRequest(_Wanted):
    """One question in several languages."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "queries": [
                        {"language": "en", "query": "How does milk turn into yoghurt?"},
                        {"language": "sw", "query": "Maziwa hugeukaje kuwa mtindi?"},
                    ],
                    "k": 10,
                    "policy": "score",
                }
            ]
        }
    )

    queries: Annotated[list[TranslatedQuery], Field(min_length=1, max_length=MOST_COMPARED)]

    @model_validator(mode="after")
    def _limit_passages(self) -> Self:
        passages = len(self.queries) * self.k
        if passages > ALL_COMPARED:
            raise ValueError(
                f"{len(self.queries)} queries and k {self.k} are {passages:,} passages; allowed: "
                f"{ALL_COMPARED:,}"
            )
        return self


class LanguageFacts(_Message):
    """A language, for people who do not know its code."""

    language: Annotated[str, Field(examples=["ar"])]
    name: Annotated[str, Field(examples=["Arabic"])]
    """In English; the code where it is not known."""
    direction: Direction


class Result(_Message):
    """One passage."""

    rank: Annotated[int, Field(ge=1)]
    doc_id: str
    language: str
    name: str
    """Of the language, in English."""
    direction: Direction
    """In which the language is written; ``auto``, as in HTML, where the language is not known."""
    text: str
    """Empty if the index keeps no texts."""
    score: float | None
    """What the policy ranked by; null where it is no number."""
    similarity: float | None
    """Of the passage's vector and the query's."""


class LanguageCount(LanguageFacts):
    """Passages of a language."""

    passages: Annotated[int, Field(ge=1)]


class _Answered(_Message):
    query_language: str | None
    results: list[Result]
    languages: list[LanguageCount]
    """Results by language, most first."""
    own_language: int | None
    """Results in the language of the query, if it was given."""


class SearchAnswer(_Answered):
    """The passages of a query, best first."""

    policy: Policy
    took_ms: Annotated[float, Field(ge=0, le=_MOST_MS)]
    """Waiting, encoding and searching."""


class Compared(_Answered):
    """The passages of one of the queries."""

    query: str


class Shared(_Message):
    """A passage that several queries found."""

    doc_id: str
    queries: list[int]
    """Which ones, counted from 0."""


class Agreement(_Message):
    """How much the answers have in common."""

    shared: list[Shared]
    """Passages of two queries or more, those of most queries first."""
    in_all: Annotated[int, Field(ge=0)]
    """Passages that every query found."""
    overlap: Annotated[float, Field(ge=0, le=1)] | None
    """Share of passages that two answers have in common, averaged over all pairs of queries; null
    for a single query, or if nothing was found."""


class CompareAnswer(_Message):
    """The answers side by side, in the order of the queries."""

    answers: list[Compared]
    agreement: Agreement
    policy: Policy
    took_ms: Annotated[float, Field(ge=0, le=_MOST_MS)]


class PolicyAnswer(_Message):
    """A way to share the answer among languages."""

    policy: Policy
    name: str
    meaning: str


class Limits(_Message):
    """What a request may ask for."""

    results: int = MOST_RESULTS
    query_characters: int = QUERY_CHARACTERS
    compared: int = MOST_COMPARED
    compared_results: int = ALL_COMPARED
    """Of all queries of a comparison together."""


class IndexAnswer(_Message):
    """What is searched, and how."""

    languages: list[LanguageCount]
    """Passages by language, sorted by code."""
    passages: int
    encoder: str
    """Name of the model that encodes."""
    has_words: bool
    """Whether ``words`` may be asked for."""
    policies: list[PolicyAnswer]
    default_policy: Policy
    limits: Limits
    generation: int
    """Counts from 1 up whenever the index was found changed."""
    version: str
    """Of isoglot."""


class Question(_Message):
    """An example, with its translations."""

    id: str
    text: dict[str, str]
    """By language."""


class QuestionsAnswer(_Message):
    """Examples to try."""

    questions: list[Question]
    languages: list[LanguageFacts]
    """The languages they are in."""


class State(_Message):
    """Whether the service is there."""

    status: Literal["ok", "starting"]
