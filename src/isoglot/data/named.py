"""The benchmarks that have a name: where their files come from, and the check that they are whole.

A figure under a name is a figure on that benchmark, so the counts are compared with the published
ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from isoglot.data.afriqa import read_afriqa
from isoglot.data.collection import Collection
from isoglot.data.download import RemoteFile, cache_folder, fetch, fetch_hub_files
from isoglot.data.lareqa import read_lareqa
from isoglot.data.layouts import LoadOptions
from isoglot.data.miracl import read_miracl
from isoglot.data.published_counts import (
    LAREQA_COUNTS,
    MIRACL_LANGS,
    check_lareqa_counts,
    check_miracl_counts,
)
from isoglot.errors import ConfigError, DataError

__all__ = [
    "AFRIQA_LANGS",
    "load_afriqa",
    "load_miracl",
    "load_miracl_mini",
    "load_mlqa_r",
    "load_xquad_r",
]

AFRIQA_LANGS = tuple("bem en fon fr ha ig rw tw yo zu".split())
"""Of questions, and of passages (en, fr)."""

_XQUAD_R_URL = (
    "https://raw.githubusercontent.com/google-research-datasets/lareqa/"
    "5405d2a77e83d5ccb47623a3f9e5604c3f103193/xquad-r"
)
_XQUAD_R_SHA256 = {
    "ar": "c52922d3b8ac1ae03ed5ac38647ad59870dca3dda2beefe18ecdc30729acb69d",
    "de": "16fb0f4bf4916154b585a20c24c66074591c9718a1affe764ff4697572328949",
    "el": "163fd43ee785a30eb534ae2061e9eaa766a7ee4e8ffce5e4b422480c150f64b6",
    "en": "7b0954f39297c27a31fef610f0883337dd2907fa8699151dc922afdd0fa12ffe",
    "es": "f8e836b2d91009c4363e04315f7ede363eedbbb49c67dda60de6c4aa782f58de",
    "hi": "ea45ba8ae4513d1533b222bebdc02a90bc319c055d3aeea68584a053d2e92872",
    "ru": "7f4dff853538b9a5fcc28c070b8bb983a5c5d190ac747b8e005a1ada9cab18f1",
    "th": "c3a041864c3a9fb0b4dd91cfdf99cf36b411b3e704c58a303c97bc6dc786cfe4",
    "tr": "f3e8c13002bbce154a4578f535f7533cb70f3da08840e6b62735935baec7bd94",
    "vi": "e35926bf5cc6fc6ecbdfca49467aabeb454f08d152d7818143a906bd31dde995",
    "zh": "80c2cde7b9c2fb134c303cbb52f2ba396ead9eb0014aec43993543d2ba9e93ed",
}


def load_xquad_r(options: LoadOptions) -> Collection:
    """Load XQuAD-R, from ``data_dir`` or downloaded.

    Raises:
        ConfigError: If a language is not one of its own.
        DataError: If the files are not the published ones.
        DownloadError: If they cannot be fetched.
    """
    langs = _choose_languages("xquad-r", options, LAREQA_COUNTS["xquad-r"])
    if options.data_dir is not None:
        folder = _named_folder(options.data_dir, "xquad-r")
    else:
        folder = cache_folder() / "xquad-r"
        for lang in langs:
            fetch(
                RemoteFile(
                    f"xquad-r/{lang}.json", f"{_XQUAD_R_URL}/{lang}.json", _XQUAD_R_SHA256[lang]
                )
            )
    return _load_lareqa("xquad-r", folder, langs, options)


def load_mlqa_r(options: LoadOptions) -> Collection:
    """Load MLQA-R from ``data_dir``; its authors withdrew it, so it is not downloaded.

    Raises:
        ConfigError: If a language is not one of its own.
        DataError: If there is no ``data_dir``, or the files are not the published ones.
    """
    langs = _choose_languages("mlqa-r", options, LAREQA_COUNTS["mlqa-r"])
    if options.data_dir is None:
        raise DataError(
            "mlqa-r is not downloaded: its authors withdrew it, and its licence (CC BY-NC 4.0) "
            "forbids commercial use; pass with --data DIR the folder of its seven files "
            "(ar, de, en, es, hi, vi, zh).json, which were in folder mlqa-r of "
            "github.com/google-research-datasets/lareqa "
            "at commit 354d67d1cd066854cdfbf5ad0e6105528976141d"
        )
    return _load_lareqa("mlqa-r", _named_folder(options.data_dir, "mlqa-r"), langs, options)


def load_miracl(options: LoadOptions) -> Collection:
    """Load MIRACL, from ``data_dir`` or, language by language, from the hub.

    Raises:
        ConfigError: If a language is not one of its own.
        DataError: If the files are not the published ones.
        DownloadError: If they cannot be fetched.
    """
    langs = _choose_languages("miracl", options, MIRACL_LANGS)
    wanted: Iterable[str] | None = langs
    if options.data_dir is not None:
        folder = _named_folder(options.data_dir, "miracl")
        wanted = options.langs
    else:
        folder = cache_folder() / "miracl"
        for lang in langs:
            repositories = (
                ("miracl/miracl", f"miracl-v1.0-{lang}"),
                ("miracl/miracl-corpus", f"miracl-corpus-v1.0-{lang}"),
            )
            fetch_hub_files(repositories, folder, lang)
    collection = read_miracl(
        folder,
        name="miracl",
        langs=wanted,
        split=options.split or "dev",
        passage_text=options.passage_text,
        store=options.store,
        show_progress=options.store is not None,
    )
    check_miracl_counts(collection)
    return collection


def load_miracl_mini(options: LoadOptions) -> Collection:
    """Load MIRACL-mini, a small selection of MIRACL, from ``data_dir``.

    Its default split is ``train``; a language without it gives the split that it has.

    Raises:
        ConfigError: If a language is not one of its own.
        DataError: If there is no ``data_dir``, or its files are malformed.
    """
    _choose_languages("miracl-mini", options, MIRACL_LANGS)
    if options.data_dir is None:
        raise DataError(
            "miracl-mini is not downloaded; pass with --data DIR the folder that holds "
            "LANG/corpus.jsonl.gz, LANG/topics.SPLIT.tsv and LANG/qrels.SPLIT.tsv"
        )
    return read_miracl(
        _named_folder(options.data_dir, "miracl-mini"),
        name="miracl-mini",
        langs=options.langs,
        split=options.split or "train",
        any_split=options.split is None,
        passage_text=options.passage_text,
        store=options.store,
        show_progress=options.store is not None,
    )


def load_afriqa(options: LoadOptions, *, pivots: bool = False) -> Collection:
    """Load AfriQA from ``data_dir``; its default split is ``dev``.

    Args:
        options: Their languages are those of questions, of passages, or both.
        pivots: Also ask every question in English or French, the language of its passages.

    Raises:
        ConfigError: If a language is not one of its own.
        DataError: If there is no ``data_dir``, a language is not in the split, or a file is
            malformed.
    """
    name = "afriqa-pivot" if pivots else "afriqa"
    _choose_languages(name, options, AFRIQA_LANGS)
    if options.data_dir is None:
        raise DataError(
            f"{name} is not downloaded; pass with --data DIR the folder that holds, for en and "
            "fr, LANG/corpus.jsonl.gz, LANG/topics.SPLIT.jsonl and LANG/qrels.SPLIT.tsv"
        )
    return read_afriqa(
        _named_folder(options.data_dir, "afriqa"),
        name=name,
        langs=options.langs,
        split=options.split or "dev",
        passage_text=options.passage_text,
        pivots=pivots,
    )


def _load_lareqa(name: str, folder: Path, langs: Iterable[str], options: LoadOptions) -> Collection:
    if options.split is not None:
        raise ConfigError(f"{name} has no splits, got split {options.split!r}; leave it out")
    collection = read_lareqa(folder, name=name, langs=langs, candidates=options.candidates)
    check_lareqa_counts(collection)
    return collection


def _choose_languages(name: str, options: LoadOptions, known: Iterable[str]) -> tuple[str, ...]:
    known = tuple(known)
    for lang in options.langs or ():
        if lang not in known:
            raise ConfigError(f"{name} has no language {lang!r}; allowed: {', '.join(known)}")
    return options.langs or known


def _named_folder(data_dir: Path, name: str) -> Path:
    """Return the benchmark's folder: ``data_dir``, or its subfolder of the benchmark's name."""
    subfolder = data_dir / name
    return subfolder if subfolder.is_dir() else data_dir
