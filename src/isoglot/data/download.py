"""Fetch pinned files into a cache folder: checked by SHA-256, resumed when interrupted.

Pooch checks the hash and puts a file in place only when it is whole; resuming is ours, because
pooch starts again from the first byte. Which files belong to a benchmark is in ``named.py``.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from isoglot.artifacts import file_sha256, is_complete, mark_complete
from isoglot.errors import DownloadError
from isoglot.progress import progress_bar

if TYPE_CHECKING:
    import requests

__all__ = ["RemoteFile", "ResumingDownloader", "cache_folder", "fetch", "fetch_hub_files"]

_TIMEOUT_S = 5.0
_READ_TIMEOUT_S = 30.0
_BLOCK_BYTES = 1 << 16
_ADVICE = "without a network connection pass the folder that holds the files with --data DIR"


class RemoteFile(NamedTuple):
    """A file pinned by its hash."""

    name: str
    """Path below the cache folder."""
    url: str
    sha256: str


def cache_folder() -> Path:
    """Return the folder for downloads: ``ISOGLOT_CACHE``, or ``~/.cache/isoglot``."""
    return Path(os.environ.get("ISOGLOT_CACHE") or Path.home() / ".cache" / "isoglot")


def fetch(remote: RemoteFile, folder: Path | None = None) -> Path:
    """Return the local copy of a pinned file, fetching it if it is not there or not the same.

    Args:
        remote: What to fetch.
        folder: Cache folder; default `cache_folder`.

    Raises:
        DownloadError: If it cannot be fetched, or what came is another file.
    """
    path = (folder or cache_folder()) / remote.name
    if path.is_file() and file_sha256(path) == remote.sha256:
        return path
    _check_connection(remote.name, remote.url)
    partial = path.with_name(path.name + ".partial")
    was_resumed = partial.exists()
    try:
        _retrieve(remote, path, partial)
    except ValueError as error:
        # A partial file may stem from another version of the file: once more, from the start.
        if was_resumed:
            return fetch(remote, folder)
        raise DownloadError(
            f"{remote.name}: the file at {remote.url} is not the pinned one, whose SHA-256 is "
            f"{remote.sha256}; pass the folder that holds the right files with --data DIR"
        ) from error
    return path


def fetch_hub_files(repositories: Sequence[tuple[str, str]], target: Path, marker: str) -> None:
    """Fetch files of hub datasets into a folder, once.

    Args:
        repositories: Dataset name and folder in it, such as
            ``("miracl/miracl", "miracl-v1.0-sw")``.
        target: Folder that receives the files.
        marker: Name of the set of files; when it was fetched whole, nothing is asked again.

    Raises:
        DownloadError: If they cannot be fetched.
    """
    done = target / f"fetched-{marker}"
    if is_complete(done):
        return
    from huggingface_hub import constants

    for repository, folder in repositories:
        what, url = f"{folder} of {repository}", constants.ENDPOINT
        if constants.HF_HUB_OFFLINE:
            raise _cannot_fetch(what, url, "HF_HUB_OFFLINE is set")
        _check_connection(what, url)
        try:
            _fetch_hub_folder(repository, folder, target)
        except Exception as error:  # of whichever HTTP library the hub's client uses
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            consent = "if the dataset asks for consent, give it there and set HF_TOKEN"
            raise _cannot_fetch(what, url, f"{reason}; {consent}") from error
    mark_complete(done)


def _fetch_hub_folder(repository: str, folder: str, target: Path) -> None:
    """Fetch the files one by one: a snapshot takes what is there for whole when a request fails."""
    from huggingface_hub import HfApi, hf_hub_download

    tree = HfApi().list_repo_tree(repository, folder, recursive=True, repo_type="dataset")
    names = [entry.path for entry in tree if hasattr(entry, "size")]  # folders have no size
    if not names:
        raise ValueError("the folder is empty there")
    for name in names:
        hf_hub_download(repository, name, repo_type="dataset", local_dir=target)


class ResumingDownloader:
    """A downloader for pooch that continues a partial file where the server allows it.

    Bytes go to ``partial``; when all have come, it is moved to where pooch wants them.
    """

    def __init__(self, partial: Path, *, progress: bool = False) -> None:
        self._partial = partial
        self._progress = progress

    def __call__(self, url: str, output_file: str, pooch: object) -> None:
        """Fetch ``url``; pooch's own third argument is not needed."""
        import requests

        have = self._partial.stat().st_size if self._partial.exists() else 0
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        with requests.get(
            url, headers=headers, stream=True, timeout=(_TIMEOUT_S, _READ_TIMEOUT_S)
        ) as response:
            if response.status_code == requests.codes.requested_range_not_satisfiable:
                # The partial file is whole, or of another version: its hash will tell.
                self._partial.replace(output_file)
                return
            response.raise_for_status()
            resumed = response.status_code == requests.codes.partial_content
            self._receive(response, have if resumed else 0)
        self._partial.replace(output_file)

    def _receive(self, response: requests.Response, have: int) -> None:
        left = int(response.headers.get("Content-Length", 0))
        with (
            self._partial.open("ab" if have else "wb") as file,
            progress_bar(
                self._partial.stem, have + left or None, "B", done=have, show=self._progress
            ) as bar,
        ):
            for block in response.iter_content(_BLOCK_BYTES):
                file.write(block)
                bar.update(len(block))


def _retrieve(remote: RemoteFile, path: Path, partial: Path) -> None:
    """Fetch with pooch.

    Raises:
        ValueError: From pooch, if the hash is another one.
        DownloadError: If the transfer fails.
    """
    import pooch
    import requests

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        pooch.retrieve(
            remote.url,
            known_hash=f"sha256:{remote.sha256}",
            fname=path.name,
            path=path.parent,
            downloader=ResumingDownloader(partial, progress=True),
        )
    except requests.RequestException as error:
        raise _cannot_fetch(remote.name, remote.url, _reason(error)) from error
    except OSError as error:
        raise DownloadError(
            f"{path}: cannot be written ({error.strerror or error}); "
            "set ISOGLOT_CACHE to a folder that can"
        ) from error


def _reason(error: Exception) -> str:
    response = getattr(error, "response", None)
    if response is not None:
        return f"the server answered {response.status_code} {response.reason}"
    return f"the transfer broke off: {type(error).__name__}; run again to continue it"


def _check_connection(what: str, url: str) -> None:
    """Fail within seconds where there is no network, instead of after the retries of a client.

    Looking up a name has no timeout of its own, so the attempt runs in a thread that may be left
    behind.

    Raises:
        DownloadError: If no connection comes about.
    """
    parts = urlsplit(url)
    if _uses_proxy(parts.scheme, parts.hostname or ""):
        return
    port = parts.port or (443 if parts.scheme == "https" else 80)
    outcome: list[str] = []

    def attempt() -> None:
        try:
            socket.create_connection((parts.hostname or "", port), timeout=_TIMEOUT_S).close()
            outcome.append("")
        except OSError as error:
            outcome.append(str(error.strerror or error))

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(_TIMEOUT_S)
    reason = outcome[0] if outcome else f"no answer within {_TIMEOUT_S:g} s"
    if reason:
        raise _cannot_fetch(what, url, reason)


def _uses_proxy(scheme: str, host: str) -> bool:
    """Say whether a proxy stands between, so that a direct connection proves nothing."""
    from urllib.request import getproxies, proxy_bypass

    return scheme in getproxies() and not proxy_bypass(host)


def _cannot_fetch(what: str, url: str, reason: str) -> DownloadError:
    return DownloadError(f"{what}: cannot be fetched from {url} ({reason}); {_ADVICE}")
