"""A service on loopback in a thread of this process."""

from __future__ import annotations

import contextlib
import threading
import time

import uvicorn

from isoglot.config.serve import ServeConfig
from isoglot.serve.server import bind


@contextlib.contextmanager
def running(app):
    """Serve an app by the server that users have; yields its address, with a slash at the end."""
    listener, url = bind(ServeConfig(port=0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="on"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield url
    finally:
        server.should_exit = True
        thread.join()
