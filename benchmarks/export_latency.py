"""Time of a call of exported networks: a runtime, its eight bits, and torch, one thread.

Each family at a usual size with random weights and inputs; what is compared is arithmetic, not
answers. Processor time, medians with quartiles of half a second each, by turns; sizes of files.

    python benchmarks/export_latency.py               needs the extra export
    python benchmarks/export_latency.py executorch    or litert: the extra of this name
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from nakami.data import Examples
from nakami.export import Exported, Source, export
from nakami.results import plain, versions, write_whole
from nakami.zoo import lenet, mlp

RESULTS = Path(__file__).parent / "results"
N = 64


class Last(nn.Module):
    """The last state of a recurrent layer, read out."""

    def __init__(self, kind: type[nn.RNNBase]):
        super().__init__()
        self.layer, self.head = kind(40, 128, batch_first=True), nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, T, 40) -> (N, 10)``."""
        return self.head(self.layer(x)[0][:, -1])


class Encoder(nn.Module):
    """Two layers of a transformer's encoder."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(128, 4, 512, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, T, 128) -> (N, 10)``."""
        return self.head(self.layers(x).mean(1))


FAMILIES: dict[str, tuple[Callable[[], nn.Module], Callable[[], Tensor]]] = {
    "mlp 784-300-100-10": (mlp.make, lambda: torch.rand(N, 1, 28, 28)),
    "lenet 28 x 28": (lambda: lenet.make((1, 28, 28), 10), lambda: torch.rand(N, 1, 28, 28)),
    "gru 40-128, 50 steps": (lambda: Last(nn.GRU), lambda: torch.randn(N, 50, 40)),
    "lstm 40-128, 50 steps": (lambda: Last(nn.LSTM), lambda: torch.randn(N, 50, 40)),
    "encoder 2 x 128, 64 steps": (Encoder, lambda: torch.randn(N, 64, 128)),
}


def measured(name: str, folder: Path, to: str) -> Exported:
    torch.manual_seed(0)
    make, inputs = FAMILIES[name]
    names = tuple(map(str, range(N)))
    examples = Examples(inputs(), None, names, "as stored", "random numbers")
    return export(Source(name, make().eval(), examples), folder, to)


def main(to: str = "onnx") -> None:
    found = {}
    for name in FAMILIES:
        with tempfile.TemporaryDirectory() as folder:
            told = measured(name, Path(folder), to)
            found[name] = {
                "bytes": told.bytes,
                "int8": plain(told.int8),
                "fixed": told.fixed,
                "relative_difference": told.agreement.relative,
                "latency_ms": plain(told.latency),
            }
        for size, each in told.latency.items():
            times = ", ".join(
                f"{who} {one.median:.3f} ({one.lower:.3f} to {one.upper:.3f})"
                for who, one in each.items()
            )
            print(f"{name}, batch {size}, ms: {times}", flush=True)
    result = "export_latency.json" if to == "onnx" else f"export_latency_{to}.json"
    write_whole(
        RESULTS / result, json.dumps({"versions": versions(), "found": found}, indent=1) + "\n"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
