"""The exact natural gradient against a dense float64 solve by autograd and a wide network."""

import copy
import pickle
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, mse_loss
from torch.testing import assert_close

from nakami.optim import EKFAC, NaturalGradient
from nakami.results import RunError, UsageError, UsageTypeError

full = partial(NaturalGradient, kl_clip=None)


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def small(seed=0, hidden=5):
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(4, hidden), nn.Tanh(), nn.LayerNorm(hidden), nn.Linear(hidden, 3))
    return net.double(), drawn(8, 4), torch.arange(8) % 3


def dense_step(net, x, y, loss, damping, decay=0.0):
    """``(J^T H J + damping)^-1 (g + decay w)``, J and H by autograd, as the weights' shapes."""
    names, start = zip(*net.named_parameters(), strict=True)

    def outputs(*weights):
        return torch.func.functional_call(net, dict(zip(names, weights, strict=True)), x)

    jacobians = torch.autograd.functional.jacobian(outputs, tuple(p.detach() for p in start))
    z = net(x).detach()
    J = torch.cat([j.reshape(z.numel(), -1) for j in jacobians], dim=1)
    H = torch.autograd.functional.hessian(lambda z: loss(z, y), z).reshape(z.numel(), -1)
    g = J.T @ torch.autograd.functional.jacobian(lambda z: loss(z, y), z).reshape(-1)
    w = torch.cat([p.detach().reshape(-1) for p in start])
    F = J.T @ H @ J + damping * torch.eye(len(g), dtype=torch.float64)
    step = torch.linalg.solve(F, g + decay * w)
    parts = step.split([p.numel() for p in start])
    return [part.reshape(p.shape) for part, p in zip(parts, start, strict=True)], float(step @ g)


def train(optimizer, net, x, y, loss, count=1):
    for _ in range(count):
        optimizer.zero_grad()
        z = net(x)
        optimizer.observe(z, y)
        loss(z, y).backward()
        optimizer.step()


WEIGHTS = torch.tensor([0.2, 1.0, 5.0]).double()
LOSSES = [
    (nn.CrossEntropyLoss(), cross_entropy),
    ("mse", mse_loss),
    ("bce_with_logits", binary_cross_entropy_with_logits),
    (nn.CrossEntropyLoss(weight=WEIGHTS, label_smoothing=0.2), None),
    (nn.CrossEntropyLoss(ignore_index=1, reduction="sum"), None),
]


@pytest.mark.parametrize(("given", "loss"), LOSSES, ids=[str(a) for a, _ in LOSSES])
@pytest.mark.parametrize("hidden", [2, 5])  # fewer parameters than rows, and more
def test_a_step_is_that_of_the_dense_primal_solve(given, loss, hidden):
    net, x, y = small(hidden=hidden)
    rows, numbers = 24, sum(p.numel() for p in net.parameters())
    assert (numbers > rows) == (hidden == 5)
    loss = loss or given
    if loss in (mse_loss, binary_cross_entropy_with_logits):
        y = drawn(8, 3, seed=1).sigmoid()
    before = [p.detach().clone() for p in net.parameters()]
    wanted, _ = dense_step(net, x, y, loss, 1e-3, decay=0.1)
    optimizer = full(net, given, lr=0.5, damping=1e-3, weight_decay=0.1)
    train(optimizer, net, x, y, loss)
    for p, old, step in zip(net.parameters(), before, wanted, strict=True):
        assert_close(p.detach(), old - 0.5 * step, rtol=1e-9, atol=1e-11)


def test_the_dual_solve_is_that_of_the_residual():
    net, x, _ = small()
    y, damping = drawn(8, 3, seed=1), 1e-2
    before = torch.cat([p.detach().reshape(-1) for p in net.parameters()])
    rows = []
    for k in range(24):
        grads = torch.autograd.grad(net(x).reshape(-1)[k], list(net.parameters()))
        rows.append(torch.cat([g.reshape(-1) for g in grads]))
    J, T = torch.stack(rows), 12  # 2 / 24 of the squares' sum
    r = (net(x).detach() - y).reshape(-1)
    dual = J @ J.T / T + damping * torch.eye(24, dtype=torch.float64)
    wanted = J.T @ torch.linalg.solve(dual, r) / T
    train(full(net, "mse", damping=damping), net, x, y, mse_loss)
    after = torch.cat([p.detach().reshape(-1) for p in net.parameters()])
    assert_close(before - after, wanted, rtol=1e-10, atol=1e-12)


def wide(width, dtype=torch.float64):
    """Three layers that are linear in their weights but for O(1 / width), targets near outputs."""
    generator, layers = torch.Generator().manual_seed(1), []
    for n, m in ((width, width), (width, width), (width, 3)):
        layer = nn.Linear(n, m, dtype=dtype)
        with torch.no_grad():
            layer.weight.normal_(0, (3 / n) ** 0.5, generator=generator)
            layer.bias.normal_(0, 0.8, generator=generator)
        layers += [layer, nn.Tanh()]
    net = nn.Sequential(*layers[:-1])
    x = torch.randn(20, width, generator=generator, dtype=dtype)
    return net, x, net(x).detach() + 0.1 * torch.randn(20, 3, generator=generator, dtype=dtype)


def left(width, lr, dtype=torch.float64, damping=1e-5):
    net, x, y = wide(width, dtype)
    start = (net(x) - y).norm()
    train(full(net, "mse", lr=lr, damping=damping), net, x, y, mse_loss)
    return float(((net(x) - y).norm() / start).detach())


def test_one_step_takes_a_wide_network_to_its_targets():
    whole = left(100, 1.0)
    assert whole < 0.01  # 0.00697 +- 0.0005 in reproductions/karakida_2020_natural_step.py
    assert left(100, 0.5) == pytest.approx(0.5, abs=1e-3)
    assert left(300, 1.0) < 0.5 * whole  # goes as 1 / width
    assert left(100, 1.0, torch.float32) == pytest.approx(whole, rel=0.7)


def test_damping_below_rounding_is_said_and_nothing_moves():
    net, x, y = wide(100, torch.float32)
    before = copy.deepcopy(net.state_dict())
    with pytest.raises(RunError, match=r"off by .* of what it does to the out|is not positive in"):
        train(full(net, "mse", damping=1e-9), net, x, y, mse_loss)
    with pytest.raises(RunError, match=r"NaturalGradient met gradients that are not finite; lower"):
        train(full(net, "mse"), net, x, y, lambda z, y: mse_loss(z, y) * torch.inf)
    for name, p in net.state_dict().items():
        assert torch.equal(p, before[name])
    train(full(net, "mse", damping=1e-3), net, x, y, mse_loss)


def test_steps_are_clipped_and_momentum_is_that_of_the_moves():
    net, x, y = small()
    own = copy.deepcopy(net)
    wanted, product = dense_step(net, x, y, cross_entropy, 1e-2)
    before = [p.detach().clone() for p in net.parameters()]
    optimizer = NaturalGradient(net, "cross_entropy", damping=1e-2, kl_clip=1e-3, lr=0.7)
    train(optimizer, net, x, y, cross_entropy)
    share = (1e-3 / (0.7**2 * product)) ** 0.5
    assert share < 1
    for p, old, step in zip(net.parameters(), before, wanted, strict=True):
        assert_close(p.detach(), old - 0.7 * share * step, rtol=1e-8, atol=1e-11)
    optimizer = full(own, "cross_entropy", damping=1e-2, momentum=0.5, lr=0.1)
    buffer = [torch.zeros_like(p) for p in own.parameters()]
    for _ in range(2):
        wanted, _ = dense_step(own, x, y, cross_entropy, 1e-2)
        buffer = [0.5 * b + step for b, step in zip(buffer, wanted, strict=True)]
        expected = [p.detach() - 0.1 * b for p, b in zip(own.parameters(), buffer, strict=True)]
        train(optimizer, own, x, y, cross_entropy)
        for p, value in zip(own.parameters(), expected, strict=True):
            assert_close(p.detach(), value, rtol=1e-8, atol=1e-10)


def test_two_halves_of_a_batch_are_the_whole_and_frozen_or_unused_weights_stay():
    net, x, y = small()
    net[0].bias.requires_grad_(False)
    net.unused = nn.Parameter(torch.ones(2, dtype=torch.float64))
    net.forward = lambda x: nn.Sequential.forward(net[:4], x)
    own = copy.deepcopy(net[:4])
    train(full(own, "cross_entropy"), own, x, y, cross_entropy)
    start = net[0].bias.detach().clone()
    optimizer = full(net, "cross_entropy")
    for part in (slice(0, 3), slice(3, 8)):
        z = net(x[part])
        optimizer.observe(z, y[part])
        cross_entropy(z, y[part], reduction="sum").div(8).backward()
    optimizer.step()
    for a, b in zip(own.parameters(), net[:4].parameters(), strict=True):
        assert_close(b, a, rtol=0, atol=1e-9)
    assert torch.equal(net[0].bias, start)
    assert net.unused.tolist() == [1.0, 1.0]


class Several(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3).double()

    def forward(self, x, scale, *, shift=0.0):
        if isinstance(x, dict):
            x = x["x"]
        return self.layer(x * scale) + shift


@pytest.mark.parametrize("way", ["places", "names", "both", "dict"])
def test_models_are_read_as_they_were_called(way):
    torch.manual_seed(0)
    net, x, y = Several(), drawn(8, 4), torch.arange(8) % 3
    plain = copy.deepcopy(net.layer)
    scale, shift = drawn(8, 1, seed=1).abs(), drawn(8, 3, seed=2)
    if way == "dict":
        net.forward = lambda batch: plain.forward.__func__(net.layer, batch["x"] * batch["scale"])
    call = {
        "places": lambda: net(x, scale),
        "names": lambda: net(x=x, scale=scale, shift=shift),
        "both": lambda: net(x, scale, shift=shift),
        "dict": lambda: net({"x": x, "scale": scale}),
    }[way]
    optimizer = full(net, "cross_entropy", damping=1e-2)
    z = call()
    optimizer.observe(z, y)
    cross_entropy(z, y).backward()
    optimizer.step()
    moved = shift if way in ("names", "both") else torch.zeros(8, 3).double()
    loss = lambda z, y: cross_entropy(z + moved, y)  # noqa: E731
    wanted, _ = dense_step(plain, x * scale, y, loss, 1e-2)
    for p, old, step in zip(net.layer.parameters(), plain.parameters(), wanted, strict=True):
        assert_close(p.detach(), old.detach() - step, rtol=1e-8, atol=1e-10)


def test_a_saved_state_goes_on_in_the_same_bits_and_nothing_else_is_touched():
    net, x, y = small()
    optimizer = NaturalGradient(net, "cross_entropy", momentum=0.5, lr=0.1)
    torch.manual_seed(5)
    train(optimizer, net, x, y, cross_entropy)
    assert torch.equal(torch.rand(1), torch.rand(1, generator=torch.Generator().manual_seed(5)))
    assert net.training
    saved = pickle.loads(pickle.dumps((net.state_dict(), optimizer.state_dict())))
    train(optimizer, net, x, y, cross_entropy)
    again, _, _ = small(seed=1)
    second = NaturalGradient(again, "cross_entropy", lr=1.0)
    again.load_state_dict(saved[0])
    second.load_state_dict(saved[1])
    train(second, again, x, y, cross_entropy)
    for a, b in zip(net.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(UsageError, match="state_dict must be a NaturalGradient's, got a EKFAC's"):
        second.load_state_dict(EKFAC(net, "mse").state_dict())
    hooks = len(net._forward_pre_hooks)
    optimizer.remove()
    assert len(net._forward_pre_hooks) == hooks - 1


def test_wrong_use_is_said_in_one_sentence():
    net, x, y = small()
    optimizer = NaturalGradient(net, "cross_entropy", largest=20)
    cross_entropy(net(x), y).backward()
    with pytest.raises(UsageError, match="NaturalGradient must observe the model before each"):
        optimizer.step()
    with pytest.raises(UsageError, match=r"outputs must be a tensor with its graph, got one with"):
        optimizer.observe(net(x).detach(), y)
    with pytest.raises(
        UsageError,
        match=r"a batch must have at most 20 outputs or parameters for an exact solve, got 24 "
        r"outputs and \d+ parameters; pass smaller batches, raise largest or take nakami.optim.E",
    ):
        optimizer.observe(net(x), y)
    optimizer.observe(net(x[:3]), y[:3])
    with pytest.raises(UsageError, match="outputs must come from the model that the optimizer"):
        optimizer.observe(copy.deepcopy(net)(x[:3]), y[:3])
    with pytest.raises(UsageError, match="largest must be a whole number from 1 on, got 0"):
        NaturalGradient(net, "mse", largest=0)
    with pytest.raises(UsageError, match="damping must be a number above 0, got 0"):
        NaturalGradient(net, "mse", damping=0)
    with pytest.raises(UsageError, match='loss must be given, for its Hessian, got none; pass "c'):
        NaturalGradient(net)
    with pytest.raises(UsageError, match="loss must have a Hessian of known root"):
        NaturalGradient(net, lambda z, y: z.mean())
    with pytest.raises(UsageTypeError, match="model must be a torch module, got generator"):
        NaturalGradient(net.parameters(), "mse")
    with pytest.raises(UsageError, match=r"hold 0\.weight in float32 or float64, got torch.bfloat"):
        NaturalGradient(copy.deepcopy(net).bfloat16(), "mse")


def test_dropout_is_refused():
    net, x, y = small()
    net = nn.Sequential(net, nn.Dropout(0.5))
    optimizer = NaturalGradient(net, "cross_entropy")
    with pytest.raises(
        UsageError,
        match=r"model must give in evaluation mode the outputs that were observed, got others by "
        r"[\d.]+ of their size; leave out dropout",
    ):
        train(optimizer, net, x, y, cross_entropy)
    train(optimizer, net.eval(), x, y, cross_entropy)
