"""Explosions, warnings and their leads in hand-made traces, and the monitor's own limit."""

import json
import math
import sys
from pathlib import Path

import pytest

from nakami.recurrent.explosion._monitor import UPDATE

FOLDER = Path(__file__).resolve().parents[2] / "reproductions"
RESULTS = FOLDER / "results" / "explosion_monitor"


@pytest.fixture(scope="module", autouse=True)
def scripts():
    if not FOLDER.is_dir():
        pytest.skip("the reproductions are not part of this installation")
    path = list(sys.path)
    sys.path.insert(0, str(FOLDER))
    yield
    sys.path[:] = path


def test_an_explosion_is_ten_medians_of_the_gradient_or_two_of_the_loss():
    from explosion_monitor import exploded

    calm = {"loss": [4.0, 5.0, 6.0], "norm": [1.0, 2.0, 9.0]}
    assert exploded(calm, {"loss": 10.0, "norm": 20.0}) is None
    assert exploded(calm, {"loss": 1.0, "norm": 20.1}) == "gradient"
    assert exploded(calm, {"loss": 10.1, "norm": 1.0}) == "loss"
    assert exploded({}, {"loss": 1e9, "norm": 1e9}) is None
    assert exploded(calm, {"loss": math.nan, "norm": 1.0}) == "not finite"
    long = {"loss": [100.0] * 50 + [1.0] * 50, "norm": [1.0] * 100}
    assert exploded(long, {"loss": 2.1, "norm": 1.0}) == "loss"


def test_warnings_are_scored_by_what_comes_within_fifty_steps():
    from _explosion_scores import score, warnings

    ons = [5, 6, 26, 47, 120]
    series = [float(i in ons) for i in range(150)]
    assert warnings(series, 0.5) == [5, 47, 120]  # 26 is within 20 steps of 6
    assert warnings(series, 0.5, every=5) == [5, 120]
    runs = [{"explosion": at, "trace": series} for at in (None, 60, 110, 5)]
    found = score(runs, lambda trace: trace, 0.5)
    assert (found.explosions, found.leads, found.early) == (3, [13], 3)
    assert (found.false, found.steps) == (3, 150)
    assert found.false_rate == pytest.approx(20)
    runs = [{"explosion": 50, "trace": series}]
    assert score(runs, lambda trace: trace, 0.5).leads == [45]


def test_the_update_is_known_only_after_its_step():
    from _explosion_scores import coming_update, last_update

    calm = {"loss": [1.0, 1.0, 1.0], "update": [0.1, 0.2, 0.3]}
    assert last_update(calm) == [-math.inf, 0.1, 0.2]
    burst = {"loss": [1.0, 1.0, 9.0], "update": [0.1, 0.2]}
    assert (last_update(burst), coming_update(burst)) == ([-math.inf, 0.1, 0.2], [0.1, 0.2, 0.0])


def test_the_limit_of_the_monitor_is_what_the_setting_seeds_gave():
    from _explosion_scores import SIGNALS, best_threshold

    records = []
    for name in ("gru", "gru_ramp", "tanh"):
        stored = json.loads((RESULTS / f"{name}.json").read_text())["records"]
        records += [r for key, r in stored.items() if int(key.split("/")[1]) >= 100]
    assert len(records) == 50
    assert best_threshold(records, SIGNALS["relative update (the monitor)"]) == UPDATE
