"""Wide random networks as the papers draw them, and what the scripts on them share."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from nakami.theory import meanfield

# variance of a weight times fan-in, variance of a bias
LAWS = {"tanh": (3.0, 0.64), "relu": (2.0, 0.0), "linear": (1.0, 0.1)}
MODULES = {"tanh": nn.Tanh, "relu": nn.ReLU, "linear": nn.Identity}


def generator(*numbers: int) -> torch.Generator:
    """A source of random numbers of its own for each tuple of numbers."""
    seed = int(np.random.SeedSequence(numbers).generate_state(1)[0])
    return torch.Generator().manual_seed(seed)


def network(
    widths: Sequence[int], phi: str, source: torch.Generator, dtype: torch.dtype = torch.float32
) -> nn.Sequential:
    """Linear layers with ``phi`` between them, weights ``N(0, w / fan-in)``, biases ``N(0, b)``."""
    w, b = LAWS[phi]
    layers: list[nn.Module] = []
    for n, m in pairwise(widths):
        layer = nn.utils.skip_init(nn.Linear, n, m, dtype=dtype)
        with torch.no_grad():
            layer.weight.normal_(0, (w / n) ** 0.5, generator=source)
            layer.bias.normal_(0, 1, generator=source).mul_(b**0.5)
        layers += [layer, MODULES[phi]()]
    return nn.Sequential(*layers[:-1])


def order(widths: Sequence[int], phi: str, start: Any = (1.0, 0.0)) -> meanfield.OrderParameters:
    """Order parameters of such a network."""
    return meanfield.order_parameters(widths, phi, *LAWS[phi], start=start)


class Kept:
    """Records of one file by name; each is made once, and the file is whole at any time."""

    def __init__(self, path: Path, settings: dict[str, Any]):
        self.path, self.settings = path, json.loads(json.dumps(settings))
        self.records: dict[str, Any] = {}
        if path.exists():
            found = json.loads(path.read_text())
            if found["settings"] != self.settings:
                sys.exit(f"{path} was made with other settings; move it away to start afresh.")
            self.records = found["records"]

    def missing(self, names: Sequence[str]) -> list[str]:
        """Which of the names have no record yet."""
        return [name for name in names if name not in self.records]

    def add(self, name: str, record: dict[str, Any]) -> None:
        """Keep a record."""
        self.records[name] = record
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in self.records.items())
        text = f'{{"settings": {json.dumps(self.settings)},\n"records": {{\n{lines}\n}}}}\n'
        part = self.path.with_suffix(".part")
        part.write_text(text, encoding="utf-8")
        part.replace(self.path)


def digits(number: float, n: int = 4) -> float:
    """Rounded to n significant digits, so that results stay small; not finite stays so."""
    return float(f"{number:.{n}g}")


def mean_error(sample: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """Mean and its standard error."""
    x = np.asarray(sample, np.float64)
    return float(x.mean()), float(x.std(ddof=1) / len(x) ** 0.5) if len(x) > 1 else float("nan")


def log_slope(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """Slope of ``log y`` over ``log x`` by least squares, and its standard error."""
    a, b = np.log(np.asarray(x, np.float64)), np.log(np.asarray(y, np.float64))
    a = a - a.mean()
    slope = float(a @ b / (a @ a))
    rest = b - b.mean() - slope * a
    return slope, float((rest @ rest / (len(a) - 2) / (a @ a)) ** 0.5)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of a Markdown table."""
    for row in (head, ["---"] * len(head), *rows):
        yield "| " + " | ".join(row) + " |"
