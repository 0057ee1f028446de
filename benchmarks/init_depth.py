"""Do plain networks of 50 layers train? Initial scales side by side, by the loss after some steps.

Fully connected, width 128, tanh or ReLU, on 10,000 MNIST digits, plain gradient descent and Adam,
in batches of 64. Each way of drawing the weights gets its own rate: the one of the grid
with the least mean loss over the seeds; a grid with the best at its end is extended, twice at most.
A run whose loss is not finite counts as the loss of a guess, ln 10. Rows that are done lie in the
cache and are not run again, unless --fresh is given.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import _side_by_side as side

DEPTH, WIDTH, CLASSES, BATCH, SHOWN = 50, 128, 10, 64, 64
TRAINED_ON, JUDGED_ON, TEST = 10_000, 4096, 2000
STEPS, SEEDS, FURTHER = 200, (0, 1, 2), 2
RATES = {"sgd": (0.003, 0.01, 0.03, 0.1), "adam": (1e-4, 3e-4)}
TITLES = {"sgd": "descent", "adam": "Adam"}
GUESS = math.log(CLASSES)
FOLDER = "mnist"


def network(activation: str, seed: int) -> Any:
    import torch
    from torch import nn

    torch.manual_seed(seed)
    sizes = [784, *[WIDTH] * (DEPTH - 1), CLASSES]
    parts: list[Any] = []
    for inputs, units in itertools.pairwise(sizes):
        parts += [nn.Linear(inputs, units), {"tanh": nn.Tanh, "relu": nn.ReLU}[activation]()]
    return nn.Sequential(*parts[:-1])


def _layers(draw: Callable[[Any], Any]) -> Callable[..., None]:
    """Weights drawn layer by layer, biases 0."""
    from torch import nn

    def prepare(model: Any, x: Any, activation: str, seed: int) -> None:
        for part in model:
            if isinstance(part, nn.Linear):
                draw(part.weight)
                nn.init.zeros_(part.bias)

    return prepare


def _nakami(**options: Any) -> Callable[..., None]:
    def prepare(model: Any, x: Any, activation: str, seed: int) -> None:
        import nakami

        nakami.initialisation(model, x, seed=seed, **options).proposal.apply(model)

    return prepare


def _anyinit(*mode: str) -> Callable[..., None]:
    def prepare(model: Any, x: Any, activation: str, seed: int) -> None:
        import anyinit

        anyinit.initialize(model, *mode, *([x] if mode else []), seed=seed)

    return prepare


def ways(activation: str) -> dict[str, Callable[..., None]]:
    """How each way prepares a network drawn by torch."""
    from torch import nn

    gain = nn.init.calculate_gain(activation)
    found: dict[str, Callable[..., None]] = {
        "torch's default": lambda *_: None,
        "nakami, auto (critical point)": _nakami(),
        "nakami, data": _nakami(method="data"),
        "nakami, data, orthogonal": _nakami(method="data", directions="orthogonal"),
        "AnyInit": _anyinit(),
        "AnyInit, empirical": _anyinit("empirical"),
        f"orthogonal, torch's gain {gain:.3g}": _layers(lambda w: nn.init.orthogonal_(w, gain)),
    }
    if activation == "tanh":
        found["orthogonal, gain 1"] = _layers(nn.init.orthogonal_)
        found[f"Xavier, torch's gain {gain:.3g}"] = _layers(
            lambda w: nn.init.xavier_normal_(w, gain)
        )
    else:
        found["Kaiming (He)"] = _layers(lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"))
    return found


def child(task: dict[str, Any]) -> dict[str, Any]:
    import torch

    import nakami

    torch.set_num_threads(1)
    folder = side.data_folder() / FOLDER
    train = nakami.data.mnist(folder, "train", flat=True, n=TRAINED_ON)
    test = nakami.data.mnist(folder, "test", flat=True, n=TEST)
    prepare = ways(task["activation"])[task["way"]]

    def made(seed: int) -> Any:
        model = network(task["activation"], seed)
        prepare(model, train.inputs[:SHOWN], task["activation"], seed)
        return model

    seen = nakami.initialisation(nakami.View(made(SEEDS[0]), dtype="float64"), train.inputs[:SHOWN])
    out: dict[str, Any] = {
        "signal": round(seen.signal.decades, 1),
        "gradient": round(seen.gradient.decades, 1),
    }

    name = task["optimizer"]

    def work() -> dict[str, list[list[float]]]:
        found: dict[str, list[list[float]]] = {}
        wanted = list(RATES[name])
        while wanted:
            rate = wanted.pop(0)
            found[f"{rate:g}"] = [_train(made(s), name, rate, s, train, test) for s in SEEDS]
            if not wanted:
                wanted = further(found, len(RATES[name]))
        return found

    seconds, out["runs"] = side.cpu_seconds(work)
    out["cpu_s"] = round(seconds, 1)
    return out


def _train(model: Any, name: str, rate: float, seed: int, train: Any, test: Any) -> list[float]:
    """Loss and accuracy in training, and accuracy in the test, after the steps."""
    import torch
    from torch.nn.functional import cross_entropy

    kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[name]
    optimizer = kind(model.parameters(), lr=rate)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(STEPS):
        at = torch.randint(len(train.inputs), (BATCH,), generator=generator)
        optimizer.zero_grad()
        loss = cross_entropy(model(train.inputs[at]), train.labels[at])
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        x, y = train.inputs[:JUDGED_ON], train.labels[:JUDGED_ON]
        z, t = model(x), model(test.inputs)
        loss = float(cross_entropy(z, y))
        shares = [float((a.argmax(1) == b).double().mean()) for a, b in ((z, y), (t, test.labels))]
    return [round(loss, 4) if math.isfinite(loss) else GUESS, *(round(s, 4) for s in shares)]


def best(runs: dict[str, list[list[float]]]) -> tuple[str, list[list[float]]]:
    """The rate with the least mean loss, and its runs."""
    rate = min(runs, key=lambda r: sum(min(run[0], GUESS) for run in runs[r]))
    return rate, runs[rate]


def further(runs: dict[str, list[list[float]]], base: int) -> list[float]:
    """The next rate where the best so far lies at an end of the grid, ``FURTHER`` times at most."""
    rates, at = sorted(map(float, runs)), float(best(runs)[0])
    if len(rates) - base >= FURTHER or rates[0] < at < rates[-1]:
        return []
    return [float(f"{at / 3 if at == rates[0] else at * 3:.1g}")]


def shown(rows: list[dict[str, Any]]) -> str:
    parts = []
    for activation, title in {"tanh": "tanh", "relu": "ReLU"}.items():
        some = [row for row in rows if row["activation"] == activation]
        names = [name for name in RATES if any(row["optimizer"] == name for row in some)]
        heads = ["initial weights", "signal", "gradient"]
        for name in names:
            heads += [f"{TITLES[name]}: rate", "loss", "of three", "test, %"]
        body = []
        for way in dict.fromkeys(row["way"] for row in some):
            own = {row["optimizer"]: row for row in some if row["way"] == way}
            cells = [
                c for name in names for c in (_columns(own[name]) if name in own else [""] * 4)
            ]
            body.append([way, *_decades(next(iter(own.values()))), *cells])
        parts.append(f"**{title}, {DEPTH} layers.**\n\n{side.table(heads, body)}")
    return "\n".join(parts)


def _decades(row: dict[str, Any]) -> list[str]:
    return [f"10^{row[what]:+.1f}" for what in ("signal", "gradient")]


def _columns(row: dict[str, Any]) -> list[str]:
    rate, runs = best(row["runs"])
    losses = [run[0] for run in runs]
    return [
        rate,
        f"{sum(losses) / len(losses):.3f}",
        f"{min(losses):.2f} to {max(losses):.2f}",
        f"{100 * sum(run[2] for run in runs) / len(runs):.1f}",
    ]


def row(fresh: bool, done: bool = False, **task: Any) -> dict[str, Any]:
    """One row, from the cache where it is done; empty where only what is ``done`` counts."""
    name = "".join(c if c.isalnum() else "-" for c in " ".join(map(str, task.values())))
    kept = side.CACHE / "init_depth" / f"{name}.json"
    if kept.exists() and not fresh:
        found: dict[str, Any] = json.loads(kept.read_text())
        return found
    if done:
        return {}
    found = side.apart(__file__, **task)
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(found))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draft", action="store_true", help="print the table, keep nothing")
    parser.add_argument("--fresh", action="store_true", help="run again what is done")
    parser.add_argument("--done", action="store_true", help="no more than the rows in the cache")
    parser.add_argument(
        "--optimizers", default=",".join(RATES), help="sgd, adam, or both with a comma"
    )
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(child(json.loads(args.child))))
        return
    folder = side.data_folder()
    if not (folder / FOLDER).exists():
        print(f"skipped: no {FOLDER} in {folder}; set NAKAMI_DATA to a folder that has it")
        return
    try:
        release = version("anyinit")
    except PackageNotFoundError:
        release = ""
        print("without AnyInit: it is not installed (benchmarks/requirements.txt has it)")
    rows = [
        row(
            args.fresh,
            args.done,
            activation=activation,
            way=way,
            optimizer=name,
            steps=STEPS,
            peer=release,
        )
        for name in args.optimizers.split(",")
        for activation in ("tanh", "relu")
        for way in ways(activation)
        if release or "AnyInit" not in way
    ]
    rows = [found for found in rows if found]
    print(shown(rows))
    if not args.draft:
        side.keep("init_depth", rows, shown(rows))


if __name__ == "__main__":
    main()
