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
        str | None,
        typer.Option(help="LAReQA layout: sentence (default) or sentence-with-paragraph."),
    ] = None,
    split: Annotated[str | None, typer.Option(help="Split of MIRACL or BEIR.")] = None,
    lang: Annotated[
        str | None, typer.Option(help="BEIR layout: language of lines that do not name theirs.")
    ] = None,
    measure: Annotated[
        list[str] | None, typer.Option(help="As ir_measures writes it. Repeatable.")
    ] = None,
    passage_text: Annotated[
        str | None, typer.Option(help="MIRACL and BEIR: 'title text' (default) or 'text'.")
    ] = None,
    run_depth: Annotated[
        int | None, typer.Option(min=0, help="Passages per query in TREC runs; default 100.")
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Hub commit or tag of the model.")] = None,
    pooling: Annotated[
        str | None, typer.Option(help="mean or cls, for a model without pooling.")
    ] = None,
    query_prompt: Annotated[str | None, typer.Option(help="Put before every query.")] = None,
    passage_prompt: Annotated[str | None, typer.Option(help="Put before every passage.")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Cut longer texts.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Texts encoded at a time.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace a complete result.")] = False,
) -> None:
    """Measure a model in every monolingual, cross-lingual and multilingual setting."""
    from isoglot.bias.rank_distance import summarize
    from isoglot.config.loading import parse_config
    from isoglot.config.schema import EvaluationConfig, ModelConfig
    from isoglot.pipeline.evaluation import run_evaluation
    from isoglot.reporting.by_language import language_table

    encoder = {
        "name": model,
        "revision": revision,
        "pooling": pooling,
        "query_prompt": query_prompt,
        "passage_prompt": passage_prompt,
        "max_tokens": max_tokens,
    }
    wanted = {
        "benchmark": benchmark,
        "data": data,
        "candidates": candidates,
        "split": split,
        "passage_text": passage_text,
        "lang": lang,
        "measures": measure,
        "run_depth": run_depth,
    }
    evaluation = run_evaluation(
        parse_config(ModelConfig, _given(encoder), where="evaluate"),
        parse_config(EvaluationConfig, _given(wanted), where="evaluate"),
        output,
        batch_size=batch_size,
        overwrite=overwrite,
    )
    table = language_table(
        evaluation.settings, summarize(evaluation), measure=evaluation.measures[0]
    )
    typer.echo(table.to_text(), nl=False)
    typer.echo(f"results: {output}")


def _given(values: dict[str, Any]) -> dict[str, Any]:
    """Leave out what was not given, so that the config's defaults hold."""
    return {key: value for key, value in values.items() if value is not None}
