"""An epoch of CD-1, 784 x 500, on 10,000 binary digits beside scikit-learn, learnergy and rbms.

    pip install scikit-learn==1.9.1 learnergy==2.0.2 rbms==0.5.0
    OMP_NUM_THREADS=1 python benchmarks/rbm_epoch.py

CPU seconds of an epoch in mini-batches of 100, float32 but where a name says otherwise; each method
in processes of its own, in ``ROUNDS`` turns; the median counts. ``floor`` makes the matrix products
and random numbers of CD-1 and nothing else; ``loop`` is plain torch without momentum, decay or
error. scikit-learn does persistent CD, which takes as many products. Where a library does more (the
error of each batch, momentum) it does so as it comes. rbms divides each gradient by its norm, so
its rate is another thing, 1 here; its updates are those of its ``train`` with
``training_type="cd"``, without the file that it writes after each. The reconstruction error of
1,000 digits after the epoch says that all have learned the same thing. Real digits from
$NAKAMI_DATA/mnist.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from _side_by_side import apart, cpu_seconds, data_folder, keep, middle, table

METHODS = ("floor", "loop", "nakami", "nakami, no momentum or decay", "nakami, training.fit",
           "scikit-learn, float32", "scikit-learn, float64", "learnergy", "rbms")  # fmt: skip
NEEDS = {"scikit-learn, float32": "sklearn", "scikit-learn, float64": "sklearn",
         "learnergy": "learnergy", "rbms": "rbms"}  # fmt: skip
N, BATCH, HIDDEN, RATE, ROUNDS = 10_000, 100, 500, 0.05, 7
Work = Callable[[], tuple[np.ndarray, np.ndarray, np.ndarray]]  # W (hidden, visible), a, b


def digits() -> torch.Tensor:
    """Pixels drawn once with their grey values as probabilities."""
    from nakami import data

    grey = data.mnist(data_folder() / "mnist", "train", n=N, flat=True).inputs
    return torch.bernoulli(grey, generator=torch.Generator().manual_seed(0))


def floor(v: torch.Tensor) -> Work:
    weight, speed = torch.randn(HIDDEN, 784) * 0.01, torch.zeros(HIDDEN, 784)
    states, hidden = v[: 2 * BATCH].clone(), torch.rand(2 * BATCH, HIDDEN)
    drawn = torch.empty(BATCH, HIDDEN + 784)

    def work() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        g = torch.Generator().manual_seed(0)
        for rows in v.split(BATCH):
            rows @ weight.T
            hidden[:BATCH] @ weight
            rows @ weight.T
            drawn.uniform_(generator=g)
            speed.addmm_(hidden.T, states)
        return np.zeros((HIDDEN, 784)), np.zeros(784), np.zeros(HIDDEN)

    return work


def loop(v: torch.Tensor) -> Work:
    g = torch.Generator().manual_seed(0)
    w = torch.randn(784, HIDDEN, generator=g) * 0.01
    a, b = torch.zeros(784), torch.zeros(HIDDEN)

    def work() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        for rows in v.split(BATCH):
            p = torch.sigmoid(torch.addmm(b, rows, w))
            h = (torch.rand(p.shape, generator=g) < p).float()
            seen = torch.sigmoid(torch.addmm(a, h, w.T))
            model = (torch.rand(seen.shape, generator=g) < seen).float()
            again = torch.sigmoid(torch.addmm(b, model, w))
            k = RATE / BATCH
            w.addmm_(rows.T, p, alpha=k).addmm_(model.T, again, alpha=-k)
            a.add_((rows - model).sum(0), alpha=k)
            b.add_((p - again).sum(0), alpha=k)
        return w.T.numpy(), a.numpy(), b.numpy()

    return work


def nakami(v: torch.Tensor, how: str) -> Work:
    from nakami import training
    from nakami.zoo.rbm import RBM

    rbm, g = RBM(784, HIDDEN), torch.Generator().manual_seed(0)
    plain = {"momentum": 0.0, "decay": 0.0} if how.endswith("decay") else {}
    method = training.ContrastiveDivergence(rbm, rate=RATE, **plain)

    def work() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if how.endswith("fit"):
            training.fit(method, (v,), epochs=1, batch=BATCH)
        else:
            method.start((v,), g)
            for rows in v.split(BATCH):
                method.step((rows,))
        return tuple(  # type: ignore[return-value]
            p.detach().numpy() for p in (rbm.weight, rbm.visible_bias, rbm.hidden_bias)
        )

    return work


def sklearn(v: torch.Tensor, how: str) -> Work:
    from sklearn.neural_network import BernoulliRBM

    x = v.numpy().astype(how.rpartition(" ")[2])
    net = BernoulliRBM(HIDDEN, batch_size=BATCH, n_iter=1, learning_rate=RATE, random_state=0)

    def work() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        net.fit(x)
        return net.components_, net.intercept_visible_, net.intercept_hidden_

    return work


def learnergy(v: torch.Tensor, how: str) -> Work:
    import logging

    from learnergy.models.bernoulli import RBM as Theirs

    logging.disable(logging.CRITICAL)
    pairs = torch.utils.data.TensorDataset(v.view(-1, 28, 28), torch.zeros(len(v)))
    net = Theirs(n_visible=784, n_hidden=HIDDEN, steps=1, learning_rate=RATE, momentum=0, decay=0,
                 temperature=1, use_gpu=False)  # fmt: skip

    def work() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        net.fit(pairs, batch_size=BATCH, epochs=1)
        w, a, b = (p.detach().numpy() for p in (net.W, net.a, net.b))
        return w.T, a, b

    return work


def rbms(v: torch.Tensor, how: str) -> Work:
    from types import SimpleNamespace

    from rbms.bernoulli_bernoulli.classes import BBRBM
    from rbms.training.pcd import fit_batch_pcd

    of = SimpleNamespace(data=v.numpy())
    net = BBRBM.init_parameters(HIDDEN, of, torch.device("cpu"), torch.float32)
    net.init_grad()
    descent, shares = torch.optim.SGD(net.parameters(), 1.0, maximize=True), torch.ones(BATCH)

    def work() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        with torch.no_grad():
            for rows in v.split(BATCH):
                chains = net.init_chains(BATCH, weights=shares, start_v=rows)
                fit_batch_pcd((rows, shares), chains, net, gibbs_steps=1, beta=1.0)
                descent.step()
        return net.weight_matrix.T.numpy(), net.vbias.numpy(), net.hbias.numpy()

    return work


def child(method: str) -> dict[str, float]:
    """Seconds of one epoch from the start, and the error after it."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    v = digits()
    make: dict[str, Callable[[], Work]] = {
        "floor": lambda: floor(v),
        "loop": lambda: loop(v),
        "nakami": lambda: nakami(v, method),
        "scikit-learn": lambda: sklearn(v, method),
        "learnergy": lambda: learnergy(v, method),
        "rbms": lambda: rbms(v, method),
    }
    kind = method.split(",")[0]
    make[kind]()()  # imports and first calls outside the clock
    torch.manual_seed(0)
    spent, (w, a, b) = cpu_seconds(make[kind]())
    x = v[:1000].numpy()
    h = 1 / (1 + np.exp(-(x @ w.T + b)))
    seen = 1 / (1 + np.exp(-(h @ w + a)))
    return {"cpu_s": round(spent, 3), "error": round(float(((x - seen) ** 2).mean()), 4)}


def main() -> None:
    if len(sys.argv) > 2:
        print(json.dumps(child(**json.loads(sys.argv[2]))))
        return
    if not (data_folder() / "mnist").exists():
        sys.exit(f"no mnist in {data_folder()}; set NAKAMI_DATA to a folder that has it")
    there = [m for m in METHODS if m not in NEEDS or find_spec(NEEDS[m])]
    runs: dict[str, list[dict[str, Any]]] = {m: [] for m in there}
    for _ in range(ROUNDS):
        for method in there:
            runs[method].append(apart(__file__, method=method))
    rows = [middle(of, "cpu_s") for of in runs.values()]
    least = rows[0]["cpu_s"]
    shown = [
        [r["method"], f"{r['cpu_s']:.2f}",
         f"{min(r['all_cpu_s']):.2f} to {max(r['all_cpu_s']):.2f}",
         f"{r['cpu_s'] / least:.2f}", "" if r["method"] == "floor" else f"{r['error']:.3f}"]
        for r in rows
    ]  # fmt: skip
    head = ["epoch of CD-1, 784 x 500", "CPU s", "all rounds", "over the floor", "error after it"]
    keep("rbm_epoch", rows, table(head, shown))


if __name__ == "__main__":
    main()
