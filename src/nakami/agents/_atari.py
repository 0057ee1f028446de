"""One Atari game of ale-py as a game of Gymnasium's; imported where these are installed."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from ale_py import roms
from ale_py.vector_env import AtariVectorEnv

from nakami.results import unknown


class AtariGame(gymnasium.Env):
    """ale-py's own preparation of frames, of one game, without the axis of games."""

    def __init__(self, name: str, training: bool):
        if name not in (known := roms.get_all_rom_ids()):
            raise unknown("Atari game", name, known)
        self._games = AtariVectorEnv(
            name, num_envs=1, num_threads=1, reward_clipping=training, episodic_life=training
        )
        self.observation_space = gymnasium.spaces.Box(0, 255, (4, 84, 84), np.uint8)
        self.action_space = self._games.single_action_space
        self._over = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """A new game; behind the loss of a life in training the game goes on, FIRE pressed."""
        super().reset(seed=seed)
        if self._over and seed is None:  # the next step begins anew, or goes on with the next life
            states, *_ = self._games.step(np.zeros(1, np.int64))
        else:
            states, _ = self._games.reset(seed=seed)
        self._over = False
        return states[0].copy(), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Four frames."""
        states, rewards, ended, cut, _ = self._games.step(np.array([int(action)]))
        self._over = bool(ended[0] or cut[0])
        return states[0].copy(), float(rewards[0]), bool(ended[0]), bool(cut[0]), {}

    def close(self) -> None:
        """Release the emulator."""
        self._games.close()
