"""Does training from the scales that ``nakami init`` proposes beat torch's own? Eight networks.

    python benchmarks/knobs/scales.py          what is missing of results/scales.json, and the table

Each network is trained from torch's initial weights, from the proposed scales, and from orthogonal
matrices with those scales, by AdamW and a cosine over 1,500 steps (the horizon of the second
protocol), each at the rate that ``nakami.learning_rate`` advises from that start, two seeds. About
``8 x 3 x 2 x 1,500`` steps of 2 to 9 ms: six minutes of one core.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.knobs.sweep import final
from benchmarks.knobs.tasks import PROTOCOL, RUN, Task, factor, missing, optimizer, task

NETWORKS = (
    "friedman", "waves", "fashion-dropout", "autoencoder", "speech-cnn", "cifar-bn-augmented",
    "vit-mnist", "lm-shakespeare",
)  # fmt: skip
STARTS = {"torch": None, "proposed": "kept", "orthogonal": "orthogonal"}
HORIZON = "1500-cosine"
STEPS = PROTOCOL["horizon"][HORIZON]["steps"]
RESULTS = Path(__file__).resolve().parent / "results" / "scales.json"


def begun(of: Task, seed: int, directions: str | None) -> tuple[nn.Module, str]:
    """The network at a start, and what the proposal says."""
    import nakami

    model = of.model(seed)
    if directions is None:
        return model, ""
    x, _ = next(of.batches(seed, "advice"))
    normalised = any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.modules())
    view = nakami.View(model, batch_statistics=True if normalised else None)
    found = nakami.initialisation(view, x, directions=directions, seed=seed)
    return found.proposal.apply(model), found.proposal.reason


def trained(of: Task, model: nn.Module, seed: int) -> dict[str, Any]:
    """Advised rate and final loss."""
    import nakami

    steps = optimizer("adamw", model, 1e-3)
    batches = of.batches(seed, "advice")
    rate = nakami.learning_rate(
        model, batches, of.loss(), steps, steps=STEPS, schedule=lambda t: factor(HORIZON, t)
    ).advised
    assert rate is not None
    losses, loss, order = np.full(STEPS, np.nan), of.loss(), of.batches(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(RUN["dropout_seed"] + seed)
        for t in range(STEPS):
            steps.param_groups[0]["lr"] = rate * factor(HORIZON, t)
            x, y = next(order)
            steps.zero_grad()
            value = loss(model(x), y)
            losses[t] = value.item()
            value.backward()
            steps.step()
    return {"rate": float(f"{rate:.4g}"), "first": losses[0], "final": final(losses)}


def report(found: dict[str, Any]) -> str:
    lines = ["| network | torch | proposed | orthogonal |", "| --- | --- | --- | --- |"]
    gains: dict[str, list[float]] = {}
    for name in NETWORKS:
        cells = []
        for start in STARTS:
            runs = [found.get(f"{name}|{start}|{seed}") for seed in RUN["seeds"]]
            if None in runs:
                cells.append("")
                continue
            logs = [np.log(run["final"]) if run["final"] else np.inf for run in runs]  # type: ignore[index]
            gains.setdefault(start, []).append(float(np.mean(logs)))
            rates = ", ".join(f"{run['rate']:.2g}" for run in runs)  # type: ignore[index]
            cells.append(f"{np.exp(np.mean(logs)):.4g} at {rates}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    base = np.array(gains.get("torch", []))
    for start, each in gains.items():
        gap = np.array(each) - base[: len(each)]
        lines.append(
            f"\n{start}: lower than torch's on {int((gap < -0.02).sum())}, higher on "
            f"{int((gap > 0.02).sum())} of {len(gap)} (by 0.02 in the log loss); median "
            f"{np.median(gap):+.3f}"
        )
    return "\n".join(lines)


def deep() -> None:
    """The plain tanh network of 50 layers, 600 steps on shipped digits; half a minute."""
    import nakami
    from nakami.zoo import deep as network

    digits = nakami.data.with_targets(nakami.data.digits(), 32 * 128, 0).batches(32)
    loss, steps = nn.CrossEntropyLoss(), 600
    for start, directions in STARTS.items():
        for seed in RUN["seeds"]:
            model = network.make(generator=torch.Generator().manual_seed(seed))
            if directions:
                found = nakami.initialisation(model, digits[0][0], directions=directions, seed=seed)
                model = found.proposal.apply(model)
            setting = nakami.tune(model, digits, loss, steps=steps, budget=0.1)
            inside: dict[str, Any] = {"model": model}
            exec(setting.snippet(), inside)
            losses = []
            for t in range(steps):
                x, y = digits[t % len(digits)]
                inside["optimizer"].zero_grad()
                value = loss(model(x), y)
                losses.append(value.item())
                value.backward()
                inside["optimizer"].step()
                inside["scheduler"].step()
            last = np.mean(losses[-steps // 20 :])
            print(f"50 layers, {start}, seed {seed}: {last:.3f} at {setting.rate:.2g}", flush=True)


def main() -> None:
    lacking = [words for each in NETWORKS if (words := missing(each))]
    if lacking:
        sys.exit("; ".join(dict.fromkeys(lacking)))
    torch.set_num_threads(1)
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in NETWORKS:
        of = task(name)
        for start, directions in STARTS.items():
            for seed in RUN["seeds"]:
                key = f"{name}|{start}|{seed}"
                if key in found:
                    continue
                model, said = begun(of, seed, directions)
                found[key] = {**trained(of, model, seed), "said": said}
                RESULTS.write_text(json.dumps(found, indent=0) + "\n")
                print(key, found[key], flush=True)
    print(report(found))
    deep()


if __name__ == "__main__":
    main()
