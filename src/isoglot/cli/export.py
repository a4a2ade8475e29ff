"""``isoglot export``."""

from __future__ import annotations

from typing import Annotated

import typer

from isoglot.cli.options import (
    MaxTokens,
    Output,
    PassagePrompt,
    Pooling,
    QueryPrompt,
    Revision,
    given,
)

__all__ = ["export"]


def export(
    model: Annotated[
        str, typer.Argument(help="Folder, run folder, hub name, or mini.", show_default=False)
    ],
    output: Output,
    form: Annotated[str, typer.Option("--format", help="onnx: float32.")] = "onnx",
    revision: Revision = None,
    pooling: Pooling = None,
    query_prompt: QueryPrompt = None,
    passage_prompt: PassagePrompt = None,
    max_tokens: MaxTokens = None,
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
    exported = export_encoder(parse_config(ModelConfig, given(options)), output, form)
    typer.echo(
        f"encoder: {exported.folder} ({exported.dim} dimensions, {exported.size / 1e6:.1f} MB, "
        f"vectors differ by at most {exported.difference:.0e} of their length)"
    )
