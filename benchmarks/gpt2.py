"""The largest eigenvalue of the Gauss-Newton matrix of a GPT-2 of 124 million parameters.

Shape and first weights of GPT-2 (12 x 768, 50,257 words), 4 x 64 random tokens, cross-entropy, all
settings at their defaults. Times in gradients of the same loss, memory beyond model and data. It
takes some minutes and 8 GB.
"""

from __future__ import annotations

import sys

import _side_by_side as side


def main() -> None:
    import torch
    from torch.nn.functional import cross_entropy

    import nakami

    sys.path.insert(0, str(side.ROOT))
    from benchmarks.gpu.language import build

    torch.set_num_threads(1)
    model = build("gpt2-124m", "cpu", small=False)
    tokens = torch.randint(0, 50257, (4, 65), generator=torch.Generator().manual_seed(0))
    x, y = tokens[:, :-1], tokens[:, 1:]

    def gradient() -> None:
        cross_entropy(model(x), y).backward()
        model.zero_grad(set_to_none=True)

    single = side.median([side.cpu_seconds(gradient)[0] for _ in range(5)])
    before = side.memory()
    built, matrix = side.cpu_seconds(lambda: nakami.ggn(model, (x, y), "cross_entropy"))
    spent, found = side.cpu_seconds(lambda: nakami.eigh(matrix, 1))
    extra = (side.peak_memory() - before) / 1e9
    print(f"a gradient: {single:.2f} CPU s; building: {built:.2f}; largest eigenvalue: {spent:.1f}")
    print(f"{(built + spent) / single:.0f} gradients' time, {extra:.2f} GB beyond model and data")
    print(f"{found.values[0]:.4f}, {found.n_products} products; {found.reason}")


if __name__ == "__main__":
    main()
