"""Small networks at tiny residual, and how their loss goes under torch's own optimizers."""

import copy

import torch
from torch import nn

import nakami
from nakami.geometry import LimitOptions


def limits(model, data, loss, optimizer="sgd", seed=0, fill_steps=20, **options):
    """The limit; ``options`` as ``LimitOptions`` takes them."""
    options = LimitOptions(**options)
    return nakami.rate_limit(
        model, data, loss, optimizer, options=options, fill_steps=fill_steps, seed=seed
    )


def fitted(activation=nn.Tanh, noise=1e-9, seed=5):
    """Model, inputs, targets near its outputs; the sharpest axis of this seed stands apart."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(6, 10), activation(), nn.Linear(10, 3)).double()
    x = torch.randn(15, 6, dtype=torch.float64)
    y = model(x).detach()
    return model, x, y + noise * torch.randn_like(y)


def frozen(optimizer, denominators, step=10.0**12):
    """Adam whose denominators stay: beta2 as near 1 as can be, after very many steps."""
    beta2 = 1 - 2.0**-53
    seen = 1 - beta2**step
    for group in optimizer.param_groups:
        group["betas"] = (group["betas"][0], beta2)
        group["eps"] = 0.0
        for p in group["params"]:
            optimizer.state[p] = {
                "step": torch.tensor(step, dtype=torch.float64),
                "exp_avg": torch.zeros_like(p),
                "exp_avg_sq": denominators[p].square() * seen,
            }
    return optimizer


def losses(model, x, y, loss, make, rates, steps):
    """Losses of ``steps`` steps on a copy; ``make(copy)`` gives its optimizer."""
    model = copy.deepcopy(model)
    optimizer = make(model)
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
    seen = []
    for _ in range(steps):
        optimizer.zero_grad()
        value = loss(model(x), y)
        value.backward()
        optimizer.step()
        seen.append(float(value.detach()))
    return torch.tensor(seen, dtype=torch.float64)


def growth_before(seen, ceiling):
    """Factor of a step, over the last steps before the loss passes the ceiling."""
    above = (seen > ceiling).nonzero()
    assert len(above), f"the loss ends at {float(seen[-1]):.3g}, below {ceiling:.3g}"
    end = int(above[0])
    return float((seen[end] / seen[end - 10]) ** 0.1)
