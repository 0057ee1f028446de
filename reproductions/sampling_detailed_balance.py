"""What breaking detailed balance does for restricted Boltzmann machines, exactly and on MNIST.

Claims: a kernel without detailed balance mixes faster (H. Suwa, S. Todo, Phys. Rev. Lett. 105,
120603, 2010; A. Ichiki, M. Ohzeki, Phys. Rev. E 88, 020101, 2013), and contrastive divergence can
be sped up by it. No figure for restricted Boltzmann machines was found in print.

Ours: (1) autocorrelation times by enumeration: 8 x 5 machines with random weights, and 9 x 6
machines trained on bars and stripes from 16 first draws; (2) exact bias of CD-k; (3) parallel
tempering, 8 replicas, 20,000 sweeps, 10 runs; (4) 784 x 500 on 60,000 binary digits, 5 epochs of
CD-1 (rate 0.05) and of persistent chains (rate 0.02, falling to 0): log-likelihood, and what chains
from digits become; of the second machine autocorrelation times of the number of lit pixels and of
10 principal components, per sweep and per CPU second, 20 chains; (5) laws that are kept, 300
circular fluxes on a chain of 30 states, log Z by annealing, two-replica Langevin dynamics (M.
Ohzeki, A. Ichiki, Phys. Rev. E 92, 012105, 2015), and the conclusions one by one. Reference values
were computed independently in double precision.

    python reproductions/sampling_detailed_balance.py     all of it; goes on where it was stopped

MNIST's files lie in $NAKAMI_DATA/mnist; without them (4) is left out. Estimate before the run, one
thread: 10 minutes.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nakami import data, sampling
from nakami.sampling import Machine
from nakami.training import ContrastiveDivergence
from nakami.zoo.rbm import RBM

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
import _sampling_checks  # noqa: E402
from _sampling_machines import (  # noqa: E402
    BIASES,
    KERNELS,
    SEEDS,
    bars_and_stripes,
    exact_gradient,
    random_machine,
    trained_machine,
)
from _sampling_report import draw, report  # noqa: E402
from _wide import Kept, digits, generator  # noqa: E402

NAME = "sampling_detailed_balance"
STARTS, SWEEPS, RUNS, REPLICAS = 16, 20_000, 10, 8
CHAINS, EPOCHS, COMPONENTS = 20, 5, 10
# sweeps on MNIST, where one is two matrix products, and where it is 784 steps
FAST, SLOW, TEMPERED = 10_000, 150, 3_000
TRAINED = ("CD-1", "persistent chains")


def main() -> None:
    torch.set_num_threads(1)
    settings = {"starts": STARTS, "sweeps": SWEEPS, "runs": RUNS, "replicas": REPLICAS,
                "chains": CHAINS, "epochs": EPOCHS, "fast": FAST, "slow": SLOW,
                "tempered": TEMPERED, "trained": TRAINED}  # fmt: skip
    kept = Kept(HERE / "results" / f"{NAME}.json", settings)
    for name, measure in cells():
        if kept.missing([name]):
            began = time.process_time()
            record = measure()
            kept.add(name, {**record, "cpu": digits(time.process_time() - began, 3)})
            print(f"{name}: {kept.records[name]['cpu']} s CPU", flush=True)
    (HERE / "results" / f"{NAME}.md").write_text("\n".join(report(kept)), encoding="utf-8")
    draw(kept, HERE / "results" / f"{NAME}.svg")


def cells() -> list[tuple[str, Callable[[], dict[str, Any]]]]:
    """Names of all records, and how each is made."""
    found: list[tuple[str, Callable[[], dict[str, Any]]]] = []
    for scale in SEEDS:
        found.append((f"exact|{scale:g}", lambda s=scale: times(random_machine(s))))
    for seed in range(STARTS):
        found.append((f"bars|{seed}", lambda s=seed: bars(s)))
    found.append(("tempering|weights 3", lambda: tempering(random_machine(3.0))))
    found.append(("tempering|bars and stripes", lambda: tempering(trained_machine(0, 1500)[0])))
    found += _sampling_checks.cells(STARTS)
    if mnist_folder().exists():
        for way in TRAINED:
            found.append((f"training|{way}", lambda w=way: training(w)))
        names = [name for name in KERNELS if not name.startswith("lifted")]
        for name in (*names, "parallel tempering"):
            found.append((f"digits|{name}", lambda n=name: on_digits(n)))
    else:
        print("MNIST is not in $NAKAMI_DATA/mnist: the part on digits is left out.")
    return found


def times(machine: Machine) -> dict[str, Any]:
    """Autocorrelation time of each kernel, mean over ``v_i p(h_j | v)`` and of the sum of v."""
    law, pairs = sampling.stationary(machine), sampling.pair_statistics(machine)
    lit = sampling.states(machine.visible_units, law).sum(1, keepdim=True)
    found: dict[str, Any] = {}
    for name, kernel in KERNELS.items():
        matrix = sampling.transition_matrix(machine, kernel)
        tau = sampling.exact_autocorrelation_time(matrix, law, torch.cat([pairs, lit], 1))
        if name.startswith("lifted"):  # looked at after each flip
            tau = tau / machine.visible_units
        found[name] = [digits(float(tau[:-1].mean())), digits(float(tau[-1]))]
    one = sampling.transition_matrix(machine, sampling.RandomFlips(1))
    tau = sampling.exact_autocorrelation_time(one, law, torch.cat([pairs, lit], 1))
    tau = tau / machine.visible_units
    found["random flips, each step"] = [digits(float(tau[:-1].mean())), digits(float(tau[-1]))]
    return {"times": found, "log_z": digits(sampling.log_partition(machine), 8)}


def bars(seed: int) -> dict[str, Any]:
    """The trained machine's times, and the bias of CD-k early and late in training."""
    found: dict[str, Any] = {"bias": {}}
    pictures = bars_and_stripes()
    for steps in (200, 1500):
        machine, kl = trained_machine(seed, steps)
        v = sampling.states(9, machine.weight)
        for at, name, k in BIASES:
            if at == steps:
                value = (
                    sampling.divergence_bias(machine, pictures, KERNELS[name], k)
                    if k
                    else exact_gradient(machine, pictures, v)[0]
                )
                found["bias"][f"{at}|{name}|{k}"] = digits(float(value.norm()))
    return {**found, "kl": digits(kl), **times(machine)}


def tempering(machine: Machine) -> dict[str, Any]:
    """With and without replicas: time of the leading component, error of the histogram."""
    law, n = sampling.stationary(machine), machine.visible_units
    v = sampling.states(n, law)
    centred = v - law @ v
    leading = torch.linalg.eigh(centred.T @ (law[:, None] * centred)).eigenvectors[:, -1]
    gibbs = sampling.transition_matrix(machine, sampling.BlockGibbs())
    exact = sampling.exact_autocorrelation_time(gibbs, law, v @ leading)
    worth, found = 2.0 ** torch.arange(n - 1, -1, -1, dtype=law.dtype), {}
    for name in ("block Gibbs", "parallel tempering"):
        states = torch.empty(SWEEPS, RUNS, n, dtype=law.dtype)
        for t, rows in enumerate(run(machine, name, generator(7))):
            states[t] = rows
        tau = sampling.autocorrelation_time(states @ leading)
        index = (states @ worth).long()
        shares = torch.stack([torch.bincount(i, minlength=len(law)) for i in index.T]) / SWEEPS
        wrong = (shares - law).abs().sum(1) / 2
        found[name] = {
            "time": digits(float(tau.value)), "error": digits(float(tau.standard_error), 2),
            "distance": digits(float(wrong.mean())),
            "distance_error": digits(float(wrong.std()) / RUNS**0.5, 2),
        }  # fmt: skip
    return {"runs": found, "exact": digits(float(exact))}


def run(machine: Machine, name: str, source: torch.Generator) -> Any:
    """States of the chains after each sweep."""
    if name == "parallel tempering":
        replicas = sampling.ParallelTempering(
            machine, temperatures=REPLICAS, chains=RUNS, generator=source
        )
        for _ in range(SWEEPS):
            yield replicas.sweep()
        return
    v = torch.zeros(RUNS, machine.visible_units, dtype=machine.weight.dtype)
    for _ in range(SWEEPS):
        v = KERNELS[name].sweep(machine, v, source)
        yield v


def mnist_folder() -> Path:
    return Path(os.environ.get("NAKAMI_DATA", "data")) / "mnist"


@cache
def binary(split: Any, seed: int) -> Tensor:
    """Digits whose pixels are drawn once, with their grey values as probabilities."""
    grey = data.mnist(mnist_folder(), split, flat=True).inputs
    return torch.bernoulli(grey, generator=generator(seed))


@cache
def digits_machine(way: str) -> Machine:
    """A machine after 5 epochs."""
    v, rbm, source = binary("train", 1), RBM(784, 500, generator=generator(3)), generator(4)
    if way == "CD-1":
        method = ContrastiveDivergence(rbm, rate=0.05)
    else:
        chains = sampling.Persistent(100)
        method = ContrastiveDivergence(rbm, rate=0.02, momentum=0.5, sampler=chains)
    method.start([v], source)
    for epoch in range(EPOCHS):
        method.epoch(epoch)
        if way != "CD-1":
            method.rate = 0.02 * (1 - epoch / EPOCHS)
        for rows in torch.randperm(len(v), generator=source).split(100):
            method.step([v[rows]])
    return Machine(*(p.detach() for p in rbm.parameters()))


@cache
def principal_components() -> Tensor:
    v = binary("train", 1)[:10_000]
    centred = v - v.mean(0)
    return torch.linalg.eigh(centred.T @ centred).eigenvectors[:, -COMPONENTS:]


def training(way: str) -> dict[str, Any]:
    """Log-likelihood of test digits, and where block Gibbs sampling leads from digits."""
    machine, train = digits_machine(way), binary("train", 1)
    found = sampling.log_likelihood(
        machine, binary("test", 2), base=sampling.log_odds(train),
        generator=generator(6),
    )  # fmt: skip
    chains = sampling.Chains(machine, start=train[:100], generator=generator(8))
    lit = chains.sweep(1000).sum(1)
    assert found.log_partition is not None
    return {
        "test": digits(found.value, 6), "error": digits(found.standard_error, 2),
        "effective": digits(found.log_partition.effective_sample_size, 3),
        "blank": int((lit < 10).sum()), "chains": len(lit),
        "lit": digits(float(lit.mean())), "lit_digits": digits(float(train.sum(1).mean())),
    }  # fmt: skip


def on_digits(name: str) -> dict[str, Any]:
    """Autocorrelation times and CPU time of one kernel on the trained machine."""
    machine, train = digits_machine(TRAINED[1]), binary("train", 1)
    components = principal_components()
    source = generator(9)
    v = train[torch.randperm(len(train), generator=source)[:CHAINS]]
    count, extra = (SLOW if name[:4] in ("coll", "rand") else FAST), {}
    if name == "parallel tempering":
        replicas = sampling.ParallelTempering(
            machine, temperatures=10, chains=CHAINS, base=sampling.log_odds(train),
            generator=source,
        )  # fmt: skip
        replicas.burn_in(300)
        count, step = TEMPERED, replicas.sweep
    else:

        def step() -> Tensor:
            nonlocal v
            v = KERNELS[name].sweep(machine, v, source)
            return v

    for _ in range(count // 10):
        step()
    began, seen = time.process_time(), []
    for _ in range(count):
        rows = step()
        seen.append(torch.cat([rows @ components, rows.sum(1, keepdim=True)], 1))
    seconds = (time.process_time() - began) / count / CHAINS
    if name == "parallel tempering":
        extra = {"swap_rate": digits(float(replicas.swap_rates.mean()), 3)}
    series = torch.stack(seen)
    tau = sampling.autocorrelation_time(series)
    rhat = sampling.split_rhat(series)
    return {
        "time": digits(float(tau.value.mean())),
        "error": digits(float(tau.standard_error.mean()), 2),
        "longest": digits(float(tau.value.max())), "rhat": digits(float(rhat.max()), 5),
        "sweeps": count, "seconds": digits(seconds),
        **extra,
    }  # fmt: skip


if __name__ == "__main__":
    main()
