#!/usr/bin/env bash
# Gymnasium 1.4.0 with ale-py 0.12.1: `make_vec` gives signs of Atari's rewards, `make` the rewards.
#
# Guess before the run: the same id played with the same actions, sticky actions off in both, scores
# the same by `make` and by `make_vec` with one game; the latter may start otherwise, as it loses no
# pixels of its screen by it.
#
# Seen: `make_vec` takes ale-py's own vector of games, which prepares screens as in the papers and
# clips each reward to -1, 0 or 1 unless told `reward_clipping=False`. Nothing says so in the spec.
# In Space Invaders, where an enemy gives 5 to 30 points, random play scores 155 by `make` and 7 by
# `make_vec` (80 with `reward_clipping=False`, which begins at another moment);
# `vectorization_mode="sync"` scores 155 again. A score of an evaluation in `make_vec` is a count of
# rewards, to be put beside no table.
#
# Exits 0 while this is so, 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet gymnasium==1.4.0 ale-py==0.12.1 numpy==2.4.6
"$folder/venv/bin/python" - 2>/dev/null <<'PY'
import sys

import ale_py
import gymnasium
import numpy as np

gymnasium.register_envs(ale_py)
ID, NO_LUCK = "ALE/SpaceInvaders-v5", {"repeat_action_probability": 0.0}
actions = np.random.default_rng(0).integers(0, 6, 3000)


def alone(env):
    env.reset(seed=0)
    rewards = []
    for action in actions:
        _, reward, terminated, truncated, _ = env.step(int(action))
        rewards.append(float(reward))
        if terminated or truncated:
            return rewards


def in_vector(env):
    env.reset(seed=0)
    rewards = []
    for action in actions:
        _, reward, terminated, truncated, _ = env.step(np.array([action]))
        rewards.append(float(reward[0]))
        if terminated[0] or truncated[0]:
            return rewards


played = {
    "make": alone(gymnasium.make(ID, **NO_LUCK)),
    "make_vec": in_vector(gymnasium.make_vec(ID, 1, **NO_LUCK)),
    "make_vec, reward_clipping=False": in_vector(
        gymnasium.make_vec(ID, 1, reward_clipping=False, **NO_LUCK)
    ),
    "make_vec, sync": in_vector(gymnasium.make_vec(ID, 1, vectorization_mode="sync", **NO_LUCK)),
}
print("gymnasium", gymnasium.__version__, "ale-py", ale_py.__version__)
for name, rewards in played.items():
    print(f"{name}: score {sum(rewards):g}, kinds of rewards {sorted(set(rewards))}")
clipped = set(played["make_vec"]) == {0.0, 1.0}
others = all(max(r) > 1 for name, r in played.items() if name != "make_vec")
sys.exit(not (clipped and others and max(played["make"]) == 30))
PY
