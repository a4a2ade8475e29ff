"""Fixtures that several test folders use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# No test may wait for a model hub; set before any library reads it.
os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with the real data, for the tests that need it."""
    default = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("ISOGLOT_SHARED", default)) / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set ISOGLOT_SHARED to the folder that holds data/")
    return folder
