"""Networks of a caller's own from first weights as made and from scaled ones: test errors.

    python benchmarks/first_weights.py

Of 3,000 rows of 10 Gaussian numbers the class is whether ``x0 x1 + x2 > 0``; ten epochs of AdamW in
batches of 50 at the rate that is advised, two seeds. About 10 s of processor time a network.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from nakami import data, recipes

WIDTH, SEEDS = 64, (0, 1)
NETWORKS = {
    "4 tanh layers": (4, nn.Tanh),
    "11 tanh layers": (11, nn.Tanh),
    "31 tanh layers": (31, nn.Tanh),
    "31 ReLU layers": (31, nn.ReLU),
}


def made(layers: int, activation: type[nn.Module], seed: int) -> nn.Module:
    torch.manual_seed(seed)
    parts = [nn.Linear(10, WIDTH), activation()]
    for _ in range(layers - 1):
        parts += [nn.Linear(WIDTH, WIDTH), activation()]
    return nn.Sequential(*parts, nn.Linear(WIDTH, 2))


def table(folder: Path) -> Path:
    x = np.random.default_rng(0).normal(size=(3000, 10))
    kinds = np.where(x[:, 0] * x[:, 1] + x[:, 2] > 0, "yes", "no")
    lines = [
        ",".join([*(f"{v:.4f}" for v in row), kind]) for row, kind in zip(x, kinds, strict=True)
    ]
    file = folder / "rows.csv"
    file.write_text("\n".join([",".join([*(f"a{i}" for i in range(10)), "kind"]), *lines, ""]))
    data.inspect(file).save(folder / "rows.toml")
    return folder / "rows.toml"


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        schema = table(Path(place))
        for said, (layers, activation) in NETWORKS.items():
            name = recipes.own(f"nets:{said}", partial(made, layers, activation))
            for scale in ("as made", "kept", "orthogonal"):
                settings = replace(recipes.recipe_of(name).settings, epochs=10, scale=scale)
                errors = []
                for seed in SEEDS:
                    folder = Path(place) / f"{said}-{scale}-{seed}"
                    subject = recipes.prepare(
                        name, folder, data=schema, settings=settings, seed=seed
                    )
                    errors.append(subject.networks[0].facts[0]["value"])
                print(f"{said}, {scale}: {', '.join(f'{e:.1f}' for e in errors)} %", flush=True)


if __name__ == "__main__":
    main()
