"""``isoglot evaluate``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from isoglot.cli.options import Output

__all__ = ["evaluate"]


def evaluate(
    model: Annotated[str, typer.Option("--model", "-m", help="Folder, hub name or 'mini'.")],
    benchmark: Annotated[
        str, typer.Option("--benchmark", "-b", help="Name, some languages of it, or a folder.")
    ],
    output: Output,
    data: Annotated[
        str | None, typer.Option("--data", help="Folder with the benchmark's files.")
    ] = None,
    candidates: Annotated[
        str, typer.Option(help="LAReQA layout: sentence or sentence-with-paragraph.")
    ] = "sentence",
    split: Annotated[str | None, typer.Option(help="Split of MIRACL or BEIR.")] = None,
    lang: Annotated[
        str | None, typer.Option(help="BEIR layout: language of lines that do not name theirs.")
    ] = None,
    measure: Annotated[
        list[str] | None, typer.Option(help="As ir_measures writes it. Repeatable.")
    ] = None,
    run_depth: Annotated[int, typer.Option(min=0, help="Passages per query in TREC runs.")] = 100,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Texts encoded at a time.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace a complete result.")] = False,
) -> None:
    """Measure a model in every monolingual, cross-lingual and multilingual setting."""
    from isoglot.bias.rank_distance import summarize
    from isoglot.config.loading import parse_config
    from isoglot.config.schema import EvaluationConfig, ModelConfig
    from isoglot.pipeline import run_evaluation
    from isoglot.reporting.by_language import language_table

    values: dict[str, Any] = {
        "benchmark": benchmark,
        "data": data,
        "candidates": candidates,
        "split": split,
        "lang": lang,
        "run_depth": run_depth,
    }
    if measure:
        values["measures"] = measure
    evaluation = run_evaluation(
        ModelConfig(name=model),
        parse_config(EvaluationConfig, values, where="evaluate"),
        output,
        batch_size=batch_size,
        overwrite=overwrite,
        show_progress=True,
    )
    table = language_table(
        evaluation.settings, summarize(evaluation), measure=evaluation.measures[0]
    )
    typer.echo(table.to_text(), nl=False)
    typer.echo(f"results: {output}")
