#!/usr/bin/env bash
# lightning 2.6.6: Trainer.fit leaves gradients on where they were off; validate and predict do not.
#
# Guess before the run: fit, validate and predict each set the mode of gradients they need and put
# back the caller's, so that torch.is_grad_enabled() is False again after each of them, whether
# torch.set_grad_enabled(False) or a torch.no_grad() block turned it off.
#
# Seen: after validate and predict it is False. After fit it is True, also for the rest of the
# no_grad block. A notebook that turned gradients off for good builds graphs again from its first
# training on, and holds their memory, without a word.
#
# Exits 0 while this is so, 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet torch==2.13.0 numpy==2.4.6 lightning==2.6.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PY'
import logging
import sys

import torch
from lightning.pytorch import LightningModule, Trainer

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


class Line(LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)

    def training_step(self, batch, index):
        return self.layer(batch).square().mean()

    def validation_step(self, batch, index):
        self.layer(batch)

    def predict_step(self, batch, index):
        return self.layer(batch)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def trainer():
    quiet = dict.fromkeys(("enable_checkpointing", "enable_progress_bar"), False)
    return Trainer(max_epochs=1, logger=False, accelerator="cpu", enable_model_summary=False, **quiet)


rows = torch.utils.data.DataLoader(torch.ones(8, 2), batch_size=4)
calls = {
    "fit": lambda: trainer().fit(Line(), rows),
    "validate": lambda: trainer().validate(Line(), rows, verbose=False),
    "predict": lambda: trainer().predict(Line(), rows),
}
seen = {}
for name, call in calls.items():
    torch.set_grad_enabled(False)
    call()
    off = torch.is_grad_enabled()
    torch.set_grad_enabled(True)
    with torch.no_grad():
        call()
        seen[name] = (off, torch.is_grad_enabled())
print(f"torch {torch.__version__}: gradients on afterwards (set off, in no_grad): {seen}")
wanted = {"fit": (True, True), "validate": (False, False), "predict": (False, False)}
sys.exit(seen != wanted)
PY
