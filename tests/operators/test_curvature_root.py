"""Roots, duals, blocks, drawn targets and batch statistics of Fisher matrices, against dense."""

import copy

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import nakami
from checks import check_operator
from curvatures import NETWORKS, Dense, case, network


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_eigenpairs_through_the_root(dtype):
    model, x, y, loss = case("classes")  # 36 rows, 53 parameters
    op = nakami.fisher(nakami.View(model, dtype=dtype), (x, y), loss)
    dense = Dense(model, x, y, loss).fisher()
    true = torch.linalg.eigvalsh(dense).flip(0)
    rough = 50 * torch.finfo(dtype).eps
    for k in (3, 24, 36):  # the rank is 24
        top = nakami.eigh(op, k)
        assert (top.method, top.converged) == ("root", True)
        assert_close(top.values, true[:k], rtol=0, atol=rough)
        v = top.vectors.double()
        assert_close(v.T @ v, torch.eye(k).double(), rtol=0, atol=10 * rough)
        real = (dense @ v - v * top.values).norm(dim=0)
        assert_close(top.residuals, real, rtol=0, atol=rough)
        assert top.n_products < op.shape[0] + k
        assert_close(nakami.svd(op.root, k).values.square(), true[:k], rtol=0, atol=rough)
    assert nakami.eigh(op, 40).method == "dense"  # more than the root has rows
    assert nakami.eigh(op, 3, which="smallest").method == "dense"


def test_eigenpairs_through_the_root_by_krylov_steps_and_a_warm_start(monkeypatch):
    monkeypatch.setattr("nakami.spectra._svd.SMALL_SIDE", 100)  # as if it had many more rows
    gen = torch.Generator().manual_seed(0)
    x, y = torch.randn(150, 10, generator=gen), torch.randint(0, 3, (150,), generator=gen)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(10, 50), nn.Tanh(), nn.Linear(50, 3)).double()
    op = nakami.fisher(model, (x.double(), y), "cross_entropy")
    assert op.root.shape == (450, 703)
    true, vectors = torch.linalg.eigh(op.dense())
    start = vectors[:, -4:] + 0.01 * torch.randn(703, 4, generator=gen, dtype=torch.float64)
    for options in ({}, {"start": start}):
        top = nakami.eigh(op, 4, tol=1e-6, **options)
        assert top.settings["root"] == "krylov"
        assert_close(top.values, true.flip(0)[:4], rtol=1e-6, atol=0)
        miss = (top.values - true.flip(0)[:4]).abs() / top.values
        assert (miss <= top.errors + 1e-14).all()  # the errors bound what is missed
    left = nakami.eigh(op, 4, method="krylov")
    assert left.method == "krylov"
    assert_close(left.values, top.values, rtol=1e-4, atol=0)


def test_what_the_root_does_not_reach_is_said(monkeypatch):
    monkeypatch.setattr("nakami.spectra._svd.SMALL_SIDE", 100)
    _, x, y, loss = case("classes")
    wide = nn.Sequential(nn.Linear(6, 60), nn.Tanh(), nn.Linear(60, 40)).double()
    op = nakami.fisher(wide, (x, y), loss)
    with pytest.warns(UserWarning, match="eigh did not converge: .* of 4 values above tol"):
        top = nakami.eigh(op, 4, tol=1e-10, max_products=4)
    assert not top.converged


def test_kernel_and_second_moment():
    model, x, y, loss = case("squared")
    op = nakami.fisher(model, (x, y), loss)
    dense = Dense(model, x, y, loss)
    rows = dense.jac.reshape(-1, dense.jac.shape[-1])
    check_operator(op.kernel, rows @ rows.T / len(x))
    assert op.kernel.root.shape == op.root.T.shape
    values = torch.linalg.eigvalsh(dense.fisher())
    assert_close(torch.linalg.eigvalsh(op.kernel.dense()).flip(0)[:30], values.flip(0)[:30])
    wanted = float(values.square().sum())
    found = op.second_moment()
    assert found.value == pytest.approx(wanted, rel=1e-12)
    assert (found.exact, found.n_products) == (True, 0)
    assert found.reason == "exact: the squared norm of a 36 x 36 matrix"
    hessian = nakami.hessian(model, (x, y), loss)
    wanted = float(dense.hessian(y).square().sum())
    assert hessian.second_moment().value == pytest.approx(wanted, rel=1e-9)
    assert hessian.kernel is None


@pytest.mark.parametrize("name", NETWORKS)
def test_the_dense_kernel_of_every_network(name, monkeypatch):
    model, x, y, _ = network(name)
    loss = nn.CrossEntropyLoss()
    rows = Dense(model, x, y, loss).rows()
    parts = [(x[:3], y[:3]), (x[3:], y[3:])]
    op = nakami.fisher(model, parts, loss)
    assert_close(op.kernel.dense(), rows @ rows.T)
    assert nakami.eigh(op.kernel, 1).method == "dense"
    small = nakami.fisher(model, (x, y), loss, memory_budget=40_000)  # blocks of some rows
    with monkeypatch.context() as patch:  # no products
        patch.setattr("nakami.spectra.Gram.dense", None)
        assert_close(small.kernel.dense(), rows @ rows.T)


@pytest.mark.parametrize(
    "options", [{"kind": "empirical_fisher"}, {"samples": 2}, {"params": "*weight"}]
)
def test_the_dense_kernel_of_other_roots(options):
    model, x, y, loss = case("tokens")
    make = getattr(nakami, options.pop("kind", "fisher"))
    op = make(model, (x, y), loss, **options)
    root = op.root.dense()
    assert_close(op.kernel.dense(), root @ root.T)


@pytest.mark.parametrize("budget", [100, 20_000])
def test_the_dense_kernel_with_little_room(budget):
    model, x, y, loss = case("classes")
    few = len(x) if budget > 100 else 2
    data = (x[:few], y[:few])
    op = nakami.fisher(model, data, loss, params="2.*", memory_budget=budget)
    assert op.kernel.stored == (budget > 100)  # blocks of 17 rows, or products
    root = op.root.dense()
    assert_close(op.kernel.dense(), root @ root.T)


def test_the_dense_kernel_where_examples_mix():
    _, x, y, loss = case("classes")
    op = nakami.fisher(nakami.View(normalised(), batch_statistics=True), (x, y), loss)
    root = op.root.dense()
    assert_close(op.kernel.dense(), root @ root.T)


def test_second_moment_by_an_estimate(monkeypatch):
    torch.manual_seed(0)
    x, y = torch.randn(200, 12), torch.randint(0, 3, (200,))
    model = nn.Sequential(nn.Linear(12, 60), nn.Tanh(), nn.Linear(60, 3))
    op = nakami.fisher(model, (x, y), "cross_entropy")
    wanted = float(op.dense().double().square().sum())
    found = op.second_moment()
    assert found.exact
    assert found.value == pytest.approx(wanted, rel=1e-5)
    monkeypatch.setattr("nakami.spectra._operator.MIDDLE", 600 * 600 - 1)  # too many entries
    found = op.second_moment(rtol=0.1)
    assert not found.exact
    assert abs(found.value - wanted) < 4 * found.se + 1e-5 * wanted
    assert found.se < 0.1 * found.value


@pytest.mark.parametrize("kind", ["fisher", "empirical_fisher", "hessian"])
def test_blocks_of_layers(kind):
    model, x, y, loss = case("classes")
    op = getattr(nakami, kind)(model, (x, y), loss)
    block = op.layer("2.*")
    assert block.names == ("2.weight", "2.bias")
    assert block.value == op.value
    check_operator(block, op.dense()[-18:, -18:])
    if kind != "hessian":
        shares = op.trace_by_parameter()
        assert nakami.trace(block).value == pytest.approx(shares["2.weight"] + shares["2.bias"])
    with pytest.raises(ValueError, match=r"pattern '3\.\*' is unknown; nearest: "):
        op.layer("3.*")
    assert op.layer("2.*").layer("*.bias").shape == (3, 3)


@pytest.mark.parametrize("name", ["classes", "squared", "bernoulli", "tokens"])
def test_drawn_targets_on_average(name):
    model, x, y, loss = case(name)
    state = torch.get_rng_state()
    full = nakami.fisher(model, (x, y), loss).dense()
    op = nakami.fisher(model, (x, y), loss, samples=400, seed=1)
    drawn = op.dense()
    assert torch.equal(state, torch.get_rng_state())
    assert float((drawn - full).norm() / full.norm()) < 0.1
    root = op.root.dense()
    assert_close(root.T @ root, drawn)
    few = nakami.fisher(model, (x, y), loss, samples=8)
    found, error = nakami.trace(few).value, few.sampling_error()
    assert found == pytest.approx(float(few.dense().trace()), rel=1e-10)
    assert 0 < error < 0.2 * found
    assert abs(found - float(full.trace())) < 4 * error
    assert not torch.allclose(few.dense(), full, rtol=1e-2)  # another matrix


def test_the_standard_error_of_drawn_targets_is_their_scatter():
    model, x, y, loss = case("tokens")
    ops = [nakami.fisher(model, (x, y), loss, samples=4, seed=s) for s in range(40)]
    traces = torch.tensor([nakami.trace(op).value for op in ops])
    errors = torch.tensor([op.sampling_error() for op in ops])
    assert float(traces.std()) == pytest.approx(float(errors.square().mean().sqrt()), rel=0.35)


def test_draws_do_not_depend_on_batches():
    model, x, y, loss = case("squared")
    whole = nakami.fisher(model, (x, y), loss, samples=3)
    parts = nakami.fisher(model, [(x[:5], y[:5]), (x[5:], y[5:])], loss, samples=3)
    assert nakami.trace(whole).value == pytest.approx(nakami.trace(parts).value, rel=1e-12)
    other = nakami.fisher(model, (x, y), loss, samples=3, seed=1)
    assert nakami.trace(whole).value != nakami.trace(other).value


def normalised():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Dropout(0.0), nn.Linear(5, 3)
    )
    net[1].running_mean.normal_()
    return net.double()


@pytest.mark.parametrize("kind", ["fisher", "empirical_fisher", "hessian"])
def test_batch_statistics(kind):
    _, x, y, loss = case("classes")
    model = normalised().train()
    other = copy.deepcopy(model)
    dense = Dense(other, x, y, loss)  # in training mode, buffers of the copy move
    matrix = dense.hessian(y) if kind == "hessian" else getattr(dense, kind)()
    before = copy.deepcopy(model.state_dict())
    op = getattr(nakami, kind)(nakami.View(model, batch_statistics=True), (x, y), loss)
    check_operator(op, matrix)
    assert op.exact_trace() is None
    assert nakami.trace(op).value == pytest.approx(float(matrix.trace()))
    running = getattr(nakami, kind)(model, (x, y), loss).dense()
    assert float((running - matrix).norm()) > 0.1 * float(matrix.norm())
    assert model.training
    assert model[1].track_running_stats
    after = model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"samples": 0}, "samples must be a whole number from 1 on, got 0; use 1"),
        (
            {"loss": nn.CrossEntropyLoss(ignore_index=1)},
            "ignore_index must be left out where targets",
        ),
        ({"batch_statistics": True}, "with batch normalisation, got one without; leave it out"),
    ],
)
def test_wrong_arguments(change, message):
    model, x, y, loss = case("classes")
    y = torch.eye(3)[y] if "loss" in change else y
    view = nakami.View(model, batch_statistics=change.pop("batch_statistics", False))
    with pytest.raises(ValueError, match=message):
        nakami.fisher(view, (x, y), **{"loss": loss, **change})


def test_what_is_refused():
    model, x, y, loss = case("classes")
    for op in (nakami.fisher(model, (x, y), loss), nakami.fisher(model, (x, y), loss, samples=1)):
        with pytest.raises(ValueError, match="samples must be at least 2 for an error, got"):
            op.sampling_error()
    net = normalised()
    net[3].p = 0.2
    with pytest.raises(ValueError, match=r"without dropout, got '3' with p=0\.2: what training"):
        nakami.fisher(nakami.View(net, batch_statistics=True), (x, y), loss)
