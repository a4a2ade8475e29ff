"""Downloads, from a server on loopback."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from isoglot.data import download
from isoglot.data.download import RemoteFile, cache_folder, fetch, fetch_hub_files
from isoglot.errors import DownloadError

CONTENT = bytes(range(256)) * 4096
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serves CONTENT; ``/cut`` breaks off half-way when asked from the first byte."""

    requests: list[tuple[str, str | None]]
    ranges = True

    def do_GET(self):
        asked = self.headers.get("Range")
        type(self).requests.append((self.path, asked))
        if self.path == "/missing":
            self.send_error(404)
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.ranges else 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        cut = self.path == "/cut" and start == 0
        self.wfile.write(CONTENT[start : len(CONTENT) // 2 if cut else None])

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    Handler.requests, Handler.ranges = [], True
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{http.server_address[1]}"
        http.shutdown()
        thread.join()


def test_fetched_once(server, tmp_path, monkeypatch):
    monkeypatch.setenv("ISOGLOT_CACHE", str(tmp_path / "cache"))
    remote = RemoteFile("set/a.bin", f"{server}/whole", SHA256)
    path = fetch(remote)
    assert path == tmp_path / "cache" / "set" / "a.bin"
    assert path.read_bytes() == CONTENT
    fetch(remote)
    assert Handler.requests == [("/whole", None)]
    path.write_bytes(b"spoiled")
    assert fetch(remote).read_bytes() == CONTENT
    assert [entry.name for entry in path.parent.iterdir()] == ["a.bin"]


@pytest.mark.parametrize("ranges", [True, False])
def test_an_interrupted_transfer_is_continued(server, tmp_path, ranges):
    remote = RemoteFile("a.bin", f"{server}/cut", SHA256)
    with pytest.raises(DownloadError, match=r"the transfer broke off: .*; run again to continue"):
        fetch(remote, tmp_path)
    assert not (tmp_path / "a.bin").exists()
    partial = tmp_path / "a.bin.partial"
    assert 0 < partial.stat().st_size < len(CONTENT)
    Handler.ranges = ranges
    if not ranges:
        remote = remote._replace(url=f"{server}/whole")
    have = partial.stat().st_size
    assert fetch(remote, tmp_path).read_bytes() == CONTENT
    assert Handler.requests[-1] == (remote.url.removeprefix(server), f"bytes={have}-")
    assert not partial.exists()


@pytest.mark.parametrize("stale", [b"not the beginning", CONTENT + b"and more", CONTENT])
def test_a_partial_file_of_another_version(server, tmp_path, stale):
    (tmp_path / "a.bin.partial").write_bytes(stale)
    assert fetch(RemoteFile("a.bin", f"{server}/whole", SHA256), tmp_path).read_bytes() == CONTENT


def test_another_file_than_the_pinned_one(server, tmp_path):
    remote = RemoteFile("a.bin", f"{server}/whole", "0" * 64)
    with pytest.raises(DownloadError, match="is not the pinned one, whose SHA-256 is 0000"):
        fetch(remote, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_file_that_the_server_has_not(server, tmp_path):
    with pytest.raises(DownloadError, match="the server answered 404 Not Found"):
        fetch(RemoteFile("a.bin", f"{server}/missing", SHA256), tmp_path)


def test_offline(tmp_path):
    remote = RemoteFile("a.bin", "http://127.0.0.1:9/a.bin", SHA256)
    with pytest.raises(DownloadError) as caught:
        fetch(remote, tmp_path)
    message = str(caught.value)
    assert message.startswith("a.bin: cannot be fetched from http://127.0.0.1:9/a.bin (")
    assert message.endswith("pass the folder that holds the files with --data DIR")
    assert "\n" not in message


def test_a_silent_name_server(tmp_path, monkeypatch):
    released = threading.Event()
    monkeypatch.setattr(download, "_TIMEOUT_S", 0.05)

    def wait(*args, **kwargs):
        released.wait(10)
        raise OSError("too late")

    monkeypatch.setattr(download.socket, "create_connection", wait)
    with pytest.raises(DownloadError, match=r"no answer within 0\.05 s"):
        fetch(RemoteFile("a.bin", "http://silent.invalid/a.bin", SHA256), tmp_path)
    released.set()


def test_a_cache_that_cannot_be_written(server, tmp_path):
    (tmp_path / "set").write_text("a file")
    with pytest.raises(DownloadError, match=r"cannot be written .* set ISOGLOT_CACHE to a folder"):
        fetch(RemoteFile("set/a.bin", f"{server}/whole", SHA256), tmp_path)


def test_default_cache(monkeypatch, tmp_path):
    monkeypatch.delenv("ISOGLOT_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "isoglot"


class FakeHub:
    """Stands for the two calls that reach the hub."""

    def __init__(self, *paths):
        self.paths = paths
        self.fetched = []

    def list_repo_tree(self, repository, folder, **kwargs):
        folders = [SimpleNamespace(path=folder)]
        return folders + [SimpleNamespace(path=f"{folder}/{p}", size=1) for p in self.paths]

    def hf_hub_download(self, repository, name, **kwargs):
        self.fetched.append((repository, name))


@pytest.fixture
def use_hub(monkeypatch):
    import huggingface_hub
    from huggingface_hub import constants

    def use(hub):
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(download, "_check_connection", lambda what, url: None)
        monkeypatch.setattr(huggingface_hub, "HfApi", lambda: hub)
        monkeypatch.setattr(huggingface_hub, "hf_hub_download", hub.hf_hub_download)
        return hub

    return use


def test_hub_folders_are_fetched_once(tmp_path, use_hub):
    hub = use_hub(FakeHub("1", "2"))
    for _ in range(2):
        fetch_hub_files([("a/b", "x-sw"), ("a/c", "y-sw")], tmp_path, "sw")
    assert hub.fetched == [
        ("a/b", "x-sw/1"),
        ("a/b", "x-sw/2"),
        ("a/c", "y-sw/1"),
        ("a/c", "y-sw/2"),
    ]


def test_a_hub_that_refuses(tmp_path, use_hub):
    hub = FakeHub("1")

    def refuse(*args, **kwargs):
        raise PermissionError("401\nlong story")

    hub.hf_hub_download = refuse
    use_hub(hub)
    with pytest.raises(DownloadError, match="PermissionError: 401 long story; if the dataset asks"):
        fetch_hub_files([("a/b", "x-sw")], tmp_path, "sw")
    use_hub(FakeHub())
    with pytest.raises(DownloadError, match=r"x-sw of a/b: .* the folder is empty there"):
        fetch_hub_files([("a/b", "x-sw")], tmp_path, "sw")


def test_a_hub_switched_off(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DownloadError, match=r"x of a/b: cannot be .* \(HF_HUB_OFFLINE is set\)"):
        fetch_hub_files([("a/b", "x")], tmp_path, "sw")
