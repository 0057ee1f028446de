"""How many trials of a sweep our advice saves.

    python benchmarks/sweep.py FOLDER      # makes what is missing, keeps it in FOLDER, and reports
    python benchmarks/sweep.py             # reports the committed results

The protocol, written before the first run:

* Task: the first 2,500 test pictures of Fashion-MNIST ($NAKAMI_DATA/fashion-mnist) as an .npz, the
  schema as `nakami data inspect` proposes it; a tenth is tested on (never looked at here), a tenth
  settings are chosen by. Network 784-64-10, tanh; 4 epochs.
* What is tried: rate 1e-5 to 1 by ratio, batch 16, 32, 64, 128, 256, optimizer adamw or sgd.
* Seeds 0 to 9 decide first weights, order of examples and the estimator. For each:
  `ours`, `recipes.sweep` with 10 trials, whose first has the usual settings at the advised rate;
  `alone`, 20 trials of the same estimator (TPE of Optuna, 10 random trials first) without it.
* Reported: the number of trials `alone` needs until its loss is that of our first trial or smaller,
  median and quartiles over seeds, those that never got there counted as 21; by how much the best of
  either is below our first trial after 10 and 20 trials.
* The loss is the cross-entropy of the rows that settings are chosen by, 250 or so, in nats.

Added behind that run, as its best settings had smaller batches, so more steps in as many epochs:

* `rate`, 12 trials of the estimator over the rate alone, with the batch of 64 and the optimizer of
  our first trial.
"""

import json
import os
import sys
from pathlib import Path
from statistics import median, quantiles

RESULTS = Path(__file__).with_name("results") / "sweep.json"
SEEDS, ROWS, EPOCHS = range(10), 2500, 4
OVER = {"rate": (1e-5, 1.0), "batch": [16, 32, 64, 128, 256], "optimizer": ["adamw", "sgd"]}
KINDS = {"ours": (10, OVER), "alone": (20, OVER), "rate": (12, {"rate": OVER["rate"]})}


def make():
    from torch import nn

    return nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.Tanh(), nn.Linear(64, 10))


def run(folder: Path) -> dict[str, dict[str, list[float | None]]]:
    """Losses of the trials, by seed and kind; None where a rate diverged."""
    import numpy as np
    import torch

    from nakami import data, recipes
    from nakami.recipes import _sweep

    class Alone(_sweep._Sweep):
        """Its first trial is the estimator's as well."""

        def _values(self, before):
            tried = [(each["values"], each["loss"]) for each in before]
            return _sweep.next_values(self.space, tried, self.options["seed"])

    def made(seed):
        torch.manual_seed(seed)
        return make()

    schema = folder / "clothes.toml"
    if not schema.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _, test = data.read_split(Path(os.environ["NAKAMI_DATA"]) / "fashion-mnist")
        pictures = (test.inputs[:ROWS].reshape(-1, 28, 28) * 255).round().byte().numpy()
        np.savez(folder / "clothes.npz", x=pictures, y=test.labels[:ROWS].numpy())
        data.inspect(folder / "clothes.npz").save(schema)
    name = recipes.own("sweep:make", made)
    usual, with_ours = recipes.recipe_of(name).settings, _sweep._Sweep
    found: dict[str, dict[str, list[float | None]]] = {str(seed): {} for seed in SEEDS}
    for kind, (trials, over) in KINDS.items():
        _sweep._Sweep = with_ours if kind == "ours" else Alone
        given = {"epochs": EPOCHS, **({"batch": 64} if kind == "rate" else {})}
        for seed in SEEDS:
            record = recipes.sweep(
                name, folder / f"{kind}-{seed}", data=schema, over=over, trials=trials, seed=seed,
                settings=recipes.with_values(usual, given),
            )  # fmt: skip
            found[str(seed)][kind] = [each["loss"] for each in record.result["trials"]]
            print(seed, kind, record.result["lines"][0], flush=True)
    _sweep._Sweep = with_ours
    return found


def needed(losses: list[float | None], limit: float) -> int:
    """Trials until a loss is the limit or smaller; one more than there are where none is."""
    reached = (i for i, loss in enumerate(losses, 1) if loss is not None and loss <= limit)
    return next(reached, len(losses) + 1)


def best(losses: list[float | None], trials: int) -> float:
    return min(loss for loss in losses[:trials] if loss is not None)


def spread(values: list[float], form: str = "{:.3g}") -> str:
    low, _, high = quantiles(values, n=4, method="inclusive")
    return f"{form.format(median(values))} ({form.format(low)} to {form.format(high)})"


def report(found: dict[str, dict[str, list[float | None]]]) -> None:
    """Medians and quartiles over seeds."""
    seeds = list(found.values())
    firsts = [each["ours"][0] for each in seeds]
    print(f"{len(seeds)} seeds: median (quartiles)")
    print(f"loss of our first trial, nats: {spread(firsts)}")
    for kind in ("alone", "rate"):
        counts = [needed(each[kind], first) for each, first in zip(seeds, firsts, strict=True)]
        print(f"trials until a loss as small, {kind}: {spread(counts, '{:.1f}')}; all: {counts}")
    for kind, trials in (("ours", 10), ("alone", 10), ("alone", 20), ("rate", 12)):
        below = [first - best(e[kind], trials) for e, first in zip(seeds, firsts, strict=True)]
        print(f"best of {trials}, {kind}, below our first trial by, nats: {spread(below)}")


def main() -> None:
    if len(sys.argv) > 1:
        found = run(Path(sys.argv[1]))
        rounded = {
            seed: {kind: [x and round(x, 5) for x in losses] for kind, losses in of_seed.items()}
            for seed, of_seed in found.items()
        }
        RESULTS.write_text(json.dumps(rounded, indent=1) + "\n")
    report(json.loads(RESULTS.read_text()))


if __name__ == "__main__":
    main()
