"""What dropout does in a linear layer, exactly: all masks enumerated."""

from itertools import product

import pytest
import torch
from torch import nn
from torch.nn import functional as F

DOUBLE = {"dtype": torch.float64}


def masks(n):
    """All of them, ``(2^n, n)``."""
    return torch.tensor(list(product((0.0, 1.0), repeat=n)), **DOUBLE)


def test_the_geometric_mean_over_all_masks_is_the_network_without_dropout():
    torch.manual_seed(0)
    linear, x = nn.Linear(8, 4, **DOUBLE), 3 * torch.randn(8, **DOUBLE)
    net = nn.Sequential(nn.Dropout(0.5), linear).eval()
    logs = F.log_softmax(linear(masks(8) / 0.5 * x), 1)  # what training sees, each mask alike
    mean = F.softmax(logs.mean(0), 0)
    torch.testing.assert_close(mean, F.softmax(net(x), 0), rtol=1e-12, atol=0)
    assert (logs.exp().mean(0) - mean).abs().max() > 0.01  # the arithmetic mean is another


@pytest.mark.parametrize(("size", "within"), [(0.25, 0.04), (0.025, 0.0004)])
def test_dropout_of_a_logistic_regression_is_a_penalty_weighted_by_its_fisher_matrix(size, within):
    """Wager, Wang & Liang, NIPS 2013: to second order in ``x beta``."""
    torch.manual_seed(1)
    rate, beta = 0.1, size * torch.randn(10, **DOUBLE)
    rows = torch.randn(20, 10, **DOUBLE)
    kept = masks(10)
    chance = ((1 - rate) ** kept * rate ** (1 - kept)).prod(1)
    target = torch.randint(0, 2, (20,)).double()

    def loss(logit):
        return F.softplus(logit) - target * logit

    logits = (kept[:, None] / (1 - rate) * rows) @ beta
    extra = (chance @ (loss(logits) - loss(rows @ beta))).sum()
    p = torch.sigmoid(rows @ beta)
    wanted = rate / (1 - rate) / 2 * (p * (1 - p) * (rows.square() @ beta.square())).sum()
    assert extra.item() == pytest.approx(wanted.item(), rel=within)
    assert extra.item() != pytest.approx(wanted.item(), rel=within / 100)
