"""Read the MIRACL layout as a collection (arXiv 2210.09984).

Two folder layouts are known, both plain or gzip:

* one folder per language: ``LANG/corpus.jsonl``, ``LANG/topics.SPLIT.tsv`` and
  ``LANG/qrels.SPLIT.tsv``
* the published one: ``miracl-v1.0-LANG/topics/topics.miracl-v1.0-LANG-SPLIT.tsv``, qrels likewise,
  and ``miracl-corpus-v1.0-LANG/docs-*.jsonl.gz``, side by side or in ``miracl/`` and
  ``miracl-corpus/``

Passage ids repeat over languages there, so a doc id here is ``LANG:docid``. The larger corpora do
not fit in memory: with ``store`` they pass through it, language by language, to a folder of their
own.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from isoglot.data.collection import Collection
from isoglot.data.corpus import StoredPassages, find_missing_ids, store_passages
from isoglot.data.files import (
    ask_id,
    check_text,
    find_file,
    find_language_folders,
    hash_files,
    read_json_objects,
    select_languages,
)
from isoglot.data.trec import read_qrels, read_topics
from isoglot.errors import ConfigError, DataError, did_you_mean
from isoglot.records import Passage, Qrel, Query

__all__ = [
    "PASSAGE_TEXTS",
    "check_passage_text",
    "compose_passage",
    "find_miracl_languages",
    "read_miracl",
    "split_of",
]

PASSAGE_TEXTS = ("title text", "text")
"""What a passage's text is: the title, one space and the text, or the text alone."""


class _LanguageFiles(NamedTuple):
    corpus: tuple[Path, ...]
    topics: dict[str, Path]
    """Topic files by split."""
    qrels: dict[str, Path]


def read_miracl(
    folder: Path,
    *,
    name: str = "miracl",
    langs: Iterable[str] | None = None,
    split: str = "dev",
    any_split: bool = False,
    passage_text: str = "title text",
    store: Path | None = None,
    show_progress: bool = False,
) -> Collection:
    """Read all or some languages of a MIRACL folder.

    Topics without a judgment are kept; they have no relevant passage and an evaluation skips them.

    Args:
        folder: A folder in one of the two layouts.
        name: Name of the collection.
        langs: Languages to read; default all that are there.
        split: Split of topics and judgments.
        any_split: Take, for a language without ``split``, the split that it has; the options of
            the collection say which was taken for each language.
        passage_text: One of `PASSAGE_TEXTS`; recorded in the options.
        store: Keep the passages in this folder, a subfolder per language, instead of in memory. A
            language that is there, made from the same files, is not read again.
        show_progress: Show the progress of storing.

    Raises:
        ConfigError: If ``passage_text`` is unknown.
        DataError: If a language or split is not there, a file is malformed, or a judgment names a
            passage that is not in the corpus.
    """
    check_passage_text(passage_text)
    found = select_languages(
        folder,
        _find_languages,
        langs,
        expected="LANG/corpus.jsonl and no miracl-corpus-v1.0-LANG/",
        missing="files for language {lang!r}",
    )
    queries: list[Query] = []
    corpora: list[Sequence[Passage]] = []
    qrels: list[Qrel] = []
    sources: dict[str, str] = {}
    splits: dict[str, str] = {}
    for lang, files in found.items():
        splits[lang] = _choose_split(folder, lang, files, split, any_split)
        topics_path, qrels_path = files.topics[splits[lang]], files.qrels[splits[lang]]
        hashes = hash_files(files.corpus, folder)
        sources |= hashes | hash_files((topics_path, qrels_path), folder)
        read = functools.partial(_read_corpus, files.corpus, lang, passage_text)
        if store is None:
            corpora.append(list(read()))
        else:
            key = {**hashes, "passage_text": passage_text}
            what = f"{name}, {lang}"
            corpora.append(
                store_passages(store / lang, key, read, name=what, show_progress=show_progress)
            )
        queries += read_topics(topics_path, lang)
        qrels += _read_judgments(qrels_path, lang, corpora[-1])
    return Collection(
        name=name,
        queries=queries,
        passages=_join(corpora),
        qrels=qrels,
        sources=sources,
        options={
            "passage_text": passage_text,
            "splits": " ".join(f"{lang}={taken}" for lang, taken in splits.items()),
        },
    )


def find_miracl_languages(folder: Path) -> tuple[str, ...]:
    """Return the languages that a folder holds in one of the two layouts."""
    return tuple(_find_languages(folder))


def split_of(collection: Collection, lang: str) -> str:
    """Return the split that was read for a language."""
    splits = dict(part.split("=", 1) for part in collection.options["splits"].split())
    return splits[lang]


def check_passage_text(passage_text: str) -> None:
    """Refuse an unknown ``passage_text``.

    Raises:
        ConfigError: If it is not one of `PASSAGE_TEXTS`.
    """
    if passage_text not in PASSAGE_TEXTS:
        raise ConfigError(
            f"passage_text {passage_text!r} is unknown; allowed: {', '.join(PASSAGE_TEXTS)}"
            f"{did_you_mean(passage_text, PASSAGE_TEXTS)}"
        )


def compose_passage(row: Mapping[str, Any], passage_text: str, where: str) -> str:
    """Return what an encoder reads of a row: title, one space and text, or the text alone.

    Raises:
        DataError: If a field is no text, or there is nothing to read.
    """
    title = _optional_text(row, "title", where) if passage_text == "title text" else ""
    text = _optional_text(row, "text", where)
    return check_text(f"{title} {text}" if title and text else title or text, where)


def _optional_text(row: Mapping[str, Any], key: str, where: str) -> str:
    value = row.get(key) or ""
    if not isinstance(value, str):
        raise DataError(f"{where}: {key} must be a text, got {value!r}")
    return value


def _find_languages(folder: Path) -> dict[str, _LanguageFiles]:
    found = {}
    for lang, path in find_language_folders(folder).items():
        if corpus := find_file(path, "corpus.jsonl"):
            found[lang] = _LanguageFiles(
                (corpus,),
                _by_split(path, r"topics\.(.+)\.tsv"),
                _by_split(path, r"qrels\.(.+)\.tsv"),
            )
    corpora = _published_folders(folder, "miracl-corpus-v1.0-", "miracl-corpus")
    for lang, path in _published_folders(folder, "miracl-v1.0-", "miracl").items():
        docs = sorted(corpora[lang].glob("docs-*.jsonl*"), key=_shard) if lang in corpora else []
        if docs:
            stem = rf"miracl-v1\.0-{re.escape(path.name.removeprefix('miracl-v1.0-'))}-(.+)\.tsv"
            found[lang] = _LanguageFiles(
                tuple(docs),
                _by_split(path / "topics", rf"topics\.{stem}"),
                _by_split(path / "qrels", rf"qrels\.{stem}"),
            )
    return dict(sorted(found.items()))


def _published_folders(folder: Path, prefix: str, repository: str) -> dict[str, Path]:
    return find_language_folders(folder / repository, prefix) | find_language_folders(
        folder, prefix
    )


def _shard(path: Path) -> int:
    """Order ``docs-10`` after ``docs-9``."""
    return int("".join(re.findall(r"docs-(\d+)", path.name)) or 0)


def _by_split(folder: Path, pattern: str) -> dict[str, Path]:
    """Return files by the split that their name carries."""
    matches = ((re.fullmatch(pattern + r"(\.gz)?", p.name), p) for p in sorted(folder.glob("*")))
    return {match.group(1): path for match, path in matches if match}


def _choose_split(
    folder: Path, lang: str, files: _LanguageFiles, split: str, any_split: bool
) -> str:
    usable = [name for name in files.topics if name in files.qrels]
    if split in usable:
        return split
    if any_split and usable:
        return usable[0]
    raise DataError(
        f"{folder}: {lang} has no split {split!r} with topics and qrels; "
        f"the splits here are {', '.join(usable) or 'none'}"
    )


def _read_corpus(paths: Iterable[Path], lang: str, passage_text: str) -> Iterator[Passage]:
    for path in paths:
        for where, row in read_json_objects(path):
            text = compose_passage(row, passage_text, where)
            yield Passage(f"{lang}:{ask_id(row, 'docid', where)}", lang, text)


def _join(corpora: Sequence[Sequence[Passage]]) -> Sequence[Passage]:
    stored = [corpus for corpus in corpora if isinstance(corpus, StoredPassages)]
    if len(stored) == len(corpora):
        return StoredPassages.join(stored)
    return [passage for corpus in corpora for passage in corpus]


def _read_judgments(path: Path, lang: str, corpus: Sequence[Passage]) -> list[Qrel]:
    qrels = [qrel._replace(doc_id=f"{lang}:{qrel.doc_id}") for qrel in read_qrels(path, lang)]
    missing = find_missing_ids(corpus, (qrel.doc_id for qrel in qrels))
    if absent := [qrel for qrel in qrels if qrel.doc_id in missing]:
        raise DataError(
            f"{path}: query {absent[0].query_id!r} has a judgment for passage "
            f"{absent[0].doc_id.removeprefix(f'{lang}:')!r}, which is not in the corpus "
            f"({len(absent)} such judgments of {len(qrels)}); fetch the whole corpus"
        )
    return qrels
