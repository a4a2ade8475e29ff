"""``isoglot data mine``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from isoglot.cli.options import ConfigPath, Overrides, given, tell

if TYPE_CHECKING:
    from isoglot.config.schema import AlignConfig, TrainConfig

__all__ = ["mine"]


def mine(
    config: ConfigPath,
    model: Annotated[
        str, typer.Option("--model", "-m", help="The encoder that scores: folder, hub name, mini.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="File to write, NAME.jsonl[.gz]; of several data sets a folder."
        ),
    ],
    same: Annotated[
        int | None, typer.Option(min=0, help="Negatives in a query's language: 2.")
    ] = None,
    cross: Annotated[
        int | None, typer.Option(min=0, help="Negatives in other languages: 2.")
    ] = None,
    max_share: Annotated[
        float | None,
        typer.Option(help="A negative scores below this share of the positive: 0.95."),
    ] = None,
    margin: Annotated[
        float | None, typer.Option(help="A negative scores lower than the positive by this: 0.")
    ] = None,
    skip: Annotated[
        int | None, typer.Option(min=0, help="Best passages of a language to leave out: 0.")
    ] = None,
    keep_listed: Annotated[
        bool, typer.Option("--keep-listed/--drop-listed", help="What groups list already.")
    ] = True,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Texts encoded at a time.")] = None,
    memory_mb: Annotated[int | None, typer.Option(min=1, help="MiB for scores: 128.")] = None,
    overrides: Overrides = None,
    overwrite: Annotated[bool, typer.Option(help="Replace an earlier result.")] = False,
) -> None:
    """Mine hard negatives for the training data of a config, by language.

    The result takes the place of the data: the same config with another path trains on it.
    """
    from isoglot.config.loading import parse_config
    from isoglot.config.mining import MiningConfig
    from isoglot.config.schema import ModelConfig
    from isoglot.pipeline.mining import run_mining

    options = {
        "same_language": same,
        "cross_language": cross,
        "max_share": max_share,
        "margin": margin,
        "skip": skip,
        "batch_size": batch_size,
        "memory_mb": memory_mb,
    }
    mining = parse_config(
        MiningConfig, {**given(options), "keep_listed": keep_listed}, where="mine"
    )
    resolved = _load(config, overrides or ())
    written = run_mining(
        resolved, ModelConfig(name=model), mining, output, overwrite=overwrite, report=tell
    )
    for path in written.files.values():
        typer.echo(f"groups: {path}")
    typer.echo(f"record: {written.record}")


def _load(path: Path, overrides: list[str] | tuple[()]) -> TrainConfig | AlignConfig:
    """Read the config of a training or an alignment; the faults told are those of the nearest."""
    from isoglot.config.loading import load_config
    from isoglot.config.schema import AlignConfig, TrainConfig
    from isoglot.errors import ConfigError

    try:
        return load_config(TrainConfig, path, overrides)
    except ConfigError as error:
        try:
            return load_config(AlignConfig, path, overrides)
        except ConfigError as other:
            raise min(error, other, key=lambda fault: str(fault).count("; ")) from None
