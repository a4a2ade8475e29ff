"""``isoglot correct``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from isoglot.cli.options import Output, Overrides, given, tell

if TYPE_CHECKING:
    from isoglot.config.correction import CorrectConfig

__all__ = ["correct"]


def correct(
    output: Output,
    config: Annotated[
        Path | None,
        typer.Argument(help="YAML config; the options below change it.", show_default=False),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Folder, run folder, hub name, or mini.")
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="mean, lir, lsar, shift or wccn.  [default: lsar]")
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Bitext or parallel groups to learn from. Repeatable."),
    ] = None,
    components: Annotated[
        int | None, typer.Option(help="Directions to remove, for lir and lsar.")
    ] = None,
    texts_per_language: Annotated[
        int | None, typer.Option(help="Most texts per language: 10000.")
    ] = None,
    lang: Annotated[str | None, typer.Option(help="Language that shift leaves alone: en.")] = None,
    languages: Annotated[
        str | None, typer.Option(metavar="CODES", help="Learn from these only, such as en,sw.")
    ] = None,
    overrides: Overrides = None,
) -> None:
    """Remove language information from an encoder's vectors, without training."""
    from isoglot.pipeline.correction import run_correction

    options = {
        "method": method,
        "components": components,
        "texts_per_language": texts_per_language,
        "lang": lang,
        "languages": languages.replace(",", " ").split() if languages is not None else None,
        "data": [_source(path) for path in data] if data else None,
    }
    resolved = _load(config, overrides or (), model, given(options))
    typer.echo(f"model: {run_correction(resolved, output, tell)}")


def _load(
    path: Path | None, overrides: Sequence[str], model: str | None, chosen: Mapping[str, Any]
) -> CorrectConfig:
    """Read the config and put the options in place of what it says.

    Raises:
        ConfigError: If something is missing, unknown or wrong.
    """
    import json

    from isoglot.config.correction import CorrectConfig
    from isoglot.config.loading import load_config
    from isoglot.errors import ConfigError

    if path is None and model is None:
        raise ConfigError("--model is missing; name an encoder, or give a config")
    if path is None and "data" not in chosen:
        raise ConfigError("--data is missing; name a file of parallel texts, or give a config")
    # JSON is YAML, so options take the way of --set; what is set comes after them.
    options = [f"correction.{key}={json.dumps(value)}" for key, value in chosen.items()]
    if model is not None:
        options.insert(0, f"model.name={json.dumps(model)}")
    return load_config(CorrectConfig, path, [*options, *overrides])


def _source(path: Path) -> dict[str, str]:
    """Return the data set of a file whose layout says what it is.

    Raises:
        ConfigError: If it cannot be read without more being said.
        DataError: If it is missing or in no known layout.
    """
    from isoglot.data.layouts import detect_layout
    from isoglot.errors import ConfigError

    layout = detect_layout(path)
    if layout not in ("bitext", "groups"):
        raise ConfigError(
            f"--data {path}: is in {layout} layout; allowed are bitext and parallel groups, and "
            "what else a config can name: correction.data in CONFIG"
        )
    return {"path": str(path), "format": layout}
