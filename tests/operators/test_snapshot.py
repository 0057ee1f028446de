"""Every operator stays the matrix of the model it was built from, whatever the model does later."""

import copy

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import nakami
from checks import check_operator, spread
from operator_list import OPERATORS, X, Y, fisher, jac, model


def noise(net):
    gen = torch.Generator().manual_seed(1)
    return [0.5 * torch.randn(p.shape, generator=gen, dtype=torch.float64) for p in net]


def in_place(net):
    with torch.no_grad():
        for p, step in zip(net.parameters(), noise(net.parameters()), strict=True):
            p += step


def by_data(net):
    for p, step in zip(net.parameters(), noise(net.parameters()), strict=True):
        p.data.add_(step)


def buffers(net):
    for b in net.buffers():
        if b.is_floating_point():
            b.data.mul_(3)


def step(net):
    optimizer = torch.optim.Adam(net.parameters(), 0.3)
    for p in net.parameters():
        p.grad = torch.ones_like(p)
    optimizer.step()


def loaded(net):
    net.load_state_dict({k: 2 * v for k, v in net.state_dict().items()})


def replaced(net):
    for module in net.modules():
        for name, p in list(module._parameters.items()):
            setattr(module, name, nn.Parameter(1.5 * p.detach()))


def trained(net):
    net.train()
    step(net)
    buffers(net)


def halved(net):
    net.half()


def doubled(net):
    net.double()
    in_place(net)


def compiled(net):
    net.compile(backend="eager")
    nn.DataParallel(net)
    net.requires_grad_(False)
    in_place(net)
    net.requires_grad_(True)


CHANGES = [in_place, by_data, buffers, step, loaded, replaced, trained, compiled, halved, doubled]


@pytest.mark.parametrize(("name", "dtype"), spread(OPERATORS, [torch.float64, torch.float32]))
def test_products_and_current_weights(name, dtype):
    """One operator, before and after every change; beside it one of the model as it is by then."""
    entry = OPERATORS[name]
    near = 1e-9 if dtype == torch.float64 else 2e-4
    net = entry.net().to(dtype)
    op, wanted = entry.build(net, dtype), entry.dense(net).to(dtype)
    (m, n), gen = op.shape, torch.Generator().manual_seed(2)
    v, u = (torch.randn(size, 2, generator=gen, dtype=dtype) for size in (n, m))

    def same(op, dense, what):
        size = 10 * float(dense.abs().max())
        for got, right in ((op @ v, dense @ v), (op.T @ u, dense.T @ u)):
            assert_close(got, right, rtol=near, atol=near * size, msg=lambda m: f"{what}: {m}")

    same(op, wanted, "at the build")
    for change in CHANGES:
        change(net)
        same(op, wanted, f"after {change.__name__}")
        if entry.current:
            now, fresh = op.at_current_weights(), entry.dense(net).to(dtype)
            assert not torch.allclose(fresh, wanted, rtol=1e-3)
            same(now, fresh, f"current weights after {change.__name__}")
            assert (now.shape, now.dtype, now.route) == (op.shape, op.dtype, op.route)
    check_operator(op, wanted, rtol=near, atol=10 * near * float(wanted.abs().max()))


@pytest.mark.parametrize("name", OPERATORS)
def test_the_changes_matter(name):
    """A reference that follows the model fails: the test above can."""
    entry = OPERATORS[name]
    net = entry.net()
    op = entry.build(net, torch.float64)
    in_place(net)
    with pytest.raises(AssertionError, match="not close"):
        check_operator(op, entry.dense(net))


ROOTS = ["fisher", "ggn", "empirical_fisher", "squared error", "ggn in batches", "a layer's block"]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("name", ROOTS)
def test_what_is_built_when_it_is_asked_for(name, dtype):
    """Roots, Gram matrices, traces, blocks, gradients: asked for after the change."""
    entry = OPERATORS[name]
    near = 1e-9 if dtype == torch.float64 else 2e-4
    net = entry.net().to(dtype)
    wanted = entry.dense(net).to(dtype)
    early, late = (entry.build(net, dtype) for _ in range(2))
    slope, value = early.gradient(), early.value
    by_data(net)
    buffers(net)
    net.train()
    size = float(wanted.abs().max())
    root = late.root
    assert_close(root.T.dense() @ root.dense(), wanted, rtol=near, atol=near * size)
    across = late.kernel.dense()
    assert_close(across, root.dense() @ root.dense().T, rtol=near, atol=near * size)
    assert_close(late.kernel @ torch.eye(len(across), dtype=dtype), across, rtol=near,
                 atol=near * size)  # fmt: skip
    trace, _, _ = late.exact_trace()
    assert trace == pytest.approx(float(wanted.trace()), rel=1e-4)
    assert sum(late.trace_by_parameter().values()) == pytest.approx(trace, rel=1e-6)
    assert_close(late.gradient(), slope, rtol=near, atol=near)
    assert late.value == value
    last = late.layer("leave.weight")
    n = last.shape[0]
    assert_close(last.dense(), wanted[-n - 3 : -3, -n - 3 : -3], rtol=near, atol=near * size)
    blocks = late.unit_blocks("leave")
    first = wanted[-n - 3 :, -n - 3 :][[0, 1, 2, 3, 4, 15]][:, [0, 1, 2, 3, 4, 15]]
    assert_close(blocks[0], first, rtol=near, atol=near * size)
    now = late.root.at_current_weights()
    fresh = entry.dense(net).to(dtype)
    assert_close(now.T.dense() @ now.dense(), fresh, rtol=near, atol=near * float(fresh.max()))
    assert_close(late.kernel.at_current_weights().dense(), now.dense() @ now.dense().T, rtol=near,
                 atol=near * float(fresh.max()))  # fmt: skip


def flag(net):
    net.flag = False


def another_activation(net):
    net.act = torch.cos


def another_module(net):
    net.norm = nn.LayerNorm(5, dtype=torch.float64)


def statistics(net):
    net.norm.eps = 0.3


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (flag, "'flag' changed from True to False"),
        (
            another_activation,
            r"'act' changed from an object of type \w+ to an object of type builtin",
        ),
        (another_module, "changed from"),
        (statistics, "'norm.eps' changed from 1e-05 to 0.3"),
    ],
)
@pytest.mark.parametrize("name", ["ggn", "ggn without graphs", "by the input", "rows kept"])
def test_code_that_changes_is_refused_or_not_run(name, change, what):
    entry = OPERATORS[name]
    net = entry.net()
    wanted = entry.dense(net)
    op = entry.build(net, torch.float64)
    op @ torch.ones(op.shape[1])
    change(net)
    if not entry.reruns:
        assert_close(op.dense(), wanted)
        assert_close(op.T.dense(), wanted.T)
        return
    with pytest.raises(ValueError, match=what):
        op.T @ torch.ones(op.shape[0])
    if change in (flag, statistics):
        assert_close(op.at_current_weights().dense(), entry.dense(net))


class Counting(nn.Module):
    """Writes to itself at every run, as caches and counters do."""

    def __init__(self):
        super().__init__()
        self.out, self.calls, self.last = nn.Linear(4, 3), 0, None

    def forward(self, x):
        self.calls += 1
        self.last = x.detach()
        return self.out(x).sin()


def test_what_a_run_writes_itself_is_no_change():
    net = Counting().double()
    op = nakami.fisher(net, (X, Y), "cross_entropy", memory_budget=2000)
    before = op.dense()
    net(X)
    net.train()(X[:2])
    assert_close(op.dense(), before)


def test_data_and_loss_weights_are_copied():
    net, x, y = model(), X.clone(), Y.clone()
    weight = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    op = nakami.ggn(net, (x, y), nn.CrossEntropyLoss(weight))
    wanted, late = op.dense(), nakami.ggn(net, (x, y), nn.CrossEntropyLoss(weight))
    x.zero_(), y.zero_(), weight.fill_(1)
    assert_close(late.dense(), wanted)
    assert_close(late.kernel.dense().trace(), wanted.trace())


class Prototypes(nn.Module):
    def __init__(self):
        super().__init__()
        self.at = nn.Parameter(torch.eye(3, dtype=torch.float64))

    def forward(self, z, y):
        return (z - self.at[y]).square().mean()


def test_a_loss_whose_own_weights_change_is_refused():
    net, loss = model(), Prototypes()
    op = nakami.ggn(net, (X, Y), loss)
    with torch.no_grad():
        loss.at.mul_(2)
    with pytest.raises(ValueError, match="loss must keep its own parameters and buffers"):
        op.gradient()
    now, fresh = op.at_current_weights(), nakami.ggn(net, (X, Y), loss)
    assert_close(now.gradient(), fresh.gradient())


def test_one_copy_of_the_weights_for_all_batches():
    net = model()
    op = nakami.fisher(net, [(X[i : i + 1], Y[i : i + 1]) for i in range(7)], "cross_entropy")
    assert len({part.at.flat.data_ptr() for part in op.parts}) == 1
    assert op.parts[3].at.weights["model.leave.weight"]._base is op.parts[0].at.flat


def test_warm_functions_of_the_library_leave_the_model_alone():
    net = model().train()
    before, state = copy.deepcopy(net.state_dict()), dict(net.__dict__)
    op = fisher("ggn")(net, torch.float64)
    nakami.svd(jac()(net, torch.float64)), nakami.eigh(op.at_current_weights(), 2)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert net.__dict__ == state
