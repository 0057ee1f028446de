"""The agent on the pole: other games, no files, going on, pictures of score and spectrum."""

from dataclasses import replace

import pytest

from checks import neighbour
from nakami import recipes
from nakami.report.page._kinds import page_of
from nakami.results import UsageError, read_record, training_report

pytest.importorskip("gymnasium")
pytest.importorskip("stable_baselines3")
pytest.importorskip("ale_py")

NAME = "dqn-cartpole"
TINY = neighbour("recipes", "test_every_recipe").TINY[NAME]


def settings(**options):
    return replace(recipes.SUBJECTS[NAME].settings, **TINY, batch=8, **options)


def test_another_game_is_a_setting_and_has_a_page(tmp_path):
    options = {"settings": settings(game="Acrobot-v1"), "n_inputs": 2, "pictures": True}
    subject = recipes.prepare(NAME, tmp_path / "out", **options)
    assert subject.networks[-1].model(subject.examples.inputs).shape == (2, 3)
    assert subject.examples.inputs.shape == (2, 6)
    report = training_report(read_record(tmp_path / "out"))
    assert "Acrobot-v1" in report.source
    score, film = report.pictures
    assert list(score.lines) == ["mean", "least", "most"]
    assert list(film.lines) == ["1", "2", "3"]
    steps = [0.0, 32.0, 64.0]
    assert all(list(x) == steps for x, _ in (*score.lines.values(), *film.lines.values()))
    assert film.lines["1"][1] >= film.lines["2"][1]
    assert [section.id for section in page_of(report).sections] == ["losses", "facts", "pictures"]


def test_the_film_begins_with_the_spectrum_of_the_first_weights(tmp_path):
    subject = recipes.prepare(NAME, tmp_path / "out", settings=settings())
    times = subject.networks[-1].times
    assert list(times) == ["start", "epoch 1", "epoch 2"]
    start, trained = (dict(n.model.state_dict()) for n in subject.networks)
    for name, value in start.items():
        assert value.equal(times["start"][name])
        assert trained[name].equal(times["epoch 2"][name])
        assert not value.equal(trained[name])


def pictures():
    import gymnasium

    game = gymnasium.Env()
    game.observation_space = gymnasium.spaces.Box(0, 1, (3, 8, 8))
    game.action_space = gymnasium.spaces.Discrete(2)
    return game


def test_files_and_games_of_other_states_are_refused_first(tmp_path):
    import gymnasium

    gymnasium.register("Pictures-v0", pictures, disable_env_checker=True)
    with pytest.raises(UsageError, match="data must be left out, as an agent makes its own"):
        recipes.prepare(NAME, tmp_path / "out", data=tmp_path / "x.npz")
    with pytest.raises(UsageError, match="game must have states that are rows of numbers"):
        recipes.prepare(NAME, tmp_path / "out", settings=settings(game="Pictures-v0"))
    with pytest.raises(UsageError, match="steps must be a multiple of play, 16, got 40"):
        replace(settings(), steps=40)
    assert not (tmp_path / "out").exists()


def test_settings_say_their_bounds_and_refuse_the_rest_before_training():
    usual = recipes.SUBJECTS[NAME].settings
    whole = ("batch", "replay", "warmup", "play", "updates", "target", "rate_steps")
    for name in (*whole, "explore_steps", "hidden", "steps", "games"):
        with pytest.raises(
            UsageError, match=rf"setting {name} must .*from 1 on.*, got .*0.*; write"
        ):
            recipes.with_values(usual, {name: [0] if name == "hidden" else 0})
    for name in ("discount", "explore"):
        with pytest.raises(UsageError, match=f"setting {name} must be a number from 0 to 1, got 5"):
            recipes.with_values(usual, {name: 5})
    with pytest.raises(UsageError, match="setting rate must be a number above 0, got 0"):
        recipes.with_values(usual, {"rate": 0})
