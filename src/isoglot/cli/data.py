"""The ``isoglot data`` commands: which benchmarks there are, fetch one, look into any file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from isoglot.data.inspection import Inspection

__all__ = ["data_app"]

data_app = typer.Typer(help="Benchmarks and data files.", no_args_is_help=True)


@data_app.command("list")
def list_benchmarks() -> None:
    """Show the benchmarks that have a name."""
    from isoglot.data.benchmarks import BENCHMARKS

    for name, benchmark in BENCHMARKS.items():
        langs = f" ({len(benchmark.langs)} languages)" if benchmark.langs else ""
        typer.echo(f"{name}{langs}")
        for line in (
            " ".join(benchmark.langs),
            benchmark.size,
            f"licence: {benchmark.licence}",
            f"files: {benchmark.obtained}",
        ):
            if line:
                typer.echo(f"    {line}")


@data_app.command()
def prepare(
    name: Annotated[
        str, typer.Argument(help="A benchmark, or some of its languages: miracl:sw,bn.")
    ],
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder with its files; default: download.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Split of MIRACL or BEIR.")] = None,
) -> None:
    """Fetch a benchmark if need be, and check that it is whole."""
    from isoglot.data.benchmarks import load_benchmark
    from isoglot.data.inspection import count_collection

    collection = load_benchmark(name, data_dir=data, split=split)
    _print_counts(count_collection(collection, "benchmark"))
    for key, value in collection.options.items():
        typer.echo(f"{key}: {value}")
    typer.echo(f"{collection.name}: complete, {len(collection.sources)} files")


@data_app.command()
def check(
    path: Annotated[Path, typer.Argument(help="A file or folder in any documented layout.")],
    lang: Annotated[
        str | None, typer.Option(help="Language of texts that do not name theirs.")
    ] = None,
) -> None:
    """Read a file or folder completely and count what it holds."""
    from isoglot.data.inspection import inspect

    inspection = inspect(path, lang=lang)
    typer.echo(f"{path}: layout {inspection.layout}, languages: {len(inspection.counts)}")
    _print_counts(inspection)


def _print_counts(inspection: Inspection) -> None:
    kinds = list(dict.fromkeys(kind for row in inspection.counts.values() for kind in row))
    typer.echo("lang  " + "".join(f"{kind:>12}" for kind in kinds))
    for lang, row in sorted(inspection.counts.items()):
        typer.echo(_row(lang, row, kinds))
    totals = {kind: sum(row[kind] for row in inspection.counts.values()) for kind in kinds}
    typer.echo(_row("all", totals, kinds))
    repeated = ", ".join(f"{number:,} {kind}" for kind, number in inspection.repeated.items())
    typer.echo(f"repeated texts: {repeated or 'none'}")
    typer.echo(f"empty texts: {inspection.blank or 'none'}")
    if inspection.skipped:
        typer.echo(f"questions without an answer, left out: {inspection.skipped:,}")


def _row(lang: str, numbers: Mapping[str, int], kinds: list[str]) -> str:
    return f"{lang:<6}" + "".join(f"{numbers[kind]:>12,}" for kind in kinds)
