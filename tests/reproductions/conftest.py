"""Scripts of the folder of reproductions, as modules."""

import importlib
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "reproductions"


@pytest.fixture(scope="module")
def reproduction():
    """``reproduction(name)``, a script or a part of one; skips where they are not installed."""
    if not FOLDER.is_dir():
        pytest.skip("the reproductions are not part of this installation")
    path = list(sys.path)
    sys.path.insert(0, str(FOLDER))
    yield importlib.import_module
    sys.path[:] = path
