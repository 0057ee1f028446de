"""Layers of ``nakami.nn`` as two gloo ranks train them, for nn/test_distributed_layers.py."""

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from layer_list import CASES, made
from nakami.nn import MaxNorm

RANKS, LIMIT = 2, 0.4


def network(name, training=False):
    """The layer with a linear one behind it, so that all have weights; and inputs of both ranks."""
    layer, x, _ = made(name)
    width = layer(x).flatten(1).shape[1]
    with torch.random.fork_rng():
        torch.manual_seed(1)
        net = nn.Sequential(layer, nn.Flatten(), nn.Linear(width, 3).double())
    return net.train(training), x


def part(x, rank):
    size = len(x) // RANKS
    return x[rank * size : (rank + 1) * size]


def gradients(net, x, seed=0):
    """Of the mean square of the outputs; the seed is that of masks."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        loss = net(x).square().mean()
    net.zero_grad()
    loss.backward()
    return [p.grad.clone() for p in net.parameters()]


def stepped(net, x, wrap=lambda net: net):
    """The weights after three steps with a bound on their lengths."""
    optimizer = torch.optim.SGD(net.parameters(), 0.3, momentum=0.5)
    MaxNorm(net, LIMIT).attach(optimizer)
    wrapped = wrap(net)
    for _ in range(3):
        optimizer.zero_grad()
        wrapped(x).square().mean().backward()
        optimizer.step()
    return [p.detach() for p in net.parameters()]


def measured(rank):
    found = {}
    for name in CASES:
        for training in (False, True):
            net, x = network(name, training)
            wrapped = DistributedDataParallel(net)
            found[name, training] = gradients(wrapped, part(x, rank), seed=rank)
        net, x = network(name)
        found[name, "steps"] = stepped(net, part(x, rank), DistributedDataParallel)
    return found
