"""What ``XrayMonitor`` takes of a training, beside its budget, and what warm starts save.

Three networks of the zoo learn the shipped digits (batch 64, SGD, one thread), each without and
with the monitor: two inputs, 8 values, ``max_share=0.05``. The share that the monitor reports (wall
time of looks over that of the training), processor time of both trainings, and whether they end at
the same bits. Then, at the weights of every hundredth step, the products of a look that begins at
the directions of the one before, and of one that begins anew.

    python benchmarks/xray_monitor.py
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import torch

from nakami import data, zoo
from nakami.dynamics import XrayMonitor
from nakami.results import write_whole

RESULT = Path(__file__).parent / "results" / "xray_monitor.json"
BATCH, INPUTS, RATE, WARM = 64, 2, 0.05, 5
CASES: dict[str, dict[str, Any]] = {
    "mlp": {"steps": 16000, "every": 200, "stages": "auto"},
    "cnn": {"steps": 1000, "every": 50, "stages": ["relu2", "output"]},
    "dbn": {"steps": 2500, "every": 100, "stages": ["hidden2", "output"]},
}


class Training:
    """Plain SGD on batches drawn with a seed."""

    def __init__(self, name: str):
        torch.manual_seed(0)
        self.digits, self.model = data.digits("train"), zoo.build(name)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=RATE)
        self.generator = torch.Generator().manual_seed(0)

    def step(self) -> None:
        """One optimizer step."""
        x, y = self.digits.inputs, self.digits.labels
        rows = torch.randint(0, len(x), (BATCH,), generator=self.generator)
        self.optimizer.zero_grad()
        torch.nn.functional.cross_entropy(self.model(x[rows]), y[rows]).backward()
        self.optimizer.step()

    def monitor(self, every: int, stages: Any, share: float) -> XrayMonitor:
        """A monitor of this training."""
        inputs = self.digits.inputs[:INPUTS]
        return XrayMonitor(self.model, inputs, stages, every=every, max_share=share)


def budget(name: str, steps: int, every: int, stages: Any) -> dict[str, Any]:
    """Both trainings, the one without first."""
    seconds, weights, history = [], [], None
    for watched in (False, True):
        training = Training(name)
        wall, cpu = time.perf_counter(), time.process_time()
        monitor = training.monitor(every, stages, 0.05) if watched else None
        if monitor is not None:
            monitor.look()
        for _ in range(steps):
            training.step()
            if monitor is not None:
                monitor.step()
        seconds.append((time.perf_counter() - wall, time.process_time() - cpu))
        weights.append([p.detach().clone() for p in training.model.parameters()])
        history = monitor.history if monitor is not None else None
    assert history is not None
    same = all(torch.equal(a, b) for a, b in zip(*weights, strict=True))
    (plain_wall, plain_cpu), (wall_, cpu_) = seconds
    return {
        "steps": steps, "looks": len(history.looks), "left out": len(history.skipped),
        "first look, s": history.looks[0].seconds, "last look, s": history.looks[-1].seconds,
        "share reported": history.share, "seconds without": plain_wall, "seconds with": wall_,
        "slowdown, processor time": cpu_ / plain_cpu - 1, "same bits": same,
    }  # fmt: skip


def products(name: str, stages: Any) -> dict[str, float]:
    """Products and seconds of looks at every hundredth step, warm and anew."""
    training = Training(name)
    warm = training.monitor(100, stages, 0.0)
    found: dict[str, list[float]] = {"warm": [], "anew": [], "warm, s": [], "anew, s": []}
    for turn in range(WARM):
        cold = training.monitor(100, stages, 0.0)
        for key, look in (("anew", cold.look()), ("warm", warm.look())):
            if turn:  # the first has no directions to begin at
                found[key].append(look.n_products)
                found[f"{key}, s"].append(look.seconds)
        warm.step()
        for _ in range(100):
            training.step()
    return {key: sum(numbers) / len(numbers) for key, numbers in found.items()}


def main() -> None:
    torch.set_num_threads(1)
    rows = {}
    for name, case in CASES.items():
        rows[name] = budget(name, **case) | products(name, case["stages"])
        print(name, ", ".join(f"{key} {value:.4g}" for key, value in rows[name].items()))
    body = {"inputs": INPUTS, "batch": BATCH, "torch": torch.__version__, "rows": rows}
    write_whole(RESULT, json.dumps(body, indent=1) + "\n", "results")


if __name__ == "__main__":
    main()
