"""``isoglot audit``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from isoglot.config.experiment import ExperimentConfig
    from isoglot.config.schema import AlignConfig, TrainConfig
    from isoglot.data.collection import Collection
    from isoglot.data.leakage import LeakageReport

__all__ = ["audit"]

_FORMATS = ("groups", "bitext", "squad", "afriqa", "hub")


def audit(
    config: Annotated[
        Path | None, typer.Argument(help="YAML config of a training, alignment or experiment.")
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE[:FORMAT[:LANG]]", help="Training data. Repeatable."),
    ] = None,
    benchmark: Annotated[
        list[str] | None,
        typer.Option("--benchmark", "-b", help="Name, languages of it, or a path. Repeatable."),
    ] = None,
    benchmark_data: Annotated[
        str | None, typer.Option(help="Folder with the benchmark's files.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder to write a report to.")
    ] = None,
    max_share: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Share that may leak before exit code 1: 0.001."),
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace a complete report.")] = False,
) -> None:
    """Look for the texts of benchmarks in training data, in all languages.

    Exit code 1 if a larger share of a benchmark's queries or passages leaks than --max-share. An
    experiment's config names its benchmarks, a training's may in 'audit'; --benchmark goes before.
    """
    from isoglot.artifacts import refuse_complete
    from isoglot.data.leakage import MAX_SHARE
    from isoglot.pipeline.sources import audit_data
    from isoglot.reporting.leakage import audit_text

    if output is not None and not overwrite:
        refuse_complete(output)
    sources = _sources(config, data or ())
    reports = audit_data(sources, _collections(sources, benchmark or (), benchmark_data))
    limit = MAX_SHARE if max_share is None else max_share
    for report in reports:
        typer.echo(audit_text(report, limit))
    if output is not None:
        _write(reports, limit, output, overwrite)
        typer.echo(f"results: {output}")
    if any(report.exceeds(limit) for report in reports):
        raise typer.Exit(1)


def _sources(
    config: Path | None, data: Sequence[str]
) -> TrainConfig | AlignConfig | ExperimentConfig:
    """Return the config, or one made of ``--data``."""
    from isoglot.config.loading import parse_config
    from isoglot.config.schema import AlignConfig
    from isoglot.errors import ConfigError

    if (config is None) == (not data):
        raise ConfigError("name the training data, by a config or by --data FILE, and not by both")
    if config is not None:
        return _load_config(config)
    return parse_config(AlignConfig, {"data": [_source(text) for text in data]}, where="--data")


def _load_config(path: Path) -> TrainConfig | AlignConfig | ExperimentConfig:
    """Read a config of whichever command it fits; the faults told are those of the nearest."""
    from isoglot.config.experiment import ExperimentConfig
    from isoglot.config.loading import load_config
    from isoglot.config.schema import AlignConfig, TrainConfig
    from isoglot.errors import ConfigError

    schemas: tuple[Any, ...] = (ExperimentConfig, TrainConfig, AlignConfig)
    errors = []
    for schema in schemas:
        try:
            config: TrainConfig | AlignConfig | ExperimentConfig = load_config(schema, path)
            return config
        except ConfigError as error:
            errors.append(error)
    raise min(errors, key=lambda error: str(error).count("; "))


def _source(text: str) -> dict[str, Any]:
    """Return the config of ``FILE[:FORMAT[:LANG]]``; the format is looked up in the file."""
    from isoglot.data.layouts import detect_layout
    from isoglot.errors import ConfigError

    parts = text.split(":")
    at = next((i for i in (-1, -2) if len(parts) > -i and parts[i] in _FORMATS), None)
    path = text if at is None else ":".join(parts[:at])
    layout = detect_layout(Path(path)) if at is None else parts[at]
    lang = parts[-1] if at == -2 else None
    if layout not in _FORMATS:
        raise ConfigError(
            f"--data {text}: is in {layout} layout, which is no training data; "
            f"allowed: {', '.join(_FORMATS)}"
        )
    if layout in ("squad", "hub") and lang is None:
        raise ConfigError(f"--data {text}: the language is missing; write {path}:{layout}:LANG")
    # Files of one name in several folders are told apart by their paths.
    source: dict[str, Any] = {"path": path, "format": layout, "name": path}
    if layout == "squad":
        return {**source, "language": lang}
    return {**source, "query_lang": lang, "passage_lang": lang} if layout == "hub" else source


def _collections(
    config: TrainConfig | AlignConfig | ExperimentConfig,
    benchmarks: Sequence[str],
    data: str | None,
) -> list[Collection]:
    """Load the benchmarks named, else those of the config."""
    from isoglot.config.experiment import ExperimentConfig
    from isoglot.config.loading import parse_config
    from isoglot.config.schema import AuditConfig, EvaluationConfig
    from isoglot.errors import ConfigError
    from isoglot.pipeline.evaluation import load_audited, load_collection

    wanted: Sequence[AuditConfig | EvaluationConfig] = ()
    if benchmarks:
        values = [{"benchmark": name, "data": data} for name in benchmarks]
        wanted = [parse_config(AuditConfig, each, where="audit") for each in values]
    elif isinstance(config, ExperimentConfig):
        wanted = config.benchmarks
    elif "audit" in config.model_fields_set:  # a default would look like an answer
        wanted = config.audit
    if not wanted:
        raise ConfigError("no benchmark to look for; name one with --benchmark")
    return [
        load_collection(each) if isinstance(each, EvaluationConfig) else load_audited(each)
        for each in wanted
    ]


def _write(
    reports: Sequence[LeakageReport], max_share: float, folder: Path, overwrite: bool
) -> None:
    from isoglot.artifacts import mark_complete, prepare_folder, write_json, write_text
    from isoglot.reporting.leakage import audit_markdown, audit_record

    prepare_folder(folder, overwrite=overwrite)
    write_json(folder / "audit.json", audit_record(reports, max_share))
    write_text(folder / "audit.md", audit_markdown(reports, max_share))
    mark_complete(folder)
