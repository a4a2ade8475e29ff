"""``isoglot encode``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from isoglot.cli.options import (
    MaxTokens,
    Output,
    PassagePrompt,
    Pooling,
    QueryPrompt,
    Revision,
    given,
    tell,
)

if TYPE_CHECKING:
    from isoglot.pipeline.encoding import Encoded

__all__ = ["encode"]


def encode(
    corpus: Annotated[
        str,
        typer.Argument(
            help="jsonl, TSV (both also .gz), Parquet, a folder of them, or a data set of the hub.",
            show_default=False,
        ),
    ],
    model: Annotated[
        str, typer.Option("--model", "-m", help="Folder, hub name, 'mini', or an export.")
    ],
    output: Output,
    lang: Annotated[
        str | None, typer.Option(help="Language of passages that do not state theirs.")
    ] = None,
    detect: Annotated[
        bool, typer.Option(help="Detect languages that are neither stated nor given.")
    ] = True,
    check_languages: Annotated[
        bool, typer.Option("--check-languages", help="Compare stated languages with the texts.")
    ] = False,
    id_column: Annotated[str | None, typer.Option(help="Default: doc_id, docid, _id, id.")] = None,
    text_column: Annotated[str | None, typer.Option(help="Default: text, contents.")] = None,
    title_column: Annotated[str | None, typer.Option(help="Default: title.")] = None,
    lang_column: Annotated[str | None, typer.Option(help="Default: lang, language.")] = None,
    passage_text: Annotated[
        str | None, typer.Option(help="'title text' (default) or 'text'.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Of a Hugging Face data set: train.")] = None,
    corpus_revision: Annotated[
        str | None, typer.Option(help="Commit or tag of a Hugging Face data set.")
    ] = None,
    backend: Annotated[
        str | None, typer.Option(help="auto (default), torch, onnx or openvino.")
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(help="auto (default), float32, bfloat16, float16 or int8: of the encoder."),
    ] = None,
    dtype: Annotated[
        str | None, typer.Option(help="Of vectors on disk: float32 (default) or float16.")
    ] = None,
    shard_size: Annotated[
        int | None, typer.Option(min=1, help="Passages per file of vectors: 100,000.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Texts of 128 tokens at a time, fewer longer ones.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Default: one per core.")] = None,
    device: Annotated[str | None, typer.Option(help="Torch device; default: the fastest.")] = None,
    engine: Annotated[str, typer.Option(help="local, or ray for many machines.")] = "local",
    address: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Of a Ray cluster, or 'auto'.")
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare SHA-256 of what is there, not only sizes.")
    ] = False,
    mix_precisions: Annotated[
        bool, typer.Option("--mix-precisions", help="Add to vectors of another precision.")
    ] = False,
    revision: Revision = None,
    pooling: Pooling = None,
    query_prompt: QueryPrompt = None,
    passage_prompt: PassagePrompt = None,
    max_tokens: MaxTokens = None,
) -> None:
    """Encode a corpus for isoglot index; the same command again goes on where it stopped."""
    from isoglot.config.encoding import EncodingConfig
    from isoglot.config.loading import parse_config
    from isoglot.config.schema import ModelConfig
    from isoglot.data.passages import PassageOptions
    from isoglot.pipeline.encoding import run_encoding

    encoder = {
        "name": model,
        "revision": revision,
        "pooling": pooling,
        "query_prompt": query_prompt,
        "passage_prompt": passage_prompt,
        "max_tokens": max_tokens,
    }
    settings = {
        "backend": backend,
        "precision": precision,
        "dtype": dtype,
        "shard_size": shard_size,
        "batch_size": batch_size,
        "threads": threads,
        "device": device,
    }
    reading = {
        "lang": lang,
        "id_column": id_column,
        "text_column": text_column,
        "title_column": title_column,
        "lang_column": lang_column,
        "passage_text": passage_text,
        "split": split,
        "revision": corpus_revision,
    }
    flags = {"verify": verify, "mix_precisions": mix_precisions}
    encoded = run_encoding(
        parse_config(ModelConfig, given(encoder), where="encode"),
        corpus,
        output,
        parse_config(EncodingConfig, {**given(settings), **flags}, where="encode"),
        PassageOptions(**given(reading), detect=detect, check=check_languages),
        tell,
        engine=engine,  # type: ignore[arg-type]  # checked there
        address=address,
    )
    _show(encoded)


def _show(encoded: Encoded) -> None:
    origin = encoded.origin
    total = sum(encoded.passages.values())
    before = f", {encoded.there:,} of them before" if encoded.there else ""
    typer.echo(
        f"{total:,} passages in {len(encoded.passages)} languages{before}; "
        f"{origin.dim} dimensions, {origin.dtype}, computed in {origin.precision}"
    )
    typer.echo(f"embeddings: {encoded.folder}")
