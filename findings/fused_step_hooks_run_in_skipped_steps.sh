#!/usr/bin/env bash
# torch 2.13.0: with fused=True a step that GradScaler skips still runs the optimizer's step hooks.
#
# Guess before the run: a step whose gradients are infinite is skipped by the scaler, so optimizer.step is
# not called and no hook of register_step_post_hook runs, whichever implementation the optimizer uses.
#
# Seen: that holds for the default and foreach implementations. Of fused ones (AdamW, SGD, Adagrad) the scaler
# calls step() all the same and hands over found_inf; the kernel leaves weights and the state's step as they
# were, but pre and post hooks run, with the infinite gradients still in .grad. So whatever a hook
# keeps (an average of weights, a count that drives a schedule, a log of gradient norms) moves on in a step
# that did not happen, only because of fused=True. While the hooks run, optimizer.found_inf is a tensor that
# says 1; without a scaler, and after the step, there is no such attribute. Ask for it in the hook.
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


def run(kind, **options):
    """For each of three steps, of which the second overflows: moved, hooks run, found_inf seen."""
    weight = torch.nn.Parameter(torch.ones(4))
    optimizer = kind([weight], lr=0.1, **options)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    seen, rows = [], []

    def hook(optimizer, args, kwargs):
        found = getattr(optimizer, "found_inf", None)
        seen.append((bool(weight.grad.isinf().any()), None if found is None else float(found)))

    optimizer.register_step_post_hook(hook)
    for factor in (1.0, float("inf"), 1.0):
        optimizer.zero_grad()
        scaler.scale(factor * weight.sum()).backward()
        before = weight.detach().clone()
        scaler.step(optimizer)
        scaler.update()
        rows.append(bool((weight.detach() != before).any()))
    return rows, seen, hasattr(optimizer, "found_inf")


ok = True
for kind in (torch.optim.AdamW, torch.optim.SGD, torch.optim.Adagrad):
    for options in ({}, {"foreach": True}, {"fused": True}):
        moved, seen, left = run(kind, **options)
        print(f"{kind.__name__:8s} {str(options):18s} moved {moved}, hooks saw (inf, found_inf) {seen}")
        ok &= moved == [True, False, True] and not left
        if options.get("fused"):
            ok &= seen == [(False, 0.0), (True, 1.0), (False, 0.0)]
        else:
            ok &= seen == [(False, None), (False, None)]
print("as described" if ok else "changed")
sys.exit(not ok)
PY
