"""Local fields without shared weights: nakami's layer beside ``unfold`` and ``einsum``.

    OMP_NUM_THREADS=1 python benchmarks/local_fields.py

CPU seconds of outputs and all gradients (inputs, weights, biases), float32: the median of ``TIMES``
runs in a process of its own, of these the median of ``ROUNDS`` turns. Memory is the peak above what
the process held with inputs and weights. Both take the same weights and give the same numbers.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import torch
from _side_by_side import apart, cpu_seconds, keep, median, memory, middle, peak_memory, table

CASES = {  # channels, side, field, stride, maps, examples
    "digits, 5 x 5 fields, 100 examples": (1, 28, 5, 1, 8, 100),
    "digits, 10 examples": (1, 28, 5, 1, 8, 10),
    "colour 32 x 32, 8 x 8 fields, 100 examples": (3, 32, 8, 1, 8, 100),
    "colour 64 x 64, 18 x 18 fields, stride 2, 32 examples": (3, 64, 18, 2, 8, 32),
    "8 maps of 24 x 24, 5 x 5 fields, 100 examples": (8, 24, 5, 1, 16, 100),
    "8 maps, 10 examples": (8, 24, 5, 1, 16, 10),
    "8 maps, 1 example": (8, 24, 5, 1, 16, 1),
}
METHODS = ("unfold, einsum", "nakami")
TIMES, ROUNDS = 9, 3


def unfolded(layer: Any, x: torch.Tensor) -> torch.Tensor:
    """The layer's outputs by torch's own means."""
    h, w = layer.output_size
    fields = torch.nn.functional.unfold(x, layer.kernel_size, stride=layer.stride)
    weight = layer.weight.reshape(h * w, layer.out_channels, -1)
    y = torch.einsum("nkl,lok->nol", fields, weight) + layer.bias.reshape(h * w, -1).T
    return y.reshape(len(x), -1, h, w)


def child(case: str, method: str) -> dict[str, float]:
    """Milliseconds of one step, megabytes, and a sum to compare."""
    from nakami.nn import LocallyConnected2d

    torch.set_num_threads(1)
    torch.manual_seed(0)
    c, side, field, stride, maps, n = CASES[case]
    layer: Any = LocallyConnected2d(c, maps, field, stride, input_size=side)
    x = torch.randn(n, c, side, side, requires_grad=True)
    g = torch.randn(n, maps, *layer.output_size)
    parts = [x, *layer.parameters()]

    def work() -> list[torch.Tensor]:
        y = layer(x) if method == "nakami" else unfolded(layer, x)
        return list(torch.autograd.grad(y, parts, g))

    before = memory()
    size = sum(float(part.square().sum()) for part in work())  # first calls outside the clock
    peak = peak_memory() - before
    spent = median([cpu_seconds(work)[0] for _ in range(TIMES)])
    return {"ms": round(1e3 * spent, 2), "mb": round(peak / 1e6, 1), "size": size}


def main() -> None:
    if len(sys.argv) > 2:
        task = json.loads(sys.argv[2])
        print(json.dumps(child(task["case"], task["method"])))
        return
    rows, shown = [], []
    for case in CASES:
        runs: dict[str, list[dict[str, Any]]] = {method: [] for method in METHODS}
        for _ in range(ROUNDS):
            for method in METHODS:
                runs[method].append(apart(__file__, case=case, method=method))
        plain, ours = (middle(of, "ms") for of in runs.values())
        assert abs(plain["size"] / ours["size"] - 1) < 1e-5
        rows += [plain, ours]
        ratio = plain["ms"] / ours["ms"]
        numbers = [f"{r['ms']:.1f}" for r in (plain, ours)], [f"{r['mb']:.0f}" for r in rows[-2:]]
        shown.append([case, *numbers[0], f"{ratio:.2f}", *numbers[1]])
    head = [
        "outputs and gradients",
        "ms, unfold",
        "ms, nakami",
        "ratio",
        "MB, unfold",
        "MB, nakami",
    ]
    keep("local_fields", rows, table(head, shown))


if __name__ == "__main__":
    main()
