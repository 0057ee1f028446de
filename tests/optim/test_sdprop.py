"""What is SDProp's own: its twin by algebra, its safety, its places in other tools."""

import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from nakami.optim import SDProp
from nakami.optim._arithmetic import PIECE, Lists, Pieces
from ranks import measured_by


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
    assert measured_by("sharded_weights:checked", 1, tmp_path) == ["all of it"]
