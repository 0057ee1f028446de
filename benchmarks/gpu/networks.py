"""Small networks for the checks, the same on every machine: drawn in float64 from one seed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn


class Last(nn.Module):
    """A recurrent layer and a reading of its last state."""

    def __init__(self, kind: str):
        super().__init__()
        self.cells = getattr(nn, kind)(6, 12, batch_first=True)
        self.read = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, 5)`` of sequences ``(N, T, 6)``."""
        out: Tensor = self.read(self.cells(x)[0][:, -1])
        return out


def mlp() -> nn.Module:
    a, b, c = nn.Linear(48, 64), nn.Linear(64, 64), nn.Linear(64, 10)
    return nn.Sequential(a, nn.Tanh(), b, nn.Tanh(), c)


def conv(unit: type[nn.Module] = nn.Tanh, pool: type[nn.Module] = nn.AvgPool2d) -> nn.Module:
    first, second = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, stride=2)
    return nn.Sequential(first, unit(), pool(2), second, unit(), nn.Flatten(), nn.Linear(72, 10))


def attention() -> nn.Module:
    layer = nn.TransformerEncoderLayer(16, 2, 32, 0.0, "gelu", batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    return nn.Sequential(encoder, nn.Flatten(), nn.Linear(80, 10))


@dataclass(frozen=True)
class Net:
    """A network of the checks.

    Attributes:
        make: Builds it. shape: of one input, batch axis included.
        layers: Linear steps one after the other. terms: in the longest sum of one of them.
    """

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    layers: int
    terms: int

    def drawn(self, n: int = 1, seed: int = 0) -> tuple[nn.Module, Tensor]:
        """The network and ``n`` inputs, float64, on the CPU; the global seed is put back."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = self.make().double().eval()
            return model, torch.randn(n, *self.shape[1:], dtype=torch.float64)


NETS = {
    "mlp": Net(mlp, (1, 48), 3, 64),
    "conv": Net(conv, (1, 3, 16, 16), 3, 72),
    "attention": Net(attention, (1, 5, 16), 13, 80),
    "gru": Net(lambda: Last("GRU"), (1, 7, 6), 15, 18),
    "lstm": Net(lambda: Last("LSTM"), (1, 7, 6), 15, 18),
    "relu": Net(lambda: conv(nn.ReLU, nn.MaxPool2d), (1, 3, 16, 16), 3, 72),
}


def placed(model: nn.Module, device: str, dtype: torch.dtype) -> nn.Module:
    """A copy on a device, in a type."""
    return copy.deepcopy(model).to(device, dtype)


def dense(model: nn.Module, x: Tensor, rows: int = 256) -> Tensor:
    """The Jacobian of the flat output by the flat input, float64 on the CPU, ``rows`` at a time."""
    point = x.detach().double().requires_grad_()
    out = model(point).flatten()
    units = torch.eye(len(out), dtype=out.dtype).split(rows)
    grads = partial(torch.autograd.grad, out, point, retain_graph=True, is_grads_batched=True)
    return torch.cat([grads(part)[0].flatten(1) for part in units])
