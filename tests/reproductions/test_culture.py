"""What the records of ``culture.py`` must say."""

import json
from pathlib import Path

import pytest

RESULTS = Path(__file__).resolve().parents[2] / "reproductions" / "results" / "culture.json"


def test_messages_gain_a_tenth_unless_they_are_noise():
    if not RESULTS.exists():
        pytest.skip("the results are not part of this installation")
    records = json.loads(RESULTS.read_text(encoding="utf-8"))["records"]

    def right(name):
        return sum(records[name]["right"]) / len(records[name]["right"])

    for seed in range(3):
        alone = right(f"{seed} alone")
        for noise in ("0", "0.3"):
            assert right(f"{seed} {noise}") >= alone + 0.1, (seed, noise)
        assert right(f"{seed} 1") <= alone, seed
