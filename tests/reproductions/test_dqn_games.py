"""The page of ``dqn_games.py``: scores with their errors, frames counted four to a move."""

import pytest

pytest.importorskip("gymnasium")
pytest.importorskip("stable_baselines3")
pytest.importorskip("ale_py")


@pytest.fixture(scope="module")
def script(reproduction):
    return reproduction("dqn_games")


def test_a_score_has_its_standard_error(script):
    assert script.score([1.0, 2.0, 6.0]) == "3.0 ± 1.5 (1 to 6)"  # deviation 2.65 over root 3


def test_frames_are_four_to_a_move_on_atari_alone(script):
    look = {"moves": 5000, "scores": [1.0, 2.0], "values": [3.0, 1.0], "rank": 1.5}
    shown = {name: "\n".join(script.film(name, [look], n)) for name, n in (("a", 4), ("b", 1))}
    assert "20,000" in shown["a"]
    assert "| 5,000 |" in shown["b"]
    rows = dict(script.compared({"breakout": {"looks": [look]}, "cartpole 0": {"looks": [look]}}))
    assert rows["breakout, in the end"][-1] == "20,000"
    assert rows["cartpole 0, best look"][-1] == "5,000"
