"""``isoglot claims``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["claims"]


def claims(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUNS...",
            help="Folders of experiments, trainings, evaluations and audits, or that hold some.",
        ),
    ],
    low_resource: Annotated[
        str | None,
        typer.Option(help="Languages to call low-resource, as sw,yo; default: MIRACL's, AfriQA's."),
    ] = None,
    alpha: Annotated[
        float, typer.Option(min=0.0001, max=0.5, help="Chance of a wrong claim to accept.")
    ] = 0.05,
    resamples: Annotated[
        int, typer.Option(min=100, help="Samples that the intervals come from.")
    ] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of permutations and samples.")] = 0,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder to write the claims to.")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace complete claims.")] = False,
) -> None:
    """Say which of the paper's eleven statements hold: as published, and in these runs.

    Then what hybrid batches do for each low-resource language and pair. Exit code 0 whatever holds.
    """
    from dataclasses import replace

    from isoglot.pipeline.claims import (
        ClaimsOptions,
        check_claims,
        check_claims_folder,
        write_claims,
    )
    from isoglot.reporting.claims.page import claims_markdown

    if output is not None:
        check_claims_folder(output, overwrite=overwrite)
    options = ClaimsOptions(alpha=alpha, resamples=resamples, seed=seed)
    if low_resource is not None:
        options = replace(options, low_resource=tuple(low_resource.split(",")))
    report = check_claims(runs, options)
    typer.echo(claims_markdown(report, all_pairs=False), nl=False)
    if output is not None:
        write_claims(report, output, overwrite=overwrite)
        typer.echo(f"results: {output}")
