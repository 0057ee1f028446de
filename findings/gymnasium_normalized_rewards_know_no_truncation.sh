#!/usr/bin/env bash
# Gymnasium 1.4.0: NormalizeReward carries its return over into the next episode.
#
# Guess before the run: the wrapper divides by the spread of discounted returns, so a reward of 1 for
# each of 10 steps (discount 0.99) has returns from 1 up to 1 + 0.99 + ... + 0.99^9 = 9.56, in every
# episode, whether the episode ends by itself or by a time limit.
#
# Seen: the running return is multiplied by 1 - terminated, and the reward is added after that. At a
# time limit nothing is cleared: after 200 episodes of 10 steps the return stands near 100, the value
# of an endless episode. Where an episode terminates, its last reward stays: the next one begins at
# 1.99. So the scale of rewards depends on how episodes end: the same last reward of 1 becomes 0.37
# with a terminal state and 0.067 with a time limit. No warning. The vector wrapper in SAME_STEP mode
# begins each episode at 1, however the one before it ended: 0.383 and 0.366.
#
# Exits 0 while this is so, 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet gymnasium==1.4.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import sys

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import NormalizeReward, TimeLimit
from gymnasium.wrappers.vector import NormalizeReward as VectorNormalizeReward

STEPS, EPISODES, DISCOUNT = 10, 200, 0.99


class OneEachStep(gymnasium.Env):
    observation_space, action_space = spaces.Box(0, 1, (1,)), spaces.Discrete(2)

    def __init__(self, steps=None):
        self.steps = steps

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.taken = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.taken += 1
        return np.zeros(1, np.float32), 1.0, self.taken == self.steps, False, {}


def alone(env):
    returns = []
    for _ in range(EPISODES):
        env.reset()
        for _ in range(STEPS):
            reward = env.step(0)[1]
            returns.append(float(np.ravel(env.discounted_reward)[0]))
    return returns, float(reward)


def in_vector(make):
    inner = SyncVectorEnv([make], autoreset_mode=AutoresetMode.SAME_STEP)
    env = VectorNormalizeReward(inner, gamma=DISCOUNT)
    env.reset()
    returns = []
    for _ in range(EPISODES * STEPS):
        reward = env.step(np.array([0]))[1]
        returns.append(float(np.ravel(env.accumulated_reward)[0]))
    return returns, float(reward[0])


def ends():
    return OneEachStep(STEPS)


def is_cut():
    return TimeLimit(OneEachStep(), STEPS)


right = sum(DISCOUNT**k for k in range(STEPS))
found = {
    "terminal state": alone(NormalizeReward(ends(), gamma=DISCOUNT)),
    "time limit": alone(NormalizeReward(is_cut(), gamma=DISCOUNT)),
    "vector, terminal state": in_vector(ends),
    "vector, time limit": in_vector(is_cut),
}
print("gymnasium", gymnasium.__version__, "- largest return within an episode", round(right, 3))
for name, (returns, reward) in found.items():
    first, largest = returns[STEPS], max(returns)
    print(f"{name}: second episode begins at {first:.3f}, largest {largest:.2f}, 1 -> {reward:.3f}")
carried = found["time limit"][0]
last = found["terminal state"][0]
sys.exit(not (carried[STEPS] > right and max(carried) > 99 and abs(last[STEPS] - 1.99) < 1e-6))
PY
