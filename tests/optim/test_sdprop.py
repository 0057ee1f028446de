"""What is SDProp's own: its twin by algebra, its safety, its places in other tools."""

import math

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.testing import assert_close

import nakami
from nakami.optim import KFAC, VSGD, HessianFree, NaturalGradient, SDProp, UnitwiseNaturalGradient
from nakami.optim._arithmetic import PIECE, Lists, Pieces
from nakami.recurrent import ExplosionMonitor, candidate_blocks
from nakami.results import UsageError


def beside_centred_rmsprop(dtype, mean, steps=500, gamma=0.9):
    """1000 weights whose gradients have a mean and the deviation 1, each way."""
    own, torchs = (nn.Parameter(torch.zeros(1000, dtype=dtype)) for _ in range(2))
    first = SDProp([own], gamma=gamma, max_step=math.inf)
    second = torch.optim.RMSprop([torchs], lr=1e-3, alpha=gamma, centered=True)
    gen = torch.Generator().manual_seed(0)
    for t in range(1, steps + 1):
        noise = torch.randn(1000, generator=gen, dtype=torch.float64)
        own.grad = torchs.grad = (mean + noise).to(dtype)
        second.param_groups[0]["lr"] = 1e-3 * math.sqrt(1 - gamma**t)
        first.step()
        second.step()
    return own.detach(), torchs.detach()


@pytest.mark.parametrize(("mean", "tolerance"), [(0, 5e-12), (1e2, 5e-12)])
def test_it_is_centred_rmsprop_where_numbers_do_not_cancel(mean, tolerance):
    own, torchs = beside_centred_rmsprop(torch.float64, mean)
    assert_close(own, torchs, rtol=tolerance, atol=1e-15)


def test_it_is_alive_where_centred_rmsprop_has_nan():
    own, torchs = beside_centred_rmsprop(torch.float32, 1e4)
    right, _ = beside_centred_rmsprop(torch.float64, 1e4)
    assert int(torchs.isnan().sum()) > 500
    assert_close(own.double(), right, rtol=2e-2, atol=0)


def test_the_variance_is_that_of_all_gradients_and_a_first_one_of_0():
    w, gen = nn.Parameter(torch.zeros(4, dtype=torch.float64)), torch.Generator().manual_seed(0)
    optimizer, seen = SDProp([w], gamma=0.9), [torch.zeros(4, dtype=torch.float64)]
    for _ in range(30):
        w.grad = 5 + torch.randn(4, generator=gen, dtype=torch.float64)
        seen.append(w.grad)
        optimizer.step()
    shares = torch.tensor([0.9**30, *(0.1 * 0.9 ** (30 - s) for s in range(1, 31))])
    gradients, shares = torch.stack(seen), shares.double()[:, None]
    mean = (shares * gradients).sum(0)
    variance = (shares * (gradients - mean) ** 2).sum(0)
    assert_close(optimizer.state[w]["grad_avg"], mean, rtol=1e-6, atol=0)
    assert_close(optimizer.state[w]["grad_var"], variance, rtol=1e-6, atol=0)


def test_without_a_bound_the_steps_of_the_paper_grow_and_the_bound_leaves_noisy_ones():
    def path(gradient, **settings):
        w = nn.Parameter(torch.zeros(1, dtype=torch.float64))
        optimizer, moves = SDProp([w], lr=1.0, gamma=0.9, **settings), []
        for t in range(150):
            w.grad = gradient(t)
            optimizer.step()
            moves.append(-float(w.detach()))
            w.data.zero_()
        return moves

    def steady(t):
        return torch.ones(1, dtype=torch.float64)

    noise = torch.randn(150, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    grown = path(steady, max_step=math.inf)
    assert grown[99] == pytest.approx(0.9**-50, rel=1e-4)  # 194
    assert grown[149] == pytest.approx(0.9**-75, rel=1e-3)  # 2700
    assert max(path(steady)) <= 1 / math.sqrt(0.9 * 0.1)
    assert max(path(steady, max_step=2)) == pytest.approx(2)
    noisy = path(lambda t: noise[t : t + 1])
    assert noisy == pytest.approx(path(lambda t: noise[t : t + 1], max_step=math.inf))


def test_lists_and_pieces_have_the_same_bits():
    group = SDProp([nn.Parameter(torch.zeros(1))]).param_groups[0]
    lists, pieces = Lists(), Pieces(torch.float32, PIECE + 9)
    gen = torch.Generator().manual_seed(0)
    whole = [torch.rand(PIECE + 9, generator=gen) for _ in range(3)]
    grads, *averages = ([t.clone()] for t in whole)
    (wanted,) = SDProp.moves(lists, grads, averages, group)
    found = []
    for grad, *own in pieces.of(whole):
        found.append(SDProp.moves(pieces, grad, own, group).clone())
    assert torch.equal(torch.cat(found), wanted)
    assert all(map(torch.equal, whole[1:], (own[0] for own in averages)))


def test_sharded_weights_of_fsdp_are_stepped_as_whole_ones(tmp_path):
    store = dist.FileStore(str(tmp_path / "store"), 1)
    dist.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
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
    finally:
        dist.destroy_process_group()
