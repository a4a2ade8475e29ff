"""The ``isoglot data`` commands: which benchmarks there are, prepare data, look into any file."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from isoglot.cli.mine import mine
from isoglot.cli.options import Overrides, tell

if TYPE_CHECKING:
    from isoglot.config.schema import ModelConfig, OptimisationConfig
    from isoglot.data.inspection import Inspection
    from isoglot.data.leakage import LeakageReport

__all__ = ["data_app"]

data_app = typer.Typer(help="Benchmarks and data files.", no_args_is_help=True)
data_app.command()(mine)


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
        str,
        typer.Argument(
            help="A benchmark, or some of its languages: miracl:sw,bn; or the YAML config of a "
            "training.",
        ),
    ],
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder with its files; default: download.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Split of MIRACL, AfriQA or BEIR.")] = None,
    overrides: Overrides = None,
) -> None:
    """Fetch and check a benchmark; or read a config's training data, so that runs start at once."""
    from isoglot.errors import ConfigError

    if name.endswith((".yaml", ".yml")):
        if data is not None or split is not None:
            raise ConfigError("--data and --split are of benchmarks; a config names its own files")
        _prepare_training(Path(name), overrides or ())
    elif overrides:
        raise ConfigError(f"--set changes a config, and {name} is a benchmark; name a YAML file")
    else:
        _prepare_benchmark(name, data, split)


def _prepare_benchmark(name: str, data: Path | None, split: str | None) -> None:
    from isoglot.data.benchmarks import load_benchmark
    from isoglot.data.inspection import count_collection

    collection = load_benchmark(name, data_dir=data, split=split)
    _print_counts(count_collection(collection, "benchmark"))
    for key, value in collection.options.items():
        typer.echo(f"{key}: {value}")
    typer.echo(f"{collection.name}: complete, {len(collection.sources)} files")


def _prepare_training(path: Path, overrides: Iterable[str]) -> None:
    import numpy as np

    from isoglot.errors import IsoglotError
    from isoglot.pipeline.sources import audit_data, prepare_sources

    config = _load_training_config(path, overrides)
    started = time.monotonic()
    leaks: Sequence[LeakageReport] = ()
    if getattr(config, "leave_out_leaks", False):
        from isoglot.pipeline.evaluation import load_audited

        leaks = audit_data(config, [load_audited(audited) for audited in config.audit])
    table = prepare_sources(config, leaks)
    for name, groups in zip(table.datasets, np.bincount(table.dataset), strict=True):
        typer.echo(f"{name}: {groups:,} groups")
    typer.echo(
        f"all: {len(table):,} groups, {len(table.texts):,} different texts, "
        f"{len(table.negative):,} listed negatives, {len(table.langs)} languages "
        f"({' '.join(table.langs)})"
    )
    typer.echo(f"prepared in {time.monotonic() - started:.1f} s: {table.folder}")
    for encoder in _encoders(config):
        from isoglot.pipeline.training import prepare_tokens

        started = time.monotonic()
        try:
            prepare_tokens(config, encoder, leaks)
        except IsoglotError as error:  # the data are ready all the same
            tell(f"no tokens were made: {error}")
        else:
            typer.echo(f"tokens of {encoder.name} in {time.monotonic() - started:.1f} s")


def _encoders(config: OptimisationConfig) -> Sequence[ModelConfig]:
    """Return the encoders that a config trains; an alignment learns its subwords first."""
    from isoglot.config.experiment import ExperimentConfig
    from isoglot.config.schema import TrainConfig

    if isinstance(config, ExperimentConfig):
        return [config.model_of(encoder) for encoder in config.encoders]
    return [config.model] if isinstance(config, TrainConfig) else []


def _load_training_config(path: Path, overrides: Iterable[str]) -> Any:  # noqa: ANN401
    """Load the config of ``train``, ``align`` or ``experiment``, whichever it is."""
    from isoglot.artifacts import read_yaml
    from isoglot.config.experiment import ExperimentConfig
    from isoglot.config.loading import load_config
    from isoglot.config.schema import AlignConfig, TrainConfig

    values = read_yaml(path)
    if "encoders" in values:
        return load_config(ExperimentConfig, path, overrides)
    model = values.get("model")
    named = isinstance(model, dict) and "name" in model
    return load_config(TrainConfig if named else AlignConfig, path, overrides)


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
