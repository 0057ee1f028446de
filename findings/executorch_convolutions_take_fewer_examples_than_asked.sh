#!/usr/bin/env bash
# ExecuTorch 1.5.1, torch 2.13.0: a convolution lowered to XNNPACK for a batch of up to 128 takes 15 at most.
#
# Guess before the run: Dim("batch", min=1, max=128) is the bound that the program gets: the ExportedProgram says
# 1 to 128, lowering either keeps it or raises, and the same file with portable kernels alone has the same bound.
# Second guess, when that was wrong: the memory plan, or the batch of the example, so a larger example or bound helps.
#
# Seen: nothing is raised, the portable program takes 128, the one with XNNPACK takes 15 and answers 16 with error 0x10.
# While it lowers, the partitioner runs the convolution on fake tensors; torch asks which kernel it would choose for
# them, which has the condition "fewer than 16 examples"; the answer for the example's 2 becomes a guard
# on the axis. With an example of 16 the guard is the other one and the bound stays. With NNPACK and oneDNN
# switched off while lowering, nobody asks: 128. Either alone is not enough.
#
# Exits 0 while this is so, 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet torch==2.13.0 numpy==2.4.6 executorch==1.5.1 torchao==0.18.0
"$folder/venv/bin/python" - 2>/dev/null <<'PY'
import sys
from contextlib import ExitStack

import torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.exir import to_edge_transform_and_lower
from executorch.runtime import Runtime
from torch.export import Dim, export


def most(example, partitioner=None, off=()):
    """The batch that the program says it takes, and the largest of 15, 16, 128 that it answers."""
    net = torch.nn.Conv2d(1, 4, 3).eval()
    shapes = ({0: Dim("batch", min=1, max=128)},)
    program = export(net, (torch.randn(example, 1, 8, 8),), dynamic_shapes=shapes)
    with ExitStack() as stack:
        for backend in off:
            stack.enter_context(backend.flags(False))
        lowered = to_edge_transform_and_lower(program, partitioner=partitioner).to_executorch()
    method = Runtime.get().load_program(lowered.buffer).load_method("forward")
    answered = 0
    for n in (15, 16, 128):
        try:
            method.execute([torch.randn(n, 1, 8, 8)])
            answered = n
        except RuntimeError:
            break
    return method.metadata.input_tensor_meta(0).sizes()[0], answered


nnpack, onednn = torch.backends.nnpack, torch.backends.mkldnn
found = {
    "portable": most(2),
    "XNNPACK": most(2, [XnnpackPartitioner()]),
    "XNNPACK, example of 16": most(16, [XnnpackPartitioner()]),
    "XNNPACK, NNPACK off": most(2, [XnnpackPartitioner()], [nnpack]),
    "XNNPACK, oneDNN off": most(2, [XnnpackPartitioner()], [onednn]),
    "XNNPACK, both off": most(2, [XnnpackPartitioner()], [nnpack, onednn]),
}
for name, (said, answered) in found.items():
    print(f"{name}: says {said}, answers {answered}")
few = ("XNNPACK", "XNNPACK, NNPACK off", "XNNPACK, oneDNN off")
ok = all(pair == ((15, 15) if name in few else (128, 128)) for name, pair in found.items())
print("as described" if ok else "changed")
sys.exit(not ok)
PY
