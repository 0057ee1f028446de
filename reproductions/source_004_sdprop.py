"""SDProp against RMSprop, Adam, and what came since, each at its own best rate (source 004).

Claim (Y. Ida et al., NTT Technical Journal 2018/8; the method is Ida, Fujiwara, Iwamura, IJCAI
2017): dividing a gradient by its deviation instead of its size trains deep nets faster and to
lower losses than RMSprop and Adam. Theirs: figures and tables of which no number could be read at
the source; of the authors' demonstration (MNIST, a CNN, batches of 10) the setting is known.

**Protocol**, written before the table was run:

* Eight tasks (`_optimizer_tasks.py`): the authors' demonstration with batches of 10, 100 and 500
  (2000 training, 1000 validation, 1000 test digits of 32x32, 10 epochs); a 20-layer fully
  connected net; CNNs on Fashion-MNIST and CIFAR-10; a character GRU; nanoGPT's recipe for a CPU.
* Twelve optimizers (`_optimizer_methods.py`), everything but the rate at its default; RMSprop
  with the decay 0.99 of SDProp. Adam and AdamW differ by decay alone and are one row (see below).
  Muon steps matrices of hidden layers, AdamW the rest, at one rate for both (`match_rms_adamw`).
* **Rates** are powers of sqrt(10). For each optimizer three neighbours are tried, then more on
  either side until the last on each side is more than 10 % worse than the best; 14 at most. The
  rate is that of the lowest validation loss at the end of the training with seed 0. vSGD and
  Prodigy have no rate to search: 1.
* **Then** seeds 0, 1, 2 at that rate: mean and standard error of test loss and accuracy. A seed
  sets the first weights and the batches, the same for all optimizers, so that differences from
  SDProp are taken seed by seed; one is called decided where it is above 4.30 of its standard
  errors (95 %, Student's t, 3 seeds).
* **Schedule**: in the authors' demonstration one rate throughout, as theirs. Elsewhere a warm-up
  of 5 % of the steps and a cosine to a tenth; schedule-free AdamW has the warm-up alone, vSGD
  nothing.
* **Weight decay** 0. nanoGPT's recipe has 0.1 at the rate 1e-3: there all matrices shrink by 1e-4
  of themselves in a step, times the schedule, apart from the optimizer and at all rates alike.
  Its gradients are clipped at the norm 1, and beta2 of Adam, AdaBelief and
  schedule-free AdamW is 0.99, as the recipe says for Adam.
* A training whose loss or weights are not finite counts as infinitely bad and stops.

**Cut before the run**, so that it takes some two hours: nanoGPT trains 400 steps in place of
2000, 100 while rates are searched, and its losses are read on 20 000 characters of each set; the
recipe itself is run once, with AdamW, to see that this build reaches the loss of nanoGPT's README
(1.88); the other nets and sets are small. torch's Muon orthogonalises in bfloat16; here in
float32, which is ten times faster on such a CPU.

Estimate before the run, one thread, from the time of 40 steps of each, 85 trainings a task: deep
3 s each, 4 minutes; fashion 3.5 s, 5; gru 5 s, 7; cifar 5 s, 7; mnist-100 10 s, 14; mnist-500 12
s, 17; mnist-10 18 s, 26; nanogpt 60 of 10 s and 36 of 38 s, 33, and the recipe once, 3. Together
116 minutes.

    python reproductions/source_004_sdprop.py                     all, cheapest first; goes on
    python reproductions/source_004_sdprop.py --tasks deep gru    some
    python reproductions/source_004_sdprop.py --recipe            nanoGPT's recipe alone
    python reproductions/source_004_sdprop.py --report            the page alone

Data: ``mnist``, ``fashion-mnist``, ``cifar10-subset``, ``tinyshakespeare`` (see DATA.md).
AdaBelief and Prodigy come from pytorch-optimizer, Lion from lion-pytorch, schedule-free AdamW
from schedulefree (versions: benchmarks/requirements.txt); what is missing is left out, and the
page says so.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer

from nakami.optim import VSGD

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from _optimizer_methods import METHODS, Method, Recipe, made_by  # noqa: E402
from _optimizer_report import report  # noqa: E402
from _optimizer_tasks import TASKS, Pictures, Task, Text  # noqa: E402
from _wide import Kept, digits  # noqa: E402

OUT = HERE / "results" / "source_004_sdprop"
SEEDS = 3
MOST = 14  # rates for an optimizer
WITHIN = 1.1  # of the best loss: a rate that still does
RECIPE_STEPS = 2000  # of nanoGPT


def main(argv: list[str] | None = None) -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS))
    arguments.add_argument(
        "--methods", nargs="+", default=list(METHODS), choices=list(METHODS), help="only these now"
    )
    arguments.add_argument("--recipe", action="store_true", help="nanoGPT's recipe, nothing else")
    arguments.add_argument("--report", action="store_true", help="write the page, train nothing")
    given = arguments.parse_args(argv)
    torch.set_num_threads(1)
    if given.recipe:
        recipe()
    elif not given.report:
        for name in given.tasks:
            fill(TASKS[name], given.methods)
            write()
    write()


def write() -> None:
    """The page, of all records there are."""
    files = {task.name: kept(task).records for task in TASKS.values()}
    page = "\n".join(report(list(TASKS.values()), list(METHODS.values()), files, SEEDS, WITHIN))
    (HERE / "results" / "source_004_sdprop.md").write_text(page, encoding="utf-8")


def kept(task: Task) -> Kept:
    """The file of one task."""
    named = {k: v for k, v in asdict(task).items() if k not in ("title", "net", "data")}
    return Kept(OUT / f"{task.name}.json", {**named, "clip": str(task.clip)})


def recipe() -> None:
    """The recipe of nanoGPT for a CPU as it stands, once."""
    task = TASKS["nanogpt"]
    file = kept(task)
    if file.missing(["the recipe"]):
        adam = METHODS["Adam, AdamW"]
        record = train(task, task.data(), adam, 1e-3, 0, RECIPE_STEPS)
        file.add("the recipe", {"steps": RECIPE_STEPS, **record})


def fill(task: Task, methods: Sequence[str] = tuple(METHODS)) -> None:
    """Make the records of a task that are not there yet."""
    if task.name == "nanogpt":
        recipe()
    file, data = kept(task), task.data()

    def run(method: Method, rate: float, seed: int, steps: int, name: str) -> dict[str, Any]:
        if file.missing([name]):
            file.add(name, {"steps": steps, **train(task, data, method, rate, seed, steps)})
            print(task.name, name, file.records[name], flush=True)
        return file.records[name]

    for method in (METHODS[name] for name in methods):
        try:
            made_by(method)
        except PackageNotFoundError:
            print(f"{task.name}: {method.name} left out, {method.package} is missing", flush=True)
            continue
        best = 1.0
        if method.start is not None:
            losses = search(
                lambda k, m=method: run(m, power(k), 0, task.search_steps or task.steps,
                                        f"{m.name}/{power(k):.3g}/search")["valid"],
                round(2 * math.log10(method.start)),
            )  # fmt: skip
            best = power(min(losses, key=lambda k: losses[k]))
        for seed in range(SEEDS):
            name = f"{method.name}/{best:.3g}/{seed}"
            searched = file.records.get(f"{method.name}/{best:.3g}/search")
            if seed == 0 and not task.search_steps and searched and file.missing([name]):
                file.add(name, {**searched, "searched": True})
            run(method, best, seed, task.steps, name)


def power(k: int) -> float:
    """A rate of the grid."""
    return 10 ** (k / 2)


def search(loss: Callable[[int], float | None], start: int) -> dict[int, float]:
    """Losses by power of sqrt(10), from ``start`` on, until both ends are much worse than the best.

    A loss of None counts as infinite.
    """
    losses: dict[int, float] = {}

    def look(k: int) -> None:
        found = loss(k)
        losses[k] = math.inf if found is None else found

    for k in (start - 1, start, start + 1):
        look(k)
    while len(losses) < MOST:
        most = WITHIN * min(losses.values())
        low, high = min(losses), max(losses)
        if losses[low] <= most:  # all infinite: lower rates too
            look(low - 1)
        elif losses[high] <= most:
            look(high + 1)
        else:
            break
    return losses


def train(
    task: Task, data: Pictures | Text, method: Method, rate: float, seed: int, steps: int
) -> dict[str, Any]:
    """One training: loss and accuracy on the validation and the test set, None if not finite."""
    started = time.process_time()
    torch.manual_seed(seed)
    net = task.net().to(memory_format=torch.channels_last)
    warm_up = steps // 20 if task.schedule else 0
    recipe = Recipe(task.beta2, task.decay, warm_up)
    optimizers = method.build(net, rate, recipe)
    matrices = [p for p in net.parameters() if p.ndim > 1]
    constant = not task.schedule or method.own_schedule or isinstance(optimizers[0], VSGD)
    _switch(optimizers, "train")
    generator = torch.Generator().manual_seed(seed)
    record: dict[str, Any] = {"valid": None, "with": made_by(method)}
    for step, (x, y) in enumerate(data.batches(task.batch, steps, generator)):
        share = 1.0 if constant else factor(step, steps, warm_up)
        outputs, targets = net(x).flatten(0, -2), y.flatten()
        loss = cross_entropy(outputs, targets)
        if not loss.isfinite():
            return {**record, "stopped": step, "cpu": digits(time.process_time() - started, 3)}
        for optimizer in optimizers:
            optimizer.zero_grad()
            for group in optimizer.param_groups:
                group["lr"] = rate * share
            if isinstance(optimizer, VSGD):
                optimizer.observe(outputs, targets)
        loss.backward()
        if task.clip < math.inf:
            nn.utils.clip_grad_norm_(net.parameters(), task.clip)
        if task.decay and not method.own_schedule:
            with torch.no_grad():
                torch._foreach_mul_(matrices, 1 - task.decay * share)
        for optimizer in optimizers:
            optimizer.step()
    _switch(optimizers, "eval")
    for name in ("valid", "test"):
        mean, right = evaluate(net, data, name)
        if math.isfinite(mean):
            record |= {name: digits(mean, 5), f"{name} accuracy": digits(right, 5)}
    return {**record, "cpu": digits(time.process_time() - started, 3)}


def factor(step: int, steps: int, warm_up: int) -> float:
    """Of the rate: a linear warm-up, then half a cosine down to a tenth."""
    if step < warm_up:
        return (step + 1) / warm_up
    done = (step - warm_up) / max(1, steps - 1 - warm_up)
    return 0.1 + 0.9 * (1 + math.cos(math.pi * done)) / 2


def _switch(optimizers: list[Optimizer], to: str) -> None:
    """Schedule-free optimizers keep other weights for training than for reading."""
    for optimizer in optimizers:
        if hasattr(optimizer, to):
            getattr(optimizer, to)()


@torch.no_grad()
def evaluate(net: nn.Module, data: Pictures | Text, name: str) -> tuple[float, float]:
    """Mean loss, and the share of right answers, over a set."""
    loss, right, count = 0.0, 0, 0
    for x, y in data.whole(name):
        outputs, targets = net(x).flatten(0, -2), y.flatten()
        loss += float(cross_entropy(outputs, targets, reduction="sum"))
        right += int((outputs.argmax(1) == targets).sum())
        count += len(targets)
    return loss / count, right / count


if __name__ == "__main__":
    main()
