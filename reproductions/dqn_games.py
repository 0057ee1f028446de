"""Deep Q-learning on Breakout for 10^5 frames and on CartPole, x-rayed on the way.

Mnih et al. report a mean reward on Breakout of 168 (2013, 10 million frames, 0.05 of the moves at
random) and 401.2 ± 26.9 (2015), and 1.2 and 1.7 for moves at random (their tables as repeated by
others). Ours sees 1 % of the frames of 2013, so that its score says how far these carry, and
nothing about the method.

* Breakout: the network of 2013, trained by Stable-Baselines3 (`nakami.agents`), 25,000 moves of
  four frames; replay of 25,000, 1,000 moves at random first, then their share falls to 0.1 within
  10,000; Adam at 2.5e-4, batch 32, an update each 4 moves, target network copied each 1,000;
  rewards cut to -1..1, an episode ends with a life. Looked at each 5,000 moves: ten whole games,
  rewards as they are, 0.05 of the moves at random.
* CartPole-v1: as `nakami train dqn-cartpole`, three seeds, 20 times 2,560 moves. Looked at
  each time: ten games without moves at random. The most that can be had is 500.
* At each look the singular values of d values / d state, at 16 states of random play (CartPole) or
  8 (Breakout).
* Three recurrent policies trained by A3C on 80 million frames (DATA.md): five whole games each,
  moves drawn from the policy; singular values of d logits / d picture with the state as it was, at
  16 frames of the first game. Published with them: 17.9 ± 1, 190 ± 20, 550 ± 30.

    python reproductions/dqn_games.py                     goes on where it was stopped
    python reproductions/dqn_games.py --only breakout     some

A game to convergence is in ``frozen_lake.py``. MinAtar, whose games are made for this, was not
taken: its package 1.0.15 asks for matplotlib and seaborn, and with them for six packages more.

One thread. Estimate made before, from 1,000 moves timed on a busy machine (9 s trained, 1 s
played): Breakout 5 CPU minutes, CartPole 1 each, policies 1 each.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import nakami
from nakami import agents
from nakami.recipes.dqn_cartpole import CartPoleSettings
from nakami.training import fit
from nakami.zoo import dqn, mlp

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from _recurrent_games import GAMES, Policy, environment, played  # noqa: E402
from _shared import made_in  # noqa: E402
from _wide import Kept, digits, generator, mean_error, table  # noqa: E402

NAME = "dqn_games"
LARGE = agents.QPlan(rate=2.5e-4, replay=25_000, explore=0.1)
SMALL = CartPoleSettings()
LOOKS_GAMES = 10
LOOKS = {
    "breakout": (5, 5_000, LOOKS_GAMES, 0.05),
    "cartpole": (20, 2_560, LOOKS_GAMES, 0.0),
}
SEEDS, RANDOM = (0, 1, 2), {"breakout": 30, "cartpole": 100}
SETTINGS = {"large": vars(LARGE), "small": vars(SMALL), "looks": LOOKS}
PUBLISHED = {"pong": (17.9, 1), "breakout": (190, 20), "spaceinvaders": (550, 30)}
POLICY_GAMES, STATES = 5, {"breakout": 8, "cartpole": 16, "policy": 16}


def main(argv: list[str] | None = None) -> None:
    """Make what is missing, then write the table."""
    torch.set_num_threads(1)
    root = Path(os.environ.get("NAKAMI_DATA", HERE.parent / ".." / "shared" / "data"))
    work: dict[str, Callable[[], dict[str, Any]]] = {
        "breakout": partial(learned, "breakout", 0),
        **{f"cartpole {seed}": partial(learned, "cartpole", seed) for seed in SEEDS},
        **{f"random {name}": partial(at_random, name) for name in RANDOM},
        **{f"policy {name}": partial(policy, root, name) for name in GAMES},
    }
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--only", nargs="+", default=list(work), choices=list(work))
    kept = Kept(HERE / "results" / f"{NAME}.json", SETTINGS)
    for name in kept.missing(arguments.parse_args(argv).only):
        began = time.process_time()
        record = work[name]()
        kept.add(name, {**record, "cpu": digits(time.process_time() - began, 3)})
        print(name, kept.records[name], flush=True)
    (HERE / "results" / f"{NAME}.md").write_text("\n".join(report(kept)), encoding="utf-8")


def made(name: str, *, training: bool = False) -> Any:
    """The game."""
    if name == "cartpole":
        return agents.game("CartPole-v1")
    return agents.atari(name, training=training)


def learned(name: str, seed: int) -> dict[str, Any]:
    """Looks at a network in training: moves, scores, singular values."""
    epochs, moves, games_a_look, randomness = LOOKS[name]
    first, judge = generator(seed, 1), made(name)
    net: nn.Sequential = mlp.make((4, *SMALL.hidden, 2), generator=first)
    if name != "cartpole":
        net = dqn.make(actions=judge.action_space.n, year="2013", generator=first)
    seen = agents.play(None, judge, 20, seed=999, every=11).states[: STATES[name]]
    looks = []

    def look(done: int, loss: float = float("nan")) -> None:
        options = {"seed": 1000 + 100 * done, "randomness": randomness}
        played = agents.play(net, judge, games_a_look, **options)
        looks.append({"moves": done * moves, "scores": played.scores.tolist(), **opened(net, seen)})
        print(name, seed, looks[-1], f"loss {loss:.3g}", flush=True)

    look(0)
    plan = SMALL if name == "cartpole" else LARGE
    method = agents.QLearning(net, partial(made, name, training=True), plan)
    rows = (torch.arange(moves),)
    source = generator(seed, 2)
    fit(method, rows, epochs=epochs, batch=moves, generator=source, after_epoch=look)
    return {"looks": looks}


def at_random(name: str) -> dict[str, Any]:
    """Scores of moves at random."""
    return {"scores": agents.play(None, made(name), RANDOM[name], seed=77).scores.tolist()}


def policy(root: Path, name: str) -> dict[str, Any]:
    """Scores of a recurrent policy, and singular values of what its picture does to its logits."""
    env, plays = environment(name), Policy(root, name)
    source = torch.Generator().manual_seed(0)
    found = [played(plays, env, source, 100_000, seed) for seed in range(POLICY_GAMES)]
    first = found[0]
    rows = range(100, len(first.frames), (len(first.frames) - 100) // STATES["policy"])
    runs = [
        opened(plays.at(first.states[t - 1]), first.frames[t][None])
        for t in list(rows)[: STATES["policy"]]
    ]
    means = torch.tensor([run["values"] for run in runs]).mean(0)
    return {
        "scores": [game.reward for game in found],
        "frames": sum(len(game.frames) for game in found),
        "values": [digits(x) for x in means.tolist()],
        "rank": digits(sum(run["rank"] for run in runs) / len(runs)),
    }


def opened(net: nn.Module, states: Tensor) -> dict[str, Any]:
    """Singular values of outputs by inputs and their effective rank, means over states."""
    spectra = nakami.xray(net, states, stages="output").at("output")
    means = torch.tensor([spectrum.values.tolist() for spectrum in spectra]).mean(0)
    rank = sum(spectrum.effective_rank for spectrum in spectra) / len(spectra)
    return {"values": [digits(x) for x in means.tolist()], "rank": digits(rank)}


def report(kept: Kept) -> Iterator[str]:
    """The page."""
    records = kept.records
    yield "# Deep Q-learning on Breakout and CartPole, and three recurrent policies"
    yield ""
    yield "Scores: mean ± standard error over games (least to most). Singular values of d values /"
    yield "d state, or of d logits / d picture, means over states; effective rank. Frames before"
    yield "the first update, at random (4,000 of Breakout), are not counted. The best look was"
    yield "picked by its score, which is therefore too high."
    for name in ("breakout", *(f"cartpole {seed}" for seed in SEEDS)):
        if name in records:
            yield from film(name, records[name]["looks"], 4 if name == "breakout" else 1)
    yield ""
    yield "## Beside others"
    yield ""
    rows = [[name, *cells] for name, cells in compared(records)]
    yield from table(["", "score", "games", "frames seen in training"], rows)
    yield ""
    yield from policies(records)
    yield made_in(sum(record["cpu"] for record in records.values()))
    yield ""


def policies(records: dict[str, Any]) -> Iterator[str]:
    """Scores and spectra of the recurrent policies."""
    rows = []
    for name in GAMES:
        if r := records.get(f"policy {name}"):
            cells = [score(r["scores"]), "{} ± {}".format(*PUBLISHED[name])]
            values = ", ".join(f"{x:.3g}" for x in r["values"])
            rows.append([name, *cells, str(len(r["scores"])), values, f"{r['rank']:.2f}"])
    if rows:
        yield "## Recurrent policies"
        yield ""
        yield from table(["", "score", "published", "games", "singular values", "rank"], rows)
        yield ""


def film(name: str, looks: list[dict[str, Any]], repeat: int) -> Iterator[str]:
    """Scores and spectra of one training, look by look."""
    yield ""
    yield f"## {name}"
    yield ""
    rows = [
        [f"{x['moves'] * repeat:,}", score(x["scores"]), f"{x['values'][0]:.3g}",
         f"{x['values'][-1]:.3g}", f"{x['rank']:.2f}"]
        for x in looks
    ]  # fmt: skip
    yield from table(["frames", "score", "largest", "least", "rank"], rows)


def compared(records: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Rows of name, score, games and frames."""
    for name in RANDOM:
        if r := records.get(f"random {name}"):
            yield f"{name}, at random", [score(r["scores"]), str(len(r["scores"])), "0"]
    for name, r in records.items():
        if looks := r.get("looks"):
            last, best = looks[-1], max(looks, key=lambda x: sum(x["scores"]))
            frames = last["moves"] * (4 if name == "breakout" else 1)
            yield f"{name}, in the end", [score(last["scores"]), str(LOOKS_GAMES), f"{frames:,}"]
            seen = best["moves"] * (4 if name == "breakout" else 1)
            yield f"{name}, best look", [score(best["scores"]), str(LOOKS_GAMES), f"{seen:,}"]
    yield "breakout, Mnih et al. 2013 (as repeated)", ["168", "not read", "10,000,000"]
    yield "breakout, Mnih et al. 2015 (as repeated)", ["401.2 ± 26.9", "not read", "not read"]


def score(scores: list[float]) -> str:
    """Mean, its standard error, and the ends."""
    mean, error = mean_error(scores)
    return f"{mean:.1f} ± {error:.1f} ({min(scores):g} to {max(scores):g})"


if __name__ == "__main__":
    main()
