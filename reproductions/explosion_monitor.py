"""What says beforehand that a recurrent net's gradients will explode: signals, leads, alarms.

Nothing published to compare with: clipping acts when a gradient is large already. Seven set-ups,
without clipping and in plain SGD where nothing else is said:

* gru: source 004's Nottingham (GRU of 64, 100 steps) at constant rates 0.3, 1, 3 and 10;
* gru ramp: the same with a rate that rises linearly from 0.05 to 0.5, 3 or 10 over the 100 steps;
* tanh: temporal order (Hochreiter and Schmidhuber 1997, problem 6a: which of two symbols came at
  two places, in 50 steps of noise), tanh RNN of 50, orthogonal start, batches of 20, 400 steps at
  constant rates 0.03, 0.1 and 0.3;
* tanh ramp, lstm ramp: a tanh RNN and an LSTM of 64 in place of the GRU, to 3 and 10, and to 10, 30
  and 100; adam ramp: the GRU with Adam, to 0.3, 3 and 10 from a hundredth of it. On these no
  threshold was set; the rates were chosen on seed 100, so that some trainings explode;
* gru clipped: gru at rates 1 and 3 with gradients clipped at 5, for false alarms. No threshold was
  set on it.

**Explosion**, defined before the runs: the first step from 1 on whose gradient norm is above 10
times the running median of up to 50 steps before it, or whose loss is above twice its own running
median or is not finite. What comes after it is not counted.

**Warning.** A signal is on above its threshold, and off after 20 steps below. It warns once when it
goes on. Signals of step t are known before that step is made; the relative update is that of the
step before. A warning is right where the explosion comes 1 to 50 steps later; that is its lead:
optimizer steps that are still made. In trainings without an explosion every warning is false. By
chance one warning in 1000 steps would warn of one explosion in 20.

**Thresholds** come from seeds 100 to 104 of gru, gru ramp and tanh together: the one that warns of
most explosions, with at most 2 false alarms in 1000 steps, then with the longest median lead.
Signals were chosen with traces of seed 100 in view. Tables are of seeds 0 to 9, run after that.
All signals are read at each step; ``growth`` is the library's ``backward_growth``.

    python reproductions/explosion_monitor.py                 all; goes on
    python reproductions/explosion_monitor.py --seeds setting or verdict
    python reproductions/explosion_monitor.py --report        the page alone

Estimate before the run, one thread, from single trainings of 100 steps (GRU 9 to 13 s, others 5 s)
that end at their explosion: 20 minutes. Data: ``$NAKAMI_DATA/polyphonic-music`` (see DATA.md).
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from _explosion_signals import Signals  # noqa: E402
from _wide import Kept, digits  # noqa: E402
from source_004_gru import Net, Tunes  # noqa: E402

OUT = HERE / "results" / "explosion_monitor"
SETTING, VERDICT = range(100, 105), range(10)
HISTORY, GRADIENT, LOSS = 50, 10.0, 2.0  # of the definition of an explosion


class SetUp(NamedTuple):
    """One kind of training; ``ramp`` for a rising rate, ``set_on`` where thresholds are set."""

    unit: str
    rates: tuple[float, ...]
    steps: int
    ramp: bool
    set_on: bool
    optimizer: str = "SGD"
    clip: float = math.inf

    @property
    def seeds(self) -> tuple[int, ...]:
        """Those for thresholds first."""
        return (*(SETTING if self.set_on else ()), *VERDICT)


SETUPS = {
    "gru": SetUp("GRU", (0.3, 1.0, 3.0, 10.0), 100, False, True),
    "gru ramp": SetUp("GRU", (0.5, 3.0, 10.0), 100, True, True),
    "tanh": SetUp("RNN", (0.03, 0.1, 0.3), 400, False, True),
    "lstm ramp": SetUp("LSTM", (10.0, 30.0, 100.0), 100, True, False),
    "tanh ramp": SetUp("RNN", (3.0, 10.0), 100, True, False),
    "adam ramp": SetUp("GRU", (0.3, 3.0, 10.0), 100, True, False, "Adam"),
    "gru clipped": SetUp("GRU", (1.0, 3.0), 100, False, False, clip=5.0),
}


class Order(nn.Module):
    """Symbols in, logits of the four orders out."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.RNN(6, 50)  # named as in source 004's net
        self.out = nn.Linear(50, 4)
        nn.init.orthogonal_(self.gru.weight_hh_l0)

    def forward(self, x: Tensor) -> Tensor:
        """Logits, shape (B, 4)."""
        logits: Tensor = self.out(self.gru(x)[0][-1])
        return logits


def main(argv: list[str] | None = None) -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--setups", nargs="+", default=list(SETUPS), choices=list(SETUPS))
    arguments.add_argument("--seeds", choices=("setting", "verdict", "all"), default="all")
    arguments.add_argument("--report", action="store_true")
    given = arguments.parse_args(argv)
    torch.set_num_threads(1)
    root = Path(os.environ.get("NAKAMI_DATA", HERE.parent / ".." / "shared" / "data"))
    if not (root.is_dir() or given.report):
        sys.exit(f"no data: {root} is needed; set NAKAMI_DATA to its folder.")
    for name in () if given.report else given.setups:
        fill(name, given.seeds, root)
    from _explosion_report import report

    traces = {name: kept(name).records for name in SETUPS}
    set_on = [name for name, setup in SETUPS.items() if setup.set_on]
    page = "\n".join(report(traces, set_on, VERDICT))
    (HERE / "results" / "explosion_monitor.md").write_text(page, encoding="utf-8")


def kept(name: str) -> Kept:
    """The file of one set-up."""
    settings = {**SETUPS[name]._asdict(), "history": HISTORY, "factors": (GRADIENT, LOSS)}
    if settings["clip"] == math.inf:
        del settings["clip"]
    return Kept(OUT / f"{name.replace(' ', '_')}.json", settings)


def fill(name: str, seeds: str, root: Path) -> None:
    """Make the records that are not there yet."""
    setup, file = SETUPS[name], kept(name)
    tunes: Tunes | None = None
    for seed in setup.seeds:
        if seeds != "all" and (seed in VERDICT) != (seeds == "verdict"):
            continue
        for rate in setup.rates:
            key = f"{rate:g}/{seed}"
            if file.missing([key]):
                if name != "tanh" and tunes is None:
                    tunes = Tunes(root)
                file.add(key, train(setup, rate, seed, tunes))
                record = file.records[key]
                print(name, key, record["explosion"], record["why"], record["cpu"], flush=True)


def train(setup: SetUp, rate: float, seed: int, tunes: Tunes | None) -> dict[str, Any]:
    """One training up to its explosion: all signals of each step."""
    started = time.process_time()
    torch.manual_seed(seed)
    net = network(setup, tunes)
    optimizer = getattr(torch.optim, setup.optimizer)(net.parameters(), lr=rate)
    generator = torch.Generator().manual_seed(seed)
    signals = Signals(net, 20 if tunes else 10)
    trace: dict[str, list[float]] = {}
    why = None
    for step, loss in enumerate(losses(net, tunes, generator, setup.steps)):
        if setup.ramp:
            low = rate / 100 if setup.optimizer == "Adam" else 0.05
            optimizer.param_groups[0]["lr"] = low + (rate - low) * step / setup.steps
        optimizer.zero_grad()
        loss.backward()
        found = {"loss": loss.item(), **signals.read()}
        why = exploded(trace, found)
        for key, value in found.items():
            trace.setdefault(key, []).append(digits(value, 3))
        if why:
            break
        nn.utils.clip_grad_norm_(net.parameters(), setup.clip)
        optimizer.step()
        trace.setdefault("update", []).append(digits(signals.update(), 3))
    explosion = len(trace["loss"]) - 1 if why else None
    cpu = digits(time.process_time() - started, 3)
    return {"explosion": explosion, "why": why, "cpu": cpu, "trace": trace}


def network(setup: SetUp, tunes: Tunes | None) -> nn.Module:
    """A fresh one."""
    if tunes is None:
        return Order()
    net = Net(88, 64, embed=False)
    if setup.unit != "GRU":
        net.gru = getattr(nn, setup.unit)(88, 64)
    return net


def losses(
    net: nn.Module, tunes: Tunes | None, generator: torch.Generator, steps: int
) -> Iterator[Tensor]:
    """The loss of one batch after another."""
    done = 0
    while done < steps:
        if tunes is None:
            x, y = temporal_order(50, 20, generator)
            yield cross_entropy(net(x), y)
            done += 1
            continue
        for (x, y, weights), _ in tunes.batches(generator):
            yield (tunes.losses(net(x)[0], y) * weights).sum() / weights.sum()
            done += 1


def temporal_order(steps: int, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Sequences of six symbols, time first, and the order of the two that count."""

    def drawn(low: float, high: float, *shape: int) -> Tensor:
        return torch.randint(int(low), int(high), shape, generator=generator)

    symbols = drawn(2, 6, steps, count)
    first, second = drawn(0, 2, count), drawn(0, 2, count)
    each = torch.arange(count)
    symbols[drawn(steps * 0.1, steps * 0.2, count), each] = first
    symbols[drawn(steps * 0.5, steps * 0.6, count), each] = second
    return one_hot(symbols, 6).float(), 2 * first + second


def exploded(trace: dict[str, list[float]], now: dict[str, float]) -> str | None:
    """Why this step is an explosion by the definition above, or None."""
    if not (math.isfinite(now["loss"]) and math.isfinite(now["norm"])):
        return "not finite"
    if not trace:
        return None
    if now["norm"] > GRADIENT * median(trace["norm"][-HISTORY:]):
        return "gradient"
    return "loss" if now["loss"] > LOSS * median(trace["loss"][-HISTORY:]) else None


if __name__ == "__main__":
    main()
