"""The exact trace and the root of Fisher matrices against dense ones, on networks of every kind."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import nakami
from checks import check_operator
from curvatures import CASES, NETWORKS, Dense, case, network
from nakami.operators.curvature._losses import criterion
from nakami.operators.model._functional_model import FunctionalModel
from nakami.operators.per_example import _layer_io, _norms
from nakami.operators.per_example._examples import OutputRoot
from nakami.operators.per_example._layer_io import LayerIO, modules_of, sweeps
from nakami.operators.per_example._norms import at_once


@pytest.mark.parametrize("kind", ["fisher", "ggn", "empirical_fisher"])
@pytest.mark.parametrize("name", CASES)
def test_trace_and_root_of_every_loss(name, kind):
    model, x, y, loss = case(name)
    op = getattr(nakami, kind)(model, (x, y), loss)
    dense = Dense(model, x, y, loss)
    matrix = {"fisher": dense.fisher, "empirical_fisher": dense.empirical_fisher}.get(
        kind, lambda: dense.own(dense.fisher())
    )()
    found = nakami.trace(op)
    assert found.value == pytest.approx(float(matrix.trace()), rel=1e-12)
    assert (found.exact, found.se, found.n_products) == (True, 0, 0)
    assert found.reason.startswith("exact: ")
    shares = op.trace_by_parameter()
    wanted = {k: float(v.sum()) for k, v in op.split(matrix.diagonal()).items()}
    assert shares == pytest.approx(wanted, rel=1e-10)
    root = op.root
    check_operator(root, root.dense(), rtol=1e-9)
    assert_close(root.dense().T @ root.dense(), matrix)


@pytest.mark.parametrize("name", NETWORKS)
def test_trace_of_every_network(name):
    model, x, y, formed = network(name)
    loss = nn.CrossEntropyLoss()
    op = nakami.fisher(model, (x, y), loss)
    matrix = Dense(model, x, y, loss).fisher()
    found = nakami.trace(op)
    assert found.value == pytest.approx(float(matrix.trace()), rel=1e-10)
    wanted = {k: float(v.sum()) for k, v in op.split(matrix.diagonal()).items()}
    assert op.trace_by_parameter() == pytest.approx(wanted, rel=1e-9, abs=1e-15)
    assert f"by {formed} of" in found.reason if formed else "formed" not in found.reason


@pytest.mark.parametrize("name", ["residual", "convolutions", "normalisations", "three axes"])
def test_layers_give_gradients_of_each_example(name):
    model, x, _, _ = network(name)
    run = LayerIO(FunctionalModel(model), x, len(x))
    cotangent = torch.randn(run.output.shape, dtype=torch.float64)
    squares = run.squares(run.slopes(cotangent))
    for module, slope in run.slopes(cotangent).items():
        for part, each in run.layers[module].gradients(slope).items():
            if f"{module}.{part}" not in run.names:
                continue
            parameter = getattr(model.get_submodule(module), part)
            for i in range(len(x)):
                out = model(x[i : i + 1])
                (wanted,) = torch.autograd.grad(out, parameter, cotangent[i : i + 1])
                assert_close(each[i], wanted)
            assert_close(squares[f"{module}.{part}"], each.flatten(1).square().sum(1))
    assert all(not m._forward_hooks for m in model.modules())


WEIGHTS = torch.tensor([1.0, 2.0, 0.5, 3.0])
LOSSES = {
    "weighted": nn.CrossEntropyLoss(WEIGHTS),
    "smoothed": nn.CrossEntropyLoss(label_smoothing=0.2),
    "weighted and smoothed": nn.CrossEntropyLoss(WEIGHTS, label_smoothing=0.2),
    "positives weighted": nn.BCEWithLogitsLoss(pos_weight=WEIGHTS),
    "outputs weighted": nn.BCEWithLogitsLoss(WEIGHTS),
    "squared": nn.MSELoss(),
}


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("name", LOSSES)
def test_root_of_the_output_hessian(name, soft):
    gen = torch.Generator().manual_seed(0)
    judged, z = criterion(LOSSES[name]), torch.randn(5, 4, generator=gen, dtype=torch.float64)
    y = torch.rand(5, 4, generator=gen, dtype=torch.float64)
    if not soft:
        classes = isinstance(LOSSES[name], nn.CrossEntropyLoss)
        y = torch.tensor([0, -100, 2, 3, 1]) if classes else y.round()
    hessian = torch.autograd.functional.hessian(lambda out: judged.total(out, y), z)
    root = OutputRoot(judged.root(z, y), torch.zeros_like(z))
    columns = torch.stack([column.reshape(-1) for column in root.each()])
    blocks = columns.reshape(4, 5, 4)  # examples do not meet
    wanted = torch.stack([hessian[i, :, i] for i in range(5)])
    assert_close(torch.einsum("cia,cib->iab", blocks, blocks), wanted)


class Matrices(nn.Module):
    """Weights of no layer, but for six numbers."""

    def __init__(self):
        super().__init__()
        self.first, self.second = (nn.Parameter(torch.randn(s)) for s in ((6, 20), (20, 3)))
        self.norm = nn.LayerNorm(3)

    def forward(self, x):
        return self.norm(torch.tanh(x @ self.first) @ self.second)


def test_where_hardly_any_weight_has_a_formula_all_are_formed_at_once():
    _, x, y, loss = case("classes")
    torch.manual_seed(0)
    model = Matrices().double()
    op = nakami.fisher(model, (x, y), loss)
    matrix, found = Dense(model, x, y, loss).fisher(), nakami.trace(op)
    assert found.value == pytest.approx(float(matrix.trace()), rel=1e-10)
    assert found.reason.endswith("from 2 backward passes; gradients by 4 of 4 parameters formed")
    wanted = {k: float(v.sum()) for k, v in op.split(matrix.diagonal()).items()}
    assert op.trace_by_parameter() == pytest.approx(wanted, rel=1e-9)


def test_budgets_and_batches_change_nothing():
    model, x, y, _ = network("gru")
    loss = nn.CrossEntropyLoss()
    whole = nakami.fisher(model, (x, y), loss)
    small = nakami.fisher(model, [(x[:4], y[:4]), (x[4:], y[4:])], loss, memory_budget=5000)
    assert len(small.parts) > 2
    assert nakami.trace(small).value == pytest.approx(nakami.trace(whole).value, rel=1e-12)


def test_sweeps_on_a_cpu_hold_so_many_bytes_and_are_alike(monkeypatch):
    model, x, y, _ = network("convolutions")
    op = nakami.fisher(model, (x, y), nn.CrossEntropyLoss())
    wanted = nakami.trace(op).value
    ((examples, _),) = op.root.rows()
    runs = []
    monkeypatch.setattr(_layer_io, "LayerIO", lambda *args: runs.append(args[2]) or LayerIO(*args))
    for room, width in ((1, 1), (4000, 3), (1 << 30, 5)):  # of 5 examples; 3 and 2, not 4 and 1
        monkeypatch.setattr(_norms, "SWEEP", room)
        assert at_once(examples, 1000) == width
        again = nakami.fisher(model, (x, y), nn.CrossEntropyLoss())
        runs.clear()
        assert nakami.trace(again).value == pytest.approx(wanted, rel=1e-12)
    assert runs == [len(x)]


def test_a_sweep_lets_go_what_it_gave_before():
    model, x, y, _ = network("convolutions")
    op = nakami.fisher(model, (x, y), nn.CrossEntropyLoss())
    given, modules = [], modules_of(op.names)
    for _, run, _, slopes in sweeps(next(op.root.rows()), modules, 2):
        assert slopes
        assert run.layers
        assert all(run is one or not one.layers for one, _ in given)
        assert all(not old for _, old in given)
        given.append((run, slopes))
    assert len({id(run) for run, _ in given}) == -(-len(x) // 2)


class Mixing(nn.Module):
    def __init__(self):
        super().__init__()
        self.enter = nn.Linear(6, 3)

    def forward(self, x):
        return self.enter(x - x.mean(0))


def test_a_network_of_one_layer():
    _, x, y, loss = case("classes")
    model = nn.Linear(6, 3).double()
    op, dense = nakami.fisher(model, (x, y), loss), Dense(model, x, y, loss)
    assert nakami.trace(op).value == pytest.approx(float(dense.fisher().trace()))
    assert "formed" not in nakami.trace(op).reason
    assert_close(op.kernel.dense(), dense.rows() @ dense.rows().T)


def test_no_short_way():
    model, x, y, loss = case("classes")
    assert nakami.hessian(model, (x, y), loss).exact_trace() is None
    assert nakami.hessian(model, (x, y), loss).root is None
    mixing = nakami.fisher(Mixing().double(), (x, y), loss)
    assert mixing.exact_trace() is None  # an example's gradient depends on the others
    assert nakami.trace(mixing).value == pytest.approx(float(mixing.dense().trace()))
    shifts = nakami.fisher(nn.Linear(6, 300).double(), (x, y), loss, "bias")
    assert shifts.exact_trace() is None  # 300 products are no longer way
    wide = nakami.fisher(nn.Linear(6, 300).double(), (x, y), loss)
    assert wide.exact_trace()  # equal calls give equal answers, whatever was asked before
    for matrix in (shifts, wide):
        refused = "trace_by_parameter must have a root of at most 256 rows for each example"
        with pytest.raises(ValueError, match=refused):
            matrix.trace_by_parameter()
    assert nakami.empirical_fisher(nn.Linear(6, 300).double(), (x, y), loss).exact_trace()


@pytest.mark.parametrize("kind", ["fisher", "ggn", "hessian"])
def test_examples_that_depend_on_each_other_stay_together(kind):
    _, x, y, loss = case("classes")
    model = Mixing().double()
    matrix = Dense(model, x, y, loss)
    wanted = matrix.hessian(y) if kind == "hessian" else matrix.fisher()
    for budget in (None, 3000):
        op = getattr(nakami, kind)(model, (x, y), loss, memory_budget=budget)
        assert (len(op.parts), op.parts[0].keep) == (1, budget is None)
        check_operator(op, wanted)
    alone = [(x[:1], y[:1]), (x[1:], y[1:])]  # the first batch has nothing to mix with
    op = getattr(nakami, kind)(model, alone, loss)
    assert len(getattr(nakami, kind)(model, alone, loss, memory_budget=3000).parts) == 2
    assert op.exact_trace() is None
    assert nakami.trace(op).value == pytest.approx(float(op.dense().trace()))
    if kind != "hessian":
        root = op.root.dense()
        assert_close(op.kernel.dense(), root @ root.T)


def test_the_comparison_can_fail():
    model, x, _, _ = network("used in a function")
    run = LayerIO(FunctionalModel(model), x, len(x))
    cotangent = torch.randn(run.output.shape, dtype=torch.float64)
    (wanted,) = torch.autograd.grad(model(x[:1]), model.enter.weight, cotangent[:1])
    found = run.squares(run.slopes(cotangent))["enter.weight"][0]
    assert abs(float(found - wanted.square().sum())) > 0.1 * float(found)
