#!/usr/bin/env bash
# torch 2.13.0: inside a TorchDispatchMode autocast casts, but torch.is_autocast_enabled says it is off.
#
# Guess before the run: a mode that watches the operations of a forward pass sees, under
# torch.autocast("cpu", dtype=torch.bfloat16), both the casts to bfloat16 and
# torch.is_autocast_enabled("cpu") == True, so the flag tells whether products are coarse.
#
# Seen: the casts come as aten._to_copy with dtype=torch.bfloat16, and the matrix product returns
# bfloat16, but the flag is False in every call of the mode, for autocast's dispatch key is masked
# below it. Outside the mode, in the same block, it is True. A tool that asks the flag inside a mode
# reports float32 for arithmetic in bfloat16; only the types of the results tell.
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
from torch.utils._python_dispatch import TorchDispatchMode


class Watch(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.flags, self.types = set(), set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.flags.add(torch.is_autocast_enabled("cpu"))
        out = func(*args, **(kwargs or {}))
        self.types.add(out.dtype)
        return out


layer, x = torch.nn.Linear(6, 4), torch.ones(1, 6)
with torch.autocast("cpu", dtype=torch.bfloat16):
    outside = torch.is_autocast_enabled("cpu")
    with Watch() as seen:
        layer(x)
print("torch", torch.__version__)
print("flag outside the mode:", outside, "- inside:", seen.flags, "- results:", seen.types)
as_seen = outside and seen.flags == {False} and torch.bfloat16 in seen.types
sys.exit(0 if as_seen else 1)
PY
