"""An evolving culture: agents with few labels that tell each other labels, with noise.

Bengio (arXiv 1203.2990) states hypotheses and has no experiment. A reference test, computed
independently (two seeds), with a four-arm spiral, 6 agents of 30 labels each, a shared pool of
1,000 points, messages from step 200 on, 1,500 steps, labels redrawn uniformly with probability p,
has mean accuracies of .83/.78 alone; .98/.99 at p = 0; 1.00/.99 at p = .3; .76/.74 at p = 1. Its
network and spiral are not stated; ours: arms ``angle = 2 pi (k / 4 + turns r) + noise`` with r
uniform in 0.1..1, 0.75 turns and noise 0.15; networks 2-64-64-4, ReLU, Adam at 0.003, batches of
100 of the pool, all 30 labels in each step. Tested on 2,000 points.

Expected: gains of 0.1 or more at p <= .3, none at p = 1. Each seed draws points, labels and first
weights anew; alone and together share them all and make as many steps. Differences are paired.

Added later, its protocol before its results: selection (``Culture(select=350)``) at p = 0, .3 and
1. After 350, 700 and 1,050 rounds of messages the agent that is worst on the labelled examples of
the others begins again from its first weights and hears the best alone until the next; 250 rounds
are left after the last. Nothing is published. Expected: no gain at p <= .3, where the worst agent
is as good as the mean, and at p = 1 a loss, as an agent that began again has fewer steps and hears
nothing but noise.

    python reproductions/culture.py    goes on where it was stopped

One thread; estimate made before, of 300 steps timed: 10 s a training, 4 trainings of each of 3
seeds, 2 CPU minutes. (The plan had five seeds, cut during the run for time.) Selection: 12 s each,
9 trainings, 2 CPU minutes.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import Adam

from nakami.training import Culture, fit
from nakami.zoo import mlp

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from _shared import made_in  # noqa: E402
from _wide import Kept, digits, generator, mean_error, table  # noqa: E402

NAME = "culture"
ARMS, TURNS, SPREAD = 4, 0.75, 0.15
AGENTS, LABELS, POOL, TESTED = 6, 30, 1000, 2000
STEPS, SILENT, BATCH, RATE = 1500, 200, 100, 3e-3
SEEDS = range(3)
WAYS: dict[str, dict[str, Any]] = {
    "alone": {"weight": 0.0},
    **{noise: {"noise": float(noise)} for noise in ("0", "0.3", "1")},
    **{f"{noise} selected": {"noise": float(noise), "select": 350} for noise in ("0", "0.3", "1")},
}
SETTINGS = {"agents": AGENTS, "labels": LABELS, "pool": POOL, "steps": STEPS, "rate": RATE}


def main() -> None:
    """Train what is missing, then write the table."""
    torch.set_num_threads(1)
    kept = Kept(HERE / "results" / f"{NAME}.json", SETTINGS)
    for name in kept.missing([f"{seed} {way}" for way in WAYS for seed in SEEDS]):
        seed, way = name.split(maxsplit=1)
        began = time.process_time()
        right = judged(int(seed), WAYS[way])
        cpu = digits(time.process_time() - began, 3)
        kept.add(name, {"right": right, "cpu": cpu})
        print(name, kept.records[name], flush=True)
    (HERE / "results" / f"{NAME}.md").write_text("\n".join(report(kept)), encoding="utf-8")


def spiral(n: int, source: torch.Generator) -> tuple[Tensor, Tensor]:
    """Points ``(n, 2)`` within the unit circle and their arms ``(n,)``."""
    arms = torch.randint(ARMS, (n,), generator=source)
    radius = 0.1 + 0.9 * torch.rand(n, generator=source)
    noise = SPREAD * torch.randn(n, generator=source)
    angle = 2 * math.pi * (arms / ARMS + TURNS * radius) + noise
    return radius[:, None] * torch.stack([angle.cos(), angle.sin()], 1), arms


def judged(seed: int, how: dict[str, Any]) -> list[float]:
    """Accuracy of each agent on new points, with these options of the culture."""
    source = generator(seed, 1)
    own = [spiral(LABELS, source) for _ in range(AGENTS)]
    pool, (x, y) = spiral(POOL, source)[0], spiral(TESTED, source)
    agents = [mlp.make((2, 64, 64, ARMS), generator=generator(seed, 2, i)) for i in range(AGENTS)]
    method = Culture(agents, own, partial(Adam, lr=RATE), silent=SILENT, **how)
    fit(method, (pool,), epochs=STEPS * BATCH // POOL, batch=BATCH, generator=generator(seed, 3))
    with torch.no_grad():
        return [digits(float((agent(x).argmax(1) == y).double().mean())) for agent in agents]


def report(kept: Kept) -> Iterator[str]:
    """The page."""
    yield "# An evolving culture: messages between agents, with noise"
    yield ""
    yield "Made by `reproductions/culture.py`, whose docstring has the settings. Accuracy on 2,000"
    yield f"new points, mean of {AGENTS} agents; means over {len(SEEDS)} seeds ± their standard"
    yield "error."
    yield ""
    mean = {
        name: [sum(r) / len(r) for s in SEEDS for r in [kept.records[f"{s} {name}"]["right"]]]
        for name in WAYS
    }
    rows = []
    for name, found in mean.items():
        gain = [a - b for a, b in zip(found, mean["alone"], strict=True)]
        worst = [min(kept.records[f"{s} {name}"]["right"]) for s in SEEDS]
        cells = [f"{m:.3f} ± {e:.3f}" for m, e in map(mean_error, (found, gain, worst))]
        noise, *selected = name.split()
        word = f"messages, redrawn with probability {noise}{', selection' if selected else ''}"
        rows.append(["alone" if name == "alone" else word, *cells])
    rows[0][2] = ""
    yield from table(["agents", "accuracy", "gain over alone", "worst agent"], rows)
    yield ""
    yield made_in(sum(r["cpu"] for r in kept.records.values()))
    yield ""


if __name__ == "__main__":
    main()
