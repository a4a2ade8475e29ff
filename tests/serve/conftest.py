"""The service in this process, and as a process of its own."""

import os
import subprocess
import sys
import threading
import time

import pytest

pytest.importorskip("fastapi", reason="the extra 'serve' is not installed")


@pytest.fixture
def library():
    from tests.serve.library import Library

    return Library()


@pytest.fixture
def client(library):
    """Start the service on a library, and return a client; keyword arguments go to the app."""
    from fastapi.testclient import TestClient

    from isoglot.serve.app import create_app
    from tests.serve.library import QUESTIONS

    clients = []

    def start(**options):
        options = {"encoder": "mini", "questions": QUESTIONS, **options}
        one = TestClient(create_app(library, **options), raise_server_exceptions=False)
        clients.append(one.__enter__())
        return one

    yield start
    for one in clients:
        one.__exit__(None, None, None)


class Process:
    """A service in a process of its own.

    Attributes:
        url: Where it listens, with a slash at the end.
        port: The same.
    """

    def __init__(self, *arguments, environment=None):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.serve.process", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
        )
        self.url = self._process.stdout.readline().strip()
        self.port = int(self.url.rstrip("/").rpartition(":")[2])
        self.log = []
        self._reader = threading.Thread(target=lambda: self.log.extend(self._process.stderr))
        self._reader.start()

    def is_alive(self):
        return self._process.poll() is None

    def signal(self, number):
        self._process.send_signal(number)

    def wait(self):
        """Return exit code and seconds until it ended."""
        started = time.monotonic()
        code = self._process.wait(20)
        self._reader.join(5)
        return code, time.monotonic() - started

    def stop(self):
        if self.is_alive():
            self._process.terminate()
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._reader.join(5)


@pytest.fixture
def start_process():
    processes = []

    def start(*arguments, **options):
        processes.append(Process(*arguments, **options))
        return processes[-1]

    yield start
    for process in processes:
        process.stop()


@pytest.fixture(scope="module")
def process():
    """One process for the tests that leave it as it was."""
    one = Process("request_s=0.5", "most_waiting=1000")
    yield one
    assert one.is_alive()
    one.stop()
    assert not any("Traceback" in line for line in one.log), "".join(one.log)
