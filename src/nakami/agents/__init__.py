"""Agents that learn to play games: Stable-Baselines3 trains networks of ours, Gymnasium plays.

``game`` makes a game, ``atari`` one of the Atari games as the deep Q-network saw them, ``play``
plays and keeps scores and states. ``QLearning`` is a ``training.Method`` around Stable-Baselines3's
DQN, with its settings in a ``QPlan``; ``bellman_target`` and ``temporal_difference`` are its
formulas. Games and training need the extra ``agents``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nakami.results import lazy

if TYPE_CHECKING:
    from ._bellman import bellman_target as bellman_target
    from ._bellman import temporal_difference as temporal_difference
    from ._episodes import Episodes as Episodes
    from ._episodes import as_input as as_input
    from ._episodes import play as play
    from ._games import atari as atari
    from ._games import game as game
    from ._games import require as require
    from ._plan import QPlan as QPlan
    from ._q_learning import QLearning as QLearning

__getattr__, __dir__, __all__ = lazy(__name__)
