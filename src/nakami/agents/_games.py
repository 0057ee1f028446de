"""Games to play: Gymnasium's, and Atari's as the deep Q-network saw them."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from nakami.results import RunError, wrong

NEEDED = ("gymnasium", "stable_baselines3", "ale_py")


def require() -> None:
    """Refuse to begin where what plays and trains is not installed.

    Raises:
        RunError: Gymnasium, ale-py or Stable-Baselines3 is not installed.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise RunError(
            f"agents need {', '.join(missing)}; pip install 'nakami[agents]' adds what is missing."
        )


def game(name: str) -> Any:
    """A game of Gymnasium's, by its name there: ``"CartPole-v1"``, or ``"module:NAME"``.

    States that are numbered, or made of several parts, come as one row of numbers: of 16 fields
    of a lake a row of 16 with a single 1.

    Raises:
        RunError: The extra ``agents`` is not installed, or a package that this game needs.
        UsageError: No such game, or one whose actions cannot be numbered.
    """
    require()
    import gymnasium

    try:
        made = gymnasium.make(name)
    except (gymnasium.error.DependencyNotInstalled, ModuleNotFoundError) as error:
        raise RunError(f"{name} needs a package that is not installed: {error}") from error
    except gymnasium.error.Error as error:
        raise wrong("name", "be a game of Gymnasium", repr(name), 'use "CartPole-v1"') from error
    if not isinstance(made.action_space, gymnasium.spaces.Discrete):
        got = f"{name} with {made.action_space}"
        raise wrong("name", "be a game with a few actions", got, 'use "CartPole-v1"')
    if not isinstance(made.observation_space, gymnasium.spaces.Box):
        made = gymnasium.wrappers.FlattenObservation(made)
    return made


def atari(name: str, *, training: bool = False) -> Any:
    """A game of Atari as the deep Q-network saw it: a Gymnasium game of bytes ``(4, 84, 84)``.

    A move is made on four frames, of the last two the greater value of each pixel is taken, in
    grey, at 84x84; a state is the last four of these pictures. At most 30 frames of nothing at the
    start; no action is repeated at random. A game ends when it is over, after 108,000 frames at the
    latest.

    ale-py presses FIRE at the start of each episode where a game has it. In training this is the
    start of each life, so that a network hardly learns to serve the next ball; in a whole game
    nobody else does, and without moves at random (``play(..., randomness=0.05)``) it may wait until
    the limit.

    Args:
        name: As ale-py has it: ``"breakout"``.
        training: Whether rewards are cut to -1..1 and the loss of a life ends an episode.

    Raises:
        RunError: The extra ``agents`` is not installed.
        UsageError: No such game.
    """
    require()
    from ._atari import AtariGame

    return AtariGame(name, training)
