"""A sheet of topographic ICA whose units are spread over processes."""

from __future__ import annotations

from typing import Any, final

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd import Function

from nakami.results import wrong
from nakami.zoo.tica import TopographicICA


@final
class SplitSheet(nn.Module):
    """The rows of a sheet that this process holds, learning together with those of the others.

    Every process sees the same examples and holds the weights of its own units alone. In a step
    they add up what all units give back, and exchange the units' energies, as neighbourhoods reach
    over the borders: two sums over the processes, of ``N d`` and ``N units`` numbers, and the same
    again on the way back. Optimizers that treat weights one by one (SGD, Adam) then step as one
    process with the whole sheet does, but for rounding.

    Args:
        whole: The sheet with first weights, the same in all processes; not changed.
        group: Of processes, as ``torch.distributed`` makes it; None: all.

    Attributes:
        weight, back: The rows of ``whole.weight`` and ``whole.back`` of the own units.

    Raises:
        UsageError: No group of processes is there, this process is not in it, or it has more
            processes than the sheet has rows.

    Source: the model parallelism of Le et al., ICML 2012.
    """

    pool: Tensor

    def __init__(self, whole: TopographicICA, group: Any = None):
        super().__init__()
        if not (dist.is_available() and dist.is_initialized()):
            way_out = "run torchrun and call torch.distributed.init_process_group()"
            raise wrong("group", "be made before the sheet is split", group, way_out)
        rank, size = dist.get_rank(group), dist.get_world_size(group)
        if rank < 0:
            raise wrong("group", "hold this process", "others", "split the sheet in its members")
        rows, columns = whole.sheet
        if size > rows:
            rule = f"have at most as many processes as the sheet has rows, {rows}"
            raise wrong("group", rule, size, "use fewer processes")
        first, last = (rows * r // size * columns for r in (rank, rank + 1))
        self.own, self.size, self.group = slice(first, last), size, group
        self.whole_sheet, self.cost, self.eps = whole.sheet, whole.cost, whole.eps
        self.weight = nn.Parameter(whole.weight.detach()[self.own].clone())
        back = None if whole.back is None else whole.back.detach()[self.own].clone()
        self.back = None if back is None else nn.Parameter(back)
        self.register_buffer("pool", whole.pool.clone(), persistent=False)

    def units(self, x: Tensor) -> Tensor:
        """The own units, ``(N, d) -> (N, own units)``."""
        w = self.weight if self.back is None else nn.functional.normalize(self.weight)
        return x @ w.T

    def objective(self, x: Tensor) -> Tensor:
        """This process's share of what is lowered, ``(N,)``: the shares add up to the whole."""
        y = self.units(x)
        back = self.weight if self.back is None else self.back
        misfit = (self._summed(y @ back) - x).square().sum(1)
        everywhere = y.new_zeros(len(y), len(self.pool))
        everywhere[:, self.own] = y.square()
        near = self._summed(everywhere) @ self.pool[self.own].T
        return misfit / self.size + self.cost * (near + self.eps).sqrt().sum(1)

    def _summed(self, x: Tensor) -> Tensor:
        made: Tensor = _Sum.apply(x, self.group)
        return made

    @torch.no_grad()
    def gather(self, whole: TopographicICA) -> None:
        """Write the weights of all processes into a sheet, in each of them."""
        for name, part in self.named_parameters():
            target = whole.get_parameter(name)
            target.zero_()
            target[self.own] = part
            dist.all_reduce(target, group=self.group)


class _Sum(Function):
    """The sum over all processes, whose gradient is the sum of all gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Any) -> Tensor:
        ctx.group = group
        total = x.clone()
        dist.all_reduce(total, group=group)
        return total

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        return _Sum.apply(g.contiguous(), ctx.group), None
