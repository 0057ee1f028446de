"""Tiny restricted Boltzmann machines, and what enumeration of all their states says of them."""

import itertools

import torch

from nakami.zoo.rbm import RBM


def states(n):
    return torch.tensor(list(itertools.product((0.0, 1.0), repeat=n)), dtype=torch.float64)


def tiny(visible=4, hidden=3, seed=0):
    g = torch.Generator().manual_seed(seed)
    rbm = RBM(visible, hidden, generator=g, dtype=torch.float64)
    with torch.no_grad():
        for p in rbm.parameters():
            p.copy_(torch.randn(p.shape, generator=g, dtype=torch.float64))
    return rbm


def energies(rbm, factor=1):
    """``E(v, h)`` of all states, ``(2^visible, 2^hidden)``, as the definition says."""
    w, a, b = factor * rbm.weight, rbm.visible_bias, rbm.hidden_bias
    v, h = states(len(a)), states(len(b))
    return -(v @ a)[:, None] - (h @ b)[None, :] - torch.einsum("ni,ji,mj->nm", v, w, h)


def expected_cd(rbm, v, k, factors=(1, 1)):
    """Exact mean of the CD-k direction of the weights: the chain's law, pushed k times.

    With factors the way up is that of the machine with weights ``up W``, the way down ``down W``.
    """
    visible, hidden = states(4), states(3)
    up = torch.softmax(-energies(rbm, factors[0]), 1)  # p(h | v), rows v
    down = torch.softmax(-energies(rbm, factors[1]), 0).T  # p(v | h), rows h
    start = (visible[None] == v[:, None]).all(2).double()
    law = start @ torch.linalg.matrix_power(up @ down, k)  # of the last visible state
    p = up @ hidden
    data = (start @ (p[:, :, None] * visible[:, None, :]).flatten(1)).mean(0)
    model = (law @ (p[:, :, None] * visible[:, None, :]).flatten(1)).mean(0)
    return (data - model).reshape(3, 4)
