"""Advice against sweeps: learning rates advised before training, by the learning-rate protocol.

    python benchmarks/lr/advice.py                              development tasks, what is missing
    python benchmarks/lr/advice.py --anew                       development tasks, all again
    python benchmarks/lr/advice.py --role "held back"           once; again only with --because
    python benchmarks/lr/advice.py --report                     the tables of what is there

Each method gives a rate for each seed from the seed's initial weights and batches in its own order;
the model is then trained with it as the protocol says, and compared with the best rate of the grid
(``grid.py``, which must be there). Methods: nakami; the range tests of Lightning and of
torch-lr-finder with their own defaults (where they are installed: ``requirements.txt``); and three
constants that people start from. Costs are in gradients on one batch.

Results: ``results/advice.<role>.json``, written after every case.
"""

from __future__ import annotations

import argparse
import inspect
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.lr import grid, score
from benchmarks.lr.tasks import OPTIMIZERS, PROTOCOL, TASKS, Task, missing, optimizer, task

ROLES = ("development", "held back")
BATCHES = 32  # that nakami may read
CONSTANTS = {"sgd": 0.1, "momentum": 0.01, "adam": 0.001}
SEEDS = PROTOCOL["run"]["seeds"]


@dataclass
class Said:
    """A rate (None: no advice), its cost in gradients, and what else the method said."""

    rate: float | None
    cost: float
    more: dict[str, Any]


def nakami_advice(task: Task, model: nn.Module, steps: Optimizer, seed: int) -> Said:
    import nakami

    batches = list(itertools.islice(task.batches(seed, "advice"), BATCHES))
    normalised = any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.modules())
    found = nakami.learning_rate(
        nakami.View(model, batch_statistics=normalised), batches, task.loss(), steps
    )
    return Said(found.advised, found.cost, {"interval": found.interval, "why": found.advice})


def constant(task: Task, model: nn.Module, steps: Optimizer, seed: int) -> Said:
    kind = "adam" if isinstance(steps, torch.optim.Adam) else "sgd"
    if steps.param_groups[0].get("momentum"):
        kind = "momentum"
    return Said(CONSTANTS[kind], 0.0, {})


def lightning_range_test(task: Task, model: nn.Module, steps: Optimizer, seed: int) -> Said:
    """``Tuner.lr_find`` with its defaults: 100 steps, 1e-8 to 1, the steepest fall."""
    import lightning
    from lightning.pytorch.tuner import Tuner

    loss = task.loss()

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net, self.lr, self.count = model, 1e-3, 0

        def training_step(self, batch: Any, _: int) -> Any:
            self.count += 1
            return loss(self.net(batch[0]), batch[1])

        def configure_optimizers(self) -> Optimizer:
            kind: Any = type(steps)
            takes = inspect.signature(kind).parameters  # AdamW keeps more than that in `defaults`
            settings = {k: v for k, v in steps.defaults.items() if k in takes}
            return kind(self.net.parameters(), **{**settings, "lr": self.lr})

    batches = list(itertools.islice(task.batches(seed, "advice"), 100))
    with tempfile.TemporaryDirectory() as folder:
        trainer = lightning.Trainer(
            accelerator="cpu", logger=False, enable_checkpointing=False, max_epochs=1,
            enable_progress_bar=False, enable_model_summary=False, default_root_dir=folder,
        )  # fmt: skip
        module = Module()
        loader = torch.utils.data.DataLoader(batches, batch_size=None)
        finder = Tuner(trainer).lr_find(module, train_dataloaders=loader)
    rate = finder.suggestion() if finder else None
    return Said(rate, float(module.count), {})


def torch_lr_finder(task: Task, model: nn.Module, steps: Optimizer, seed: int) -> Said:
    """``LRFinder.range_test`` as its README shows it: 100 steps, 1e-7 to 100, the steepest fall."""
    import matplotlib

    matplotlib.use("agg")
    from torch_lr_finder import LRFinder

    for group in steps.param_groups:
        group["lr"] = 1e-7
    batches = list(itertools.islice(task.batches(seed, "advice"), 100))
    loader = torch.utils.data.DataLoader(batches, batch_size=None)
    with redirect_stdout(StringIO()):
        finder = LRFinder(model, steps, task.loss(), device="cpu")
        finder.range_test(loader, end_lr=100, num_iter=100)
        rate = finder.plot(log_lr=True, suggest_lr=True)[1]
    return Said(float(rate), float(len(finder.history["lr"])), {})


METHODS: dict[str, Callable[[Task, nn.Module, Optimizer, int], Said]] = {
    "nakami": nakami_advice,
    "Lightning lr_find": lightning_range_test,
    "torch-lr-finder": torch_lr_finder,
    "constants 0.1, 0.01, 0.001": constant,
}


def case(which: Task, name: str, method: str) -> dict[str, Any]:
    """One method on one task and optimizer, all seeds."""
    rates: list[float | None] = []
    costs, more, finals, spent = [], [], [], []
    for seed in SEEDS:
        model = which.model(seed)
        start = time.process_time()
        try:
            said = METHODS[method](which, model, optimizer(name, model, 1e-3), seed)
        except ImportError as lack:
            return {"missing": str(lack)}
        except Exception as failed:  # it gives no advice
            said = Said(None, 0.0, {"failed": f"{type(failed).__name__}: {failed}"[:200]})
        spent.append(time.process_time() - start)
        usable = said.rate is not None and np.isfinite(said.rate) and said.rate > 0
        losses = grid.train(which, name, seed, said.rate) if usable else np.full(200, np.nan)
        rates.append(said.rate)
        costs.append(said.cost)
        more.append(said.more)
        finals.append(float(score.final_losses(losses[None])[0]))
    found = score.regret(np.array(finals), grid.read(which.name, name).final)
    return {
        "rates": rates,
        "final": finals,
        "regret": found.mean,
        "error": found.error,
        "passed": found.passed,
        "cost": costs,
        "cpu_s": spent,
        "more": more,
    }


def path(role: str) -> Path:
    return grid.RESULTS / f"advice.{role.replace(' ', '-')}.json"


def stored(role: str) -> dict[str, Any]:
    file = path(role)
    return json.loads(file.read_text()) if file.exists() else {"runs": [], "cases": {}}


def keep(role: str, held: dict[str, Any]) -> None:
    part = path(role).with_suffix(".json.part")
    part.write_text(json.dumps(held, indent=1) + "\n")
    part.replace(path(role))


def run(role: str, methods: list[str], anew: bool, because: str) -> None:
    held = stored(role)
    begun = {key.split("/")[0] for key in held["cases"]} & set(methods)
    if role == "held back" and anew and begun and not because:
        sys.exit("held-back tasks were run; give the reason of a further run with --because.")
    if anew or not held["runs"]:
        held["runs"].append({"methods": methods, "because": because or "first run"})
    if anew:
        held["cases"] = {k: v for k, v in held["cases"].items() if k.split("/")[0] not in methods}
    for name in TASKS:
        if PROTOCOL["task"][name]["role"] != role:
            continue
        for each, method in itertools.product(OPTIMIZERS, methods):
            key = f"{method}/{name}/{each}"
            if key in held["cases"]:
                continue
            if not grid.read(name, each).done.all():
                print(f"{name} {each}: the grid is not complete", flush=True)
                continue
            held["cases"][key] = found = case(task(name), each, method)
            keep(role, held)
            print(key, found.get("missing") or f"{found['regret']:.3f}", flush=True)


def report(role: str) -> str:
    """Tables: a line a case, and the summary of each method."""
    cases = stored(role)["cases"]
    heads = ["task, optimizer", "best of the grid", *METHODS]
    rows = []
    for name, each in itertools.product(TASKS, OPTIMIZERS):
        cells = [shown(cases.get(f"{method}/{name}/{each}")) for method in METHODS]
        if any(cells):
            final = grid.read(name, each).final
            best = task(name).rates(each)[score.best_rate(final)]
            rows.append([f"{name}, {each}", f"{best:.2g}", *cells])
    sums = [[method, *summary(method, cases)] for method in METHODS]
    asked = ["method", "passed", "by the error alone", "median regret", "worst", "diverged runs",
             "cost, gradients (share of a sweep)"]  # fmt: skip
    return f"**{role.capitalize()} tasks**\n\n{table(heads, rows)}\n{table(asked, sums)}"


def shown(found: dict[str, Any] | None) -> str:
    if not found or "missing" in found:
        return ""
    rates = [rate for rate in found["rates"] if rate is not None]
    middle = f"{np.median(rates):.2g}" if rates else "none"
    return f"{found['regret']:.2f}{'' if found['passed'] else ' (failed)'} at {middle}"


def summary(method: str, cases: dict[str, Any]) -> list[str]:
    mine = [v for k, v in cases.items() if k.startswith(f"{method}/") and "missing" not in v]
    if not mine:
        return ["not installed"] + [""] * 5
    passed = [v for v in mine if v["passed"]]
    narrow = sum(v["regret"] > PROTOCOL["score"]["regret_passed"] for v in passed)
    regrets = [v["regret"] for v in mine]
    cost = np.mean([spent(v) for v in mine])
    return [
        f"{len(passed)} of {len(mine)}",
        str(narrow),
        f"{np.median(regrets):.3f}",
        f"{max(regrets):.3f}",
        f"{sum(not np.isfinite(f) for v in mine for f in v['final'])} of {len(mine) * len(SEEDS)}",
        f"{cost:.0f} ({cost / (13 * 200):.1%})",
    ]


def spent(found: dict[str, Any]) -> list[float]:
    """Gradients that the advice took; where a limit was read with it, ``cost`` is that of both."""
    more = found.get("more", [{}] * len(found["cost"]))
    return [part.get("advice_cost", cost) for part, cost in zip(more, found["cost"], strict=True)]


def table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--role", choices=ROLES, default="development")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--anew", action="store_true", help="run what is there again")
    parser.add_argument("--because", default="", help="why held-back tasks are run again")
    parser.add_argument("--report", action="store_true", help="print what is there, run nothing")
    asked = parser.parse_args()
    if not asked.report:
        torch.set_num_threads(1)
        if lacking := [w for n in TASKS if (w := missing(n))]:
            sys.exit(f"skipped: {'; '.join(dict.fromkeys(lacking))}")
        run(asked.role, asked.methods, asked.anew, asked.because)
    print(report(asked.role))


if __name__ == "__main__":
    main()
