"""Read the LAReQA layout (XQuAD-R, MLQA-R) as a collection (arXiv 2004.05484, section 3).

A folder holds one ``LANG.json`` per language: SQuAD's layout plus, per paragraph, ``sentences`` and
``sentence_breaks`` (start and end of each sentence in the context). Every sentence of every
paragraph is a passage, equal texts included. A question's relevant passages are the sentences that
hold its answer, in every language in which its id occurs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from isoglot.data.collection import BLANK_PASSAGES, Collection
from isoglot.data.files import hash_files, language_of_name, select_languages
from isoglot.data.squad import Paragraph, Question, read_paragraphs
from isoglot.errors import ConfigError, DataError, did_you_mean
from isoglot.records import Passage, Qrel, Query

__all__ = ["CANDIDATES", "check_candidates", "find_lareqa_files", "read_lareqa"]

CANDIDATES = ("sentence", "sentence-with-paragraph")
"""What a passage's text is: the sentence, or the sentence, one space and its whole paragraph."""


class _LanguageFile(NamedTuple):
    queries: list[Query]
    passages: list[Passage]
    relevant: dict[str, list[str]]
    """Doc ids by question id."""


def read_lareqa(
    folder: Path,
    *,
    name: str = "lareqa",
    langs: Iterable[str] | None = None,
    candidates: str = "sentence",
) -> Collection:
    """Read all or some languages of a LAReQA folder.

    Args:
        folder: Holds ``LANG.json`` or ``LANG.json.gz`` files.
        name: Name of the collection.
        langs: Languages to read; default all that are there.
        candidates: One of `CANDIDATES`; recorded in the collection's options.

    Raises:
        ConfigError: If ``candidates`` is unknown.
        DataError: If a language has no file, or a file is malformed.
    """
    check_candidates(candidates)
    paths = select_languages(
        folder,
        find_lareqa_files,
        langs,
        expected="LANG.json files such as en.json",
        missing="file {lang}.json",
    )
    files = {lang: _read_language(path, lang, candidates) for lang, path in paths.items()}
    passages = [passage for file in files.values() for passage in file.passages]
    options = {"candidates": candidates}
    # The published counts include every sentence, so a blank one stays in the pool as it is.
    if blank := sum(not passage.text.strip() for passage in passages):
        options[BLANK_PASSAGES] = str(blank)
    return Collection(
        name=name,
        queries=[query for file in files.values() for query in file.queries],
        passages=passages,
        qrels=_join_by_question(files),
        sources=hash_files(paths.values(), folder),
        options=options,
    )


def find_lareqa_files(folder: Path) -> dict[str, Path]:
    """Return the ``LANG.json`` files of a folder by language."""
    found = {}
    for pattern in ("*.json.gz", "*.json"):  # the plain file wins where both are there
        for path in sorted(folder.glob(pattern)):
            if lang := language_of_name(path.name.removesuffix(pattern[1:])):
                found[lang] = path
    return dict(sorted(found.items()))


def check_candidates(candidates: str) -> None:
    """Refuse an unknown choice of candidates.

    Raises:
        ConfigError: If it is not one of `CANDIDATES`.
    """
    if candidates not in CANDIDATES:
        raise ConfigError(
            f"candidates {candidates!r} is unknown; allowed: {', '.join(CANDIDATES)}"
            f"{did_you_mean(candidates, CANDIDATES)}"
        )


def _read_language(path: Path, lang: str, candidates: str) -> _LanguageFile:
    queries: list[Query] = []
    passages: list[Passage] = []
    relevant: dict[str, list[str]] = {}
    for number, paragraph in enumerate(read_paragraphs(path)):
        sentences, breaks = _sentences(paragraph)
        doc_ids = [f"{lang}_{number}_{i}" for i in range(len(sentences))]
        suffix = f" {paragraph.context}" if candidates == "sentence-with-paragraph" else ""
        passages += [
            Passage(doc_id, lang, sentence + suffix)
            for doc_id, sentence in zip(doc_ids, sentences, strict=True)
        ]
        for question in paragraph.questions:
            if question.question_id in relevant:
                raise DataError(
                    f"{question.where}: question id {question.question_id!r} comes twice; "
                    "ids must be unique in a file"
                )
            queries.append(Query(question.question_id, lang, question.text))
            places = _answer_sentences(question, paragraph.context, breaks)
            relevant[question.question_id] = [doc_ids[i] for i in places]
    return _LanguageFile(queries, passages, relevant)


def _sentences(paragraph: Paragraph) -> tuple[list[str], list[tuple[int, int]]]:
    sentences = paragraph.fields.get("sentences")
    breaks = paragraph.fields.get("sentence_breaks")
    if not isinstance(sentences, list) or not isinstance(breaks, list):
        raise DataError(
            f"{paragraph.where}: not in LAReQA layout; expected the lists 'sentences' and "
            "'sentence_breaks' (plain SQuAD files are training data, not a benchmark)"
        )
    if len(sentences) != len(breaks):
        raise DataError(
            f"{paragraph.where}: {len(sentences)} sentences but {len(breaks)} sentence_breaks; "
            "there must be one [start, end] per sentence"
        )
    if not all(isinstance(sentence, str) for sentence in sentences):
        raise DataError(f"{paragraph.where}: sentences must be texts")
    return sentences, [_as_break(value, paragraph.where) for value in breaks]


def _as_break(value: Any, where: str) -> tuple[int, int]:  # noqa: ANN401 - a JSON value
    match value:
        case [int() as start, int() as end] if 0 <= start <= end:
            return start, end
    raise DataError(f"{where}: a sentence break must be [start, end], got {value!r}")


def _answer_sentences(question: Question, context: str, breaks: list[tuple[int, int]]) -> list[int]:
    """Return the positions of the sentences in which the answers start."""
    if not question.answer_starts:
        raise DataError(
            f"{question.where}: question {question.question_id!r} has no answer; LAReQA needs one"
        )
    found = [_sentence_at(start, context, breaks) for start in question.answer_starts]
    if None in found:
        raise DataError(
            f"{question.where}: the answer at {question.answer_starts[found.index(None)]} lies in "
            "no sentence; answer_start must be within one of the sentence_breaks"
        )
    return sorted({place for place in found if place is not None})


def _sentence_at(start: int, context: str, breaks: list[tuple[int, int]]) -> int | None:
    """Return the sentence with ``begin <= start < end``.

    Breaks leave out the white space between sentences. An answer span that begins with such white
    space has its first letter in the next sentence, and that one holds the answer.
    """
    for place, (begin, end) in enumerate(breaks):
        if begin <= start < end:
            return place
        if start < begin:
            return None if start < 0 or context[start:begin].strip() else place
    return None


def _join_by_question(files: dict[str, _LanguageFile]) -> list[Qrel]:
    everywhere: dict[str, list[str]] = defaultdict(list)
    for file in files.values():
        for question_id, doc_ids in file.relevant.items():
            everywhere[question_id] += doc_ids
    return [
        Qrel(query.query_id, query.lang, doc_id, 1)
        for file in files.values()
        for query in file.queries
        for doc_id in everywhere[query.query_id]
    ]
