"""One training in several processes: each takes its rows of a mini-batch, gradients are summed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim import Optimizer

from nakami.results import RunError, wrong

T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """The processes of one training.

    Attributes:
        rank: Which this is. size: how many there are. local: which of its machine's.
        shard: Whether each holds a part of the weights, where a method can.
    """

    rank: int = 0
    size: int = 1
    local: int = 0
    shard: bool = False

    def own(self, batch: Sequence[Tensor]) -> tuple[Sequence[Tensor], float]:
        """The rows of a mini-batch that this process takes, and their share of all.

        Where there are fewer rows than processes, one that has none takes the first at a share of
        0, so that it goes along.
        """
        if self.size == 1:
            return batch, 1.0
        own = tuple(part[self.rank :: self.size] for part in batch)
        if not len(own[0]):
            return tuple(part[:1] for part in batch), 0.0
        return own, len(own[0]) / len(batch[0])

    def summed(self, value: Tensor) -> Tensor:
        """The sum over processes."""
        if self.size > 1:
            dist.all_reduce(value)
        return value

    def sum_gradients(self, optimizer: Optimizer) -> None:
        """Sum the gradients of an optimizer's parameters; those that no process has stay none.

        Those of parts are left as they are: torch has reduced them.
        """
        if self.size == 1:
            return
        held = [p for group in optimizer.param_groups for p in group["params"] if not is_part(p)]
        if not held:
            return
        has = torch.tensor([p.grad is not None for p in held], device=held[0].device).int()
        held = [p for p, n in zip(held, self.summed(has).tolist(), strict=True) if n]
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in held]
        for kind in {grad.dtype for grad in grads}:
            of_kind = [i for i, grad in enumerate(grads) if grad.dtype == kind]
            flat = self.summed(torch.cat([grads[i].flatten() for i in of_kind]))
            parts = flat.split([grads[i].numel() for i in of_kind])
            for i, part in zip(of_kind, parts, strict=True):
                held[i].grad = part.view_as(held[i])

    def same(self, make: Callable[[], T]) -> T:
        """What the first process makes, in all."""
        if self.size == 1:
            return make()
        found: list[Any] = [make() if self.rank == 0 else None]
        dist.broadcast_object_list(found)
        return found[0]

    def gathered(self, value: T) -> list[T]:
        """The values of all, in order of rank."""
        found: list[Any] = [value] * self.size
        if self.size > 1:
            dist.all_gather_object(found, value)
        return found

    def check_same(self, module: nn.Module) -> None:
        """Refuse to go on where the processes hold other weights.

        Raises:
            RunError: They do.
        """
        if self.size == 1:
            return
        parts = [p.detach().double().sum() for p in module.parameters() if not is_part(p)]
        if not parts:
            return
        ends = torch.stack([torch.stack(parts), -torch.stack(parts)])
        dist.all_reduce(ends, dist.ReduceOp.MAX)
        if not torch.equal(ends[0], -ends[1]):
            raise RunError(
                "the processes of this training hold other weights, as their machines compute "
                "otherwise; use machines and versions of one kind."
            )

    def check_module(self, module: nn.Module) -> None:
        """Refuse layers that need all rows of a mini-batch.

        Raises:
            UsageError: It has batch normalisation.
        """
        named = [n for n, part in module.named_modules() if isinstance(part, _BATCH_NORM)]
        if self.size > 1 and named:
            rule = "normalise no batch where several processes share it"
            way_out = "use nn.GroupNorm or nn.LayerNorm, or one process"
            raise wrong("model", rule, ", ".join(named), way_out)


def is_part(tensor: Tensor) -> bool:
    """Whether torch holds it as parts of several processes."""
    if not dist.is_available():
        return False
    from torch.distributed.tensor import DTensor

    return isinstance(tensor, DTensor)


_BATCH_NORM = nn.modules.batchnorm._BatchNorm
_current: ContextVar[Ranks | None] = ContextVar("ranks", default=None)


def ranks() -> Ranks:
    """The processes of the training that runs here; one, unless ``together`` says otherwise."""
    return _current.get() or Ranks()


@contextmanager
def together(accelerator: str = "cpu", *, shard: bool = False) -> Iterator[Ranks]:
    """Within it, trainings are shared by the processes that torchrun started; else one has it all.

    Args:
        accelerator: ``"cpu"`` (by gloo), or ``"cuda"`` (by NCCL, a card for each process).
        shard: What ``ranks().shard`` says within it: whether recipes train ``sharded`` weights.
    """
    size = int(os.environ.get("WORLD_SIZE", 1)) if "TORCHELASTIC_RUN_ID" in os.environ else 1
    if size == 1:
        yield Ranks()
        return
    local = int(os.environ.get("LOCAL_RANK", 0))
    if accelerator == "cuda":
        torch.cuda.set_device(local)
    _join("nccl" if accelerator == "cuda" else "gloo")
    token = _current.set(Ranks(dist.get_rank(), size, local, shard))
    try:
        yield ranks()
    finally:
        _current.reset(token)
        dist.destroy_process_group()


def _join(backend: str) -> None:
    """Make the group of torchrun's processes.

    Behind a restart torchrun's store still holds what the processes before have written (torch
    2.13.0), addresses among it, where nobody listens any more: each attempt has keys of its own.
    """
    store, rank, size = next(dist.rendezvous("env://"))
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    own = dist.PrefixStore(f"nakami-{attempt}", store)
    dist.init_process_group(backend, store=own, rank=rank, world_size=size)


@contextmanager
def shared_folder(folder: Path) -> Iterator[Path]:
    """The folder of the first process; the others get one of their own with the same files.

    Those are sent, so the machines need not share a disk, and left again at the end.
    """
    here = ranks()
    if here.size == 1:
        yield folder
        return
    held: Mapping[str, bytes] = here.same(lambda: _files(folder))
    if here.rank == 0:
        yield folder
        return
    with tempfile.TemporaryDirectory() as own:
        for name, data in held.items():
            file = Path(own) / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        yield Path(own)


def _files(folder: Path) -> dict[str, bytes]:
    """Contents of all files of a training, by name."""
    found = [f for f in folder.rglob("*") if f.is_file()] if folder.is_dir() else []
    return {str(f.relative_to(folder)): f.read_bytes() for f in found}
