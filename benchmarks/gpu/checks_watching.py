"""Data that lies elsewhere, densities, lenses, monitors of trainings, and sampling."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

import nakami
from nakami import recurrent, sampling
from nakami.zoo.rbm import RBM

from . import bounds, language
from .checks_curvature import reference
from .networks import NETS, dense, placed
from .units import Found, Setting, Unit

TOL = 1e-4


def elsewhere(setting: Setting, found: Found) -> None:
    """A model on the card, data on the CPU: batches and inputs go to the model."""
    case = NETS["mlp"]
    model, x = case.drawn(16)
    y = torch.arange(16) % 5
    card = placed(model, setting.device, torch.float32)
    x = x.float()
    truth = reference(model, x.double(), y)
    values = torch.linalg.eigvalsh(truth.rows @ truth.rows.T).flip(0)
    bound = bounds.value(2 * bounds.product(3, 64), float(values.sum() / values[0]), TOL)
    loader = DataLoader(TensorDataset(x, y), batch_size=8)
    for what, data in {"whole": (x, y), "in batches": loader}.items():
        found_values = nakami.eigh(nakami.fisher(card, data, "cross_entropy"), 2, TOL).values
        error = (found_values.double().cpu() - values[:2]).abs().max() / values[0]
        found.within(f"eigenvalues, {what}", float(error), bound)
    op = nakami.jacobian(card, x[:1])
    found.near("J as a matrix", op.dense(), dense(model, x[:1]), bounds.product(3, 64))
    found.holds("on the model's device", op.device.type == torch.device(setting.device).type)
    rate = nakami.learning_rate(card, loader, "cross_entropy").advised
    found.holds("a learning rate", rate is not None and math.isfinite(rate))


def density(setting: Setting, found: Found) -> None:
    """Share of the Hessian's eigenvalues up to each point, by the same probes.

    Eigenvalues move by ``2 product |A|_2``; the smoothed share by that over ``sqrt(2 pi) width``.
    """
    model, x = NETS["mlp"].drawn(16)
    y = torch.arange(16) % 5
    here = nakami.density(nakami.hessian(model, (x, y), "cross_entropy"), steps=20, probes=4)
    card = placed(model, setting.device, torch.float32)
    data = x.to(setting.device).float(), y.to(setting.device)
    there = nakami.density(
        nakami.hessian(card, data, "cross_entropy"),
        here.points, width=here.width, steps=20, probes=4,
    )  # fmt: skip
    moved = 4 * bounds.product(3, 64) * float(here.nodes.abs().max())
    error = (there.cumulative - here.cumulative).abs().max()
    found.within("share of eigenvalues", float(error), moved / here.width)


def lens(setting: Setting, found: Found) -> None:
    """The averaged Jacobian of one block of a small language model; ten linear steps."""
    gen = torch.Generator().manual_seed(0)
    prompts = torch.randint(200, (3, 8), generator=gen)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = language.Language(language.SMALL["gpt2-124m"]).double().eval()
    here = nakami.lens(model, prompts, "blocks.0")
    card = placed(model, setting.device, torch.float32)
    there = nakami.lens(card, prompts.to(setting.device), "blocks.0")
    found.near("mean", torch.as_tensor(there.mean), torch.as_tensor(here.mean),
               bounds.product(10, 64))  # fmt: skip


def monitors(setting: Setting, found: Found) -> None:
    """Spectra during a training are those of its weights; updates of a GRU are those of the CPU."""
    model, x = NETS["mlp"].drawn()
    card = placed(model, setting.device, torch.float32)
    watch = nakami.dynamics.XrayMonitor(card, x.float(), k=3, max_share=float("inf"), every=1)
    watch.step()
    values = torch.linalg.svdvals(dense(card.double().cpu(), x))[:3]
    last = watch.history.xray(watch.history.steps[-1]).spectra[-1].values
    bound = bounds.value(bounds.product(3, 64), 10**0.5, 1e-3)  # ten outputs; its tol is 1e-3
    found.near("values of the last stage", torch.as_tensor(last), values, bound)
    updates = [_updates(device, dtype) for device, dtype in (
        ("cpu", torch.float64), (setting.device, torch.float32))]  # fmt: skip
    # a step of a matrix is a gradient: 8 times through the cells
    found.near("updates of a GRU", updates[1], updates[0], 3 * bounds.product(8, 18))


def _updates(device: str, dtype: torch.dtype) -> Tensor:
    model, x = NETS["gru"].drawn(4)
    net = placed(model, device, dtype)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
    monitor = recurrent.ExplosionMonitor(net, optimizer)
    for _ in range(3):
        optimizer.zero_grad()
        target = (torch.arange(4) % 5).to(device)
        cross_entropy(net(x.to(device, dtype)), target).backward()
        optimizer.step()
    return torch.tensor([reading.update for reading in monitor.history])


def likelihood(setting: Setting, found: Found) -> None:
    """``log Z`` of a small machine by annealing, within six standard errors of enumeration."""
    rbm: nn.Module = RBM(6, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        rbm.weight.mul_(50)
    exact = sampling.log_partition(rbm.double())
    card = placed(rbm, setting.device, torch.float32)
    made = sampling.annealed_importance_sampling(card, runs=200, temperatures=200)
    # rounding of the logits of 200 temperatures, beside the standard error
    bound = 6 * made.standard_error + 200 * bounds.product(1, 6)
    found.within("log Z", abs(made.value - exact), bound)


UNITS = [
    Unit("data-on-the-cpu", elsewhere),
    Unit("density/hessian", density),
    Unit("lens", lens),
    Unit("monitors", monitors),
    Unit("sampling/log-partition", likelihood),
]
