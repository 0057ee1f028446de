"""K-FAC and EKFAC against autograd's gradients and a dense Fisher matrix made by autograd alone."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

import nakami
from nakami.optim import EKFAC, KFAC
from nakami.optim._taps import Taps
from nakami.results import RunError, UsageError, UsageTypeError

LAYERS = [
    (nn.Linear(3, 4), (5, 3)),
    (nn.Linear(3, 4, bias=False), (5, 2, 6, 3)),
    (nn.Conv1d(2, 3, 3, stride=2, padding=1, dilation=2), (4, 2, 11)),
    (nn.Conv2d(2, 3, (3, 2), stride=(1, 2), padding=(2, 1)), (4, 2, 7, 6)),
    (nn.Conv2d(2, 3, 3, padding="same", padding_mode="circular", dilation=2), (4, 2, 7, 6)),
    (nn.Conv2d(2, 3, 5, padding="same", bias=False), (4, 2, 7, 6)),
    (nn.Conv3d(2, 3, 2, stride=2, padding_mode="reflect", padding=1), (2, 2, 4, 5, 4)),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS)
def test_slopes_times_inputs_are_the_gradient_of_the_weight(layer, shape):
    layer = copy.deepcopy(layer).double()
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    taps = Taps(layer)
    out = layer(x)
    slope = torch.randn(out.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    ((a, d),) = taps.slopes(out, slope, [])[0]["weight"]
    out.backward(slope)
    found = torch.einsum("npo,npi->oi", d, a)
    wanted = layer.weight.grad.reshape(len(layer.weight), -1)
    if layer.bias is not None:
        wanted = torch.cat([wanted, layer.bias.grad[:, None]], dim=1)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)
    taps.remove()
    taps.clear()
    assert taps.slopes(layer(x), slope, []) == ({}, [])


def test_slopes_are_those_before_what_follows_writes_into_the_output():
    net, x, _ = small()
    net = nn.Sequential(net[0], nn.ReLU(inplace=True), net[3])
    taps = Taps(net)
    out = net(x)
    ((a, d),) = taps.slopes(out, torch.ones_like(out), [])[0]["0.weight"]
    out.sum().backward()
    found = torch.einsum("npo,npi->oi", d, a[..., :-1])
    torch.testing.assert_close(found, net[0].weight.grad, rtol=0, atol=1e-12)


RECURRENT = [
    (nn.GRU(3, 4, num_layers=2, bidirectional=True), (6, 5, 3)),
    (nn.LSTM(3, 4, num_layers=2, batch_first=True), (5, 6, 3)),
    (nn.GRU(3, 4, batch_first=True), (5, 5, 3)),
    (nn.LSTM(3, 4, proj_size=2, bidirectional=True), (6, 5, 3)),
    (nn.RNN(3, 4, nonlinearity="relu", bias=False), (6, 3)),
    (nn.GRUCell(3, 4), (5, 3)),
    (nn.LSTMCell(3, 4, bias=False), (5, 3)),
    (nn.RNNCell(3, 4), (3,)),
]


@pytest.mark.parametrize(("unit", "shape"), RECURRENT)
@pytest.mark.parametrize("started", [False, True])
def test_recurrent_layers_are_read_step_by_step(unit, shape, started):
    unit = copy.deepcopy(unit).double()
    generator = torch.Generator().manual_seed(0)
    draw = lambda like: torch.randn(like.shape, generator=generator, dtype=torch.float64)  # noqa: E731
    x = draw(torch.empty(shape))
    taps = Taps(unit)
    start = None
    if started:
        out = unit(x)
        start = out if isinstance(unit, nn.RNNCellBase) else out[1]
        start = tuple(draw(s) for s in start) if isinstance(start, tuple) else draw(start)
    out = unit(x, start)
    leaves = list(out) if isinstance(out, tuple) else [out]
    leaves = [t for leaf in leaves for t in (leaf if isinstance(leaf, tuple) else (leaf,))]
    weighed = torch.cat([(draw(leaf) * leaf).reshape(-1) for leaf in leaves])
    pairs = taps.slopes(weighed, torch.ones_like(weighed), [])[0]
    weighed.sum().backward()
    names = [
        name
        for name, _ in unit.named_parameters()
        if name.startswith("weight_") and "hr" not in name
    ]
    assert list(pairs) == list(taps.matrices) == names
    for name, ((a, d),) in pairs.items():
        matrix = taps.matrices[name]
        wanted = matrix.weight.grad
        if matrix.bias is not None:
            wanted = torch.cat([wanted, matrix.bias.grad[:, None]], dim=1)
        torch.testing.assert_close(torch.einsum("npo,npi->oi", d, a), wanted, rtol=0, atol=1e-12)
        rows = 1 if len(shape) == (1 if isinstance(unit, nn.RNNCellBase) else 2) else 5
        assert a.shape[0] == rows


def small(seed=0):
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.LayerNorm(5), nn.Linear(5, 3)).double()
    x = torch.randn(60, 4, dtype=torch.float64)
    return net, x, torch.randint(0, 3, (60,))


def dense_fisher(net, x, loss, y):
    """The Gauss-Newton matrix of a loss, from autograd's Jacobian and Hessian."""
    names, start = [n for n, _ in net.named_parameters()], [p.detach() for p in net.parameters()]

    def outputs(*weights):
        return torch.func.functional_call(net, dict(zip(names, weights, strict=True)), x)

    jacobians = torch.autograd.functional.jacobian(outputs, tuple(start))
    z = net(x).detach()
    J = torch.cat([j.reshape(z.numel(), -1) for j in jacobians], dim=1)
    H = torch.autograd.functional.hessian(lambda z: loss(z, y), z).reshape(z.numel(), z.numel())
    return J.T @ H @ J


def block(fisher, net, weight, bias):
    """The block of a matrix, rows of the weight with their bias."""
    at, places = 0, {}
    for name, p in net.named_parameters():
        places[name] = torch.arange(at, at + p.numel())
        at += p.numel()
    rows = len(net.get_parameter(weight))
    order = torch.cat([places[weight].reshape(rows, -1), places[bias].reshape(rows, 1)], dim=1)
    return fisher[order.reshape(-1)][:, order.reshape(-1)]


LOSSES = [
    nn.CrossEntropyLoss(),
    nn.CrossEntropyLoss(weight=torch.tensor([0.2, 1.0, 5.0]).double(), label_smoothing=0.2),
    nn.CrossEntropyLoss(ignore_index=1, reduction="sum"),
]


@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_variances_and_diagonals_are_those_of_the_dense_fisher_matrix(loss):
    net, x, y = small()
    fisher = dense_fisher(net, x, loss, y)
    optimizer = EKFAC(net, loss, lr=0.0, refresh=1, basis=10**6, decay=0.9999)
    for _ in range(250):
        z = net(x)
        optimizer.zero_grad()
        optimizer.observe(z, y)
        loss(z, y).backward()
        optimizer.step()
    assert optimizer.matrices == ["0.weight", "3.weight"]
    for name in ("0", "3"):
        mine = block(fisher, net, f"{name}.weight", f"{name}.bias")
        state = optimizer.state[net.get_parameter(f"{name}.weight")]
        basis = torch.kron(state["slopes_basis"], state["inputs_basis"])
        measured = state["scales"].reshape(-1)
        assert torch.linalg.norm(measured - (basis.T @ mine @ basis).diagonal()) < 0.1 * mine.norm()
        near = (basis * measured) @ basis.T
        kfac = torch.kron(state["slopes"], state["inputs"])
        assert (near - mine).norm() < 1.01 * (kfac - mine).norm() < mine.norm()
    norm, first = net[2], sum(p.numel() for p in net[0].parameters())
    for p, at in ((norm.weight, first), (norm.bias, first + 5)):
        wanted = fisher[at : at + 5, at : at + 5].diagonal()
        torch.testing.assert_close(optimizer.state[p]["diagonal"], wanted, rtol=0.35, atol=1e-4)


def test_variances_of_a_gru_are_those_of_the_dense_fisher_matrix():
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.gru, self.out = nn.GRU(2, 3, batch_first=True), nn.Linear(3, 2)

        def forward(self, x):
            return self.out(self.gru(x)[0][:, -1])

    torch.manual_seed(0)
    net = Last().double()
    x, y = torch.randn(30, 4, 2, dtype=torch.float64), torch.randint(0, 2, (30,))
    fisher = dense_fisher(net, x, nn.CrossEntropyLoss(), y)
    optimizer = EKFAC(net, "cross_entropy", lr=0.0, refresh=1, basis=10**6, decay=0.9999)
    for _ in range(150):
        optimizer.observe(net(x), y)
        optimizer.step()
    assert len(optimizer.matrices) == 3
    for end in ("ih_l0", "hh_l0"):
        mine = block(fisher, net, f"gru.weight_{end}", f"gru.bias_{end}")
        state = optimizer.state[net.get_parameter(f"gru.weight_{end}")]
        basis = torch.kron(state["slopes_basis"], state["inputs_basis"])
        wrong = state["scales"].reshape(-1) - (basis.T @ mine @ basis).diagonal()
        assert torch.linalg.norm(wrong) < 0.1 * mine.norm()


@pytest.mark.parametrize("kind", [KFAC, EKFAC])
def test_one_step_solves_a_linear_regression(kind):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4000, 6, generator=generator, dtype=torch.float64)
    x = x * torch.logspace(-2, 1, 6).double() + 3  # condition number 1e6 and more
    y = x @ torch.randn(6, 2, generator=generator, dtype=torch.float64)
    net = nn.Linear(6, 2).double()
    optimizer = kind(net, "mse", lr=1.0, momentum=0.0, damping=1e-12, kl_clip=None)
    losses = []
    for _ in range(3):
        z = net(x)
        optimizer.observe(z, y)
        loss = (z - y).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[1] < 0.01 * losses[0]
    assert losses[2] < 1e-3 * losses[0]


def steps(optimizer, net, x, y, count):
    for _ in range(count):
        optimizer.zero_grad()
        z = net(x)
        optimizer.observe(z, y)
        cross_entropy(z, y).backward()
        optimizer.step()


@pytest.mark.parametrize("kind", [KFAC, EKFAC])
def test_a_saved_state_goes_on_in_the_same_bits_and_random_state_is_left_alone(kind):
    net, x, y = small()
    optimizer = kind(net, "cross_entropy", refresh=3, basis=4)
    torch.manual_seed(5)
    steps(optimizer, net, x, y, 7)
    assert torch.equal(torch.rand(1), torch.rand(1, generator=torch.Generator().manual_seed(5)))
    saved = pickle.loads(pickle.dumps((net.state_dict(), optimizer.state_dict())))
    steps(optimizer, net, x, y, 6)
    again, _, _ = small(seed=1)
    second = kind(again, "cross_entropy", refresh=3, basis=4)
    again.load_state_dict(saved[0])
    second.load_state_dict(saved[1])
    steps(second, again, x, y, 6)
    for a, b in zip(net.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(UsageError, match=f"state_dict must be a {kind.__name__}'s"):
        second.load_state_dict(torch.optim.SGD(net.parameters(), lr=1.0).state_dict())


def test_steps_are_as_long_as_the_clip_allows_and_shorter_ones_are_left():
    net, x, y = small()
    moved = {}
    for clip in (1e-5, 1e5, None):
        own = copy.deepcopy(net)
        before = [p.detach().clone() for p in own.parameters()]
        optimizer = KFAC(own, "cross_entropy", lr=0.5, momentum=0.0, kl_clip=clip)
        steps(optimizer, own, x, y, 1)
        gone = [b - p.detach() for b, p in zip(before, own.parameters(), strict=True)]
        moved[clip] = (
            sum((g * p.grad).sum() for g, p in zip(gone, own.parameters(), strict=True)),
            gone,
        )
    free = float(moved[None][0]) / 0.5  # v^T g; a share s of the step has (lr s)^2 v^T g = clip
    assert float(moved[1e-5][0]) ** 2 / free == pytest.approx(1e-5)
    assert all(torch.equal(a, b) for a, b in zip(moved[1e5][1], moved[None][1], strict=True))


def test_two_halves_of_a_batch_are_observed_as_the_whole():
    net, x, y = small()
    own = copy.deepcopy(net)
    halves = KFAC(net, "cross_entropy")
    whole = KFAC(own, "cross_entropy")
    steps(whole, own, x, y, 1)
    for part in (slice(0, 20), slice(20, 60)):
        z = net(x[part])
        halves.observe(z, y[part])
        cross_entropy(z, y[part], reduction="sum").div(60).backward()
    halves.step()
    for a, b in zip((own[0], own[3]), (net[0], net[3]), strict=True):
        first, second = whole.state[a.weight], halves.state[b.weight]
        torch.testing.assert_close(first["inputs"], second["inputs"], rtol=0, atol=1e-12)
        torch.testing.assert_close(first["slopes"], second["slopes"], rtol=0, atol=1e-12)


def test_fewer_steps_than_gradient_descent_on_a_badly_scaled_net():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, 8, generator=generator) * torch.logspace(-1, 1, 8)
    y = (x / torch.logspace(-1, 1, 8)).sum(1).sign().clamp_min(0).long()
    ends = {}
    for name in ("sgd", "kfac"):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 2))
        if name == "kfac":
            steps(EKFAC(net, "cross_entropy", refresh=2), net, x, y, 60)
            ends[name] = float(cross_entropy(net(x), y).detach())
            continue
        best = []
        for rate in (0.01, 0.1, 0.3, 1.0):
            own = copy.deepcopy(net)
            optimizer = torch.optim.SGD(own.parameters(), lr=rate, momentum=0.9)
            for _ in range(60):
                optimizer.zero_grad()
                cross_entropy(own(x), y).backward()
                optimizer.step()
            best.append(float(cross_entropy(own(x), y).detach()))
        ends[name] = min(best)
    assert ends["kfac"] < 0.5 * ends["sgd"]


def test_shared_and_grouped_weights_go_by_the_diagonal():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.out = nn.Embedding(7, 4), nn.Linear(4, 7, bias=False)
            self.out.weight = self.words.weight
            self.mix = nn.Conv1d(4, 4, 3, padding=1, groups=2)

        def forward(self, ids):
            return self.out(self.mix(self.words(ids).mT).mean(2))

    net, ids = Tied(), torch.arange(14).reshape(2, 7) % 7
    optimizer = KFAC(net, "cross_entropy")
    assert optimizer.matrices == []
    steps(optimizer, net, ids, torch.tensor([1, 2]), 2)
    assert "diagonal" in optimizer.state[net.words.weight]


@pytest.mark.parametrize("kind", [KFAC, EKFAC])
def test_a_weight_moves_beside_a_frozen_bias(kind):
    net, x, y = small()
    net[0].bias.requires_grad_(False)
    before = [p.detach().clone() for p in net.parameters()]
    optimizer = kind(net, "cross_entropy")
    steps(optimizer, net, x, y, 2)
    moved = [not torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True)]
    assert moved == [True, False, True, True, True, True]


def test_a_batch_of_padding_alone_is_observed_as_nothing():
    net, x, y = small()
    optimizer = KFAC(net, nn.CrossEntropyLoss(ignore_index=1))
    optimizer.observe(net(x), torch.ones_like(y))
    with pytest.raises(UsageError, match="KFAC must observe the model before its first step"):
        optimizer.step()
    whole, parts = copy.deepcopy(net), net
    found = []
    for model, batches in ((whole, [(x, y)]), (parts, [(x, y), (x[:3], torch.ones(3).long())])):
        own = KFAC(model, nn.CrossEntropyLoss(ignore_index=1))
        for inputs, targets in batches:
            own.observe(model(inputs), targets)
        own.step()
        found.append(own.state[model[3].weight]["slopes"])
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-14)


def test_what_is_observed_too_late_or_not_finite_is_said():
    net, x, y = small()
    optimizer = KFAC(net, "cross_entropy")
    z = net(x)
    cross_entropy(z, y).backward()
    with pytest.raises(
        UsageError, match="outputs must have their graph still, got a freed one; call"
    ):
        optimizer.observe(z, y)
    with pytest.raises(
        RunError, match="KFAC observed inputs or slopes that are not finite; lower lr"
    ):
        optimizer.observe(net(x * torch.inf), y)
    with pytest.raises(
        UsageTypeError, match="model must be a torch module, got generator; pass the"
    ):
        KFAC(net.parameters(), lr=0.1)
    with pytest.raises(
        UsageError, match='loss must be given, for its Hessian, got none; pass "cross'
    ):
        KFAC(net, lr=0.1)
    with pytest.raises(
        UsageTypeError, match="optimizer must step by gradients alone, got EKFAC, whi"
    ):
        nakami.learning_rate(net, (x, y), "cross_entropy", EKFAC(net, "cross_entropy"))


def test_wrong_use_is_said_in_one_sentence():
    net, x, y = small()
    optimizer = KFAC(net, "cross_entropy")
    cross_entropy(net(x), y).backward()
    with pytest.raises(UsageError, match="must observe the model before its first step; call"):
        optimizer.step()
    with pytest.raises(
        UsageError, match="outputs must be a tensor with its graph, got one without"
    ):
        optimizer.observe(net(x).detach(), y)
    with pytest.raises(UsageError, match=r"have shape \(60,\) for outputs of shape"):
        optimizer.observe(net(x), y[:5])
    with pytest.raises(UsageError, match="loss must have a Hessian of known root"):
        KFAC(net, lambda z, y: z.mean())
    with pytest.raises(UsageError, match="damping must be a number above 0, got 0; leave it out"):
        KFAC(net, "mse", damping=0)
    with pytest.raises(UsageError, match="momentum must be from 0 on and below 1, got 1"):
        KFAC(net, "mse", momentum=1)
    with pytest.raises(
        UsageError, match=r"hold 0.weight in float32 or float64, got torch.bfloat16"
    ):
        KFAC(copy.deepcopy(net).bfloat16(), "mse")
    with pytest.raises(UsageTypeError, match="model must be a torch module, got generator"):
        KFAC(net.parameters(), "mse")


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
def test_a_compiled_model_is_observed_as_its_own():
    net, x, y = small()
    twin = copy.deepcopy(net)
    compiled = torch.compile(twin, backend="eager")
    for model in (net, compiled):
        steps(KFAC(model, "cross_entropy", refresh=1), model, x, y, 2)
    for wanted, found in zip(net.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=0)
