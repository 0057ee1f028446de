"""Operators with equal and nearly equal values, and whether an answer about one is wrong.

Each ``Case`` asks one question of one matrix. The reference is LAPACK in float64 on the dense
matrix, which is made without the library. An answer is wrong if it claims to have converged and
differs from the reference by more than ``SLACK`` times the error that it states.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

import nakami
from nakami.results import NotConvergedWarning
from nakami.spectra import Gram, MatrixOperator

SLACK = 5.0
F32, F64 = torch.float32, torch.float64


@dataclass(frozen=True)
class Case:
    """A question about a matrix.

    Attributes:
        name: Of the test.
        make: The dense matrix, float64.
        k: Values asked for.
        question: ``svd``, ``largest``, ``smallest``, ``magnitude`` (of ``eigh``), ``gram``
            (``eigh`` of ``A A^T`` through its root), ``norm``, ``density``, or ``count``: how many
            of the singular values lie above 1.
        dtype: Of the products.
        tol: The relative error asked for.
        large: Too slow for the tests; ``benchmarks/equal_values.py`` asks it.
    """

    name: str
    make: Callable[[], Tensor]
    k: int
    question: str = "svd"
    dtype: torch.dtype = F64
    tol: float = 1e-4
    large: bool = False


@dataclass(frozen=True)
class Answer:
    """What came of a case with one seed.

    Attributes:
        converged: As the result says.
        excess: Largest true error over the stated one.
        error: Largest true relative error.
        n_products: Columns multiplied.
    """

    converged: bool
    excess: float
    error: float
    n_products: int

    @property
    def wrong(self) -> bool:
        """Converged, and off by more than it says."""
        return self.converged and self.excess > SLACK


def reference(case: Case, a: Tensor) -> Tensor:
    """All values of the dense matrix, in the order that the question asks for; as rounded."""
    exact = a.to(case.dtype).double()
    if case.question in ("svd", "count", "norm", "gram"):
        values = torch.linalg.svdvals(exact)
        return values.square() if case.question == "gram" else values
    values = torch.linalg.eigvalsh((exact + exact.T) / 2)
    order = {"smallest": values, "magnitude": -values.abs()}.get(case.question, -values)
    return values[order.argsort(stable=True)]


def ask(case: Case, a: Tensor, true: Tensor, seed: int) -> Answer:
    """Put the question with one seed and compare the answer with the reference."""
    matrix = a.to(case.dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)
        if case.question == "density":
            return _density(matrix, true, seed)
        if case.question == "norm":
            top = nakami.norm(matrix, case.tol, seed=seed)
            off = abs(top.value - float(true[0]))
            unit = max(float(true[0]), 1e-300)
            return Answer(top.converged, _over(off, top.error), off / unit, top.n_products)
        if case.question in ("svd", "count"):
            found = nakami.svd(matrix, case.k, case.tol, method="krylov", seed=seed)
        elif case.question == "gram":
            gram = Gram(MatrixOperator(matrix))
            found = nakami.eigh(gram, case.k, case.tol, seed=seed)
        else:
            which = case.question
            found = nakami.eigh(matrix, case.k, case.tol, which=which, method="krylov", seed=seed)
    values, want = found.values, true[: case.k]
    if case.question == "magnitude":  # of +a and -a either may come first
        values, want = values.abs(), want.abs()
    scale = values.abs().clamp_min(max(found.floor, 1e-300))
    off, said = (values - want).abs(), found.errors * scale
    excess = max(_over(float(o), float(s)) for o, s in zip(off, said, strict=True))
    if case.question == "count":
        excess = max(excess, _count(values, said, true))
    return Answer(found.converged, excess, float((off / scale).max()), found.n_products)


def _over(off: float, said: float) -> float:
    """A true error over the stated one; a difference at the rounding of float64 is none."""
    return 0.0 if off <= 1e-13 else off / max(said, 1e-300)


def _count(values: Tensor, said: Tensor, true: Tensor) -> float:
    """Infinite where the number of values above 1 lies outside what the stated errors leave."""
    count = int((true[: len(values)] > 1).sum())
    least, most = (int((values + sign * SLACK * said > 1).sum()) for sign in (-1, 1))
    return 0.0 if least <= count <= most else float("inf")


def _density(matrix: Tensor, true: Tensor, seed: int) -> Answer:
    """The share of eigenvalues up to points between the clusters, in standard errors."""
    low, high = float(true.min()), float(true.max())
    points, width = torch.linspace(low, high, 9, dtype=F64), (high - low) / 40
    found = nakami.density(
        matrix, points, width=width, steps=64, probes=16, method="lanczos", seed=seed
    )
    exact = torch.special.ndtr((points[:, None] - true) / width).mean(1)
    off = (found.cumulative - exact).abs()
    said = found.cumulative_se + 1 / len(true)
    return Answer(found.converged, float((off / said).max()), float(off.max()), found.n_products)


def of(module: nn.Module, *shape: int) -> Tensor:
    """The matrix of a linear module, by its outputs on the unit vectors."""
    n = torch.Size(shape).numel()
    with torch.no_grad():
        unit = torch.eye(n, dtype=F64).reshape(n, *shape)
        return module.double()(unit).reshape(n, -1).T.contiguous()


def with_values(*parts: tuple[float, int], n: int = 0, m: int = 0, seed: int = 0) -> Tensor:
    """A random ``m x n`` matrix with each singular value so many times; the rest below them."""
    values = torch.cat([torch.full((count,), value, dtype=F64) for value, count in parts])
    return spread(values, n or len(values), m, seed)


def spread(values: Tensor, n: int = 0, m: int = 0, seed: int = 0) -> Tensor:
    """A random ``m x n`` matrix with these singular values, zeros beyond them."""
    n = n or len(values)
    m = m or n + 40
    gen = torch.Generator().manual_seed(seed)
    left = torch.linalg.qr(torch.randn(m, len(values), generator=gen, dtype=F64))[0]
    right = torch.linalg.qr(torch.randn(n, len(values), generator=gen, dtype=F64))[0]
    return (left * values) @ right.T


def symmetric(values: Tensor, seed: int = 0) -> Tensor:
    """A random symmetric matrix with these eigenvalues."""
    gen = torch.Generator().manual_seed(seed)
    q = torch.linalg.qr(torch.randn(len(values), len(values), generator=gen, dtype=F64))[0]
    return (q * values) @ q.T


def tail(top: float, n: int, ratio: float = 0.99) -> Tensor:
    """``n`` values falling from ``top`` by a constant ratio."""
    return top * ratio ** torch.arange(n, dtype=F64)


def copies(value: float, count: int) -> Tensor:
    """One value ``count`` times."""
    return torch.full((count,), value, dtype=F64)


def seeded(make: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    """A module whose weights do not depend on what ran before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def blur(channels: int, size: int = 5, stride: int = 1) -> nn.Module:
    """A binomial blur of each channel alone."""
    row = {3: [1.0, 2, 1], 5: [1.0, 4, 6, 4, 1]}[size]
    kernel = torch.outer(torch.tensor(row), torch.tensor(row)) / sum(row) ** 2
    layer = nn.Conv2d(channels, channels, size, stride, size // 2, groups=channels, bias=False)
    layer.weight.data[:] = kernel
    return layer


def depthwise(channels: int, apart: float = 0.0) -> nn.Module:
    """One random kernel for every channel, from channel to channel larger by ``apart``."""
    kernel = torch.randn(3, 3, generator=torch.Generator().manual_seed(0), dtype=F64)
    layer = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False).double()
    for i in range(channels):
        layer.weight.data[i] = kernel * (1 + apart * i)
    return layer


def pointwise(channels: int, to: int) -> nn.Module:
    """A 1 x 1 convolution."""
    return seeded(lambda: nn.Conv2d(channels, to, 1, bias=False))


def tokenwise(width: int, to: int) -> nn.Module:
    """A linear layer on each token alone."""
    return seeded(lambda: nn.Linear(width, to, bias=False))


def patches(channels: int, to: int, size: int) -> nn.Module:
    """A patch embedding."""
    return seeded(lambda: nn.Conv2d(channels, to, size, size, bias=False))


def up(mode: str) -> nn.Module:
    """Twice the size."""
    return nn.Upsample(scale_factor=2, mode=mode)


def kron(count: int, side: int, sign: float = 1.0) -> Tensor:
    """``I (x) S`` of a random symmetric ``S``: every eigenvalue ``count`` times."""
    gen = torch.Generator().manual_seed(1)
    s = torch.randn(side, side, generator=gen, dtype=F64)
    return torch.kron(torch.eye(count, dtype=F64), sign * (s + s.T))


def torus(side: int) -> Tensor:
    """The Laplacian of a square grid that closes on itself: values 2, 4 and 8 times."""
    ring = 2 * torch.eye(side, dtype=F64)
    ring -= torch.roll(torch.eye(side, dtype=F64), 1, 0) + torch.roll(
        torch.eye(side, dtype=F64), -1, 0
    )
    unit = torch.eye(side, dtype=F64)
    return torch.kron(ring, unit) + torch.kron(unit, ring)


def projection(rank: int, n: int) -> Tensor:
    """A random orthogonal projection."""
    return symmetric(torch.cat([copies(1, rank), copies(0, n - rank)]))


def close(pairs: int, apart: float, n: int = 400) -> Tensor:
    """Pairs of values ``apart`` from each other, over a tail."""
    top = torch.linspace(3, 2, pairs, dtype=F64)
    return torch.cat([torch.stack([top, top * (1 - apart)], 1).flatten(), tail(1.8, n - 2 * pairs)])


TWO_CLUSTERS = torch.cat([copies(5, 10), copies(4.999, 10), tail(4, 380)])
BOTH_ENDS = torch.cat([copies(2, 20), copies(-2, 20), tail(1.5, 200), -tail(1.5, 200)])
ABOVE_ONE = torch.cat([tail(2, 10, 0.95), copies(1.01, 30), copies(0.99, 30), tail(0.95, 330)])

CASES = (
    Case("blur, 3 channels", lambda: of(blur(3), 3, 16, 16), 3),
    Case("blur, 3 channels, more", lambda: of(blur(3), 3, 16, 16), 20, dtype=F32),
    Case("blur, 12 channels", lambda: of(blur(12, 3), 12, 6, 6), 10),
    Case("bilinear upsampling, k = copies", lambda: of(up("bilinear"), 8, 6, 6), 8),
    Case("bilinear upsampling, more", lambda: of(up("bilinear"), 8, 7, 7), 40, dtype=F32),
    Case("bicubic upsampling", lambda: of(up("bicubic"), 6, 8, 8), 5),
    Case("nearest upsampling", lambda: of(up("nearest"), 6, 8, 8), 5),
    Case("patch embedding", lambda: of(patches(3, 16, 4), 3, 20, 20), 20),
    Case("patch embedding, across", lambda: of(patches(3, 16, 4), 3, 20, 20), 30, dtype=F32),
    Case("tokens, 16", lambda: of(tokenwise(24, 32), 16, 24), 10),
    Case("tokens, 16, across", lambda: of(tokenwise(24, 32), 16, 24), 20, dtype=F32),
    Case("tokens, 120", lambda: of(tokenwise(4, 5), 120, 4), 6),
    Case("depthwise, one kernel", lambda: of(depthwise(6), 6, 9, 9), 10),
    Case("depthwise, kernels 1e-6 apart", lambda: of(depthwise(6, 1e-6), 6, 9, 9), 10, tol=1e-5),
    Case("depthwise, kernels 1e-3 apart", lambda: of(depthwise(6, 1e-3), 6, 9, 9), 10),
    Case("BlurPool", lambda: of(blur(12, 3, 2), 12, 10, 10), 16),
    Case("average pool", lambda: of(nn.AvgPool2d(2), 8, 14, 14), 10),
    Case("adaptive average pool", lambda: of(nn.AdaptiveAvgPool2d(5), 16, 8, 8), 20, dtype=F32),
    Case("1 x 1 convolution", lambda: of(pointwise(8, 10), 8, 7, 7), 20),
    Case("1 x 1 convolution, k below copies", lambda: of(pointwise(8, 5), 8, 9, 9), 4, dtype=F32),
    Case("pixel shuffle", lambda: of(nn.PixelShuffle(2), 12, 6, 6), 8),
    Case("padding", lambda: of(nn.ZeroPad2d(1), 4, 10, 10), 3, dtype=F32),
    Case("identity, 1000 copies", lambda: torch.eye(1000, dtype=F64), 20, dtype=F32),
    Case("orthogonal, all equal", lambda: with_values((2.0, 400), m=400), 12),
    Case("projection", lambda: projection(250, 400), 10),
    Case("two clusters 2e-4 apart", lambda: spread(TWO_CLUSTERS), 12, dtype=F32),
    Case("two clusters, finer", lambda: spread(TWO_CLUSTERS), 12, tol=1e-6),
    Case("pairs at 1e-6", lambda: spread(close(15, 1e-6)), 15),
    Case("pairs at 1e-6, finer", lambda: spread(close(15, 1e-6)), 15, tol=1e-7),
    Case("pairs at 1e-4", lambda: spread(close(15, 1e-4)), 15, dtype=F32),
    Case(
        "copies across k",
        lambda: spread(torch.cat([copies(3, 4), copies(2, 6), tail(1.9, 390)])),
        7,
    ),
    Case("40 copies at the top", lambda: spread(torch.cat([copies(1, 40), tail(0.95, 360)])), 20),
    Case(
        "30 copies at k",
        lambda: spread(torch.cat([tail(3, 10, 0.9), copies(1, 30), tail(0.97, 360)])),
        12,
    ),
    Case(
        "copies below k",
        lambda: spread(torch.cat([tail(3, 10, 0.9), copies(0.9, 390)])),
        10,
        dtype=F32,
    ),
    Case("each value twice", lambda: spread(tail(1, 200, 0.98).repeat_interleave(2)), 30),
    Case("rank 12 in fours", lambda: with_values((3, 4), (2, 4), (1, 4), n=300), 20),
    Case("zero", lambda: torch.zeros(340, 300, dtype=F64), 5),
    Case("values above 1, blur", lambda: 1.2 * of(blur(3), 3, 16, 16), 40, "count", F32),
    Case("values above 1, 30 at 1.01", lambda: spread(ABOVE_ONE), 45, "count"),
    Case("values above 1, tokens", lambda: 2 * of(tokenwise(24, 32), 16, 24), 60, "count", F32),
    Case("Kronecker, largest", lambda: kron(6, 60), 20, "largest"),
    Case("Kronecker, 40 copies", lambda: kron(40, 10), 30, "largest", F32),
    Case("Kronecker, smallest", lambda: kron(6, 60), 12, "smallest"),
    Case("Kronecker, magnitude", lambda: kron(6, 60), 9, "magnitude"),
    Case("both ends, magnitude", lambda: symmetric(BOTH_ENDS), 20, "magnitude"),
    Case("both ends, across", lambda: symmetric(BOTH_ENDS), 45, "magnitude", F32),
    Case("torus, largest", lambda: torus(20), 10, "largest"),
    Case("torus, smallest of minus", lambda: -torus(20), 10, "smallest", F32),
    Case("blur, eigenvalues", lambda: of(blur(3), 3, 12, 12), 9, "largest"),
    Case("identity, eigenvalues", lambda: torch.eye(400, dtype=F64), 3, "largest", F32),
    Case("identity, smallest", lambda: torch.eye(400, dtype=F64), 3, "smallest"),
    Case("projection, magnitude", lambda: projection(250, 400), 6, "magnitude"),
    Case("pairs at 1e-6, eigenvalues", lambda: symmetric(close(15, 1e-6)), 15, "largest", tol=1e-5),
    Case("one of 25 copies", lambda: kron(25, 16), 1, "largest"),
    Case("one of a pair at 1e-6", lambda: symmetric(close(15, 1e-6)), 1, "largest", F32),
    Case("Gram of tokens", lambda: of(tokenwise(6, 8), 140, 6), 20, "gram", F32),
    Case("norm, blur", lambda: of(blur(3), 3, 16, 16), 1, "norm"),
    Case("norm, pairs at 1e-6", lambda: spread(close(15, 1e-6)), 1, "norm", F32),
    Case("norm, identity", lambda: torch.eye(400, dtype=F64), 1, "norm", F32),
    Case("norm, 40 copies", lambda: spread(torch.cat([copies(1, 40), tail(0.95, 360)])), 1, "norm"),
    Case("density, Kronecker", lambda: kron(6, 60), 1, "density"),
    Case("density, projection", lambda: projection(100, 400), 1, "density", F32),
    Case("blur, 3 of 24 x 24", lambda: of(blur(3), 3, 24, 24), 3, large=True),
    Case("bilinear upsampling of 8 x 8", lambda: of(up("bilinear"), 8, 8, 8), 8, large=True),
    Case("bilinear upsampling of 12 x 12", lambda: of(up("bilinear"), 8, 12, 12), 8, large=True),
    Case("bicubic upsampling, 16 channels", lambda: of(up("bicubic"), 16, 8, 8), 20, large=True),
    Case("patches of 48 x 48", lambda: of(patches(3, 24, 8), 3, 48, 48), 20, large=True),
    Case("1 x 1 convolution of 12 x 12", lambda: of(pointwise(8, 8), 8, 12, 12), 50, large=True),
    Case("Kronecker, 20 copies of 50", lambda: kron(20, 50), 40, "largest", large=True),
    Case("density, torus", lambda: torus(20), 1, "density"),
)
