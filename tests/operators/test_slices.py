"""Batches whose states outweigh the parameters run in slices: the same numbers, fewer bytes."""

import gc
import itertools

import pytest
import torch
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

import nakami
from checks import spread
from gauntlet import Reference
from nakami.operators.autodiff import _memory
from nakami.operators.autodiff._sharing import _States
from nakami.operators.curvature import _data
from nakami.operators.model._put_back import memory
from nakami.operators.per_example._independence import rows_of
from operators.test_whole_batches import NETWORKS, TARGETS, prepared

COMPARES = ("contrastive", "worst half", "spread")  # losses that are no sum over examples
MIXES = ("normalised by the batch", "the last rows mix", "running sum", "graph", "LSTM, time first")


@pytest.fixture
def thin(monkeypatch):
    """Slices of hardly any bytes, whatever the parameters weigh."""
    monkeypatch.setattr(_data, "SLICE", 64)
    monkeypatch.setattr(_data, "OUTWEIGH", 0)


@pytest.mark.parametrize(("name", "kind"), spread(NETWORKS, TARGETS, every=10))
def test_slices_are_the_matrices_of_the_whole_batch(name, kind, thin):
    model, (x, y, loss) = prepared(name, kind)
    reference = Reference(model)
    for which in ("ggn", "hessian"):
        op = getattr(nakami, which)(model, (x, y), loss)
        assert len(op.parts) == 1 or (name not in MIXES and kind not in COMPARES)
        assert op.value == pytest.approx(reference.value(x, y, loss), rel=1e-12)
        wanted = getattr(reference, which)(x, y, loss)
        v = torch.randn(len(wanted), 2, generator=torch.Generator().manual_seed(4)).double()
        assert_close(op @ v, wanted @ v, rtol=1e-8, atol=1e-10)
        if which == "ggn":
            assert nakami.trace(op, 1e-9).value == pytest.approx(float(wanted.trace()), rel=1e-6)


def test_products_in_float64_are_right_to_rounding(thin):
    model, (x, y, loss) = prepared("convolutional", "cross-entropy")
    wanted = Reference(model).ggn(x, y, loss)
    op = nakami.fisher(model, (x, y), "cross_entropy")
    assert len(op.parts) == len(x)
    v = torch.randn(len(wanted), 3, generator=torch.Generator().manual_seed(0)).double()
    assert_close(op @ v, wanted @ v, rtol=1e-12, atol=1e-12 * float((wanted @ v).abs().max()))
    assert nakami.trace(op).value == pytest.approx(float(wanted.trace()), rel=1e-12)


def test_statistics_of_the_batch_are_of_all_of_it(thin):
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2)).double()
    x, y = torch.randn(8, 3).double(), torch.arange(8) % 2
    model[1].running_mean.fill_(0.1)
    view = nakami.View(model, batch_statistics=True)
    assert len(nakami.fisher(view, (x, y), "cross_entropy").parts) == 1
    assert len(nakami.fisher(model, (x, y), "cross_entropy").parts) == 8


def test_slices_hold_so_many_bytes_and_are_alike(monkeypatch):
    monkeypatch.setattr(_data, "SLICE", 2 << 20)
    model = nn.Sequential(nn.Unflatten(1, (1, 40)), nn.Conv1d(1, 64, 5), nn.ReLU(), nn.Flatten())
    model.append(nn.Linear(36 * 64, 2))
    x, y = torch.randn(300, 40), torch.arange(300) % 2
    each = 4 * (40 + 40 + 3 * 36 * 64 + 2)  # bytes of the states of an example
    op = nakami.fisher(model, (x, y), "cross_entropy")
    counts = [part.examples.count for part in op.parts]
    assert len(counts) > 1
    assert max(counts) * each <= 1.01 * _data.SLICE
    assert max(counts) - min(counts) <= len(counts)
    many = nn.Sequential(nn.Linear(40, 2000), nn.ReLU(), nn.Linear(2000, 2))
    assert len(nakami.fisher(many, (x[:50], y[:50]), "cross_entropy").parts) == 1


def test_layers_rows_are_known_from_the_cut(thin):
    for name in ("plain", "sorted", "half sorted", "convolutional"):
        model, (x, y, _) = prepared(name, "squared error")
        op = nakami.ggn(model, (x, y), nn.MSELoss())
        modules = {name.rpartition(".")[0] for name in op.names}
        for part in op.parts:
            known = rows_of(part.examples, modules)
            part.examples.own = None
            assert known is not None
            assert known <= (rows_of(part.examples, modules) or frozenset())


class _Storages(TorchDispatchMode):
    """Notes what is made of at least so many bytes."""

    def __init__(self, least):
        super().__init__()
        self.least, self.seen, self.sizes = least, {}, {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for each in out if isinstance(out, (tuple, list)) else [out]:
            if isinstance(each, torch.Tensor) and each.untyped_storage().nbytes() >= self.least:
                ref = StorageWeakRef(each.untyped_storage())
                self.seen[ref.cdata] = ref
                self.sizes[ref.cdata] = each.untyped_storage().nbytes()
        return out

    def bytes(self):
        gc.collect()
        return sum(self.sizes[key] for key, ref in self.seen.items() if not ref.expired())

    def left(self):
        gc.collect()
        return sum(not ref.expired() for ref in self.seen.values())


def test_both_graphs_that_stay_hold_the_states_once():
    sizes = (6, 30, 30, 30, 4)
    layers = [nn.Linear(a, b) for a, b in itertools.pairwise(sizes)]
    model = nn.Sequential(*(part for layer in layers for part in (layer, nn.ReLU())))
    x, y = torch.randn(500, 6), torch.arange(500) % 4
    op = nakami.fisher(model, (x, y), "cross_entropy")
    v = torch.ones(op.shape[0], 1)
    with _Storages(4 * 500 * 30) as made:
        first = op @ v
    assert len(op.parts) == 1
    assert made.left() == 3 + 1  # what each layer gives, and what no direction enters the first by
    assert torch.equal(op @ v, first)


def test_what_stays_between_products_keeps_to_the_budget():
    model = nn.Sequential(nn.Linear(2, 40), nn.Tanh(), nn.Linear(40, 40), nn.Tanh())
    model.append(nn.Linear(40, 2))
    x, y, stays = torch.randn(800, 2), torch.arange(800) % 2, []
    for budget in (200_000, 6_000_000):
        op = nakami.fisher(model, (x, y), "cross_entropy", memory_budget=budget)
        with _Storages(1000) as made:
            op @ torch.ones(op.shape[0])
        assert all(part.keep == (budget == 6_000_000) for part in op.parts)
        stays.append(made.bytes())
        assert stays[-1] <= budget
    assert stays[1] > 10 * stays[0]  # inputs and outputs alone, and the states of all examples


def test_states_are_shared_where_the_numbers_are_the_same():
    a, b = torch.randn(5, 4), torch.randn(5, 4)
    held = _States([a, b.T])
    assert memory(held.taken(b.clone())) == memory(b)
    for other in (a + 1e-6, a.double(), torch.full((5, 4), torch.nan)):
        assert torch.equal(held.taken(other).nan_to_num(), other.nan_to_num())
        assert memory(held.taken(other)) == memory(other)


@pytest.mark.parametrize("batches", [1, 6])
def test_batches_share_the_weights(batches):
    model = nn.Sequential(nn.Linear(30, 200), nn.Tanh(), nn.Linear(200, 4))
    count = sum(p.numel() for p in model.parameters())
    x, y = torch.randn(12, 30), torch.arange(12) % 4
    data = list(zip(x.chunk(batches), y.chunk(batches), strict=True))
    with _Storages(4 * count) as made:
        op = nakami.fisher(model, data, "cross_entropy")
        op @ torch.ones(count, 1)
    assert len(op.parts) == batches
    assert made.left() == 1  # the flat weights


def test_memory_is_given_back_after_work_that_passes_through_much(monkeypatch):
    asked = []
    monkeypatch.setattr(_memory, "_trim", lambda: asked.append)
    _memory.give_back_memory(torch.device("cpu"), _memory.MUCH - 1)
    _memory.give_back_memory(torch.device("cuda"), _memory.MUCH)
    assert asked == []
    _memory.give_back_memory(torch.device("cpu"), _memory.MUCH)
    assert asked == [0]
    monkeypatch.setattr(_memory, "_trim", lambda: None)  # another C library
    _memory.give_back_memory(torch.device("cpu"), _memory.MUCH)
