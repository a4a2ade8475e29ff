"""``isoglot search``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from isoglot.cli.options import given

if TYPE_CHECKING:
    from isoglot.config.search import SearchConfig
    from isoglot.retrieval.search import Hit, Searcher

__all__ = ["search"]

_WIDTH = 100


def search(
    index: Annotated[str, typer.Argument(help="Folder of an index, or an address of Milvus.")],
    query: Annotated[str | None, typer.Argument(help="What to look for, in any language.")] = None,
    queries: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Queries as TSV or JSON Lines, instead of one."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="With --queries: NAME.trec, or a folder of LANG.trec."),
    ] = None,
    k: Annotated[int | None, typer.Option("-k", help="Passages per query: 10.")] = None,
    policy: Annotated[
        str | None,
        typer.Option(help="How languages share the answer: score (default), balanced or quota."),
    ] = None,
    balance: Annotated[
        float | None, typer.Option(help="With policy balanced: how much. Default 0.12.")
    ] = None,
    quota: Annotated[
        str | None,
        typer.Option(metavar="N|LANG=N,...", help="With policy quota: passages per language."),
    ] = None,
    languages: Annotated[
        str | None, typer.Option(metavar="LANG,...", help="Languages of passages: all.")
    ] = None,
    words: Annotated[bool, typer.Option(help="Fuse each language's ranking with BM25.")] = False,
    lang: Annotated[
        str | None, typer.Option(help="With --queries: language of those that do not say theirs.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Default: the one the index was made with.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object.")] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="Of the encoder: all cores.")] = None,
) -> None:
    """Find the passages that answer a query, in every language."""
    from isoglot.config.loading import parse_config
    from isoglot.config.schema import ModelConfig
    from isoglot.config.search import SearchConfig
    from isoglot.retrieval.opening import open_searcher

    _check(query, queries, output)
    _refuse_idle(queries, lang, as_json)
    wanted = {
        "k": k,
        "policy": policy,
        "balance": balance,
        "quota": _parse_quota(quota) if quota is not None else None,
        "languages": languages.split(",") if languages is not None else None,
        "words": words or None,
    }
    config = parse_config(SearchConfig, given(wanted), where="search")
    encoder = ModelConfig(name=model) if model is not None else None
    searcher = open_searcher(index, encoder, threads=threads)
    if queries is not None and output is not None:
        _search_file(searcher, queries, lang, config, output)
    elif query is not None:
        (hits,) = searcher.search([query], config)
        _show(hits, as_json)


def _check(query: str | None, queries: Path | None, output: Path | None) -> None:
    """Refuse what does not say what to search, or where results go.

    Raises:
        ConfigError: If it does not.
    """
    from isoglot.errors import ConfigError

    if (query is None) == (queries is None):
        raise ConfigError('give one query, as in isoglot search INDEX "...", or --queries FILE')
    if (queries is None) != (output is None):
        raise ConfigError("--queries and --output go together: the run is written there")


def _refuse_idle(queries: Path | None, lang: str | None, as_json: bool) -> None:
    """Refuse options that would do nothing.

    Raises:
        ConfigError: If there is one.
    """
    from isoglot.errors import ConfigError

    if queries is None and lang is not None:
        raise ConfigError("--lang does nothing without --queries; leave it out")
    if queries is not None and as_json:
        raise ConfigError("--json does nothing with --queries; leave it out")


def _search_file(
    searcher: Searcher, queries: Path, lang: str | None, config: SearchConfig, output: Path
) -> None:
    from isoglot.data.queries import read_queries
    from isoglot.pipeline.searching import search_file

    langs = search_file(searcher, read_queries(queries, lang), config, output)
    typer.echo(_shares(langs))
    typer.echo(f"results: {output}")


def _show(hits: Sequence[Hit], as_json: bool) -> None:
    from isoglot.reporting.writers import shorten

    if as_json:
        typer.echo(json.dumps([hit._asdict() for hit in hits], ensure_ascii=False, indent=2))
        return
    for rank, hit in enumerate(hits, 1):
        typer.echo(f"{rank:3d}  {hit.score:6.3f}  {hit.lang:<3}  {shorten(hit.text, _WIDTH)}")
    typer.echo(_shares(Counter(hit.lang for hit in hits)))


def _shares(langs: dict[str, int]) -> str:
    total = sum(langs.values())
    shares = (f"{lang} {count / total:.0%}" for lang, count in langs.items())
    return f"languages: {', '.join(shares) or 'none'}"


def _parse_quota(text: str) -> Any:  # noqa: ANN401 - checked with the config
    """Read ``N`` or ``LANG=N,LANG=N``; what is neither is left for the config to refuse.

    Raises:
        ConfigError: If a language comes twice.
    """
    from isoglot.errors import ConfigError

    if "=" not in text:
        return text
    quota: dict[str, str] = {}
    for part in text.split(","):
        lang, _, places = part.partition("=")
        if lang in quota:
            raise ConfigError(f"--quota names {lang!r} twice; give one number per language")
        quota[lang] = places
    return quota
