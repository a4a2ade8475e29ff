"""``isoglot compare``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from isoglot.pipeline.comparison import System

__all__ = ["compare"]


def compare(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[LABEL=]RUN...",
            help="Evaluation folders or per_query.parquet files, each a system of one seed.",
        ),
    ] = None,
    system: Annotated[
        list[str] | None,
        typer.Option(metavar="LABEL=RUN,RUN...", help="Seeds of one system. Repeatable."),
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="What the others are compared with; default: the first.")
    ] = None,
    all_pairs: Annotated[
        bool, typer.Option("--all-pairs", help="Compare every system with every other.")
    ] = False,
    measure: Annotated[
        str, typer.Option("--measure", "-m", help="As ir_measures writes it.")
    ] = "AP",
    settings: Annotated[
        list[str] | None,
        typer.Option(help="monolingual, cross-lingual, multilingual; default: all. Repeatable."),
    ] = None,
    languages: Annotated[bool, typer.Option(help="Test single query languages, too.")] = True,
    pools: Annotated[
        bool, typer.Option("--pools", help="Test single pairs of languages, too.")
    ] = False,
    common: Annotated[
        bool, typer.Option("--common", help="Compare on the queries and pools all runs share.")
    ] = False,
    alpha: Annotated[
        float, typer.Option(min=0.0001, max=0.5, help="Chance of a wrong claim to accept.")
    ] = 0.05,
    permutations: Annotated[
        int | None, typer.Option(min=1, help="Of a test; default 10,000, more for many tests.")
    ] = None,
    resamples: Annotated[
        int, typer.Option(min=100, help="Samples that the intervals come from.")
    ] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of permutations and samples.")] = 0,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder to write a report to.")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace a complete comparison.")] = False,
) -> None:
    """Say which differences between evaluated systems are more than chance, and which are not."""
    from isoglot.pipeline.comparison import (
        ComparisonOptions,
        check_comparison_folder,
        run_comparison,
        write_comparison,
    )
    from isoglot.reporting.differences import comparison_text

    if output is not None:
        check_comparison_folder(output, overwrite=overwrite)
    options = ComparisonOptions(
        measure=measure,
        settings=tuple(name for text in settings or () for name in text.split(",")),
        baseline=baseline,
        all_pairs=all_pairs,
        languages=languages,
        pools=pools,
        common=common,
        alpha=alpha,
        permutations=permutations,
        resamples=resamples,
        seed=seed,
    )
    report = run_comparison(_systems(runs or (), system or ()), options)
    typer.echo(comparison_text(report), nl=False)
    if output is not None:
        write_comparison(report, output, overwrite=overwrite)
        typer.echo(f"results: {output}")


def _systems(runs: Sequence[str], groups: Sequence[str]) -> list[System]:
    """Return the systems of a command line, in its order, runs first."""
    from isoglot.errors import ConfigError
    from isoglot.pipeline.comparison import System

    named: list[tuple[str, tuple[Path, ...]]] = [_run(text) for text in runs]
    for text in groups:
        label, equals, paths = text.partition("=")
        if not (label and equals and all(paths.split(","))):
            raise ConfigError(f"--system {text}: write LABEL=RUN,RUN, the runs without blanks")
        named.append((label, tuple(map(Path, paths.split(",")))))
    all_paths = [path for _, paths in named for path in paths]
    labels = _short_names([paths[0] for label, paths in named if not label], all_paths)
    return [System(label or labels[paths[0]], paths) for label, paths in named]


def _run(text: str) -> tuple[str, tuple[Path, ...]]:
    """Split ``LABEL=RUN``; the label is empty if there is none or the whole is a path."""
    label, equals, path = text.partition("=")
    if not equals or Path(text).exists():
        return "", (Path(text),)
    return label, (Path(path),)


def _short_names(unnamed: Sequence[Path], paths: Sequence[Path]) -> dict[Path, str]:
    """Name paths by as few of their folders as tell them apart.

    What all paths end with says nothing, as ``xquad-r`` in ``a/xquad-r`` and ``b/xquad-r``.
    """
    from isoglot.evaluation.outputs import PER_QUERY_TABLE

    parts = {}
    for path in paths:
        full = path.resolve()
        folder = full.parent if full.name == PER_QUERY_TABLE else full
        parts[path] = (*folder.parts[1:-1], folder.name.removesuffix(".parquet"))
    names = list(parts.values())
    same = 0
    while len(set(names)) > 1 and len({name[-1 - same :][:1] for name in names}) == 1:
        same += 1
    cut = {path: name[: len(name) - same] for path, name in parts.items()}
    for length in range(1, max(map(len, cut.values()), default=0) + 1):
        labels = {path: "/".join(cut[path][-length:]) for path in unnamed}
        if len(set(labels.values())) == len(labels):
            break
    return labels if unnamed else {}
