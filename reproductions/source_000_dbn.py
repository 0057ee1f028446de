"""Singular values above 1 in a deep belief network, before and after fine-tuning (MNIST).

Claim (report DWAL-TR-2015-004, section 3, on a talk by Y. Mototake; 784-1000-1000-1000, MNIST):

1. after pre-training, ever fewer singular values of the Jacobian lie above 1 the deeper the layer;
2. after fine-tuning more of them lie above 1 than after pre-training.

The report gives no learning rates, epochs, seeds, numbers or test errors. So the settings below
were fixed before any result was seen, and the claim is judged by the rule in
``_source_000_judge.py``. Its words on the Jacobian fit two readings; both are measured: from the
input to each hidden layer (``input``) and from each layer to the next (``own``).

    python reproductions/source_000_dbn.py            all of it; goes on where it was stopped
    python reproductions/source_000_dbn.py --tiny     the same road on the shipped digits, in a
    minute

Data: the four MNIST files in ``$NAKAMI_DATA/mnist`` (see DATA.md). Weights and the figures of each
network are kept in ``nakami-out/source_000_dbn``; tables go to ``reproductions/results``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import nakami
from nakami import data
from nakami.data import Examples
from nakami.recipes import error_fact
from nakami.results import Xray, versions
from nakami.training import ContrastiveDivergence, Supervised, Training, fit
from nakami.zoo.dbn import DBN

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from _source_000_judge import judge, table  # noqa: E402


@dataclass(frozen=True)
class Plan:
    """All that was decided beforehand.

    Attributes:
        seeds: One pre-training each. rates: of the fine-tuning (momentum 0.9).
        epochs: Of the fine-tuning; the shorter one is a checkpoint of the longer.
        pretrain_epochs: Of each RBM (CD-1, rate 0.1, momentum 0.5, decay 2e-4, batch 100).
        n_images: First test digits, measured. train, test: digits used; None: all.
    """

    seeds: tuple[int, ...] = (0, 1, 2)
    rates: tuple[float, ...] = (0.1, 0.01)
    epochs: tuple[int, int] = (5, 30)
    pretrain_epochs: int = 5
    n_images: int = 32
    hidden: tuple[int, ...] = (1000, 1000, 1000)
    train: int | None = None
    test: int | None = None


FULL = Plan()
TINY = Plan((0, 1, 2), (0.1, 0.01), (1, 2), 1, 4, (100, 100, 100), 2000, 1000)


@dataclass(frozen=True)
class Unit:
    """One network: a seed, how its RBMs reconstruct, and how it was fine-tuned (None: not)."""

    seed: int
    reconstruction: str = "sample"
    rate: float | None = None
    epochs: int = 0

    @property
    def name(self) -> str:
        """Name of its file."""
        kind = "pretrained" if self.rate is None else f"rate{self.rate:g}-epochs{self.epochs}"
        return f"{kind}-{self.reconstruction}-seed{self.seed}"


def units(plan: Plan) -> Iterator[Unit]:
    """Every network; last a look at the other usual kind of CD, for one seed, as a sensitivity."""
    for seed in plan.seeds:
        yield Unit(seed)
        for rate in plan.rates:
            yield from (Unit(seed, rate=rate, epochs=e) for e in plan.epochs)
    yield Unit(plan.seeds[0], "mean")
    yield Unit(plan.seeds[0], "mean", plan.rates[0], plan.epochs[0])


class Work:
    """Makes networks and measures them, each once; everything made is kept in a folder."""

    def __init__(self, plan: Plan, folder: Path, train: Examples, test: Examples):
        self.plan, self.folder, self.train, self.test = plan, folder, train, test
        self.stages = tuple(f"hidden{i + 1}" for i in range(len(plan.hidden)))

    def measured(self, unit: Unit) -> dict[str, Any]:
        """The figures of one network, read back or made."""
        path = self.folder / f"{unit.name}.json"
        if not path.exists():
            start = time.monotonic()
            record = self._measure(self._network(unit))
            record = {**asdict(unit), **record, "minutes": (time.monotonic() - start) / 60}
            _write(path, json.dumps(record))
        return dict(json.loads(path.read_text()))

    def _training(self, unit: Unit) -> Training:
        settings = {**asdict(self.plan), "seed": unit.seed, "reconstruction": unit.reconstruction}
        for shared in ("seeds", "rates", "epochs", "n_images"):
            settings.pop(shared)  # which networks are asked for does not change any of them
        layers = [f"layer{i + 1}" for i in range(len(self.plan.hidden))]
        epochs = dict.fromkeys(layers, self.plan.pretrain_epochs)
        long = self.plan.epochs[1]
        epochs |= {f"rate{rate:g}-epochs{long}": long for rate in self.plan.rates}
        folder = self.folder / f"weights-{unit.reconstruction}-seed{unit.seed}"
        return Training(folder, settings, epochs)

    def _network(self, unit: Unit) -> nn.Sequential:
        training = self._training(unit)
        model = self._pretrained(training, unit)
        if unit.rate is not None:
            self._finetune(training, model, unit.rate, unit.epochs)
        return model

    def _pretrained(self, training: Training, unit: Unit) -> nn.Sequential:
        pixels = self.train.inputs.flatten(1)
        dbn = DBN((784, *self.plan.hidden), generator=training.generator("first weights"))
        for i, rbm in enumerate(dbn.rbms):

            @torch.no_grad()
            def below(depth: int = i) -> tuple[Tensor]:
                return (torch.cat([dbn(part, depth) for part in pixels.split(5000)]),)

            method = ContrastiveDivergence(rbm, reconstruction=unit.reconstruction)
            training.run(f"layer{i + 1}", method, below)
        return dbn.classifier(generator=training.generator("output")).eval()

    def _finetune(self, training: Training, model: nn.Module, rate: float, epochs: int) -> None:
        """Bring the model to a checkpoint; the longest run leaves all of them on its way."""
        short, long = (f"rate{rate:g}-epochs{e}" for e in self.plan.epochs)
        if not training.has(long):
            inputs, labels = self.train.inputs, self.train.labels
            training.run(
                long, descent(model, rate), lambda: (inputs, labels),
                snapshots={self.plan.epochs[0]: short},
            )  # fmt: skip
        training.read(f"rate{rate:g}-epochs{epochs}", model)

    def _measure(self, model: nn.Sequential) -> dict[str, Any]:
        images = self.test.inputs[: self.plan.n_images]
        run = nakami.xray(model, images, stages=self.stages, layers=True, input_unit=data.PIXEL)
        return {
            "error": error_fact(model, self.test),
            "input": self._readings(run, "input"),
            "own": self._readings(run, None),
        }

    def _readings(self, run: Xray, source: str | None) -> dict[str, Any]:
        """Per stage: values at each image, and the mean spectrum."""
        found = {stage: run.at(stage, source) for stage in self.stages}
        assert all(s.complete and s.converged for group in found.values() for s in group)
        return {
            stage: {
                "count": [s.count_above_one for s in group],
                "effective_rank": [round(s.effective_rank, 4) for s in group],
                "largest": [round(float(s.values[0]), 5) for s in group],
                "mean_spectrum": [round(float(v), 5) for v in run.values(stage, source).mean(0)],
            }
            for stage, group in found.items()
        }


def estimate(work: Work) -> float:
    """Minutes still to go, from a few timed steps of each kind of work."""
    plan, x = work.plan, work.train
    dbn = DBN((784, *plan.hidden))
    few = x[:2000]
    share = len(x) / len(few)
    with torch.no_grad():
        hidden = dbn(few.inputs.flatten(1), 1)
    machine = ContrastiveDivergence(dbn.rbms[1])
    layer = _seconds(lambda: fit(machine, (hidden,), epochs=1)) * share
    model = dbn.classifier().eval()
    one = _seconds(lambda: nakami.xray(model, x.inputs[:1], stages=work.stages, layers=True))
    tune = _seconds(lambda: fit(descent(model, 0.01), (few.inputs, few.labels), epochs=1)) * share
    seconds = 0.0
    for unit in units(plan):
        if not (work.folder / f"{unit.name}.json").exists():
            seconds += one * plan.n_images
            seconds += layer * plan.pretrain_epochs * len(plan.hidden) * (unit.rate is None)
            seconds += tune * plan.epochs[1] * (unit.epochs == plan.epochs[0])
    return seconds / 60


def descent(model: nn.Module, rate: float) -> Supervised:
    """Back-propagation through all layers, with momentum."""
    return Supervised(model, torch.optim.SGD(model.parameters(), rate, momentum=0.9))


def _seconds(work: Callable[[], Any]) -> float:
    start = time.monotonic()
    work()
    return time.monotonic() - start


def _write(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    part.write_text(text)
    part.replace(path)


def digits(plan: Plan, tiny: bool) -> tuple[Examples, Examples]:
    """Training and test digits."""
    if tiny:
        return data.digits("train")[: plan.train], data.digits("test")[: plan.test]
    folder = Path(os.environ.get("NAKAMI_DATA", "../shared/data")) / "mnist"
    return data.mnist(folder, "train"), data.mnist(folder, "test")


def main(arguments: list[str] | None = None) -> None:
    """Make every network, measure it, judge the claim, write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tiny", action="store_true", help="shipped digits, small layers")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="where tables go")
    parser.add_argument("--cache", type=Path, default=Path("nakami-out/source_000_dbn"))
    chosen = parser.parse_args(arguments)
    plan = TINY if chosen.tiny else FULL
    cache = chosen.cache.with_name(chosen.cache.name + "_tiny" * chosen.tiny)
    for folder in (cache, chosen.out):
        folder.mkdir(parents=True, exist_ok=True)
    work = Work(plan, cache, *digits(plan, chosen.tiny))
    print(f"about {estimate(work):.0f} minutes with {torch.get_num_threads()} threads", flush=True)
    records = []
    for unit in units(plan):
        records.append(work.measured(unit))
        print(f"{unit.name}: {records[-1]['minutes']:.1f} minutes", flush=True)
    result = {
        "plan": asdict(plan),
        "training_digits": len(work.train),
        "test_digits": len(work.test),
        "threads": torch.get_num_threads(),
        "versions": versions(),
        "minutes": round(sum(r["minutes"] for r in records), 1),
        **judge(records),
    }
    name = "source_000_dbn" + "_tiny" * chosen.tiny
    _write(chosen.out / f"{name}.json", json.dumps(result, indent=1) + "\n")
    _write(chosen.out / f"{name}.md", table(result))
    try:
        from _source_000_chart import draw
    except ImportError:
        print("no chart: pip install altair vl-convert-python adds what draws it")
    else:
        draw(result["levels"], chosen.out / f"{name}.svg")
    print(f"written: {chosen.out / name}.md")


if __name__ == "__main__":
    main()
