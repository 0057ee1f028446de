"""A training on two gloo ranks for recurrent/test_hosts.py."""

import torch
from torch import nn

from nakami.optim import EKFAC, KFAC, VSGD, UnitwiseNaturalGradient
from nakami.recurrent import SpectralConstraint


class Last(nn.Module):
    """A GRU read at its last step."""

    def __init__(self, gain=1.0):
        super().__init__()
        torch.manual_seed(0)
        self.gru, self.out = nn.GRU(3, 4, batch_first=True), nn.Linear(4, 2)
        with torch.no_grad():
            self.gru.weight_hh_l0.mul_(gain)

    def forward(self, x):
        return self.out(self.gru(x)[0][:, -1])


class Experts(nn.Module):
    """Two nets, of which a process uses one, and a layer behind both."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 4), nn.Tanh())
            for _ in range(2)
        )
        self.out = nn.Linear(4, 2)

    def forward(self, x, which):
        return self.out(self.experts[which](x[:, -1]))


OPTIMIZERS = {
    "kfac": lambda model, seed: KFAC(model, "cross_entropy", seed=seed, refresh=2),
    "ekfac": lambda model, seed: EKFAC(model, "cross_entropy", seed=seed, refresh=2),
    "vsgd": lambda model, seed: VSGD(model.parameters(), "cross_entropy", seed=seed),
} | {
    form: lambda model, seed, form=form: UnitwiseNaturalGradient(
        model, "cross_entropy", form=form, seed=seed, refresh=2
    )
    for form in ("estimated", "quasi-diagonal", "closed")
}


def with_experts(model, which, x, y, name, steps, seed=0):
    """Weights, and what was read of each parameter."""
    optimizer = OPTIMIZERS[name](model, seed)
    for _ in range(steps):
        optimizer.zero_grad()
        outputs = model(x, which)
        optimizer.observe(outputs, y)
        nn.functional.cross_entropy(outputs, y).backward()
        optimizer.step()
    read = {
        name.removeprefix("module."): {
            key: value
            for key, value in optimizer.state[p].items()
            if isinstance(value, torch.Tensor)
        }
        for name, p in model.named_parameters()
    }
    return [p.detach().clone() for p in model.parameters()], read


def sequences():
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(8, 5, 3, generator=generator)
    return x, torch.randint(0, 2, (8,), generator=generator)


def constrained(model, x, y, steps):
    """Weights after SGD under the constraint."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    SpectralConstraint(model, optimizer, delta=0.5)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return [p.detach().clone() for p in model.parameters()]


def natural(model, x, y, steps, form=None):
    """Weights after K-FAC or unit by unit, and what was read of the last layer's inputs."""
    if form:
        optimizer = UnitwiseNaturalGradient(model, "cross_entropy", refresh=2, form=form)
    else:
        optimizer = KFAC(model, "cross_entropy", refresh=2)
    for _ in range(steps):
        optimizer.zero_grad()
        outputs = model(x)
        optimizer.observe(outputs, y)
        nn.functional.cross_entropy(outputs, y).backward()
        optimizer.step()
    inner = getattr(model, "module", model)
    state = optimizer.state[inner.out.weight]
    key = {"estimated": "variance", "quasi-diagonal": "squares"}.get(form, "inputs")
    return [*(p.detach().clone() for p in model.parameters()), state[key]]


def measured(rank):
    x, y = sequences()
    mine = slice(0, 4) if rank == 0 else slice(4, 8)
    wrapped = nn.parallel.DistributedDataParallel
    found = {
        "constrained": constrained(wrapped(Last(3.0)), x[mine], y[mine], 5),
        "natural": natural(wrapped(Last()), x[mine], y[mine], 5),
        "one step": natural(wrapped(Last()), x[mine], y[mine], 1),
        "estimated": natural(wrapped(Last()), x[mine], y[mine], 5, "estimated"),
        "quasi-diagonal": natural(wrapped(Last()), x[mine], y[mine], 5, "quasi-diagonal"),
        "one estimated step": natural(wrapped(Last()), x[mine], y[mine], 1, "estimated"),
    }
    for name in OPTIMIZERS:
        for steps in (1, 3):
            model = wrapped(Experts(), find_unused_parameters=True)
            found[name, steps] = with_experts(model, rank, x[mine], y[mine], name, steps)
    return found
