#!/usr/bin/env bash
# torch 2.13.0: after torch.func.functional_call a recurrent layer still holds the tensors it was called with.
#
# Guess before the run: functional_call swaps weights in, runs, and swaps them out; the module is then
# as it was, the replaced weights are freed with the graph that made them, and copy.deepcopy of the
# module would fail if anything of that graph were left.
#
# Seen: nn.GRU, nn.LSTM and nn.RNN keep a second list of their weights, _flat_weights, and weak references
# by which a pass sees that weights were swapped (both must be put back, or neither). Swapping in
# writes to it, swapping out does not. Until the next forward pass of that module, which puts the list
# right, the layer keeps the replaced weights and their whole graph alive: the memory of a step of
# meta-learning, or of weights in another precision, stays. Outputs are right, and copy.deepcopy works.
# A linear layer has no such list. A tool that must leave no trace has to put the list back.
#
# Exits 0 while this is so, 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import copy
import sys
import weakref

import torch
from torch import nn
from torch.func import functional_call

x = torch.ones(1, 5, 3)
found = {}
for kind in (nn.Linear, nn.RNN, nn.LSTM, nn.GRU):
    model = kind(3, 4)
    other = {name: 2 * weight for name, weight in model.named_parameters()}
    alive = [weakref.ref(weight) for weight in other.values()]
    functional_call(model, other, (x,))
    del other
    before = sum(ref() is not None for ref in alive)
    copy.deepcopy(model)
    model(x)
    after = sum(ref() is not None for ref in alive)
    found[kind.__name__] = (before, after)
    print(f"{kind.__name__}: of {len(alive)} replaced weights alive {before}, after one more pass {after}")
print("torch", torch.__version__)
kept = all(found[name] == (4, 0) for name in ("RNN", "LSTM", "GRU"))
sys.exit(0 if kept and found["Linear"] == (0, 0) else 1)
PY
