"""What every room's tests share."""

import gc
import os
from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
pytest.register_assert_rewrite("gauntlet")  # so that a failure there shows both values


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """The collector need not walk again and again through what imports and collection leave."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(10_000, 10, 10)
        gc.enable()


@pytest.fixture(scope="session")
def nakami_data() -> Path:
    """Folder of real data sets: $NAKAMI_DATA, else ../shared/data beside the checkout."""
    folder = (ROOT / os.environ.get("NAKAMI_DATA", "../shared/data")).resolve()
    if not folder.is_dir():
        pytest.skip(f"no data sets in {folder}; set NAKAMI_DATA to their folder")
    return folder


@pytest.fixture(scope="module")
def one_diagram_of_each_margin() -> Iterator[None]:
    """Studies of one margin have the same phase diagram, which takes half of their time."""
    from nakami.theory import phase

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nakami.theory.phase._study.phase_diagram", cache(phase.phase_diagram))
        yield
