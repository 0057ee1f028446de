#!/usr/bin/env bash
# rbms 0.5.0: with weights of examples, CD takes the heavy ones out of the model's side.
#
# Guess before the run: a weighted example weighs the same in both halves of the update, so that a
# machine whose reconstructions equal the data gets no gradient; or the chains all weigh the same.
#
# Seen: the data's half weighs an example by w / sum(w), the chains' half, which starts from the same
# examples, by softmax(-w). With weights 5 and 0.5 the mean of a pixel is 0.90 on one side and 0.01
# on the other, from the same 200 rows, and the bias gets a gradient of 0.89. With equal weights, and
# with persistent chains (whose weights are ones), the halves agree. The update is the one that the
# library's `train` makes with training_type="cd". No warning.
#
# Exits 0 while this is so, 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet rbms==0.5.0 torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import sys
from importlib.metadata import version

import torch
from rbms.bernoulli_bernoulli.classes import BBRBM
from rbms.training.pcd import fit_batch_pcd

print("rbms", version("rbms"))
pixels = 6
v = torch.bernoulli(torch.full((200, pixels), 0.5), generator=torch.Generator().manual_seed(0))
copying = BBRBM(40 * torch.eye(pixels), torch.full((pixels,), -20.0), torch.full((pixels,), -20.0))


def halves(weights):
    """The gradient of the first pixel's bias where the reconstructions equal the data."""
    copying.init_grad()
    copying.normalize_grad = lambda: None
    chains = copying.init_chains(len(v), weights=weights, start_v=v)
    chains, _ = fit_batch_pcd((v, weights), chains, copying, 1, 1.0, centered=False)
    assert torch.equal(chains["visible"], v)
    data = (v[:, 0] * weights).sum() / weights.sum()
    gradient = float(copying.vbias.grad[0])
    print(f"data {float(data):.3f}  chains {float(data) - gradient:.3f}  gradient {gradient:.3f}")
    return gradient


print("equal weights")
equal = halves(torch.ones(len(v)))
print("5 where the first pixel is on, 0.5 elsewhere")
weighted = halves(torch.where(v[:, 0] > 0, 5.0, 0.5))
sys.exit(not (abs(equal) < 1e-5 and weighted > 0.8))
PY
