#!/usr/bin/env bash
# torch 2.13.0: of one process only the first GRU exported to ONNX keeps a time axis that may change.
#
# Guess before the run: torch.onnx.export is a function of its arguments. The same GRU exported twice with
# dynamic_shapes that name batch and time gives the same file twice; an axis that cannot stay is an error.
# Second guess, when that was wrong: the cache of fake tensors, so FakeTensorMode.cache_clear() helps.
#
# Seen: the second file has the example's length written into its input, without an error, and onnxruntime
# refuses any other length. Clearing the fake tensors' cache changes nothing. While it captures, the exporter
# puts a loop over time in place of aten.gru in OpOverload.py_kernels, and takes it out again; but an
# OpOverload keeps what it looked up in _dispatch_cache, which neither step clears. The first export looks the loop
# up; what is left in the cache at its end is the usual kernel, which unrolls. Clearing _dispatch_cache of
# torch.ops.aten.gru.input before an export gives the axis back. LSTM is the same.
#
# Exits 0 while this is so, 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet torch==2.13.0 numpy==2.4.6 onnx==1.23.2 onnxscript==0.7.2
"$folder/venv/bin/python" - 2>/dev/null <<'PY'
import sys

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.export import Dim


def axes(kind):
    """Axes of the input in the file: names may change, numbers are fixed."""
    torch.manual_seed(0)
    net, x = kind(3, 5, batch_first=True).eval(), torch.randn(2, 6, 3)
    shapes = ({0: Dim("batch"), 1: Dim("time")},)
    program = torch.onnx.export(net, (x,), dynamo=True, dynamic_shapes=shapes, verbose=False)
    dims = program.model_proto.graph.input[0].type.tensor_type.shape.dim
    return [dim.dim_param or dim.dim_value for dim in dims]


ok = True
for kind, operator in ((torch.nn.GRU, torch.ops.aten.gru), (torch.nn.LSTM, torch.ops.aten.lstm)):
    first, second = axes(kind), axes(kind)
    FakeTensorMode.cache_clear()
    third = axes(kind)
    operator.input._dispatch_cache.clear()
    fourth = axes(kind)
    print(f"{kind.__name__}: first {first}, second {second}")
    print(f"{kind.__name__}: fake tensors' cache cleared {third}, dispatch cache cleared {fourth}")
    ok &= first == fourth == ["batch", "time", 3] and second == third == ["batch", 6, 3]
print("as described" if ok else "changed")
sys.exit(not ok)
PY
