"""Benchmarks by name or by folder, as collections.

``NAME``, ``NAME:LANG,LANG``, a folder in a documented layout, or a file of parallel groups. Where
the files of a name come from is in ``named.py``; layouts are in ``layouts.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from isoglot.data.collection import Collection
from isoglot.data.lareqa import check_candidates
from isoglot.data.layouts import LoadOptions, load_layout
from isoglot.data.mini import load_mini
from isoglot.data.miracl import check_passage_text
from isoglot.data.named import (
    AFRIQA_LANGS,
    load_afriqa,
    load_miracl,
    load_miracl_mini,
    load_mlqa_r,
    load_xquad_r,
)
from isoglot.data.published_counts import LAREQA_COUNTS, MIRACL_LANGS
from isoglot.errors import ConfigError, DataError, did_you_mean
from isoglot.languages import normalize_languages

__all__ = ["BENCHMARKS", "Benchmark", "load_benchmark", "parse_benchmark"]


@dataclass(frozen=True)
class Benchmark:
    """What is known of a benchmark before its files are there."""

    langs: tuple[str, ...]
    """Empty where the files alone say it."""
    size: str
    licence: str
    obtained: str
    """How its files come to the user."""


BENCHMARKS = {
    "xquad-r": Benchmark(
        tuple(LAREQA_COUNTS["xquad-r"]),
        "13,090 queries, 13,014 passages",
        "CC BY-SA 4.0",
        "downloaded",
    ),
    "mlqa-r": Benchmark(
        tuple(LAREQA_COUNTS["mlqa-r"]),
        "4,199 queries, 20,534 passages",
        "CC BY-NC 4.0",
        "--data (withdrawn by its authors)",
    ),
    "miracl": Benchmark(
        MIRACL_LANGS,
        "13,071 dev queries and 90 million passages, de and yo besides",
        "Apache-2.0, texts CC BY-SA",
        "downloaded by language",
    ),
    "miracl-mini": Benchmark(
        MIRACL_LANGS,
        "2,837 queries, 80,971 passages",
        "Apache-2.0, texts CC BY-SA",
        "--data",
    ),
    "afriqa": Benchmark(
        AFRIQA_LANGS,
        "1,839 dev queries in African languages, 3,589 passages in en and fr",
        "CC BY 4.0",
        "--data",
    ),
    "afriqa-pivot": Benchmark(
        AFRIQA_LANGS,
        "afriqa and its questions in en and fr: 3,678 dev queries, 3,589 passages",
        "CC BY 4.0",
        "--data",
    ),
    "mini": Benchmark((), "see `isoglot data prepare mini`", "Apache-2.0", "part of isoglot"),
}
"""The benchmarks that have a name."""


def load_benchmark(
    spec: str,
    *,
    data_dir: Path | None = None,
    candidates: str = "sentence",
    split: str | None = None,
    passage_text: str = "title text",
    lang: str | None = None,
    store: Path | None = None,
) -> Collection:
    """Load a benchmark.

    Args:
        spec: A name (``xquad-r``), a path, or one of them with languages (``miracl:sw,bn``). A name
            goes before a path of the same name; write ``./mini`` for the path.
        data_dir: Folder that holds the files of a named benchmark, or holds them in a subfolder of
            its name; default the cache of downloads.
        candidates: LAReQA layout: ``sentence`` or ``sentence-with-paragraph``.
        split: Split of topics and judgments; default the benchmark's own.
        passage_text: MIRACL, AfriQA and BEIR layouts: ``title text`` or ``text``.
        lang: BEIR layout: language of the lines that do not name theirs.
        store: MIRACL and BEIR layouts: folder that keeps the passages instead of memory; those that
            are there from an earlier call are used again.

    Raises:
        ConfigError: If the benchmark or an option is unknown.
        DataError: If files are missing, malformed, or not the published ones.
        DownloadError: If files cannot be fetched.
    """
    name, langs = parse_benchmark(spec)
    check_candidates(candidates)
    check_passage_text(passage_text)
    options = LoadOptions(langs, data_dir, candidates, split, passage_text, lang, store)
    if data_dir is not None and not data_dir.is_dir():
        raise DataError(f"{data_dir}: no such folder; --data names the folder with {name}'s files")
    match name:
        case "xquad-r":
            return load_xquad_r(options)
        case "mlqa-r":
            return load_mlqa_r(options)
        case "miracl":
            return load_miracl(options)
        case "miracl-mini":
            return load_miracl_mini(options)
        case "afriqa" | "afriqa-pivot":
            return load_afriqa(options, pivots=name == "afriqa-pivot")
        case "mini":
            collection = load_mini(split or "evaluation")
            return collection.restrict(langs) if langs else collection
        case _:
            return load_layout(Path(name), options)


def parse_benchmark(spec: str) -> tuple[str, tuple[str, ...] | None]:
    """Split ``NAME:LANG,LANG`` into the name or path and the languages, None for all.

    Raises:
        ConfigError: If it is neither a known name nor an existing path, or a language is unknown.
    """
    if _is_known(spec):
        return spec, None
    name, colon, codes = spec.rpartition(":")
    if not colon:
        name = spec
    if not _is_known(name):
        raise ConfigError(
            f"benchmark {name!r} is neither a known name nor a folder that exists; "
            f"the names are {', '.join(BENCHMARKS)}{did_you_mean(name, BENCHMARKS)}"
        )
    wanted = [code.strip() for code in codes.split(",") if code.strip()]
    if not wanted:
        raise ConfigError(f"benchmark {spec!r}: no language after the colon; write {name}:en,sw")
    return name, normalize_languages(wanted, f"benchmark {spec!r}")


def _is_known(name: str) -> bool:
    """Say whether it is a benchmark's name or a path; ``Path("")`` would be the current folder."""
    return name in BENCHMARKS or (name != "" and Path(name).exists())
