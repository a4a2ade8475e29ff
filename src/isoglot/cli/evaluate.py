"""``isoglot evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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

if TYPE_CHECKING:
    from isoglot.config.schema import ModelConfig
    from isoglot.evaluation.evaluate import Evaluation

__all__ = ["evaluate"]


def evaluate(
    benchmark: Annotated[
        str, typer.Option("--benchmark", "-b", help="Name, some languages of it, or a folder.")
    ],
    output: Output,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Folder, hub name, 'mini' or 'bm25'.")
    ] = None,
    embeddings: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Embeddings: used if there, made by --model if not, resumed; for large corpora.",
        ),
    ] = None,
    run: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LANG=FILE",
            help="TREC run, or a folder of LANG.trec, instead of a model. Repeatable.",
        ),
    ] = None,
    depth: Annotated[
        int | None, typer.Option(min=1, help="Passages per query to take from runs; default all.")
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", help="Folder with the benchmark's files.")
    ] = None,
    candidates: Annotated[
        str | None,
        typer.Option(help="LAReQA layout: sentence (default) or sentence-with-paragraph."),
    ] = None,
    split: Annotated[str | None, typer.Option(help="Split of MIRACL, AfriQA or BEIR.")] = None,
    lang: Annotated[
        str | None, typer.Option(help="BEIR layout: language of lines that do not name theirs.")
    ] = None,
    measure: Annotated[
        list[str] | None, typer.Option(help="As ir_measures writes it. Repeatable.")
    ] = None,
    passage_text: Annotated[
        str | None, typer.Option(help="MIRACL, AfriQA and BEIR: 'title text' (default) or 'text'.")
    ] = None,
    run_depth: Annotated[
        int | None, typer.Option(min=0, help="Passages per query in written runs; default 100.")
    ] = None,
    topics: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SOURCE:LANG=FILE",
            help="Topics of SOURCE translated into LANG, as further queries. Repeatable.",
        ),
    ] = None,
    subset: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=LANG,LANG", help="Measure pools of some languages besides. Repeatable."
        ),
    ] = None,
    memory_mb: Annotated[int | None, typer.Option(min=1, help="MiB for scores: 128.")] = None,
    dtype: Annotated[
        str | None, typer.Option(help="Of embeddings written: float32 (default) or float16.")
    ] = None,
    shard_size: Annotated[
        int | None, typer.Option(min=1, help="Texts per file of embeddings: 100,000.")
    ] = None,
    revision: Revision = None,
    pooling: Pooling = None,
    query_prompt: QueryPrompt = None,
    passage_prompt: PassagePrompt = None,
    max_tokens: MaxTokens = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Texts encoded at a time.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace a complete result.")] = False,
) -> None:
    """Measure a model in every monolingual, cross-lingual and multilingual setting.

    Instead of a model: its embeddings, bm25, or TREC runs of any system.
    """
    from isoglot.config.loading import parse_config
    from isoglot.config.schema import EvaluationConfig, ScoresConfig
    from isoglot.pipeline.evaluation import run_evaluation

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
        "topics": topics,
        "subsets": _subsets(subset) if subset else None,
    }
    source = {
        "embeddings": embeddings,
        "runs": run,
        "depth": depth,
        "memory_mb": memory_mb,
        "dtype": dtype,
        "shard_size": shard_size,
    }
    evaluation = run_evaluation(
        _model(given(encoder)),
        parse_config(EvaluationConfig, given(wanted), where="evaluate"),
        output,
        scores=parse_config(ScoresConfig, given(source), where="evaluate"),
        batch_size=batch_size,
        overwrite=overwrite,
    )
    _show(evaluation, output)


def _show(evaluation: Evaluation, output: Path) -> None:
    """Print the first measure by query language, by resources and by subset."""
    from isoglot.artifacts import read_json
    from isoglot.evaluation.outputs import METRICS
    from isoglot.reporting.by_language import language_table, subset_table
    from isoglot.reporting.by_resource import resource_table

    metrics, measure = read_json(output / METRICS), evaluation.measures[0]
    tables = [language_table(evaluation.settings, metrics["bias"], measure=measure)]
    groups = metrics["resource_groups"]
    if sum(1 for langs in groups["groups"].values() if langs) > 1:
        tables.append(resource_table(groups, measure=measure))
    if metrics["subsets"]:
        tables.append(subset_table(metrics["subsets"], measure=measure))
    typer.echo("\n".join(table.to_text() for table in tables), nl=False)
    if evaluation.depth is not None:
        typer.echo(f"from runs of {evaluation.depth} passages per query: deeper ones are not seen")
    typer.echo(f"results: {output}")


def _model(values: dict[str, Any]) -> ModelConfig | None:
    """Return the encoder, None if only other things than a model were named.

    Raises:
        ConfigError: If an option of an encoder is given without one.
    """
    from isoglot.config.loading import parse_config
    from isoglot.config.schema import ModelConfig
    from isoglot.errors import ConfigError

    if "name" in values:
        return parse_config(ModelConfig, values, where="evaluate")
    if values:
        option = next(iter(values)).replace("_", "-")
        raise ConfigError(f"--{option} is of a model, and there is no --model; name it")
    return None


def _subsets(texts: list[str]) -> dict[str, list[str]]:
    """Read ``NAME=LANG,LANG``.

    Raises:
        ConfigError: If one has another form, or a name comes twice.
    """
    from isoglot.errors import ConfigError

    subsets: dict[str, list[str]] = {}
    for text in texts:
        name, _, codes = text.partition("=")
        langs = [code.strip() for code in codes.split(",") if code.strip()]
        if not name.strip() or not langs:
            raise ConfigError(f"--subset {text}: expected NAME=LANG,LANG, such as low=sw,yo,bn")
        if name.strip() in subsets:
            raise ConfigError(f"--subset {text}: the name {name.strip()!r} is given twice")
        subsets[name.strip()] = langs
    return subsets
