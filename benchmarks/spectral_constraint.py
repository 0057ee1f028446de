"""What ``SpectralConstraint`` adds to a step of a GRU, beside clipping.

A GRU of H = 512 on 128 inputs, 100 steps, batch 32, SGD, one thread. Three nets: the largest
singular value of the candidate's matrix stays far below the bound, lies at it, or every step pushes
40 values over it. Processor time of the optimizer's step with the constraint, without, and of
``clip_grad_norm_``, in turns; all as a share of the whole step (forward, backward, optimizer). A
full decomposition of the matrix in each step is there to compare.

    python benchmarks/spectral_constraint.py
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from nakami.recurrent import SpectralConstraint, candidate_blocks, project
from nakami.results import write_whole

HIDDEN, INPUTS, STEPS, BATCH, ROUNDS = 512, 128, 100, 32, 12
RESULT = Path(__file__).parent / "results" / "spectral_constraint.json"
CASES = {"far below": 0.9, "at the bound": 1.8, "40 values over it": 2.1}


def net(sigma: float) -> nn.GRU:
    """A GRU whose 40 largest singular values are clipped at 1.8 from ``sigma`` on."""
    torch.manual_seed(0)
    gru = nn.GRU(INPUTS, HIDDEN)
    matrix = candidate_blocks(gru)[0].matrix
    u, _, vh = torch.linalg.svd(torch.randn(HIDDEN, HIDDEN))
    values = torch.linspace(1, 0.1, HIDDEN) * sigma
    if sigma > 1.8:
        values = torch.cat([torch.full((40,), 1.8), torch.linspace(1.7, 0.1, HIDDEN - 40)])
    matrix.copy_(project((u * values) @ vh, 1.8))
    return gru


def clock(do: Callable[[], object]) -> float:
    started = time.process_time()
    do()
    return time.process_time() - started


def measured(sigma: float) -> dict[str, float]:
    """Median milliseconds of each part of a step."""
    gru = net(sigma)
    plain = torch.optim.SGD(gru.parameters(), lr=0.01)
    held = torch.optim.SGD(gru.parameters(), lr=0.01)
    constraint = SpectralConstraint(gru, held)
    inputs = torch.randn(STEPS, BATCH, INPUTS)
    outward = _outward(gru) if sigma > 1.8 else None

    def learn() -> None:
        gru.zero_grad()
        gru(inputs)[0].square().mean().backward()

    def push() -> None:  # as a gradient that drives the leading values over the bound would
        if outward is not None:
            candidate_blocks(gru)[0].matrix.add_(outward)

    times: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        row = {
            "forward and backward": clock(learn),
            "plain step": clock(plain.step),
            "clipping": clock(lambda: nn.utils.clip_grad_norm_(gru.parameters(), 1.0)),
        }
        push()
        row["constrained step"] = clock(held.step)
        row["full decomposition"] = clock(lambda: project(candidate_blocks(gru)[0].matrix, 1.8))
        for name, seconds in row.items():
            times.setdefault(name, []).append(seconds)
    found = {name: 1e3 * statistics.median(seconds[2:]) for name, seconds in times.items()}
    whole = found["forward and backward"] + found["plain step"]
    found["constraint share"] = (found["constrained step"] - found["plain step"]) / whole
    found["clipping share"] = found["clipping"] / whole
    found.update({how: float(n) for how, n in constraint.blocks[0].counts.items()})
    return found


def _outward(gru: nn.GRU) -> Tensor:
    u, _, vh = torch.linalg.svd(candidate_blocks(gru)[0].matrix)
    return 1e-3 * u[:, :40] @ vh[:40]


def main() -> None:
    torch.set_num_threads(1)
    rows = {name: measured(sigma) for name, sigma in CASES.items()}
    for name, row in rows.items():
        print(f"{name}: " + ", ".join(f"{key} {value:.4g}" for key, value in row.items()))
    body = {"hidden": HIDDEN, "torch": torch.__version__, "rows": rows}
    write_whole(RESULT, json.dumps(body, indent=1) + "\n", "results")


if __name__ == "__main__":
    main()
