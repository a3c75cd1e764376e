"""Where tests find the real medical test data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Return the folder of test data; skip where it is absent."""
    root = Path(__file__).parent.parent
    folder = root / os.environ.get("MEDREWARD_TEST_DATA", "../shared/data")
    if not folder.is_dir():
        pytest.skip(f"no test data at {folder}; MEDREWARD_TEST_DATA names their folder")
    return folder
