"""Serves the library of the tests: ``python -m tests.serve.process KEY=VALUE ...``.

Keys are those of the service's config; ``key`` is the API key, and ``slow_s`` how long a search
takes.
"""

from __future__ import annotations

import sys
import time

import yaml

from isoglot.config.serve import ServeConfig
from isoglot.serve.app import create_app
from isoglot.serve.server import bind, host_names, run_server
from tests.serve.library import QUESTIONS, Library


class SlowLibrary(Library):
    def __init__(self, seconds):
        super().__init__()
        self._seconds = seconds

    def search(self, queries, config):
        time.sleep(self._seconds)
        return super().search(queries, config)


def main(arguments):
    values = {name: yaml.safe_load(text) for name, _, text in (a.partition("=") for a in arguments)}
    key = values.pop("key", None)
    searcher = SlowLibrary(values.pop("slow_s", 0.0))
    config = ServeConfig(**{"port": 0, **values})
    hosts = host_names(config, key)
    listener, url = bind(config)
    app = create_app(
        searcher, encoder="mini", config=config, key=key, hosts=hosts, questions=QUESTIONS
    )
    print(url)  # noqa: T201 - read by the test that started it
    run_server(app, listener, config)


if __name__ == "__main__":
    main(sys.argv[1:])
