"""The ``isoglot`` command: sub-commands mounted, errors turned into one line and an exit code.

0 done; 1 a fault of ours; 2 the user can mend it; 130 interrupted. ``--debug`` anywhere on the line
shows the traceback instead.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.exceptions import Abort, Exit, TyperException

from isoglot import __version__
from isoglot.cli.align import align
from isoglot.cli.audit import audit
from isoglot.cli.card import card
from isoglot.cli.claims import claims
from isoglot.cli.compare import compare
from isoglot.cli.correct import correct
from isoglot.cli.data import data_app
from isoglot.cli.demo import demo
from isoglot.cli.encode import encode
from isoglot.cli.evaluate import evaluate
from isoglot.cli.experiment import experiment
from isoglot.cli.export import export
from isoglot.cli.index import index
from isoglot.cli.report import report
from isoglot.cli.search import search
from isoglot.cli.serve import serve
from isoglot.cli.train import train
from isoglot.errors import IsoglotError

__all__ = ["app", "main", "run"]

app = typer.Typer(
    name="isoglot",
    help="Dense retrievers that answer equally well in every language.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(demo)
app.add_typer(data_app, name="data")
app.command()(audit)
app.command()(align)
app.command()(train)
app.command()(correct)
app.command()(evaluate)
app.command()(compare)
app.command()(report)
app.command()(card)
app.command()(export)
app.command()(encode)
app.command()(index)
app.command()(search)
app.command()(serve)
app.command()(experiment)
app.command()(claims)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"isoglot {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show a traceback on errors; may stand anywhere.")
    ] = False,
) -> None:
    # Both are done with by now: --version has exited, --debug was taken off the line by `run`.
    del version, debug


def run(arguments: list[str], command: Callable[..., Any] = app) -> int:
    """Run a command line and return its exit code."""
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    try:
        code = int(command(arguments, prog_name="isoglot", standalone_mode=False) or 0)
        # Typer turns an interrupt into an exit with this code and says nothing.
        return _fail("interrupted", 130) if code == 130 else code
    except Exit as stop:
        return stop.exit_code
    except (Abort, KeyboardInterrupt):
        return _fail("interrupted", 130)
    except TyperException as error:
        if error.format_message().startswith("Usage:"):  # nothing was asked for: the help
            typer.echo(error.format_message(), err=True)
            return 2
        return _fail(f"{error.format_message()} (isoglot --help lists what is allowed)", 2)
    except IsoglotError as error:
        if debug:
            traceback.print_exc()
        return _fail(str(error), 2)
    except Exception as error:
        if debug:
            traceback.print_exc()
        name = type(error).__name__
        return _fail(f"internal error, {name}: {error}; --debug shows where it happened", 1)


def main() -> None:
    """Run the command line of this process and leave with its exit code."""
    # Progress and results speak for themselves; libraries below are asked for warnings only.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    sys.exit(run(sys.argv[1:]))


def _fail(message: str, code: int) -> int:
    line = " ".join(message.split())
    typer.echo(f"isoglot: {line}", err=True)
    return code
