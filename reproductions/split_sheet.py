"""The model parallelism of Le et al. (2012) in small: a sheet of units split over processes.

    torchrun --nproc-per-node 2 reproductions/split_sheet.py

Each process holds half of the units of a sheet that learns from patches of dead leaves by gradient
descent; the first process then trains the whole sheet alone and says how far apart the weights are.
On processors (gloo); no data but what is made here.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
import torch.distributed as dist

from nakami import data
from nakami.training import SplitSheet, Unsupervised, fit
from nakami.zoo.tica import TopographicICA

PATCHES, SIDE, COMPONENTS, SHEET, EPOCHS = 4000, 12, 72, (10, 10), 5


def lowered(
    module: torch.nn.Module, x: torch.Tensor, objective: Callable[[torch.Tensor], torch.Tensor]
) -> tuple[list[float], float]:
    """Losses by epoch and seconds."""
    began = time.monotonic()
    descent = torch.optim.SGD(module.parameters(), 1e-3, momentum=0.9)
    losses = fit(Unsupervised(module, descent, objective), (x,), epochs=EPOCHS)
    return losses, time.monotonic() - began


def main() -> None:
    """Train split, then whole, and compare."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    patches = data.patches(data.dead_leaves(40), PATCHES, SIDE).inputs.flatten(1)
    patches = patches - patches.mean(1, keepdim=True)
    x = data.whitening(patches, COMPONENTS)(patches)
    split, whole = (TopographicICA(COMPONENTS, SHEET) for _ in range(2))
    part = SplitSheet(split)
    shares, seconds = lowered(part, x, part.objective)
    part.gather(split)
    total = torch.tensor(shares, dtype=torch.float64)
    dist.all_reduce(total)
    held = sum(p.numel() for p in part.parameters())
    print(f"process {dist.get_rank()}: {held:,} weights, {seconds:.1f} s", flush=True)
    dist.barrier()
    if dist.get_rank() == 0:
        losses, seconds = lowered(whole, x, whole.objective)
        one, other = split.weight.detach(), whole.weight.detach()
        apart, most = float((one - other).abs().max()), float(other.abs().max())
        print(f"one process: {whole.weight.numel():,} weights, {seconds:.1f} s")
        print("split:", [round(v, 4) for v in total.tolist()])
        print("whole:", [round(v, 4) for v in losses])
        print(f"largest difference of a weight: {apart:.1e} of {most:.2f}")
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
