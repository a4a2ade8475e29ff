"""Fixtures that several test folders use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

# No test may wait for a model hub; set before any library reads it.
os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what is prepared or downloaded out of the user's cache, for child processes too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ISOGLOT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with the real data, for the tests that need it."""
    default = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("ISOGLOT_SHARED", default)) / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set ISOGLOT_SHARED to the folder that holds data/")
    return folder


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tiny encoders by name, in the layouts that real ones come in; never to be written to."""
    from tests.models import checkpoints as layouts

    folder = tmp_path_factory.mktemp("checkpoints")
    return {
        "xlm-r": layouts.save_xlm_roberta(folder / "xlm-r"),
        "labse": layouts.save_labse(folder / "labse"),
        "e5": layouts.save_e5(folder / "e5"),
        "static": layouts.save_static(folder / "static"),
    }
