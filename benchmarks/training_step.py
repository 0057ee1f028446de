"""What a step costs in ``nakami.training`` (Lightning's Trainer), beside the same step in a loop.

Two steps of the shipped subject (a machine's CD-1 step, a step of the fine-tuning) and those of a
small and of a linear classifier, on one thread with batches of 100 digits, in ``ROUNDS`` turns;
processor time of two epochs after a first one, so that what is done once does not count, and a busy
machine matters less. ``one by one`` hands Lightning single mini-batches in place of twenty. The
weights must be equal to the bit. Also the seconds of importing Lightning, after torch.

    python benchmarks/training_step.py      needs the extra train
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import lightning
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from nakami import data, training
from nakami.results import write_whole
from nakami.training import ContrastiveDivergence, Method, Supervised, _batches
from nakami.zoo import mlp
from nakami.zoo.dbn import DBN
from nakami.zoo.rbm import RBM

ROUNDS, BATCH, EPOCHS = 5, 100, 3
RESULT = Path(__file__).parent / "results" / "training_step.json"


def supervised(model: nn.Module) -> Supervised:
    return Supervised(model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9))


MAKE: dict[str, Callable[[], Method]] = {
    "contrastive divergence": lambda: ContrastiveDivergence(RBM(784, 1000)),
    "fine-tuning": lambda: supervised(DBN().classifier()),
    "small classifier": lambda: supervised(mlp.make()),
    "linear classifier": lambda: supervised(mlp.make((784, 10))),
}


def descend(loss: Tensor, optimizer: Optimizer) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def examples(method: Method) -> tuple[Tensor, ...]:
    digits = data.digits("train")
    assert digits.labels is not None
    if isinstance(method, Supervised):
        return digits.inputs, digits.labels
    return (digits.inputs.flatten(1),)


def plain(name: str) -> tuple[float, nn.Module]:
    """Seconds of one step in a loop of our own, and the weights at the end."""
    method, generator = MAKE[name](), torch.Generator().manual_seed(0)
    tensors = examples(method)
    method.start(tensors, generator)
    method.module.train()
    marks = []
    for epoch in range(EPOCHS):
        method.epoch(epoch)
        rows = torch.randperm(len(tensors[0]), generator=generator).split(BATCH)
        for batch in rows:
            float(method.step([part[batch] for part in tensors], descend))
        marks.append(time.process_time())
    return (marks[-1] - marks[0]) / len(rows) / (EPOCHS - 1), method.module


def hosted(name: str, group: int) -> tuple[float, nn.Module]:
    """The same by ``training.fit``, ``group`` mini-batches at a time."""
    method, marks, usual = MAKE[name](), list[float](), _batches.GROUP
    tensors = examples(method)
    _batches.GROUP = group
    try:
        training.fit(
            method, tensors, epochs=EPOCHS, batch=BATCH,
            after_epoch=lambda *_: marks.append(time.process_time()),
        )  # fmt: skip
    finally:
        _batches.GROUP = usual
    steps = -(-len(tensors[0]) // BATCH) * (EPOCHS - 1)
    return (marks[-1] - marks[0]) / steps, method.module


def equal(a: nn.Module, b: nn.Module) -> bool:
    """Whether two networks have the same bits."""
    return all(map(torch.equal, a.state_dict().values(), b.state_dict().values()))


def compared(name: str) -> dict[str, float | bool]:
    """Milliseconds of a step each way, and Lightning's cost as a share of the plain step."""
    seconds: dict[str, list[float]] = {"plain": [], "hosted": [], "one by one": []}
    same = True
    for _ in range(ROUNDS):
        took, wanted = plain(name)
        seconds["plain"].append(took)
        for key, group in (("hosted", _batches.GROUP), ("one by one", 1)):
            took, got = hosted(name, group)
            seconds[key].append(took)
            same &= equal(wanted, got)
    row: dict[str, float | bool] = {k: 1e3 * statistics.median(v) for k, v in seconds.items()}
    for key in ("hosted", "one by one"):
        pairs = zip(seconds[key], seconds["plain"], strict=True)
        row[f"{key} share"] = statistics.median(t / p - 1 for t, p in pairs)
    return {**row, "same bits": same}


def import_seconds() -> float:
    """Processor seconds of importing the host in a fresh interpreter that has torch."""
    clock = "time.process_time()"
    code = f"import torch, time; t = {clock}; import lightning.pytorch; print({clock} - t)"
    command = [sys.executable, "-c", code]
    return statistics.median(
        float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        for _ in range(ROUNDS)
    )


def main() -> None:
    torch.set_num_threads(1)
    found = {name: compared(name) for name in MAKE}
    for name, row in found.items():
        print(
            f"{name:24s} plain {row['plain']:6.3f} ms   hosted {row['hosted']:6.3f} ms "
            f"({row['hosted share']:+.0%})   one by one {row['one by one']:6.3f} ms "
            f"({row['one by one share']:+.0%})   same bits: {row['same bits']}"
        )
    seconds = import_seconds()
    print(f"import lightning.pytorch {seconds:.1f} s")
    about = {"torch": torch.__version__, "lightning": lightning.__version__}
    body = {"steps": found, "import seconds": seconds, **about}
    write_whole(RESULT, json.dumps(body, indent=1) + "\n", "results")


if __name__ == "__main__":
    main()
