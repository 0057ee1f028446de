"""What every room's tests share."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
pytest.register_assert_rewrite("gauntlet")  # so that a failure there shows both values


@pytest.fixture(scope="session")
def nakami_data() -> Path:
    """Folder of real data sets: $NAKAMI_DATA, else ../shared/data beside the checkout."""
    folder = (ROOT / os.environ.get("NAKAMI_DATA", "../shared/data")).resolve()
    if not folder.is_dir():
        pytest.skip(f"no data sets in {folder}; set NAKAMI_DATA to their folder")
    return folder
