#!/usr/bin/env bash
# torch 2.13.0: on CPU processes FSDP2 takes means of gradients, but a divide factor is refused late.
#
# Guess before the run: `set_gradient_divide_factor(1.0)`, "the plain sum, with no division", is the
# simplest of all reductions and works wherever the default mean does; if a backend could not do it, the
# call itself would say so.
#
# Seen: with gloo the default mean trains. With any factor set, 1.0 too, the setter and the forward pass
# are silent and the first backward pass ends in "Cannot use ReduceOp.PREMUL_SUM with Gloo", as the
# factor is handed to the collective. `set_force_sum_reduction_for_comms(True)` beside it makes the
# same factor work, to the plain sum: twice the mean of two ranks.
#
# Exits 0 while this is so, 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet torch==2.13.0 numpy==2.4.6
cat > "$folder/ranks.py" <<'PY'
import sys

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

dist.init_process_group("gloo")
rank = dist.get_rank()
mesh = init_device_mesh("cpu", (2,))


def gradient(way):
    torch.manual_seed(0)
    net = fully_shard(nn.Linear(4, 2), mesh=mesh)
    if way != "mean":
        net.set_gradient_divide_factor(1.0)
    if way == "factor and sum":
        net.set_force_sum_reduction_for_comms(True)
    x = torch.full((3, 4), 1.0 + rank)
    loss = net(x).sum()
    try:
        loss.backward()
    except RuntimeError as error:
        return str(error)
    return net.weight.grad.full_tensor()[0, 0].item()


seen = [gradient("mean"), gradient("factor and sum"), gradient("factor")]
if rank == 0:
    print(f"torch {torch.__version__}: mean {seen[0]}, factor 1.0 and forced sum {seen[1]}, factor 1.0: {seen[2]}", flush=True)
right = seen[0] == 4.5 and seen[1] == 9.0 and "Cannot use ReduceOp.PREMUL_SUM with Gloo" in str(seen[2])
with open(f"{sys.argv[1]}-{rank}", "w") as file:
    file.write("as seen" if right else "changed")
PY
export OMP_NUM_THREADS=1
"$folder/venv/bin/torchrun" --standalone --nproc-per-node 2 "$folder/ranks.py" "$folder/seen" 2>"$folder/errors" \
    || { cat "$folder/errors"; exit 1; }
[ "$(cat "$folder/seen-0")" = "as seen" ] && [ "$(cat "$folder/seen-1")" = "as seen" ]
