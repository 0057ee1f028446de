"""Layers of ``nakami.nn``, and what machines of the zoo draw, with data and numbers elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn

from nakami import data, detection, dynamics, sampling
from nakami.nn import (
    AdaptiveDropout,
    DropConnect,
    FFTConv2d,
    GaussianPool2d,
    L2Pool2d,
    LocalContrastNorm2d,
    LocallyConnected2d,
    Maxout,
    max_norm,
)
from nakami.training import Gaussian, Masking, SaltAndPepper
from nakami.zoo import overfeat
from nakami.zoo.dbm import DBM
from nakami.zoo.dbn import DBN
from nakami.zoo.gaussian_rbm import GaussianRBM
from nakami.zoo.rbm import RBM, contrastive_divergence

from . import bounds
from .checks_others import compared
from .units import Found, Setting, Unit

MAPS, ROW = (2, 12, 12), (20,)
# the layers, the input's shape, depth, and terms of the longest sum
LAYERS: dict[str, tuple[Callable[[], list[nn.Module]], tuple[int, ...], tuple[int, int]]] = {
    "maxout": (lambda: [nn.Linear(20, 30), Maxout(3), nn.Linear(10, 4)], ROW, (2, 20)),
    "drop-connect": (lambda: [DropConnect(20, 8, activation=nn.ReLU())], ROW, (3, 100)),
    "adaptive-dropout": (lambda: [AdaptiveDropout(20, 8)], ROW, (2, 20)),
    "l2-pooling": (lambda: [nn.Conv2d(2, 4, 3), L2Pool2d(2)], MAPS, (3, 18)),
    "gaussian-pooling": (lambda: [nn.Conv2d(2, 4, 3), GaussianPool2d(3, 2)], MAPS, (3, 18)),
    "fft-convolution": (lambda: [FFTConv2d(2, 4, 5, padding=2, method="fft")], MAPS, (12, 50)),
    "local-fields": (lambda: [LocallyConnected2d(2, 4, 3, input_size=12)], MAPS, (2, 18)),
    "contrast": (lambda: [nn.Conv2d(2, 4, 3), LocalContrastNorm2d(5)], MAPS, (6, 100)),
}


def layers(setting: Setting, found: Found, *, name: str) -> None:
    """Layers in evaluation mode, as a model of the zoo; in training, that they run there."""
    make, shape, size = LAYERS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(*make())
    compared(setting, found, model, shape, size)
    made = model.float().to(setting.device).train()(torch.ones(3, *shape, device=setting.device))
    found.holds(
        "training",
        bool(made.isfinite().all()) and made.device.type == torch.device(setting.device).type,
    )


def drawn(setting: Setting, found: Found) -> None:
    """Draws with a generator on the CPU: the same numbers on each device, but for rounding.

    A unit goes another way where its probability rounds across the number drawn, which has a chance
    of 1e-7 for each; the longest chain is eight linear steps of nine terms.
    """
    bound = bounds.product(8, 9)
    ends = [dict(_drawn(device)) for device in ("cpu", setting.device)]
    for what, wanted in ends[0].items():
        found.near(what, ends[1][what], wanted, bound)


def _drawn(device: str) -> Iterator[tuple[str, Tensor]]:
    gen = partial(torch.Generator().manual_seed, 1)
    x = torch.rand(8, 9, generator=torch.Generator().manual_seed(0)).to(device)
    v = (x > 0.5).to(x)
    for noise in (Gaussian(), Masking(), SaltAndPepper()):
        yield type(noise).__name__, noise(x, gen())
    for machine in (RBM(9, 5), GaussianRBM(9, 5, deviation=0.5)):
        moves = contrastive_divergence(machine.to(device), v, 2)
        yield f"{type(machine).__name__}, CD-2", torch.cat([each.flatten() for each in moves])
    yield "log Z, Gaussian", torch.tensor(sampling.log_partition(GaussianRBM(9, 5).to(device)))
    net, deep = DBN((9, 6, 5)).to(device), DBM((9, 6, 5)).to(device)
    yield "samples of a DBN", net.sample(8, steps=3)
    yield "bound of a DBN", net.bound(v)
    yield "bound of a DBM", deep.bound(v).detach()
    yield "max-norm", max_norm(x, 1.0)


def detected(setting: Setting, found: Found) -> None:
    """Boxes, scores and classes in a scene by a network with first weights."""
    scene = data.scenes(data.shapes(20), 1)
    net = overfeat.make((1, 28, 28), classes=4).eval()
    rows = [
        detection.detect(net.to(device), scene.pictures.to(device), [0.7, 1.0], least=0.2)
        for device in ("cpu", setting.device)
    ]
    found.holds("objects", len(rows[1]) == len(rows[0]) > 0)
    bound = bounds.product(8, 1000)
    for what in ("boxes", "scores"):
        found.near(what, *(getattr(each, what) for each in reversed(rows)), bound)


def tuned(setting: Setting, found: Found) -> None:
    """Tuning of filters, order of a sheet, the best units and false alarms, in float64."""
    g = torch.Generator().manual_seed(0)
    x = torch.rand(36, 49, dtype=torch.float64, generator=g)
    labels, scenes = torch.arange(36) % 2, data.scenes(data.shapes(20), 1)
    net = overfeat.make((1, 28, 28), classes=4).eval()
    ends = []
    for device in ("cpu", setting.device):
        at = x.to(device)
        told = dynamics.best_units(at, labels.to(device), at, labels)
        sheet = dynamics.sheet_contrast(torch.corrcoef(at), (6, 6), shuffles=5)
        alarms = detection.false_alarms(
            net.to(device).windows, scenes, (1.0,), least=0.2, generator=g.manual_seed(1)
        )
        found.holds("alarms", alarms.device.type == "cpu" and len(alarms) > 0)
        ends.append(
            {
                "selectivity": dynamics.orientation_tuning(at.reshape(36, 7, 7)).selectivity,
                "accuracy": told.accuracy,
                "sheet": torch.tensor([sheet.near, sheet.far, sheet.spread]),
            }
        )
    for what, wanted in ends[0].items():
        found.near(what, ends[1][what], wanted, bounds.product(8, 1000, "float64"))


UNITS = [
    Unit("detected", detected),
    Unit("tuned", tuned),
    *(Unit(f"layers/{name}", partial(layers, name=name)) for name in LAYERS),
    Unit("drawn", drawn),
]
