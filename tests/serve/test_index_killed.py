"""A real service while the command that adds to its index is killed and run again."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("faiss", reason="faiss is not installed")
pytest.importorskip("fastapi", reason="the extra 'serve' is not installed")

from isoglot.data.mini import load_mini
from tests.data.builders import write_jsonl

ROOT = Path(__file__).resolve().parents[2]
NEW = {"doc_id": "new-1", "lang": "sw", "text": "Zumaridi hupatikana katika machimbo ya mlimani."}
SECONDS = 20.0
"""To see a change; it takes one or two on a machine with nothing else to do."""

KILLED = """
import os, signal, sys
import {module} as module

def killed(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)

module.{function} = killed
from isoglot.cli.app import run
run(sys.argv[1:])
"""


def isoglot(*arguments, code="from isoglot.cli.app import main; main()"):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


def ask(url, query):
    """Return the ids of the answer."""
    body = json.dumps({"query": query, "k": 3}).encode()
    request = urllib.request.Request(f"{url}search", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:
        return [hit["doc_id"] for hit in json.load(answer)["results"]]


@pytest.fixture
def files(tmp_path):
    """Write the corpus of an index, what is to be added, and the index."""
    rows = [p._asdict() for p in load_mini().passages[:60]]
    write_jsonl(tmp_path / "corpus.jsonl", rows)
    replaced = {**rows[0], "text": f"{rows[0]['text']} {NEW['text']}"}
    write_jsonl(tmp_path / "more.jsonl", [NEW, replaced])
    made = isoglot("index", tmp_path / "corpus.jsonl", "-m", "mini", "-o", tmp_path / "index")
    assert made.returncode == 0, made.stderr
    return tmp_path


@pytest.fixture
def service(files):
    """Return the address of a service on the index, and the process."""
    code = "from isoglot.cli.app import main; main()"
    arguments = ("serve", str(files / "index"), "--port", "0")
    with (files / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        try:
            yield process.stdout.readline().strip(), process
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(SECONDS)
            process.stdout.close()
    assert "Traceback" not in (files / "log").read_text()


@pytest.mark.slow
def test_a_killed_addition_changes_no_answer_and_the_next_one_is_seen(files, service):
    url, process = service
    add = ("index", files / "more.jsonl", "-m", "mini", "-o", files / "index", "--add")
    before, failures, stop = ask(url, NEW["text"]), [], threading.Event()
    assert NEW["doc_id"] not in before

    def keep_asking():
        while not stop.wait(0.05):
            try:
                ask(url, NEW["text"])
            except OSError as error:
                failures.append(error)

    asking = threading.Thread(target=keep_asking)
    asking.start()
    try:
        for module, function in (
            ("isoglot.retrieval.building", "build_words"),  # a segment is half written
            ("isoglot.retrieval.changes", "write_manifest"),  # all is there but does not count
        ):
            killed = isoglot(*add, code=KILLED.format(module=module, function=function))
            assert killed.returncode == -signal.SIGKILL, killed.stderr
            time.sleep(1.5)  # the service looks for changes every second
            assert ask(url, NEW["text"]) == before
        again = isoglot(*add)
        assert again.returncode == 0, again.stderr
        assert "added 2 passages, of which 1 replace others" in again.stdout
        assert "built before" in again.stderr
        deadline = time.monotonic() + SECONDS
        while NEW["doc_id"] not in ask(url, NEW["text"]) and time.monotonic() < deadline:
            time.sleep(0.1)
    finally:
        stop.set()
        asking.join()
    found = ask(url, NEW["text"])
    assert found[0] == NEW["doc_id"]
    assert len(set(found)) == 3
    assert (failures, process.poll()) == ([], None)
    left = {path.name for path in (files / "index").iterdir()}
    assert not [name for name in left if name.startswith(".encoding-")]
    assert not list((files / "index" / "segments").glob(".*"))
