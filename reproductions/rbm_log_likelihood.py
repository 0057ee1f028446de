"""Log-likelihood of a restricted Boltzmann machine with 500 hidden units on MNIST.

Claim: CD-25 with 500 hidden units gives -86.34 nats a test digit, log Z by annealed importance
sampling (R. Salakhutdinov, I. Murray, ICML 2008; quoted by others, not read at the source).

Theirs: settings of the training could not be read. Ours: 60,000 training digits, pixels drawn once
with their grey values as probabilities; CD-25, mini-batches of 100, rate 0.05 falling linearly to 0
over all epochs, momentum 0.5, from epoch 5 on 0.9, weight decay 2e-4, float32. Each tenth epoch
(of 50): 100 runs over 3,000 temperatures; at the end 100 runs over 14,500, and runs back from
states that 1,000 steps from training digits have reached (the upper bound; they are near the
machine's law, not exact samples of it). 10,000 test digits.

    python reproductions/rbm_log_likelihood.py             50 epochs; goes on where it was stopped
    python reproductions/rbm_log_likelihood.py --more 1    so many epochs more, then stop
    python reproductions/rbm_log_likelihood.py --epochs 10 a shorter training, kept beside

MNIST's files lie in $NAKAMI_DATA/mnist. State: nakami-out/rbm_log_likelihood. Estimate, one
thread: 45 s an epoch (measured), 40 minutes for 50 epochs, 9 for 10.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from nakami import data, sampling
from nakami.training import ContrastiveDivergence
from nakami.zoo.rbm import RBM

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from _shared import charts, made_in  # noqa: E402
from _wide import Kept, digits, generator, table  # noqa: E402

NAME = "rbm_log_likelihood"
BATCH, RATE, STEPS, DECAY, HIDDEN = 100, 0.05, 25, 2e-4, 500
RUNS, TEMPERATURES, LAST_TEMPERATURES, EVERY = 100, 3000, 14_500, 10
PUBLISHED = -86.34
OUT = Path("nakami-out") / NAME


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--more", type=int, default=1000, help="stop after so many more")
    given = parser.parse_args()
    name = f"{NAME}_{given.epochs}"
    torch.set_num_threads(1)
    settings = {"epochs": given.epochs, "batch": BATCH, "rate": RATE, "k": STEPS, "decay": DECAY,
                "hidden": HIDDEN, "runs": RUNS, "temperatures": TEMPERATURES,
                "last": LAST_TEMPERATURES}  # fmt: skip
    kept = Kept(HERE / "results" / f"{name}.json", settings)
    if str(given.epochs) not in kept.records:
        train_set, test_set = binary("train", 1), binary("test", 2)
        if train_set is None or test_set is None:
            sys.exit("MNIST is not in $NAKAMI_DATA/mnist; see reproductions/DATA.md.")
        train(kept, train_set, test_set, given.more)
    (HERE / "results" / f"{name}.md").write_text("\n".join(report(kept)), encoding="utf-8")
    draw(kept, HERE / "results" / f"{name}.svg")


def binary(split: Any, seed: int) -> Tensor | None:
    """Digits whose pixels are drawn once; None where the files are missing."""
    folder = Path(os.environ.get("NAKAMI_DATA", "data")) / "mnist"
    if not folder.exists():
        return None
    grey = data.mnist(folder, split, flat=True).inputs
    return torch.bernoulli(grey, generator=generator(seed))


def train(kept: Kept, train_set: Tensor, test_set: Tensor, more: int) -> None:
    """Epochs from the last state on, measured each tenth of 50."""
    epochs = kept.settings["epochs"]
    file = OUT / f"{epochs}.safetensors"
    rbm, source = RBM(784, HIDDEN, generator=generator(3)), generator(4)
    method = ContrastiveDivergence(rbm, rate=RATE, k=STEPS, decay=DECAY)
    method.start([train_set], source)
    done, spent = 0, 0.0
    if file.exists():
        state = load_file(file)
        done, spent = int(state["epoch"]), float(state["cpu"])
        rbm.load_state_dict({name: state[name] for name, _ in rbm.named_parameters()})
        method.load_state_dict({"speed": [state[f"speed{i}"] for i in range(3)]})
        source.set_state(state["generator"])
    for epoch in range(done, min(done + more, epochs)):
        began = time.process_time()
        method.rate = RATE * (1 - epoch / epochs)
        method.epoch(epoch)
        for rows in torch.randperm(len(train_set), generator=source).split(BATCH):
            method.step([train_set[rows]])
        cpu = time.process_time() - began
        spent += cpu
        save(file, rbm, method, source, (epoch + 1, spent))
        print(f"epoch {epoch + 1}: {cpu:.1f} s CPU", flush=True)
        if (epoch + 1) % EVERY == 0 or epoch + 1 in (1, epochs):
            last = epoch + 1 == epochs
            record = measure(rbm, train_set, test_set, epoch + 1, last)
            kept.add(str(epoch + 1), {**record, "training_cpu": digits(spent)})


def save(
    file: Path,
    rbm: RBM,
    method: ContrastiveDivergence,
    source: torch.Generator,
    done: tuple[int, float],
) -> None:
    """All that the next epoch depends on, whole at any time; epochs and seconds that are done."""
    epoch, cpu = done
    state = {name: p.detach() for name, p in rbm.named_parameters()}
    state |= {f"speed{i}": p for i, p in enumerate(method.state_dict()["speed"])}
    state |= {"generator": source.get_state(), "epoch": torch.tensor(epoch)}
    state["cpu"] = torch.tensor(cpu, dtype=torch.float64)
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    save_file(state, part)
    part.replace(file)


def measure(
    rbm: RBM, train_set: Tensor, test_set: Tensor, epoch: int, last: bool
) -> dict[str, Any]:
    """Log Z, and mean log p of test digits and as many training digits."""
    began, source, samples = time.process_time(), generator(5, epoch), None
    if last:
        samples = train_set[: RUNS * 3]
        machine = sampling.Machine(*(p.detach() for p in rbm.parameters()))
        for _ in range(1000):
            samples = sampling.BlockGibbs().sweep(machine, samples, source)
    log_z = sampling.annealed_importance_sampling(
        rbm, runs=RUNS, temperatures=LAST_TEMPERATURES if last else TEMPERATURES,
        base=sampling.log_odds(train_set), samples=samples, generator=source,
    )  # fmt: skip
    test = sampling.log_likelihood(rbm, test_set, log_partition=log_z)
    train = sampling.log_likelihood(rbm, train_set[: len(test_set)], log_partition=log_z)
    found = {
        "test": test.value, "train": train.value, "spread": test.spread, "log_z": log_z.value,
        "error": log_z.standard_error, "effective": log_z.effective_sample_size,
        "lower": log_z.lower, "upper": log_z.upper,
    }  # fmt: skip
    print(f"epoch {epoch}: {test!r}, {log_z!r}", flush=True)
    cpu = time.process_time() - began
    numbers = {name: digits(value, 7) for name, value in found.items() if value == value}
    return {**numbers, "cpu": digits(cpu, 3)}


def report(kept: Kept) -> Iterator[str]:
    """The course of the likelihood, and the verdict."""
    yield "# Log-likelihood of a machine with 500 hidden units on MNIST"
    yield ""
    yield "Nats a digit; ± of log Z: standard error of 100 annealed runs; effective: runs that"
    yield "carry it. The standard error of the mean over test digits is in the last column."
    yield ""
    rows = []
    for epoch, r in kept.records.items():
        rows.append([
            epoch, f"{r['test']:.2f}", f"{r['train']:.2f}", f"{r['log_z']:.2f} ± {r['error']:.2f}",
            f"{r['effective']:.0f}", f"{r['spread']:.2f}",
        ])  # fmt: skip
    head = ("epoch", "test", "train (10,000)", "log Z", "effective runs", "± over digits")
    yield from table(head, rows)
    yield ""
    epochs = kept.settings["epochs"]
    last = kept.records.get(str(epochs))
    if last is None:
        yield f"**Not finished**: {epochs} epochs are asked for. No verdict."
    else:
        gap = last["test"] - PUBLISHED
        yield f"Theirs (quoted by others): {PUBLISHED}. Ours, {epochs} epochs: {last['test']:.2f},"
        yield f"{gap:+.2f} nats from it."
        yield f"log Z lies between {last['lower']:.2f} (runs forth, on average) and"
        yield f"{last['upper']:.2f} (runs back from long chains), so the test digits between"
        low = last["test"] - (last["upper"] - last["log_z"])
        yield f"{low:.2f} and {last['test'] + last['log_z'] - last['lower']:.2f}."
    yield ""
    cpu = sum(r["cpu"] for r in kept.records.values())
    spent = max((r["training_cpu"] for r in kept.records.values()), default=0.0)
    yield made_in(cpu + spent)
    yield ""


def draw(kept: Kept, path: Path) -> None:
    """Likelihood by epoch, the quoted number dashed; SVG."""
    alt = charts()
    if alt is None or not kept.records:
        return
    rows = [{"epoch": int(epoch), "digits": name, "nats": r[name]}
            for epoch, r in kept.records.items() for name in ("test", "train")]  # fmt: skip
    base = alt.Chart(alt.Data(values=rows))
    lines = base.mark_line(point=True).encode(
        x=alt.X("epoch:Q"),
        y=alt.Y("nats:Q", title="mean log p, nats a digit", scale=alt.Scale(zero=False)),
        color=alt.Color("digits:N", title="digits"),
    )
    rule = alt.Chart(alt.Data(values=[{"nats": PUBLISHED}])).mark_rule(strokeDash=[4, 4]).encode(
        y="nats:Q"
    )  # fmt: skip
    alt.layer(lines, rule).properties(width=420, height=240).configure(aria=False).save(path)


if __name__ == "__main__":
    main()
