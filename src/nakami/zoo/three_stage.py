"""Three stages of local filters, L2 pooling and contrast normalisation: the "cat" network, small.

Origin: Le, Ranzato, Monga, Devin, Chen, Corrado, Dean & Ng, "Building high-level features using
large scale unsupervised learning", ICML 2012 (arXiv 1112.6209). Three times: filters over local
fields with weights of their own at each place, the root of summed squares over a small window,
local contrast normalisation. Learned without labels from reconstruction and sparse pooled energies,
``|V W x - x|^2 + lambda sum over windows of sqrt(eps + sum of (W x)^2)``.

Scaled down: theirs sees 200 x 200 pixels in colour by 18 x 18 fields of 8 maps, pools and
normalises over 5 x 5, has 10^9 weights and was trained on 10 million pictures by 16,000 cores. This
one sees 28 x 28 pixels by 5 x 5 (last stage 3 x 3) fields of 8, 16 and 32 maps and pools over 2 x 2
without overlap, so that the last stage has one place; it has 338,432 weights.

Deliberate differences: pictures pass contrast normalisation first; decoders are tied, ``V = W^T``
(both free have no minimum, see ``zoo.tica``); objectives are means over examples and inputs.

Published: best unit for faces 81.7 %, cats 74.8 %, bodies 76.7 % (a summary's figures, not read in
the paper itself).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nakami.nn import L2Pool2d, LocalContrastNorm2d, LocallyConnected2d
from nakami.results import check_at_least, check_sizes, is_number, wrong

from ._entry import Entry
from ._layers import layer, seeded

EPS = 1e-4  # below the root of a window's energy


class Stage(nn.Module):
    """Filters, pooling, normalisation. Calling it gives the normalised maps.

    Args:
        filters: With tied decoder, no padding and no biases.
        pool: Side of the square that is pooled over, without overlap.
        window: Side of the window of contrast normalisation, odd.
        cost: ``lambda``, weight of sparsity against reconstruction.
    """

    def __init__(self, filters: LocallyConnected2d, pool: int, window: int, cost: float):
        super().__init__()
        self.filters, self.pool = filters, L2Pool2d(pool)
        self.norm, self.cost = LocalContrastNorm2d(window), float(cost)

    def forward(self, x: Tensor) -> Tensor:
        """The normalised maps."""
        return self.norm(self.pool(self.filters(x)))

    def objective(self, x: Tensor) -> Tensor:
        """What is lowered, of each example and by input value, ``(N,)``."""
        y = self.filters(x)
        misfit = (self.filters.transpose(y) - x).square().flatten(1).sum(1)
        side = self.pool.kernel_size[0] * self.pool.kernel_size[1]
        energies = side * nn.functional.avg_pool2d(y.square(), self.pool.kernel_size)
        return (misfit + self.cost * (EPS + energies).sqrt().flatten(1).sum(1)) / x.shape[
            1:
        ].numel()


class ThreeStage(nn.Sequential):
    """``contrast``, ``stage1``, ``stage2``, ..., ``flatten``: units of the last stage."""

    @property
    def stages(self) -> list[Stage]:
        """From the bottom up."""
        return [part for part in self if isinstance(part, Stage)]

    def seen(self, x: Tensor) -> Tensor:
        """What the first stage is given: the picture with its contrast normalised."""
        found: Tensor = self.get_submodule("contrast")(x)
        return found

    def objective(self, x: Tensor) -> Tensor:
        """The sum of the stages' objectives, each on what those below give, ``(N,)``."""
        h, total = self.seen(x), x.new_zeros(len(x))
        for stage in self.stages:
            total = total + stage.objective(h)
            h = stage(h)
        return total


def make(
    shape: tuple[int, int, int] = (1, 28, 28),
    *,
    fields: Sequence[int] = (5, 5, 3),
    maps: Sequence[int] = (8, 16, 32),
    pool: int = 2,
    cost: float = 0.1,
    generator: torch.Generator | None = None,
) -> ThreeStage:
    """The network with first weights, normal, of a size that keeps the energy of white inputs.

    Args:
        shape: Channels, height and width of an example.
        fields: Side of the fields of each stage.
        maps: Filters at each place, of each stage.
        pool: Side of the squares that are pooled over.
        cost: Weight of sparsity against reconstruction.
        generator: Source of the first weights; None: a fresh one with seed 0.

    Returns:
        A network ``(N, *shape) -> (N, units of the last stage)``.
    """
    check_sizes("shape", shape, 3, "be channels, height and width", "use (1, 28, 28)")
    fields = check_sizes("fields", fields, None, "be sides of fields", "use (5, 5, 3)")
    rule = "name as many stages as fields"
    usual = tuple(8 * 2**i for i in range(len(fields)))
    maps = check_sizes("maps", maps, len(fields), rule, f"use {usual}")
    if not (is_number(cost) and cost >= 0):
        raise wrong("cost", "be a number from 0 on", cost, "use 0.1")
    pool, g = check_at_least("pool", pool, 1, "use 2"), seeded(generator)
    parts: OrderedDict[str, nn.Module] = OrderedDict(contrast=LocalContrastNorm2d(5))
    channels, size = shape[0], (shape[1], shape[2])
    for i, (field, number) in enumerate(zip(fields, maps, strict=True), 1):
        if min(size) - field + 1 < pool:
            rule = f"leave {pool} pixels or more a side to pool in stage {i}, of {min(size)}"
            raise wrong("fields", rule, tuple(fields), "lower them, or pass larger pictures")
        where = {"bias": False, "input_size": size}
        filters = layer(LocallyConnected2d, channels, number, field, std=1.0, generator=g, **where)
        scale = (channels * size[0] * size[1] / len(filters.weight)) ** 0.5
        with torch.no_grad():
            filters.weight.mul_(scale / filters.weight[0].numel() ** 0.5)
        h, w = (side // pool for side in filters.output_size)
        window = max(n for n in (5, 3, 1) if n // 2 < min(h, w))
        parts[f"stage{i}"] = Stage(filters, pool, window, cost)
        channels, size = number, (h, w)
    return ThreeStage(OrderedDict(**parts, flatten=nn.Flatten()))


ENTRY = Entry(
    make=make,
    input=(1, 28, 28),
    output=(32,),
    parameters=338_432,
    task="features",
    origin="Le et al. 2012, scaled down",
    preprocessing="unit",
    data="digits",
)
