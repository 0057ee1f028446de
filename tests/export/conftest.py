"""Times are taken for a moment only."""

import pytest


@pytest.fixture(autouse=True)
def short_times(monkeypatch):
    monkeypatch.setattr("nakami.export._latency.SECONDS", 0.01)
