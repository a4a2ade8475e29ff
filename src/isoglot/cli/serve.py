"""``isoglot serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from isoglot.cli.options import given, tell

__all__ = ["serve"]


def serve(
    index: Annotated[str, typer.Argument(help="Folder of an index, or an address of Milvus.")],
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="Default: the one the index was made with."),
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on: 127.0.0.1.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="8000; 0 for any free one.")
    ] = None,
    api_key_file: Annotated[
        Path | None, typer.Option(help="File with an API key; else that of ISOGLOT_API_KEY.")
    ] = None,
    no_key: Annotated[
        bool, typer.Option("--no-key", help="Let other machines in without a key.")
    ] = False,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Another name it is asked under. Repeatable.")
    ] = None,
    policy: Annotated[
        str | None, typer.Option(help="Unless asked otherwise: score (default), balanced or quota.")
    ] = None,
    questions: Annotated[
        Path | None, typer.Option(help="JSON lines of example questions; default: embedded ones.")
    ] = None,
    log_queries: Annotated[
        bool, typer.Option("--log-queries", help="Write queries to the log.")
    ] = False,
    most_waiting: Annotated[
        int | None, typer.Option(min=1, help="Queries that may wait: 256.")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Queries searched at once, at most: 32.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Of the encoder; default: all cores.")
    ] = None,
) -> None:
    """Answer searches over HTTP, with a page to see them.

    Stop it with Ctrl+C. See docs/serving.md for the API and for what keeps it safe.
    """
    _check_installed()
    from isoglot.config.loading import parse_config
    from isoglot.config.serve import ServeConfig
    from isoglot.serve.questions import embedded_questions, read_questions
    from isoglot.serve.server import bind, host_names, read_key, run_server

    options = {
        "host": host,
        "port": port,
        "no_key": no_key,
        "allowed_hosts": allow_host,
        "policy": policy,
        "log_queries": log_queries,
        "most_waiting": most_waiting,
        "batch": batch,
    }
    config = parse_config(ServeConfig, given(options), where="serve")
    key = read_key(api_key_file)
    hosts = host_names(config, key)
    offered = read_questions(questions) if questions else embedded_questions()
    listener, address = bind(config)
    with listener:
        from isoglot.config.schema import ModelConfig
        from isoglot.retrieval.opening import open_searcher
        from isoglot.serve.app import create_app

        searcher = open_searcher(index, ModelConfig(name=model) if model else None, threads=threads)
        app = create_app(
            searcher,
            encoder=searcher.origin.model,
            config=config,
            key=key,
            hosts=hosts,
            questions=offered,
        )
        sizes = searcher.sizes
        tell(f"{sum(sizes.values()):,} passages in {len(sizes)} languages; Ctrl+C stops")
        typer.echo(address)
        run_server(app, listener, config)


def _check_installed() -> None:
    """Say how to install what only this command needs.

    Raises:
        ConfigError: If it is not there.
    """
    from importlib.util import find_spec

    from isoglot.errors import ConfigError

    missing = [name for name in ("fastapi", "uvicorn", "prometheus_client") if not find_spec(name)]
    if missing:
        raise ConfigError(
            f"isoglot serve needs {', '.join(missing)}, not installed; pip install 'isoglot[serve]'"
        )
