"""vSGD at its defaults on nets that they were not set on, beside SGD and Adam.

Claim (Schaul, Zhang, LeCun, ICML 2013): rates need no tuning. Here the defaults of ``caution`` had
to be set; they were, on one network and one seed. This script asks whether they hold elsewhere.

Fashion-MNIST with a fully connected net 784-300-100-10 and with the small CNN of
``natural_gradients.py``, and MNIST row by row with its GRU: one pass over 5,000 examples in batches
of 10, classification, seeds 1, 2 and 3. Beside it SGD without momentum at the best of the rates
0.01, 0.0316, 0.1, 0.316 and 1 (by the loss with seed 0; a rate at the end of the grid is said to be
one) and Adam at 0.001. Loss: on 2,000 other examples after the pass, and their accuracy. A training
*fails* where a loss is not finite or the loss at the end is above that of equal odds, log 10.

    python reproductions/vsgd.py        all; goes on

Estimate before the run: 57 trainings of 4 to 10 CPU seconds, 7 minutes. Data:
``$NAKAMI_DATA/fashion-mnist`` and ``mnist`` (see DATA.md).
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nakami import data
from nakami.optim import VSGD

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from _shared import made_in  # noqa: E402
from _wide import Kept, digits, mean_error, table  # noqa: E402
from natural_gradients import Rows, cnn, layers  # noqa: E402

OUT = HERE / "results" / "vsgd.json"
NETS = {
    "Fashion-MNIST, fully connected": (
        "fashion-mnist",
        lambda: layers((784, 300, 100, 10), nn.ReLU),
    ),
    "Fashion-MNIST, CNN": ("fashion-mnist", cnn),
    "MNIST, GRU": ("mnist", Rows),
}
FORMS = ("local", "block", "global")
RATES = (0.01, 0.0316, 0.1, 0.316, 1.0)


def main() -> None:
    torch.set_num_threads(1)
    root = Path(os.environ.get("NAKAMI_DATA", HERE.parent / ".." / "shared" / "data"))
    file = Kept(OUT, {"rates": RATES, "forms": FORMS, "batch": 10, "examples": 5000})
    for net, (folder, _) in NETS.items():
        if not (root / folder).is_dir():
            sys.exit(f"no data: {root / folder} is needed; set NAKAMI_DATA.")
        read = data.mnist(root / folder, "train")
        assert read.labels is not None
        x, y = read.inputs[:7000].reshape(-1, 1, 28, 28), read.labels[:7000]
        for rate in RATES:
            record(file, net, f"sgd {rate:g}", 0, x, y)
        for method in (*FORMS, f"sgd {best(file, net):g}", "adam 0.001"):
            for seed in (1, 2, 3):
                record(file, net, method, seed, x, y)
    OUT.with_suffix(".md").write_text("\n".join(report(file)), encoding="utf-8")


def record(file: Kept, net: str, method: str, seed: int, x: torch.Tensor, y: torch.Tensor) -> None:
    """Make one training unless it was made."""
    name = f"{net}/{method}/{seed}"
    if file.missing([name]):
        file.add(name, train(NETS[net][1](), method, seed, x, y))
        print(name, file.records[name], flush=True)


def train(
    model: nn.Module, method: str, seed: int, x: torch.Tensor, y: torch.Tensor
) -> dict[str, Any]:
    """One pass; loss and accuracy on the last 2,000 examples."""
    torch.manual_seed(seed)
    for module in model.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()  # type: ignore[operator]
    kind, _, rate = method.partition(" ")
    makers = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
    optimizer: Any = (
        makers[kind](model.parameters(), lr=float(rate))
        if rate
        else VSGD(model.parameters(), "cross_entropy", kind, seed=seed)
    )
    loss = nn.CrossEntropyLoss()
    order = torch.Generator().manual_seed(seed)
    began, finite = time.process_time(), True
    for rows in torch.randperm(len(x) - 2000, generator=order).split(10):
        outputs = model(x[rows])
        if not rate:
            optimizer.observe(outputs, y[rows])
        optimizer.zero_grad()
        value = loss(outputs, y[rows])
        finite = math.isfinite(value.item())
        if not finite:
            break
        value.backward()
        optimizer.step()
    seconds = time.process_time() - began
    with torch.no_grad():
        outputs = model(x[-2000:])
    final = float(loss(outputs, y[-2000:])) if finite else math.nan
    return {
        "failed": not final <= math.log(10),
        "loss": digits(final),
        "accuracy": digits(float((outputs.argmax(1) == y[-2000:]).float().mean())),
        "seconds": digits(seconds, 3),
    }


def best(file: Kept, net: str) -> float:
    """The rate of SGD with the lowest loss at seed 0."""
    losses = {rate: file.records[f"{net}/sgd {rate:g}/0"]["loss"] for rate in RATES}
    return min(RATES, key=lambda rate: losses[rate] if math.isfinite(losses[rate]) else math.inf)


def report(file: Kept) -> Iterator[str]:
    """Loss and accuracy by net and method."""
    yield "# vSGD at its defaults"
    yield ""
    yield "One pass over 5,000 examples, batches of 10; loss and accuracy on 2,000 others: means of"
    yield "three seeds ± standard error. SGD at the best of five rates."
    yield ""
    rows = []
    for net in NETS:
        rate = best(file, net)
        for method in (*FORMS, f"sgd {rate:g}", "adam 0.001"):
            found = [file.records[f"{net}/{method}/{seed}"] for seed in (1, 2, 3)]
            name = f"vSGD, {method}" if method in FORMS else method.replace(" ", ", rate ")
            if method == f"sgd {rate:g}" and rate in (RATES[0], RATES[-1]):
                name += " (end of the grid)"
            kept = [r for r in found if not r["failed"]]
            cells = [net, name, f"{len(found) - len(kept)} of 3"]
            for key, scale in (("loss", 1.0), ("accuracy", 100.0)):
                mean, error = mean_error([scale * r[key] for r in kept] or [math.nan])
                cells.append(f"{mean:.3g} ± {digits(error, 1):g}" if len(kept) > 1 else "")
            rows.append(cells)
    yield from table(("net", "optimizer", "failed", "loss", "accuracy, %"), rows)
    yield ""
    yield made_in(sum(r["seconds"] for r in file.records.values()))
    yield ""


if __name__ == "__main__":
    main()
