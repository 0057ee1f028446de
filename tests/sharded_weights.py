"""Weights that torch shards, in a group of one process: for optim/test_sdprop.py."""

import pytest
import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

import nakami
from nakami.optim import KFAC, VSGD, HessianFree, NaturalGradient, SDProp, UnitwiseNaturalGradient
from nakami.recurrent import ExplosionMonitor, candidate_blocks
from nakami.results import UsageError


def checked(rank):
    whole, sharded = (nn.Linear(4, 8) for _ in range(2))
    sharded.load_state_dict(whole.state_dict())
    fully_shard(sharded, mesh=init_device_mesh("cpu", (1,)))
    x = torch.randn(5, 4)
    for settings in ({}, {"foreach": True}, {"capturable": True}, {"lr": torch.tensor(0.01)}):
        for model in (whole, sharded):
            optimizer = SDProp(model.parameters(), weight_decay=0.1, **settings)
            for _ in range(2):
                optimizer.zero_grad()
                model(x).square().mean().backward()
                optimizer.step()
        for w, p in zip(whole.parameters(), sharded.parameters(), strict=True):
            assert torch.equal(p.full_tensor(), w)
    for make in (KFAC, UnitwiseNaturalGradient, NaturalGradient, HessianFree):
        with pytest.raises(UsageError, match="hold weight whole, got a DTensor; train"):
            make(sharded, "mse")
    with torch.no_grad():  # which leaves the root's weights gathered
        sharded(x)
    assert not hasattr(sharded.weight, "device_mesh")
    with pytest.raises(UsageError, match="hold weight whole, got a gathered part; train with"):
        KFAC(sharded, "mse")
    with pytest.raises(UsageError, match="'weight' must be a plain tensor, got a gathered par"):
        nakami.jacobian(sharded, x[:1])
    assert not hasattr(sharded.weight, "device_mesh")  # as it was
    recurrent = fully_shard(nn.GRU(4, 3), mesh=init_device_mesh("cpu", (1,)))
    for part in ("DTensor", "gathered part"):
        with pytest.raises(UsageError, match=f"hold weight_hh_l0 whole, got a {part}; shard"):
            candidate_blocks(recurrent)
        with pytest.raises(UsageError, match=f"hold weight_hh_l0 whole, got a {part} of torch"):
            ExplosionMonitor(recurrent, torch.optim.SGD(recurrent.parameters(), lr=0.1))
        with torch.no_grad():
            recurrent(x)
    sharded.reshard()
    optimizer = VSGD(sharded.parameters(), "mse")
    out = sharded(x)
    with pytest.raises(UsageError, match=r"hold the weight of shape \(8, 4\) whole"):
        optimizer.observe(out, torch.zeros(5, 8))
    # a group of one process is no training of several
    optimizer = NaturalGradient(whole, "mse", kl_clip=None)
    optimizer.observe(out := whole(x), y := torch.zeros(5, 8))
    (out - y).square().mean().backward()
    optimizer.step()
    return "all of it"
