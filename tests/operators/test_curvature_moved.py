"""A curvature matrix at other weights, and batch by batch."""

import copy

import pytest
import torch
from torch.testing import assert_close

import nakami
from curvatures import case


def test_moved_is_the_matrix_of_a_moved_model():
    for name in ("classes", "tokens", "cnn"):
        model, x, y, loss = case(name)
        op = nakami.ggn(model, (x, y), loss)
        other = copy.deepcopy(model)
        gen = torch.Generator().manual_seed(1)
        for p in other.parameters():
            p.data += 0.3 * torch.randn(p.shape, generator=gen, dtype=p.dtype)
        point = torch.cat([p.detach().reshape(-1) for p in other.parameters()])
        wanted = nakami.ggn(other, (x, y), loss)
        moved = op.moved(point)
        assert_close(moved.dense(), wanted.dense())
        assert_close(moved.kernel.dense(), wanted.kernel.dense())
        assert_close(moved.gradient(), wanted.gradient())
        assert_close(op.gradient(point), wanted.gradient())
        assert moved.value == pytest.approx(wanted.value)
        assert not torch.allclose(moved.dense(), op.dense())


def test_a_sampled_matrix_draws_anew_by_the_same_numbers():
    model, x, y, loss = case("classes")
    op = nakami.fisher(model, (x, y), loss, samples=2)
    point = 1.5 * torch.cat([p.detach().reshape(-1) for p in model.parameters()])
    moved = op.moved(point)
    with torch.no_grad():
        for p in model.parameters():
            p *= 1.5
    wanted = nakami.fisher(model, (x, y), loss, samples=2).dense()
    point += 1  # it was copied
    assert_close(moved.dense(), wanted)


@pytest.mark.parametrize("budget", [None, 3000])
def test_each_batch(budget):
    model, x, y, loss = case("classes")
    batches = [(x[:3], y[:3]), (x[3:5], y[3:5]), (x[5:7], y[5:7])]
    op = nakami.ggn(model, batches, loss, memory_budget=budget)
    found = op.by_batch()
    assert [len(part.parts) > 1 for part in found] == [budget is not None] * 3
    for part, batch in zip(found, batches, strict=True):
        alone = nakami.ggn(model, batch, loss)
        assert_close(part.dense(), alone.dense())
        assert_close(part.gradient(), alone.gradient())
        assert part.n_samples == len(batch[1])
