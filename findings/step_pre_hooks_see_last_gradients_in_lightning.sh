#!/usr/bin/env bash
# lightning 2.6.6, torch 2.13.0: an optimizer's step pre-hook runs before the forward pass of its own step.
#
# Guess before the run: torch says that a hook of register_step_pre_hook is called before the step, so in a
# Trainer with automatic optimization it sees in .grad the gradients that this step is made with, as in a
# loop of one's own.
#
# Seen: the Trainer hands forward, zero_grad and backward to optimizer.step as its closure. Pre-hooks run before the
# closure. In the first step they see no gradients; in every later one those of the step before (already used,
# clipped if the Trainer clips). A log of gradient norms in a pre-hook is one step late, and a hook that
# changes gradients (noise, a clip of one's own) changes what zero_grad throws away: nothing, without a word. With
# manual optimization, and with Fabric, the hook sees the gradients of its own step. Post-hooks and the module's
# on_before_optimizer_step are right in all of them.
#
# Exits 0 while this is so, 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet torch==2.13.0 lightning==2.6.6 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import logging
import sys
import warnings

import lightning.pytorch as lit
import torch
from lightning.fabric import Fabric

warnings.filterwarnings("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
STEPS = 4  # the gradient of step t is t, at any weight


class Module(lit.LightningModule):
    def __init__(self, manual):
        super().__init__()
        self.automatic_optimization = not manual
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen = {"pre": [], "post": [], "module": []}

    def training_step(self, batch, index):
        loss = (self.weight * batch[0]).sum()
        if self.automatic_optimization:
            return loss
        optimizer = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()

    def on_before_optimizer_step(self, optimizer):
        self.seen["module"].append(gradient(self.weight))

    def configure_optimizers(self):
        return hooked(torch.optim.SGD([self.weight], lr=0.1), self.weight, self.seen)


def gradient(weight):
    return None if weight.grad is None else round(float(weight.grad), 3)


def hooked(optimizer, weight, seen, halve=False):
    def pre(*_):
        seen["pre"].append(gradient(weight))
        if halve and weight.grad is not None:
            weight.grad.mul_(0.5)

    optimizer.register_step_pre_hook(pre)
    optimizer.register_step_post_hook(lambda *_: seen["post"].append(gradient(weight)))
    return optimizer


def batches():
    data = torch.arange(1.0, STEPS + 1)[:, None]
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(data), batch_size=1)


def trained(module):
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    lit.Trainer(max_epochs=1, accelerator="cpu", **quiet).fit(module, batches())
    return module


own = [1.0, 2.0, 3.0, 4.0]
automatic, manual = trained(Module(False)), trained(Module(True))
for name, module in (("automatic", automatic), ("manual", manual)):
    print(f"{name:10s}", {k: v for k, v in module.seen.items() if v})

seen, fabric = {"pre": [], "post": []}, Fabric(accelerator="cpu", devices=1)
net = torch.nn.Linear(1, 1, bias=False)
_, optimizer = fabric.setup(net, hooked(torch.optim.SGD(net.parameters(), lr=0.1), net.weight, seen))
for t in own:
    optimizer.zero_grad()
    fabric.backward((net.weight * t).sum())
    optimizer.step()
print(f"{'Fabric':10s}", seen)


class Halving(Module):
    def configure_optimizers(self):
        return hooked(torch.optim.SGD([self.weight], lr=0.1), self.weight, self.seen, halve=True)


moved = {name: round(float(trained(Halving(name == "manual")).weight), 3) for name in ("automatic", "manual")}
print("moved with a pre-hook that halves the gradient:", moved)

ok = automatic.seen == {"pre": [None, 1.0, 2.0, 3.0], "post": own, "module": own}
ok &= manual.seen["pre"] == own and manual.seen["post"] == own
ok &= seen == {"pre": own, "post": own}
ok &= moved == {"automatic": -1.0, "manual": -0.5}
print("as described" if ok else "changed")
sys.exit(not ok)
PY
