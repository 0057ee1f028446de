"""What a step of ``nakami.optim`` costs on 25 million weights, beside torch's AdamW.

One set of weights and gradients, in turn stepped by each optimizer, on one thread; processor time,
medians over ``ROUNDS`` turns, ratios turn by turn. ``foreach``: AdamW's list operations, without a
compiler. ``compiled``: ``torch.compile(optimizer.step)`` with the rate as a tensor, beside AdamW's
fused kernel; left out where no C++ compiler is found. Targets: at most 1.0 and 1.1.

    python benchmarks/optimizer_step.py
"""

from __future__ import annotations

import json
import platform
import shutil
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.optim import AdamW, Optimizer, RMSprop

from nakami.optim import SDProp
from nakami.results import write_whole

ROUNDS = 15
SHAPES = [
    *[(2048, 2048), (2048,)] * 4,
    *[(1000, 784), (1000,), (1000, 1000), (1000,), (10, 1000), (10,)],
    *[(512, 512, 3, 3), (512,)] * 2,
    (1700, 1000),
]
RESULT = Path(__file__).parent / "results" / "optimizer_step.json"
Step = Callable[[], object]


def weights() -> list[nn.Parameter]:
    gen = torch.Generator().manual_seed(0)
    made = [nn.Parameter(0.1 * torch.randn(shape, generator=gen)) for shape in SHAPES]
    for weight in made:
        weight.grad = torch.randn(weight.shape, generator=gen)
    return made


def compiled(optimizer: Optimizer) -> Step:
    step: Step = torch.compile(optimizer.step)
    return step


def steps(shared: list[nn.Parameter]) -> dict[str, Step]:
    """Each optimizer's step on the same weights."""
    rate = torch.tensor(1e-4)
    found: dict[str, Step] = {
        "AdamW foreach": AdamW(shared, lr=1e-4, foreach=True).step,
        "AdamW fused": AdamW(shared, lr=1e-4, fused=True).step,
        "RMSprop centered foreach": RMSprop(shared, lr=1e-4, centered=True, foreach=True).step,
        "SDProp": SDProp(shared, lr=1e-4, weight_decay=0.01, decoupled_weight_decay=True).step,
    }
    if shutil.which("c++") or shutil.which("g++") or shutil.which("clang++"):
        settings = {"weight_decay": 0.01, "decoupled_weight_decay": True}
        found["SDProp compiled"] = compiled(SDProp(shared, lr=rate, **settings))
    return found


def timed(step: Step) -> float:
    start = time.process_time()
    step()
    return time.process_time() - start


def main() -> None:
    torch.set_num_threads(1)
    shared = weights()
    chosen = steps(shared)
    for step in chosen.values():  # the first makes the state, or compiles
        step()
        step()
    seconds: dict[str, list[float]] = {name: [] for name in chosen}
    for _ in range(ROUNDS):
        for name, step in chosen.items():
            seconds[name].append(timed(step))
    found = {
        "weights": sum(weight.numel() for weight in shared),
        "torch": torch.__version__,
        "machine": platform.processor() or platform.machine(),
        "ms": {name: round(1e3 * statistics.median(took), 1) for name, took in seconds.items()},
        "ratios": {},
    }
    for name, beside in (("SDProp", "AdamW foreach"), ("SDProp compiled", "AdamW fused")):
        if name in seconds:
            pairs = zip(seconds[name], seconds[beside], strict=True)
            ratios = sorted(own / theirs for own, theirs in pairs)
            middle = statistics.quantiles(ratios, n=4)
            found["ratios"][f"{name} / {beside}"] = [round(part, 3) for part in middle]
        else:
            print(f"{name}: left out, no C++ compiler is on the path")
    print(json.dumps(found, indent=1))
    write_whole(RESULT, json.dumps(found, indent=1).encode() + b"\n")


if __name__ == "__main__":
    main()
