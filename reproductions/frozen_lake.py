"""Deep Q-learning of a game whose values are known exactly: the frozen lake of Gymnasium.

``FrozenLake-v1``: 16 fields, four moves, each of which goes astray by a quarter turn to either
side with probability 1/3 each; a reward of 1 at the goal, 0 in a hole, both end the game; it is cut
after 100 moves. Its transitions are a table, so that the values of all moves follow from value
iteration, and of any policy the probability to reach the goal within 100 moves from powers of a
matrix: no game has to be played to measure a score.

Stable-Baselines3 (``nakami.agents``) trains a perceptron 16-64-64-4, whose input has a single 1 at
the field: 51,200 moves behind 2,048 at random; eight updates each 16 moves, 64 moves of the replay
each, which keeps all; target network copied each 512; Adam at 0.001, falling evenly to 0; the share
of moves at random falls to 0.3 within 10,000; discount 0.99. Five seeds. Tried once before, on
another seed, with these settings.

    python reproductions/frozen_lake.py    goes on where it was stopped

One thread; estimate made before, of that trial: 60 s a seed, 5 CPU minutes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import nakami
from nakami import agents
from nakami.training import fit
from nakami.zoo import mlp

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from _shared import made_in  # noqa: E402
from _wide import Kept, digits, generator, mean_error, table  # noqa: E402

NAME, GAME, MOVES, ACTIONS = "frozen_lake", "FrozenLake-v1", 100, 4
HIDDEN, EPOCHS, STEPS, SEEDS = (64, 64), 20, 2_560, range(5)
PLAN = agents.QPlan(
    rate=1e-3, batch=64, replay=100_000, warmup=2_048, play=16, updates=8, target=512,
    rate_steps=2_048 + EPOCHS * STEPS, explore=0.3, explore_steps=10_000,
)  # fmt: skip
SETTINGS = {"plan": vars(PLAN), "hidden": HIDDEN, "epochs": EPOCHS, "steps": STEPS}


def main() -> None:
    """Train what is missing, then write the page."""
    torch.set_num_threads(1)
    kept = Kept(HERE / "results" / f"{NAME}.json", SETTINGS)
    for name in kept.missing([str(seed) for seed in SEEDS]):
        began = time.process_time()
        looks = learned(int(name))
        kept.add(name, {"looks": looks, "cpu": digits(time.process_time() - began, 3)})
    (HERE / "results" / f"{NAME}.md").write_text("\n".join(report(kept)), encoding="utf-8")


def transitions(table_of: dict[int, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where moves lead ``(S, A, S)``, and end ``(S,)``, with mean rewards ``(S, A)``."""
    states = len(table_of)
    leads, rewards = np.zeros((states, ACTIONS, states)), np.zeros((states, ACTIONS))
    over = np.zeros(states, bool)
    for state, moves in table_of.items():
        for action, ways in moves.items():
            for share, after, reward, ended in ways:
                leads[state, action, after] += share
                rewards[state, action] += share * reward
                over[after] |= ended
    return leads, over, rewards


def best_values(
    leads: np.ndarray, over: np.ndarray, rewards: np.ndarray, discount: float
) -> np.ndarray:
    """Values of all moves under the best policy, ``(S, A)``, by value iteration."""
    values = np.zeros_like(rewards)
    for _ in range(5_000):
        values = rewards + discount * leads @ np.where(over, 0, values.max(1))
    return values


def success(actions: np.ndarray, leads: np.ndarray, over: np.ndarray, rewards: np.ndarray) -> float:
    """Probability that a policy ``(S,)`` reaches the goal within 100 moves."""
    rows = np.arange(len(actions))
    step = np.where(over[:, None], 0, leads[rows, actions])
    gain = np.where(over, 0, rewards[rows, actions])
    at, total = np.eye(len(actions))[0], 0.0
    for _ in range(MOVES):
        total, at = total + float(at @ gain), at @ step
    return total


def success_at_random(leads: np.ndarray, over: np.ndarray, rewards: np.ndarray) -> float:
    """Probability that moves at random reach the goal within 100 moves."""
    mixed = leads.mean(1, keepdims=True), over, rewards.mean(1, keepdims=True)
    return success(np.zeros(len(over), int), *mixed)


def within_moves(leads: np.ndarray, over: np.ndarray, rewards: np.ndarray) -> float:
    """The best that any policy can do within 100 moves, if it may count them."""
    left = np.zeros(len(over))
    for _ in range(MOVES):
        left = np.where(over, 0, (rewards + leads @ left).max(1))
    return float(left[0])


def learned(seed: int) -> list[dict[str, Any]]:
    """Looks at a network in training: success, distance from the best values, spectrum."""
    make = partial(agents.game, GAME)
    known = transitions(make().unwrapped.P)
    best, inside = best_values(*known, PLAN.discount), ~known[1]
    net = mlp.make((len(best), *HIDDEN, ACTIONS), generator=generator(seed, 1))
    fields, looks = torch.eye(len(best)), []

    def look(done: int, loss: float = float("nan")) -> None:
        with torch.no_grad():
            values = net(fields).double().numpy()
        away = np.abs(values - best)[inside]
        runs = nakami.xray(net, fields[torch.from_numpy(inside)], stages="output").at("output")
        spectra = np.array([run.values.tolist() for run in runs]).mean(0)
        looks.append(
            {
                "moves": done * STEPS,
                "success": digits(success(values.argmax(1), *known)),
                "off": digits(float(np.sqrt((away**2).mean()))),
                "most": digits(float(away.max())),
                "values": [digits(x) for x in spectra.tolist()],
            }
        )
        print(seed, looks[-1], f"loss {loss:.3g}", flush=True)

    look(0)
    method = agents.QLearning(net, make, PLAN)
    fit(method, (torch.arange(STEPS),), epochs=EPOCHS, batch=STEPS,
        generator=generator(seed, 2), after_epoch=look)  # fmt: skip
    return looks


def report(kept: Kept) -> Iterator[str]:
    """The page."""
    known = transitions(agents.game(GAME).unwrapped.P)
    best = best_values(*known, PLAN.discount)
    every = [kept.records[str(seed)]["looks"] for seed in SEEDS]
    yield "# Deep Q-learning of the frozen lake, whose values are known"
    yield ""
    yield "Made by `reproductions/frozen_lake.py`, whose docstring has the settings. Means over"
    yield f"{len(SEEDS)} seeds ± their standard error. Success: probability to reach the goal"
    yield f"within {MOVES} moves, computed from the transitions (no games are played). Error: root"
    yield f"mean square and largest distance from the best values with discount {PLAN.discount},"
    yield "over all fields that are not the end and all moves. Singular values of d values /"
    yield "d field, means over these fields."
    yield ""
    rows = []
    for i in (0, 1, 2, 4, 8, 12, 16, 20):
        at = [looks[i] for looks in every]
        cells = [pm([x[key] for x in at]) for key in ("success", "off", "most")]
        cells += [pm([x["values"][place] for x in at]) for place in (0, 1, -1)]
        rows.append([f"{at[0]['moves']:,}", *cells])
    head = ["moves", "success", "error", "largest error", "largest", "second", "least"]
    yield from table(head, rows)
    yield ""
    blind = success_at_random(*known)
    yield "Beside them: the best policy for this discount"
    yield f"{success(best.argmax(1), *known):.4f}; the best that counts its moves"
    yield f"{within_moves(*known):.4f}; moves at random {blind:.4f}."
    yield ""
    yield made_in(sum(record["cpu"] for record in kept.records.values()))
    yield ""


def pm(values: list[float]) -> str:
    """Mean and standard error."""
    mean, error = mean_error(values)
    return f"{mean:.3f} ± {error:.3f}"


if __name__ == "__main__":
    main()
