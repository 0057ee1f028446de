"""A sheet split over gloo ranks, for training/test_split_sheet.py."""

import torch

from nakami.training import SplitSheet, Unsupervised, fit
from nakami.zoo.tica import TopographicICA

RANKS, ROWS = 2, 5  # so that the parts are of two sizes


def sheet(tied):
    """A sheet and whitened examples, in float64."""
    g = torch.Generator().manual_seed(0)
    x = torch.randn(60, 8, generator=g, dtype=torch.float64)
    return TopographicICA(8, (ROWS, 4), tied=tied, generator=g).double(), x


def learned(module, x):
    """The weights after some epochs of SGD, and the mean loss of each."""
    descent = torch.optim.SGD(module.parameters(), 0.01, momentum=0.9)
    losses = fit(Unsupervised(module, descent, module.objective), (x,), epochs=5, batch=20)
    return {name: p.detach().clone() for name, p in module.named_parameters()}, losses


def measured(rank):
    found = {}
    for tied in (True, False):
        whole, x = sheet(tied)
        part = SplitSheet(whole)
        share = part.objective(x).detach()
        _, losses = learned(part, x)
        part.gather(whole)
        weights = {name: p.detach().clone() for name, p in whole.named_parameters()}
        found[tied] = {
            "share": share,
            "losses": losses,
            "weights": weights,
            "held": sum(p.numel() for p in part.parameters()),
        }
    return found
