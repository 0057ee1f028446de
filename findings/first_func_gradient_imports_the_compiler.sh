#!/usr/bin/env bash
# torch 2.13.0: the first gradient by torch.func imports the compiler.
#
# Guess before the run: torch.func.vjp and its pullback are eager; import torch has loaded what they
# need, and torch._dynamo comes with the first torch.compile.
#
# Seen: torch.func.vjp itself imports nothing. The first call of its pullback (so also torch.func.grad,
# jacrev) imports torch._dynamo with sympy and more than 500 other modules, though nothing is compiled: it
# asks whether compiled autograd is on. torch.func.jvp and torch.autograd.grad do not. The first gradient
# takes seconds and tens of MB that the second does not: time after a first call, and use
# torch.autograd.grad in a command that has to start fast.
#
# Exits 0 while this is so, 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import sys
import time

import torch
from torch.func import jvp, vjp


def compiler():
    return "torch._dynamo" in sys.modules, "sympy" in sys.modules


x = torch.ones(3)
seen = {"import torch": compiler()}
y = x.clone().requires_grad_()
torch.autograd.grad(y.sin().sum(), y)
seen["torch.autograd.grad"] = compiler()
jvp(torch.sin, (x,), (x,))
seen["torch.func.jvp"] = compiler()
_, pull = vjp(torch.sin, x)
seen["torch.func.vjp"] = compiler()
modules, begin = len(sys.modules), time.process_time()
pull(x)
first = time.process_time() - begin
seen["its pullback"] = compiler()
new, begin = len(sys.modules) - modules, time.process_time()
pull(x)
second = time.process_time() - begin
for call, (dynamo, sympy) in seen.items():
    print(f"after {call}: torch._dynamo {dynamo}, sympy {sympy}")
print(f"first pullback: {new} new modules, {first:.1f} CPU s; second: {second:.4f} CPU s")
print("torch", torch.__version__)
before = [seen[k] for k in ("import torch", "torch.autograd.grad", "torch.func.jvp", "torch.func.vjp")]
sys.exit(0 if not any(map(any, before)) and all(seen["its pullback"]) and new > 500 else 1)
PY
