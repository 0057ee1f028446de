#!/usr/bin/env bash
# torch 2.13.0: an optimizer built after any forward pass of a fully_shard model does not train the root's own weights.
#
# Guess before the run: after fully_shard the parameters of a model are DTensors for good, so it does not matter whether
# a pass (a first evaluation, a check of shapes) comes before or after the optimizer is built.
#
# Seen: the root keeps its weights gathered after a forward pass, under no_grad too, until the next backward pass. In
# between model.parameters() gives plain tensors for what the root holds itself (here embedding and head) and DTensors
# for blocks that are sharded on their own. An optimizer built there holds tensors that never get a gradient: the blocks
# train, embedding and head stay as they were, the loss falls, nothing is said. zero_grad() of that optimizer does not
# reach their gradients either: these add up from step to step. Right: build the optimizer before the first pass, call
# model.reshard() before it is built, or shard the root with reshard_after_forward=True.
#
# Exits 0 while this is so, 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet torch==2.13.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import sys

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

STEPS = 20


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Linear(4, 8), nn.Linear(8, 1)
        self.block = nn.Sequential(nn.Linear(8, 8), nn.ReLU())

    def forward(self, x):
        return self.head(self.block(self.embed(x)))


def whole(p):
    return (p.full_tensor() if hasattr(p, "full_tensor") else p).detach().clone()


def trained(first, **root):
    torch.manual_seed(0)
    net = Net()
    fully_shard(net.block, mesh=mesh)
    fully_shard(net, mesh=mesh, **root)
    x, y = torch.randn(16, 4), torch.randn(16, 1)
    if first != "nothing":
        with torch.no_grad():
            net(x)
    if first == "pass, reshard()":
        net.reshard()
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01, weight_decay=0.0)
    kinds = [type(p.data).__name__ for p in optimizer.param_groups[0]["params"]]
    before = {name: whole(p) for name, p in net.named_parameters()}
    losses, sizes = [], []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = (net(x) - y).square().mean()
        loss.backward()
        sizes.append(float(whole(net.head.bias.grad).abs()))
        optimizer.step()
        losses.append(loss.item())
    moved = [n for n, p in net.named_parameters() if not torch.equal(whole(p), before[n])]
    return {"kinds": kinds, "moved": moved, "losses": losses, "sizes": sizes}


dist.init_process_group("gloo", store=dist.FileStore("store", 1), rank=0, world_size=1)
mesh = init_device_mesh("cpu", (1,))
runs = {first: trained(first) for first in ("nothing", "pass", "pass, reshard()")}
runs["pass, reshard_after_forward=True"] = trained("pass", reshard_after_forward=True)
for name, run in runs.items():
    plain = run["kinds"].count("Tensor")
    print(
        f"before the optimizer: {name:33s} plain tensors {plain} of 6, moved {len(run['moved'])} of 6, loss "
        f"{run['losses'][0]:.3f} to {run['losses'][-1]:.3f}, gradient of head.bias {run['sizes'][0]:.2f} to {run['sizes'][-1]:.2f}"
    )
ok = sorted(runs["pass"]["kinds"]) == ["DTensor"] * 2 + ["Tensor"] * 4
ok &= sorted(runs["pass"]["moved"]) == ["block.0.bias", "block.0.weight"]
ok &= runs["pass"]["losses"][-1] < runs["pass"]["losses"][0]
ok &= runs["pass"]["sizes"][-1] > 5 * runs["pass"]["sizes"][0]
for name, run in runs.items():
    if name != "pass":
        ok &= len(run["moved"]) == 6 and run["kinds"] == ["DTensor"] * 6
        ok &= run["losses"][-1] < runs["pass"]["losses"][-1]
print("as described" if ok else "changed")
dist.destroy_process_group()
sys.exit(not ok)
PY
