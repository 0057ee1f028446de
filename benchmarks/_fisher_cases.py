"""Five networks that classify, at their initial weights, and the truth about their Fisher matrices.

The truth is ``A^T A`` in float64 by the rows of ``A``, one for each example and class,
``sqrt(p_c) d(z_c - <p, z>) / d parameters``, from plain reverse mode; where the rows are too long
to be held, ``A A^T`` comes layer by layer. Nothing of nakami takes part.
"""

from __future__ import annotations

import gzip
import hashlib
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import _side_by_side as side
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

FILES = {
    "mnist": ("mnist/train-images-idx3-ubyte.gz", "mnist/train-labels-idx1-ubyte.gz"),
    "sentences": ("sst/train.txt",),
}
LENGTH = 48  # bytes of a sentence


@dataclass(frozen=True)
class Case:
    """A network with its examples; loss is the mean cross-entropy.

    Attributes:
        name: Key of ``CASES``. x, y: inputs and classes, axis 0 the examples.
    """

    name: str
    model: nn.Module
    x: Tensor
    y: Tensor


def mlp() -> nn.Module:
    sizes = (784, 1000, 1000, 1000, 10)
    parts: list[nn.Module] = []
    for inputs, units in itertools.pairwise(sizes):
        parts += [nn.Linear(inputs, units), nn.ReLU()]
    return nn.Sequential(*parts[:-1])


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 28, 28)),
        nn.Conv2d(1, 16, 5, stride=2, padding=2),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 49, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


class Block(nn.Module):
    """He et al. 2016, the basic block."""

    def __init__(self, inputs: int, maps: int, stride: int):
        super().__init__()
        self.first = nn.Conv2d(inputs, maps, 3, stride, padding=1, bias=False)
        self.second = nn.Conv2d(maps, maps, 3, padding=1, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(maps) for _ in range(2))
        self.shortcut = nn.Conv2d(inputs, maps, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inputs, h, w) -> (N, maps, h / stride, w / stride)``."""
        inner = torch.relu(self.norms[0](self.first(x)))
        return torch.relu(self.norms[1](self.second(inner)) + self.shortcut(x))


def residual() -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 28, 28)),
        nn.Conv2d(1, 8, 3, stride=2, padding=1),
        Block(8, 16, 1),
        Block(16, 32, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 10),
    )


class Gru(nn.Module):
    """Rows of a picture as time steps; the last state is classified."""

    def __init__(self) -> None:
        super().__init__()
        self.gru, self.output = nn.GRU(28, 64, batch_first=True), nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, 784) -> (N, 10)``."""
        return self.output(self.gru(x.reshape(-1, 28, 28))[0][:, -1])


class Attention(nn.Module):
    """Self-attention in plain products, which every peer can differentiate, with a dense part."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project, self.join = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.dense = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(N, T, width) -> (N, T, width)``."""
        n, steps, width = x.shape
        parts = self.project(self.before(x)).reshape(n, steps, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        weights = (query @ key.transpose(-2, -1) / (width // self.heads) ** 0.5).softmax(-1)
        x = x + self.join((weights @ value).transpose(1, 2).reshape(n, steps, width))
        return x + self.dense(self.between(x))


class Transformer(nn.Module):
    """Two layers over the bytes of a sentence; their mean is classified."""

    def __init__(self) -> None:
        super().__init__()
        width = 32
        self.embed, self.place = nn.Embedding(128, width), nn.Embedding(LENGTH, width)
        self.layers = nn.Sequential(Attention(width, 4), Attention(width, 4))
        self.output = nn.Linear(width, 5)

    def forward(self, tokens: Tensor) -> Tensor:
        """``(N, LENGTH) -> (N, 5)``."""
        places = torch.arange(LENGTH, device=tokens.device)
        return self.output(self.layers(self.embed(tokens) + self.place(places)).mean(1))


CASES: dict[str, tuple[Any, str, int]] = {
    "mlp": (mlp, "mnist", 1000),
    "cnn": (cnn, "mnist", 1000),
    "residual": (residual, "mnist", 500),
    "gru": (Gru, "mnist", 500),
    "transformer": (Transformer, "sentences", 500),
}
TITLES = {
    "mlp": "MLP 784-1000-1000-1000-10, ReLU",
    "cnn": "CNN, two convolutions of stride 2, two dense layers",
    "residual": "Residual net, two blocks, batch norm in evaluation mode",
    "gru": "GRU of 64 units over the 28 rows of a digit",
    "transformer": "Transformer, 2 layers of width 32, 48 bytes of a sentence, five feelings",
}


def missing(cases: list[str]) -> str:
    """What the data folder lacks, in words; empty where everything is there."""
    files = {file for case in cases for file in FILES[CASES[case][1]]}
    lacking = sorted(file for file in files if not (side.data_folder() / file).exists())
    if not lacking:
        return ""
    return f"no {', '.join(lacking)} in {side.data_folder()}; set NAKAMI_DATA"


def build(name: str) -> Case:
    """The network at ``torch.manual_seed(0)`` in evaluation mode, and its examples."""
    torch.set_num_threads(1)
    make, data, n = CASES[name]
    torch.manual_seed(0)
    model = make()
    x, y = (_digits if data == "mnist" else _sentences)(n)
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    if norms:  # running statistics of the data, as after a first epoch at rate 0
        for norm in norms:
            norm.momentum = None
        with torch.no_grad():
            model(x)
    return Case(name, model.eval(), x, y)


def tiny() -> Case:
    """What every method does once before the clock runs, so that imports are paid."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 15), nn.ReLU(), nn.Linear(15, 12), nn.ReLU())
    model.append(nn.Linear(12, 4))
    return Case("tiny", model, torch.rand(30, 20), torch.arange(30) % 4)


def _digits(n: int) -> tuple[Tensor, Tensor]:
    images, labels = (
        gzip.decompress((side.data_folder() / file).read_bytes()) for file in FILES["mnist"]
    )
    pixels = np.frombuffer(images, np.uint8, n * 784, 16).reshape(n, 784)
    classes = np.frombuffer(labels, np.uint8, n, 8)
    return torch.tensor(pixels).float() / 255, torch.tensor(classes).long()


def _sentences(n: int) -> tuple[Tensor, Tensor]:
    lines = (side.data_folder() / FILES["sentences"][0]).read_text().splitlines()[:n]
    classes = torch.tensor([int(line[1]) for line in lines])
    texts = [" ".join(re.findall(r"([^() ]+)\)", line)) for line in lines]
    coded = [text.encode("ascii", "replace")[:LENGTH].ljust(LENGTH) for text in texts]
    return torch.tensor(np.frombuffer(b"".join(coded), np.uint8).reshape(n, LENGTH)).long(), classes


def truth(case: Case) -> dict[str, float]:
    """``lmax`` and ``trace`` of the Fisher matrix in float64, kept in the cache."""
    digest = hashlib.sha256(case.x.numpy().tobytes())
    for weight in case.model.state_dict().values():
        digest.update(weight.numpy().tobytes())
    file = side.CACHE / f"fisher-{case.name}-{digest.hexdigest()[:12]}.npy"
    if not file.exists():
        side.CACHE.mkdir(parents=True, exist_ok=True)
        np.save(file, _spectrum(case))
    lmax, trace = np.load(file)
    return {"lmax": float(lmax), "trace": float(trace)}


def _spectrum(case: Case) -> tuple[float, float]:
    from scipy.sparse.linalg import LinearOperator, eigsh

    model, n = case.model.double(), len(case.x)
    x = case.x.double() if case.x.is_floating_point() else case.x
    if case.name in ("mlp", "cnn"):
        a, through = _dual(model, x), lambda a, v: a @ v
        trace = float(a.diagonal().sum())
    else:
        a = torch.cat(list(_rows(model, x)))
        trace, through = float(a.square().sum()), lambda a, v: a @ (a.T @ v)
    side_length = len(a)
    matrix = LinearOperator(
        (side_length, side_length),
        matvec=lambda v: through(a, torch.from_numpy(v.ravel().copy())).numpy(),
        dtype=np.float64,
    )
    start = np.random.default_rng(0).standard_normal(side_length)
    found = eigsh(matrix, k=2, tol=1e-10, v0=start, return_eigenvectors=False)
    return float(found.max()) / n, trace / n


def _roots(z: Tensor) -> Tensor:
    """``L`` with ``L L^T = diag(p) - p p^T``, ``(n, outputs, columns)``."""
    p = z.detach().softmax(1)
    return (torch.eye(p.shape[1], dtype=p.dtype) - p[:, :, None]) * p.sqrt()[:, None, :]


def _rows(model: nn.Module, x: Tensor) -> Iterator[Tensor]:
    """Gradients of each example and class, ``(classes, parameters)``, example by example."""
    weights = list(model.parameters())
    for one in x:
        z = model(one[None])
        root = _roots(z)[0]
        every = [
            torch.autograd.grad(z, weights, root[None, :, c], retain_graph=True)
            for c in range(root.shape[1])
        ]
        yield torch.stack([torch.cat([g.reshape(-1) for g in row]) for row in every])


def _dual(model: nn.Module, x: Tensor) -> Tensor:
    """``A A^T`` of a chain of linear layers and convolutions, layer by layer."""
    inputs, outputs = {}, {}
    z = x
    for layer in model:  # type: ignore[attr-defined]
        if next(layer.parameters(), None) is not None:
            inputs[layer] = z.detach()
            z = layer(z)
            outputs[layer] = z
        else:
            z = layer(z)
    root = _roots(z)
    slopes = [
        torch.autograd.grad(z, list(outputs.values()), root[:, :, c], retain_graph=True)
        for c in range(root.shape[2])
    ]
    n, c = len(x), root.shape[2]
    dual = torch.zeros(n * c, n * c, dtype=x.dtype)
    for i, layer in enumerate(outputs):
        delta = torch.stack([s[i] for s in slopes], 1)
        if isinstance(layer, nn.Linear):
            delta = delta.reshape(n * c, -1)
            alike = (inputs[layer] @ inputs[layer].T + 1)[:, None, :, None]
            dual += ((delta @ delta.T).view(n, c, n, c) * alike).view(n * c, n * c)
        else:
            patches = functional.unfold(
                inputs[layer], layer.kernel_size, 1, layer.padding, layer.stride
            )
            delta = delta.flatten(3)
            rows = torch.einsum("ncop,nkp->ncok", delta, patches).reshape(n * c, -1)
            rows = torch.cat([rows, delta.sum(3).reshape(n * c, -1)], 1)
            dual += rows @ rows.T
    return dual
