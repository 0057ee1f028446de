"""Processes that each hold a part of the data, and add up what they find."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ...results import RunError, UsageError, wrong, wrong_type

PIECE = 1 << 20  # entries of a weight that are read at once
MIXERS = (-7046029254386353131, -4658895280553007687)  # odd numbers of 64 bits, as in splitmix64


class Ranks:
    """The ranks of a ``torch.distributed`` group, or this process alone.

    What is summed has the same bits on every rank, so that all take the same decisions.

    Attributes:
        alone: Whether there is no group; then sums are what goes in.
        size, rank: How many ranks, and which of them this is.
    """

    def __init__(self, group: Any = None):
        self.alone = group is None
        self.size, self.rank = 1, 0
        if not self.alone:
            self._join(group)

    def sum(self, value: Tensor) -> Tensor:
        """The sum over ranks, in the value's own dtype, on its own device."""
        return value if self.alone else self._reduced(value, "SUM")

    def total(self, *numbers: float) -> list[float]:
        """Sums of numbers over ranks, in float64."""
        if self.alone:
            return list(numbers)
        here = torch.tensor(numbers, dtype=torch.float64)
        summed: list[float] = self._reduced(here, "SUM").tolist()
        return summed

    def most(self, number: int) -> int:
        """The largest of a number of each rank."""
        return number if self.alone else int(self._reduced(torch.tensor([number]), "MAX"))

    def every(self, holds: bool) -> bool:
        """Whether something holds on all ranks."""
        return self.total(float(not holds)) == [0.0]

    def seed(self, seed: int) -> int:
        """A seed of this rank's own; that of rank 0 is the one given."""
        return seed if self.rank == 0 else (seed + 0x9E3779B9 * self.rank) % 2**32

    @contextmanager
    def together(self, argument: str, error: type[Exception] = RunError) -> Iterator[None]:
        """What may fail on one rank; the others then fail too, and wait for nobody."""
        if self.alone:
            yield
            return
        try:
            yield
        except Exception:
            self._failed(True)
            raise
        if failed := self._failed(False):
            raise error(
                f"{argument} must be sound on all ranks, got an error on rank "
                f"{' and '.join(map(str, failed))} of {self.size}; its message is there."
            )

    def check_alike(self, arguments: object, weights: Mapping[str, Tensor]) -> None:
        """Refuse other arguments or another network than on the other ranks.

        Of arguments their ``repr`` counts, of weights and buffers the bits.
        """
        if self.alone:
            return
        shapes = [(name, tuple(value.shape)) for name, value in weights.items()]
        if self._differing([_number(arguments), _number(shapes)]):
            raise UsageError(
                "group must have ranks that call with the same arguments and the same network, got "
                f"others on another rank than on rank {self.rank}; pass the same."
            )
        differing = self._differing([_bits(value) for value in weights.values()])
        if differing:
            name = shapes[differing[0]][0].removeprefix("model.")
            raise UsageError(
                f"model must have equal weights and buffers on all ranks, got {name!r} that "
                "differs; broadcast it from rank 0."
            )

    def _join(self, group: Any) -> None:
        import torch.distributed as dist

        if not dist.is_available():
            rule = "be None in a torch without torch.distributed"
            raise wrong("group", rule, group, "leave group out")
        if group != "world" and not isinstance(group, dist.ProcessGroup):
            if group is not dist.GroupMember.NON_GROUP_MEMBER:
                rule = "be a process group of torch.distributed, or 'world'"
                raise wrong_type("group", rule, repr(group), "'world' takes all ranks")
            way_out = "call it on the ranks of that group alone"
            raise wrong("group", "have this process as a member", "none", way_out)
        if not dist.is_initialized():
            way_out = "leave it out for one process, or call torch.distributed.init_process_group"
            raise wrong("group", "be of processes that are joined", repr(group), way_out)
        self._dist = dist
        self._group = dist.group.WORLD if group == "world" else group
        self.size, self.rank = dist.get_world_size(self._group), dist.get_rank(self._group)
        nccl = dist.get_backend(self._group) == "nccl"  # it knows no tensors elsewhere
        self._device = torch.device("cuda", torch.cuda.current_device()) if nccl else None

    def _reduced(self, value: Tensor, how: str) -> Tensor:
        held = torch.empty_like(value, device=self._device, memory_format=torch.contiguous_format)
        held.copy_(value)
        self._dist.all_reduce(held, getattr(self._dist.ReduceOp, how), group=self._group)
        return held.to(value.device)

    def _failed(self, here: bool) -> list[int]:
        """The ranks on which something went wrong."""
        flags = torch.zeros(self.size, dtype=torch.int64)
        flags[self.rank] = int(here)
        found: list[int] = self._reduced(flags, "SUM").nonzero().flatten().tolist()
        return found

    def _differing(self, numbers: list[int]) -> list[int]:
        """Where numbers are not the same on all ranks."""
        here = torch.tensor(numbers, dtype=torch.int64)
        most, least = self._reduced(torch.stack([here, ~here]), "MAX")
        found: list[int] = (most != ~least).nonzero().flatten().tolist()
        return found


def _number(value: object) -> int:
    return zlib.crc32(repr(value).encode())


def _bits(weight: Tensor) -> int:
    """A number that another bit anywhere changes; entries count by their place."""
    if weight.layout != torch.strided:
        weight = weight.to_dense()
    flat, total = weight.detach().contiguous().reshape(-1), 0
    if flat.is_complex():
        flat = torch.view_as_real(flat).reshape(-1)
    whole = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[flat.itemsize]
    for at, piece in enumerate(flat.view(whole).split(PIECE)):
        places = torch.arange(at * PIECE, at * PIECE + len(piece), device=piece.device)
        mixed = piece.long() + places * MIXERS[0]  # products wrap around
        mixed = (mixed ^ (mixed >> 31)) * MIXERS[1]
        total += int((mixed ^ (mixed >> 29)).sum())
    return (total + 2**63) % 2**64 - 2**63
