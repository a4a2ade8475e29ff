"""The command line in this process."""

import pytest

from isoglot.cli.app import run


@pytest.fixture
def call(capsys):
    """Run a command line; return exit code, stdout and stderr."""

    def run_line(*arguments):
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_line


@pytest.fixture
def refused(call):
    """Run a command line that must fail with one line on stderr; return the line."""

    def run_line(*arguments):
        code, out, err = call(*arguments)
        assert (code, out) == (2, "")
        assert err.startswith("isoglot: ")
        assert err.count("\n") == 1 and err.endswith("\n")
        return err.strip()

    return run_line
