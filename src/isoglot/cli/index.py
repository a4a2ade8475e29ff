"""``isoglot index``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from isoglot.cli.options import given, tell

if TYPE_CHECKING:
    from isoglot.retrieval.changes import Changed

__all__ = ["index"]

_MISSING_SHOWN = 5
_OF_BUILDING = ("--kind", "--words", "--segment-rows", "--threads")
_IDLE = {
    "--delete": ("--add", "--model", *_OF_BUILDING),
    "--compact": ("--add", "--model", "--words"),
    "--add": ("--words",),
    "an index in Milvus": _OF_BUILDING,
}
"""What has no effect with what."""


def index(
    output: Annotated[
        str, typer.Option("--output", "-o", help="Folder of the index, or an address of Milvus.")
    ],
    source: Annotated[
        str | None,
        typer.Argument(help="The --output of isoglot encode; with --model, a corpus."),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Encode the corpus with it first.")
    ] = None,
    add: Annotated[
        bool, typer.Option("--add", help="Add to an index; passages of known ids are replaced.")
    ] = False,
    delete: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Delete passages: a file of ids, one a line."),
    ] = None,
    compact: Annotated[
        bool, typer.Option("--compact", help="Join the segments that adding and deleting leave.")
    ] = False,
    kind: Annotated[
        str | None, typer.Option(help="flat, hnsw or ivf-pq; default: by passages per language.")
    ] = None,
    words: Annotated[
        bool | None,
        typer.Option("--words/--no-words", help="Keep BM25 of every language, for fusion: words."),
    ] = None,
    segment_rows: Annotated[
        int | None, typer.Option(help="Passages per segment at most: 2,000,000.")
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Default: all cores.")] = None,
) -> None:
    """Make an index per language from embeddings, or change one."""
    from isoglot.config.index import IndexConfig
    from isoglot.config.loading import parse_config
    from isoglot.config.schema import ModelConfig
    from isoglot.pipeline.indexing import compact as compact_all
    from isoglot.pipeline.indexing import delete_listed, index_corpus, index_embeddings
    from isoglot.retrieval.opening import is_milvus

    _check(source, delete, compact)
    wanted = {"kind": kind, "words": words, "segment_rows": segment_rows, "threads": threads}
    chosen = given(wanted)
    _refuse_idle(
        {
            "--delete": delete is not None,
            "--compact": compact,
            "--add": add,
            "--model": model is not None,
            **{f"--{name.replace('_', '-')}": name in chosen for name in wanted},
            "an index in Milvus": is_milvus(output),
        }
    )
    config = parse_config(IndexConfig, chosen, where="index")
    if source is not None and model is not None:
        changed = index_corpus(ModelConfig(name=model), source, output, config, tell, add=add)
    elif source is not None:
        changed = index_embeddings(Path(source), output, config, tell, add=add)
    elif delete is not None:
        changed = delete_listed(output, delete, tell)
    else:
        changed = compact_all(output, config, tell)
    _show(changed, output)


def _check(source: str | None, delete: Path | None, compact: bool) -> None:
    """Refuse everything but one thing to do.

    Raises:
        ConfigError: If none or several are named.
    """
    from isoglot.errors import ConfigError

    if sum([source is not None, delete is not None, compact]) != 1:
        raise ConfigError("give one of: what to index, --delete FILE, --compact")


def _refuse_idle(named: Mapping[str, bool]) -> None:
    """Refuse options that would do nothing.

    Raises:
        ConfigError: If there is one.
    """
    from isoglot.errors import ConfigError

    for what, idle in _IDLE.items():
        for option in idle:
            if named[what] and named[option]:
                raise ConfigError(f"{option} does nothing with {what}; leave it out")


def _show(changed: Changed, output: str) -> None:
    if changed.added:
        replaced = f", of which {changed.deleted:,} replace others" if changed.deleted else ""
        typer.echo(f"added {changed.added:,} passages{replaced}")
    elif changed.deleted or changed.missing:
        typer.echo(f"deleted {changed.deleted:,} passages")
    if changed.missing:
        shown = ", ".join(changed.missing[:_MISSING_SHOWN])
        typer.echo(f"not there: {len(changed.missing):,} ids, such as {shown}")
    sizes = changed.sizes
    langs = ", ".join(f"{lang} {size:,}" for lang, size in sizes.items())
    typer.echo(f"{sum(sizes.values()):,} passages in {len(sizes)} languages: {langs}")
    typer.echo(f"index: {output}")
