"""Which layout a file or folder is in, found from its files, and the collection in it.

Layouts of benchmarks: LAReQA, MIRACL, AfriQA and BEIR folders, and files of parallel groups.
Layouts of training data and results (bitext, SQuAD, TREC) are recognised for `isoglot data check`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from isoglot.data.afriqa import is_afriqa_folder, read_afriqa
from isoglot.data.beir import is_beir_folder, read_beir
from isoglot.data.bitext import is_tsv
from isoglot.data.collection import Collection
from isoglot.data.files import (
    hash_files,
    language_of_name,
    list_folder,
    read_json_objects,
    read_lines,
)
from isoglot.data.groups import groups_to_collection, read_groups
from isoglot.data.lareqa import find_lareqa_files, read_lareqa
from isoglot.data.miracl import find_miracl_languages, read_miracl
from isoglot.errors import DataError

__all__ = ["BENCHMARK_LAYOUTS", "LoadOptions", "detect_layout", "load_layout"]

BENCHMARK_LAYOUTS = ("lareqa", "miracl", "afriqa", "beir", "groups")

_FOLDERS = (
    "LAReQA (LANG.json files), MIRACL (LANG/corpus.jsonl or miracl-v1.0-LANG/ with "
    "miracl-corpus-v1.0-LANG/), AfriQA (LANG/corpus.jsonl, LANG/topics.SPLIT.jsonl), "
    "BEIR (corpus.jsonl, queries.jsonl, qrels/)"
)


@dataclass(frozen=True)
class LoadOptions:
    """Choices that change what is loaded; each layout uses those that mean something to it."""

    langs: tuple[str, ...] | None = None
    """Languages to load; default all."""
    data_dir: Path | None = None
    """Where the files of a named benchmark are; default the cache of downloads."""
    candidates: str = "sentence"
    """LAReQA: what a passage's text is, one of ``lareqa.CANDIDATES``."""
    split: str | None = None
    """Default: the benchmark's own choice."""
    passage_text: str = "title text"
    """MIRACL, AfriQA and BEIR: what a passage's text is, one of ``miracl.PASSAGE_TEXTS``."""
    default_lang: str | None = None
    """BEIR: language of the lines that do not name theirs."""
    store: Path | None = None
    """MIRACL and BEIR: folder that keeps the passages instead of memory."""


def load_layout(path: Path, options: LoadOptions) -> Collection:
    """Load a folder or file of one of `BENCHMARK_LAYOUTS`, named by its path.

    A figure under the name of a known benchmark is a figure on that benchmark, so a folder that
    happens to be called ``xquad-r`` does not get this name.

    Raises:
        DataError: If the layout is not one of a benchmark, or the files are malformed.
    """
    name = str(path)
    match detect_layout(path):
        case "lareqa":
            return read_lareqa(path, name=name, langs=options.langs, candidates=options.candidates)
        case "miracl":
            return read_miracl(
                path,
                name=name,
                langs=options.langs,
                split=options.split or "dev",
                any_split=options.split is None,
                passage_text=options.passage_text,
                store=options.store,
                show_progress=options.store is not None,
            )
        case "afriqa":
            return read_afriqa(
                path,
                name=name,
                langs=options.langs,
                split=options.split,
                passage_text=options.passage_text,
            )
        case "beir":
            collection = read_beir(
                path,
                name=name,
                lang=options.default_lang,
                split=options.split or "test",
                passage_text=options.passage_text,
                store=options.store,
                show_progress=options.store is not None,
            )
        case "groups":
            groups = read_groups(path, split=options.split)
            collection = groups_to_collection(groups, name, sources=hash_files([path], path.parent))
        case other:
            raise DataError(
                f"{path}: is in {other} layout, which has no judgments to evaluate on; allowed: "
                f"{_FOLDERS}, or a JSON Lines file of parallel groups"
            )
    return collection.restrict(options.langs) if options.langs else collection


def detect_layout(path: Path) -> str:
    """Return ``lareqa``, ``miracl``, ``afriqa``, ``beir``, ``groups``, ``bitext``, ``squad``, ...

    For a file also ``qrels``, ``topics`` and ``run``.

    Raises:
        DataError: If nothing is there, or it is in no known layout.
    """
    if path.is_dir():
        return _detect_folder(path)
    name = path.name.removesuffix(".gz")
    if name.endswith(".jsonl"):
        return _detect_jsonl(path)
    if name.endswith(".json"):
        return "squad"
    return _detect_table(path)


def _detect_folder(folder: Path) -> str:
    if is_beir_folder(folder):
        return "beir"
    if is_afriqa_folder(folder):  # before MIRACL, whose corpora look the same
        return "afriqa"
    if find_miracl_languages(folder):
        return "miracl"
    if find_lareqa_files(folder):
        return "lareqa"
    raise DataError(
        f"{folder}: in no known layout; found {list_folder(folder)}; allowed: {_FOLDERS}"
    )


def _detect_jsonl(path: Path) -> str:
    where, first = next(read_json_objects(path), (str(path), {}))
    if "query" in first and "passage" in first:
        return "groups"
    if "text" in first and isinstance(first["text"], dict):
        return "bitext"
    raise DataError(
        f"{where}: in no known layout; found the fields {', '.join(first) or 'none'}; allowed: "
        "parallel groups (id, query, passage) or bitext (text as {lang: sentence})"
    )


def _detect_table(path: Path) -> str:
    _, first = next(read_lines(path), (0, ""))
    cells = first.split("\t") if "\t" in first else first.split()
    if is_tsv(path) and len(cells) > 1 and all(language_of_name(cell.strip()) for cell in cells):
        return "bitext"
    layout = {4: "qrels", 6: "run"}.get(len(cells))
    if layout is None and "\t" in first:
        layout = "topics"
    if layout is None:
        raise DataError(
            f"{path}:1: in no known layout; allowed: TREC qrels (4 columns), runs (6 columns), "
            "topics (id, tab, text), or bitext TSV with a header of language codes"
        )
    return layout
