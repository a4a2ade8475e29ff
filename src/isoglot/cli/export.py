"""``isoglot export``."""

from __future__ import annotations

from typing import Annotated

import typer

from isoglot.cli.options import Output

__all__ = ["export"]


def export(
    model: Annotated[
        str, typer.Argument(help="Folder, run folder, hub name, or mini.", show_default=False)
    ],
    output: Output,
    form: Annotated[str, typer.Option("--format", help="onnx: float32.")] = "onnx",
    revision: Annotated[str | None, typer.Option(help="Hub commit or tag of the model.")] = None,
    pooling: Annotated[
        str | None, typer.Option(help="mean or cls, for a model without pooling.")
    ] = None,
    query_prompt: Annotated[str | None, typer.Option(help="Put before every query.")] = None,
    passage_prompt: Annotated[str | None, typer.Option(help="Put before every passage.")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Cut longer texts.")] = None,
) -> None:
    """Write an encoder as an ONNX graph, and check that its vectors are the same."""
    from isoglot.config.loading import parse_config
    from isoglot.config.schema import ModelConfig
    from isoglot.models.export import export_encoder

    options = {
        "name": model,
        "revision": revision,
        "pooling": pooling,
        "query_prompt": query_prompt,
        "passage_prompt": passage_prompt,
        "max_tokens": max_tokens,
    }
    given = {key: value for key, value in options.items() if value is not None}
    exported = export_encoder(parse_config(ModelConfig, given), output, form)
    typer.echo(
        f"encoder: {exported.folder} ({exported.dim} dimensions, {exported.size / 1e6:.1f} MB, "
        f"vectors differ by at most {exported.difference:.0e} of their length)"
    )
