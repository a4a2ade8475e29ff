"""The service on an index of the package."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request

import pytest

pytest.importorskip("faiss", reason="faiss is not installed")
pytest.importorskip("fastapi", reason="the extra 'serve' is not installed")

from isoglot.config.index import IndexConfig
from isoglot.config.model import ModelConfig
from isoglot.config.serve import ServeConfig
from isoglot.data.mini import load_mini
from isoglot.pipeline.indexing import index_corpus
from isoglot.retrieval.opening import open_searcher
from isoglot.serve.app import create_app
from tests.data.builders import write_jsonl
from tests.serve.running import running

MODEL = ModelConfig(name="mini")
MILK = "How does milk turn into yoghurt?"


def index_rows(rows, file, index, *, add=False):
    write_jsonl(file, rows)
    index_corpus(MODEL, str(file), str(index), IndexConfig(), lambda _: None, add=add)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("index")
    rows = [{"doc_id": p.doc_id, "lang": p.lang, "text": p.text} for p in load_mini().passages]
    index_rows(rows, folder / "corpus.jsonl", folder / "index")
    return folder / "index"


@pytest.fixture(scope="module")
def url(index):
    searcher = open_searcher(str(index))
    config = ServeConfig(policy="balanced", refresh_s=0.1)
    with running(create_app(searcher, encoder=searcher.origin.model, config=config)) as url:
        yield url


def ask(url, path, body=None):
    request = urllib.request.Request(
        url + path, body and json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def test_every_policy_answers_from_the_index(url):
    facts = ask(url, "index")
    assert facts["encoder"] == "mini"
    assert facts["default_policy"] == "balanced"
    assert len(facts["languages"]) == 12
    for policy in ("score", "balanced", "quota"):
        for words in {False, facts["has_words"]}:
            wanted = {"policy": policy, "words": words, "query_language": "en"}
            answer = ask(url, "search", {"query": MILK, **wanted})
            assert [result["rank"] for result in answer["results"]] == list(range(1, 11))
            assert all(result["text"] for result in answer["results"])


@pytest.mark.parametrize("query", ["\0", "\u202e", "🜁" * 2000, "a" * 2000, "\x1b[31m", "\ufffe"])
def test_texts_with_nothing_an_encoder_knows_are_queries_like_others(url, query):
    for words in (False, True):
        assert len(ask(url, "search", {"query": query, "words": words})["results"]) == 10


def test_what_is_added_is_found_while_searches_go_on(url, index, tmp_path):
    before = ask(url, "index")["generation"]
    counts, stop = [], threading.Event()

    def search():
        while not stop.is_set():
            counts.append(len(ask(url, "search", {"query": MILK, "k": 3})["results"]))

    threads = [threading.Thread(target=search) for _ in range(2)]
    for thread in threads:
        thread.start()
    text = "Zumaridi ya kijani kibichi kabisa"
    for number in range(2):
        row = {"doc_id": f"new-{number}", "lang": "sw", "text": f"{text} {number}"}
        index_rows([row], tmp_path / f"{number}.jsonl", index, add=True)
    deadline = time.monotonic() + 20
    found = []
    while found != ["new-0", "new-1"] and time.monotonic() < deadline:
        answer = ask(url, "search", {"query": text, "policy": "score", "k": 2})
        found = sorted(result["doc_id"] for result in answer["results"])
    stop.set()
    for thread in threads:
        thread.join()
    assert found == ["new-0", "new-1"]
    assert ask(url, "index")["generation"] > before
    assert counts and set(counts) == {3}


@pytest.mark.slow
def test_the_command_serves_an_index_until_it_is_told_to_stop(index):
    code = (
        "import sys, typer; from isoglot.cli.app import run; from isoglot.cli.serve import serve; "
        "app = typer.Typer(); app.command()(serve); sys.exit(run(sys.argv[1:], app))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(index), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"},
    )
    try:
        url = process.stdout.readline().strip()
        assert len(ask(url, "search", {"query": MILK})["results"]) == 10
        assert len(ask(url, "questions")["questions"]) == 48
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0
    assert "passages in 12 languages; Ctrl+C stops" in log
    assert "POST /search 200" in log and MILK not in log and "Traceback" not in log
