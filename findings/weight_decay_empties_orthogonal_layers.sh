#!/usr/bin/env bash
# torch 2.13.0: one step with weight decay makes a rectangular orthogonal layer the zero matrix.
#
# Guess before the run: parametrizations.orthogonal maps whatever its parameter holds to a matrix with
# orthonormal rows or columns, so weight decay has no effect on the layer (the norm of the parameter
# does not matter), or a slow drift at most.
#
# Seen: a matrix that is not square is held as Householder vectors, with the signs of the columns on
# the diagonal of the same parameter, as 1 and -1. Forward reads them by .int(), which cuts 0.99999 to 0.
# So after one step of AdamW at its default weight decay, or of SGD with 1e-4, every column is multiplied by
# zero: the layer puts out its bias alone, all its singular values are 0, and no gradient reaches what is
# before it. Training goes on without an error. Square layers (matrix_exp), and rectangular ones with
# orthogonal_map="matrix_exp" or "cayley", stay orthogonal. Leave the parameter out of weight decay.
#
# Exits 0 while this is so, 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import sys

import torch
from torch import nn
from torch.nn.utils import parametrizations

OPTIMIZERS = {
    "AdamW, its default decay": lambda p: torch.optim.AdamW(p, lr=1e-3),
    "SGD, decay 1e-4": lambda p: torch.optim.SGD(p, lr=1e-3, weight_decay=1e-4),
    "Adam, no decay": lambda p: torch.optim.Adam(p, lr=1e-3),
}
found = {}
for shape, how in (((64, 32), None), ((32, 64), None), ((64, 64), None), ((64, 32), "matrix_exp")):
    for name, make in OPTIMIZERS.items():
        torch.manual_seed(0)
        layer = parametrizations.orthogonal(nn.Linear(*shape), orthogonal_map=how)
        optimizer = make(layer.parameters())
        x = torch.randn(16, shape[0], requires_grad=True)
        layer(x).square().mean().backward()
        optimizer.step()
        with torch.no_grad():
            values = torch.linalg.svdvals(layer.weight)
        found[shape, how, name] = (round(float(values.min()), 3), round(float(values.max()), 3))
        print(shape, how or "default", "|", name, "| singular values", found[shape, how, name])
print("torch", torch.__version__)
decay = [name for name in OPTIMIZERS if "no decay" not in name]
empty = all(found[s, None, n] == (0.0, 0.0) for s in ((64, 32), (32, 64)) for n in decay)
others = [v for (s, how, n), v in found.items() if s == (64, 64) or how or n not in decay]
sys.exit(0 if empty and all(v == (1.0, 1.0) for v in others) else 1)
PY
