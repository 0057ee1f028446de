"""What passes through a network, against dense Jacobians and closed forms, and what is proposed."""

import copy
import itertools

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import nakami
from nakami.results import RunError, UsageError
from nakami.theory import meanfield
from networks import Residual, Tutorial

torch.manual_seed(0)
X = torch.randn(6, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def plain(depth, width, activation, inputs=12, outputs=5, std=1.0, seed=0):
    """Gaussian weights of variance ``std^2 / fan-in``, biases 0, float64."""
    generator = torch.Generator().manual_seed(seed)
    sizes = [inputs, *[width] * (depth - 1), outputs]
    parts = []
    for n, m in itertools.pairwise(sizes):
        layer = nn.Linear(n, m).double()
        with torch.no_grad():
            layer.weight.normal_(0, std / n**0.5, generator=generator)
            layer.bias.zero_()
        parts += [layer, activation()]
    return nn.Sequential(*parts[:-1])


def orthogonal(depth, gain):
    """Square orthogonal layers times a number, float64."""
    layers = [nn.Linear(12, 12).double() for _ in range(depth)]
    for layer in layers:
        nn.init.orthogonal_(layer.weight, gain)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers)


def dense(function, x):
    """``|J|_F^2 / m``, mean over the examples, by plain autograd."""
    found = []
    for one in x:
        j = torch.autograd.functional.jacobian(lambda v: function(v[None])[0], one)
        found.append(float(j.square().sum()) / j.shape[0])
    return np.mean(found)


def near(value, error, exact, most=0.1):
    assert error < most * exact
    assert abs(value - exact) < 4 * error + 1e-12


def test_readings_against_dense_jacobians():
    net = plain(4, 9, nn.Tanh, std=1.5)
    found = nakami.initialisation(net, X, probes=200)
    layers, states = found.layers, [X]
    for part in net:
        states.append(part(states[-1]).detach())
    near(found.measured.end_to_end, found.measured.end_to_end_se, dense(net, X))
    near(layers[0].chi, layers[0].chi_se, dense(net[0], X))
    for i, layer in enumerate(layers[1:], 1):  # tanh, then the linear layer
        near(layer.chi, layer.chi_se, dense(net[2 * i - 1 : 2 * i + 1], states[2 * i - 1]))
        near(layer.gradient, layer.gradient_se, dense(net[2 * i + 1 :], states[2 * i + 1]))
        assert layer.second_moment == pytest.approx(float(states[2 * i + 1].square().mean()))
        assert layer.entering == pytest.approx(float(states[2 * i].square().mean()))
        assert layer.spread == pytest.approx(float(states[2 * i + 1].var(0).mean()))
    assert [layer.parent for layer in layers] == ["input", "0", "2", "4"]


def test_linear_layers_in_closed_form():
    found = nakami.initialisation(orthogonal(5, 2.0), X, probes=2, method="data")
    for layer in found.layers:  # random signs are exact where J J^T is a multiple of 1
        assert layer.chi == pytest.approx(4.0)
        assert layer.chi_se == pytest.approx(0.0, abs=1e-10)
    assert found.measured.end_to_end == pytest.approx(4.0**5)
    assert found.signal.decades == pytest.approx(4 * np.log10(4))
    assert found.gradient.decades == pytest.approx(4 * np.log10(4))
    assert found.gradient.depth_scale == pytest.approx(1 / np.log(4))
    assert found.gradient.verdict == found.signal.verdict == "explodes"
    factors = list(found.proposal.factors.values())
    assert factors[1:] == pytest.approx([0.5] * 4)
    assert factors[0] == pytest.approx(0.5 * float(X.square().mean()) ** -0.5)
    assert found.proposal.after.gradient.decades == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize(("activation", "variance"), [(nn.ReLU, 2.0), (nn.Tanh, 1.0)])
def test_critical_networks_keep_their_gradients(activation, variance):
    x = torch.randn(16, 300, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    x *= 0.1  # tanh is critical at (1, 0) where states are small
    found = nakami.initialisation(plain(4, 300, activation, 300, 300, variance**0.5), x)
    for layer in found.layers[1:]:
        assert layer.chi == pytest.approx(1.0, abs=0.06)  # width 300
    assert found.gradient.verdict == found.signal.verdict == "survives"
    assert found.theory.criticality.chi_1 == pytest.approx(1, abs=0.02)
    ordered = nakami.initialisation(plain(4, 300, activation, 300, 300, 0.5), x)
    assert ordered.layers[2].chi == pytest.approx(0.25 / variance, rel=0.06)


def test_theory_stands_beside_the_measurement():
    x = torch.randn(32, 400, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    found = nakami.initialisation(plain(5, 400, nn.Tanh, 400, 50, 1.4), x)
    for i, layer in enumerate(found.layers):
        assert found.theory.second_moment[i] == pytest.approx(layer.second_moment, rel=0.1)
        assert found.theory.chi[i] == pytest.approx(layer.chi, rel=0.05)
        assert found.theory.gradient[i] == pytest.approx(layer.gradient, rel=0.15)
    assert found.theory.end_to_end == pytest.approx(found.measured.end_to_end, rel=0.15)
    assert found.theory.criticality.phase == "chaotic"


def state_of(net):
    return (
        copy.deepcopy(net.state_dict()),
        torch.get_rng_state(),
        net.training,
        [p.grad for p in net.parameters()],
        [p.requires_grad for p in net.parameters()],
        [len(m._forward_hooks) for m in net.modules()],
    )


def test_measuring_leaves_no_trace():
    net = Tutorial().double().train()
    x = torch.randn(4, 1, 14, 14, dtype=torch.float64)
    before, given = state_of(net), x.clone()
    nakami.initialisation(net, x, directions="orthogonal")
    after = state_of(net)
    for name, value in before[0].items():
        assert torch.equal(value, after[0][name])
    assert torch.equal(before[1], after[1])
    assert before[2:] == after[2:]
    assert torch.equal(x, given)
    assert not x.requires_grad


@pytest.mark.parametrize("method", ["critical", "data"])
@pytest.mark.parametrize("directions", ["kept", "orthogonal"])
def test_apply_changes_what_it_says(method, directions):
    net = plain(20, 48, nn.Tanh, std=0.6)
    net[0].bias.data.fill_(0.3)
    before = copy.deepcopy(net)
    found = nakami.initialisation(net, X, method=method, directions=directions)
    assert found.gradient.verdict == found.signal.verdict == "vanishes"
    assert found.proposal.method == method
    assert found.proposal.apply(net) is net
    for name, p in net.named_parameters():
        old = before.get_parameter(name)
        if name.endswith("weight"):
            rms = float(p.detach().square().mean().sqrt())
            assert rms == pytest.approx(found.proposal.plan.scales[name])
            kept = torch.allclose(p, found.proposal.factors[name] * old)
            assert kept == (directions == "kept")
        else:
            std = found.proposal.plan.bias_std[name]
            assert float(p.detach().square().mean().sqrt()) == pytest.approx(std, rel=0.5)
    again = nakami.initialisation(net, X, method=method)
    assert again.measured == found.proposal.after
    assert again.gradient.verdict == again.signal.verdict == "survives"
    once = copy.deepcopy(net)
    found.proposal.apply(net)
    for p, q in zip(net.parameters(), once.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-12, atol=0)


def test_orthogonal_directions_are_orthogonal():
    net = plain(4, 12, nn.Tanh, outputs=12)
    found = nakami.initialisation(net, X, method="data", directions="orthogonal")
    found.proposal.apply(net)
    w = net[2].weight.detach()
    torch.testing.assert_close(w @ w.T, (w @ w.T)[0, 0] * torch.eye(12, dtype=w.dtype))


def test_biases_can_be_kept():
    net = plain(6, 40, nn.Tanh)
    for part in net[::2]:
        part.bias.data.normal_(0, 0.1)
    before = copy.deepcopy(net)
    for method in ("critical", "data"):
        found = nakami.initialisation(net, X, method=method, biases="keep")
        assert found.proposal.plan.bias_std == {}
        found.proposal.apply(net)
        for part, old in zip(net[::2], before[::2], strict=True):
            assert torch.equal(part.bias, old.bias)
    edge = meanfield.edge_of_chaos("tanh", float(found.theory.criticality.bias_variance))
    near_edge = nakami.initialisation(before, X, method="critical", biases="keep").proposal.plan
    assert near_edge.weight_variance == pytest.approx(edge.weight_variance, rel=0.05)


@pytest.mark.parametrize("without", ["none has one", "one is frozen"])
def test_biases_that_cannot_be_drawn_stay(without):
    net = plain(6, 40, nn.Tanh)
    if without == "none has one":
        for part in net[::2]:
            part.register_parameter("bias", None)
    else:
        net[2].bias.requires_grad_(False).fill_(0.2)
    before = copy.deepcopy(net)
    plan = nakami.initialisation(net, X, method="critical").proposal.apply(net)
    kept = nakami.initialisation(before, X, method="critical", biases="keep").proposal
    for p, q in zip(plan.parameters(), kept.apply(copy.deepcopy(before)).parameters(), strict=True):
        assert torch.equal(p, q)
    assert "biases as they are" in kept.plan.rule
    for part, old in zip(net[::2], before[::2], strict=True):
        assert part.bias is old.bias is None or torch.equal(part.bias, old.bias)


def test_biases_are_zero_at_the_critical_point_of_relu_where_they_can_be():
    net = plain(4, 40, nn.ReLU)
    net[0].register_parameter("bias", None)
    net[2].bias.data.fill_(0.2)
    net[4].bias.requires_grad_(False).fill_(0.2)
    nakami.initialisation(net, X, method="critical").proposal.apply(net)
    assert not bool(net[2].bias.any())
    assert bool((net[4].bias == 0.2).all())


@pytest.mark.parametrize("method", ["auto", "data"])
@pytest.mark.parametrize("layer", [1, 2])
def test_a_matrix_of_zeros(layer, method):
    net = plain(3, 40, nn.Tanh)
    net[2 * layer].weight.data.zero_()
    found = nakami.initialisation(net, X, method=method)
    assert found.proposal.method == "data"
    assert found.theory.chi[layer] == 0
    if layer == 1:  # what stands behind sees nothing, where tanh has slope 1
        assert found.theory.chi[2] == pytest.approx(
            float(net[4].weight.detach().var(correction=0) * 40)
        )
        assert found.theory.criticality is None


def test_theory_is_of_the_model_as_it_is_called():
    net = plain(3, 200, nn.Tanh)
    for view in ({"select": lambda z: 3 * z}, {"forward": lambda m, x: 3 * m(x)}):
        found = nakami.initialisation(nakami.View(net, **view), X)
        assert found.theory is None
        assert found.uncovered.endswith("without forward= or select=")
        plain_one = nakami.initialisation(net, X).measured.end_to_end
        assert found.measured.end_to_end == pytest.approx(9 * plain_one)


class Tower(nn.Module):
    """Residual blocks of two layers each, without normalisation."""

    def __init__(self, blocks, width):
        super().__init__()
        self.enter, self.leave = nn.Linear(12, width), nn.Linear(width, 5)
        self.first = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))
        self.second = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))

    def forward(self, x):
        x = self.enter(x)
        for a, b in zip(self.first, self.second, strict=True):
            x = x + b(functional.relu(a(x)))
        return self.leave(x)


def test_branches_add_up_to_no_more_than_they_find():
    torch.manual_seed(0)
    net = Tower(12, 60).double()
    for p in net.parameters():
        if p.ndim > 1:
            nn.init.kaiming_normal_(p)
    found = nakami.initialisation(net, X)
    assert "Tower" in found.uncovered or "bypass" in found.uncovered
    assert found.signal.verdict == found.gradient.verdict == "explodes"  # doubles at each block
    after = {layer.name: layer for layer in found.proposal.after.layers}
    for i in range(12):
        assert after[f"first.{i}"].chi == pytest.approx(1, rel=0.1)
        assert after[f"second.{i}"].chi == pytest.approx(1 / 12, rel=0.1)
    assert found.proposal.after.end_to_end == pytest.approx(np.e, rel=0.5)
    assert after["first.3"].parent == "second.2"


def test_data_driven_scales_of_other_networks():
    x = torch.randn(8, 1, 14, 14, dtype=torch.float64)
    net = nakami.View(Tutorial().double(), batch_statistics=False)  # kept so in training
    found = nakami.initialisation(net, x, probes=64)
    assert found.proposal.method == "data"
    assert "conv1" in found.uncovered
    after = found.proposal.after.layers
    assert [layer.name for layer in after] == ["conv1", "conv2", "fc1", "fc2"]
    assert after[0].second_moment == pytest.approx(1)
    assert all(layer.chi == pytest.approx(1, rel=0.15) for layer in after[1:])


def test_batch_statistics_take_the_scale_of_the_layer_before_away():
    chis, net = [], orthogonal(2, 1.0)
    net.insert(1, nn.BatchNorm1d(12, eps=1e-12).double())
    for scale in (1.0, 0.1):
        for layer in (net[0], net[2]):
            layer.weight.data *= scale
        found = nakami.initialisation(nakami.View(net, batch_statistics=True), X, probes=4)
        chis.append(found.layers[1].chi / scale**2)
        assert found.layers[1].second_moment == pytest.approx(scale**2)
        assert torch.all(net[1].running_mean == 0)
    assert chis[1] == pytest.approx(100 * chis[0], rel=1e-4)  # 1 / variance


def test_frozen_matrices_stay():
    net = plain(3, 8, nn.Tanh)
    net[2].weight.requires_grad_(False)
    found = nakami.initialisation(net, X)
    assert found.proposal.left == ("2.weight",)
    assert (
        "no critical point: model must have weights to scale, got '2.weight' frozen"
        in found.proposal.plan.notes[0]
    )
    before = net[2].weight.clone()
    found.proposal.apply(net)
    assert torch.equal(net[2].weight, before)


def test_attention_and_tokens():
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True, norm_first=True)
    net = nn.Sequential(nn.Embedding(11, 8), layer, nn.Linear(8, 3)).double()
    tokens = torch.randint(11, (5, 7), generator=torch.Generator().manual_seed(4))
    found = nakami.initialisation(net, tokens, probes=64)
    names = ["0", "1.self_attn", "1.linear1", "1.linear2", "2"]
    assert [layer.name for layer in found.layers] == names
    assert found.layers[0].parent == ""
    assert np.isnan(found.layers[0].chi)
    assert np.isnan(found.measured.end_to_end)
    assert "0.weight" in found.proposal.left
    assert "1.self_attn.in_proj_weight" in found.proposal.left
    after = {layer.name: layer.chi for layer in found.proposal.after.layers}
    assert after["1.self_attn"] == pytest.approx(0.5, rel=0.2)  # two ends of branches
    assert after["1.linear1"] == pytest.approx(1, rel=0.2)


def test_a_branch_around_the_input_counts():
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    x = torch.randn(6, 5, 8, generator=torch.Generator().manual_seed(5))
    found = nakami.initialisation(nn.Sequential(layer, nn.Linear(8, 3)), x, probes=64)
    after = {reading.name: reading.chi for reading in found.proposal.after.layers}
    assert after["0.self_attn"] == pytest.approx(0.5, rel=0.2)
    assert after["0.linear2"] == pytest.approx(0.5, rel=0.2)
    assert after["0.linear1"] == pytest.approx(1, rel=0.2)


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(12, 12), nn.Linear(12, 4)

    def forward(self, x):
        return self.b(self.a(torch.tanh(self.a(x))))


def test_shared_weights_are_scaled_where_they_run_first():
    found = nakami.initialisation(Twice().double(), X)
    assert [layer.name for layer in found.layers] == ["a", "a:2", "b"]
    assert "'a:2' uses 'a.weight' again" in found.proposal.plan.notes[0]
    assert set(found.proposal.factors) == {"a.weight", "b.weight"}
    assert found.proposal.after.layers[0].second_moment == pytest.approx(1)


def test_layers_of_zeros_stay():
    net = Residual().double()
    nn.init.zeros_(net.inner.weight)
    nn.init.zeros_(net.inner.bias)
    found = nakami.initialisation(net, torch.randn(4, 6, dtype=torch.float64))
    assert "inner.weight" in found.proposal.left
    assert "'inner' stays: no derivative passes into it" in found.proposal.plan.notes


def test_rounding_bounds_the_signal():
    net = plain(16, 30, nn.Tanh, std=0.3)
    for part in net[::2]:
        part.bias.data.fill_(0.1)
    exact = nakami.initialisation(net, X)
    rough = nakami.initialisation(nakami.View(net, dtype="float32"), X)
    assert not exact.signal.bound
    assert rough.signal.bound
    assert exact.signal.decades < rough.signal.decades < -10
    assert "or less" in str(rough.signal)
    assert rough.gradient.decades == pytest.approx(exact.gradient.decades, rel=1e-3)


def test_nothing_left_is_said():
    net = plain(3, 8, nn.ReLU)
    net[2].bias.data.fill_(-1e3)  # dead units
    found = nakami.initialisation(net, X, method="data", biases="keep")
    assert "nothing is left of the gradient" in str(found.gradient)
    assert "4.weight" in found.proposal.left


NET = plain(3, 8, nn.Tanh)


@pytest.mark.parametrize(
    ("net", "data", "options", "message"),
    [
        (nn.GRU(12, 5).double(), X, {}, r"without recurrent layers .*got GRU at 'its top'"),
        (nn.Tanh(), X, {}, "model must run a layer with a weight matrix, got none"),
        (NET, X[:1], {}, "data must hold at least two examples, got 1"),
        (NET, X * torch.nan, {}, "data must be finite, got"),
        (NET, X.long(), {}, r"data must be floating-point, got torch.int64; pass data\.float"),
        (NET, X[:1].repeat(3, 1), {}, "data must hold examples that differ behind '0'"),
        (NET, X * float("nan"), {}, "must be finite, got 72 NaN"),
        (NET, X[:, :5], {}, "cannot take an input of shape"),
        (NET, X, {"method": "lsuv"}, "method must be one of auto, critical, data, got 'lsuv'"),
        (NET, X, {"biases": "drop"}, "biases must be one of zero, keep"),
        (NET, X, {"directions": "haar"}, "directions must be one of kept, orthogonal"),
        (NET, X, {"probes": 1}, "probes must be a whole number from 2 on, got 1"),
        (NET, X, {"seed": -1}, "seed must be a whole number"),
        (NET, X, {"activation": "tanhh"}, "activation 'tanhh' is unknown; nearest of .*'tanh'"),
        (Twice().double(), X, {"method": "critical"}, "method must be one that covers the network"),
        (
            nn.Sequential(*plain(3, 8, nn.Tanh)[:3], nn.ReLU(), plain(3, 8, nn.ReLU)[4]),
            X,
            {"method": "critical"},
            "have one activation for a critical point, got relu, tanh",
        ),
        (plain(3, 8, nn.Sigmoid), X, {"method": "critical"}, "holds the variance 0.1"),
    ],
)
def test_refused_in_one_sentence(net, data, options, message):
    with pytest.raises(UsageError, match=message) as caught:
        nakami.initialisation(net, data, **options)
    assert "\n" not in str(caught.value)


def test_explosion_beyond_the_arithmetic_is_named():
    net = plain(30, 12, nn.ReLU, std=100.0).float()
    with pytest.raises(RunError, match=r"states of '\d+' are not finite in float32: the signal"):
        nakami.initialisation(net, X.float())


def test_another_network_is_refused_by_apply():
    found = nakami.initialisation(NET, X)
    with pytest.raises(UsageError, match=r"must have a parameter '0\.weight', got none"):
        found.proposal.apply(nn.Tanh())
    with pytest.raises(UsageError, match=r"must be a torch\.nn\.Module, got dict"):
        found.proposal.apply({})


class Denoiser(nn.Module):
    """A branch that all inputs share comes first, as the time of a diffusion model."""

    def __init__(self):
        super().__init__()
        self.time = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 16))
        self.a, self.b, self.c = nn.Linear(8, 16), nn.Linear(16, 16), nn.Linear(16, 8)

    def forward(self, x):
        time = self.time(x.new_full((len(x), 1), 0.3))
        hidden = torch.tanh(self.a(x) + time)
        return self.c(torch.tanh(self.b(hidden)))


def test_what_all_inputs_share_is_no_part_of_the_way_of_a_signal():
    torch.manual_seed(0)
    model, x = Denoiser().double(), torch.randn(32, 8).double()
    found = nakami.initialisation(model, x, probes=4)
    first = model.a(x).detach()
    last = model(x).detach()
    wanted = float(torch.log10(last.var(0).mean() / first.var(0).mean()))
    assert found.signal.decades == pytest.approx(wanted, rel=1e-9)
    assert [layer.name for layer in found.layers if layer.spread == 0] == ["time.0", "time.2"]
    assert found.signal.layers == found.gradient.layers == 2
    found.proposal.apply(model)
    after = nakami.initialisation(model, x, probes=64)
    assert all(0.7 < layer.chi < 1.4 for layer in after.layers[1:])


@pytest.mark.parametrize("method", ["critical", "data"])
def test_progress_is_told_for_each_layer(method):
    torch.manual_seed(0)
    layers = [nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 2)]
    told = []
    nakami.initialisation(
        nn.Sequential(*layers), torch.randn(8, 6), method=method,
        progress=lambda *seen: told.append(seen),
    )  # fmt: skip
    assert [(done, total) for done, total, _, _ in told] == [(i, 6) for i in range(1, 7)]
    assert [what for *_, what in told][::3] == ["as it is: 0", "as proposed: 0"]
    assert told[-1][2] == 0


class Fires(nn.Module):
    """Pairs of parallel layers, joined side by side or added, each pair behind a narrow one."""

    def __init__(self, depth, joined, width=40):
        super().__init__()
        generator = torch.Generator().manual_seed(4)
        inside = 2 * width if joined else width
        self.squeeze = nn.ModuleList(nn.Linear(inside, width) for _ in range(depth))
        self.left = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.right = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.first, self.joined = nn.Linear(12, inside), joined
        with torch.no_grad():
            for p in self.double().parameters():
                p.normal_(0, 0.05, generator=generator)

    def forward(self, x):
        x = self.first(x)
        for squeeze, left, right in zip(self.squeeze, self.left, self.right, strict=True):
            h = torch.relu(squeeze(torch.relu(x)))
            parts = left(h), right(h)
            x = torch.cat(parts, -1) if self.joined else sum(parts)
        return x


@pytest.mark.parametrize("joined", [True, False])
def test_parallel_layers_are_scaled_together(joined):
    net = Fires(6, joined)
    found = nakami.initialisation(net, X, probes=64)
    assert found.gradient.verdict == "vanishes"
    h = torch.relu(net.squeeze[0](torch.relu(net.first(X))))
    states = torch.cat([net.left[0](h), net.right[0](h)], -1).detach()

    def step(z):
        inside = z if joined else z[:, :40] + z[:, 40:]
        return net.squeeze[1](torch.relu(inside))

    layer = next(layer for layer in found.layers if layer.name == "squeeze.1")
    near(layer.chi, layer.chi_se, dense(step, states), most=0.2)
    then = {layer.name: layer.chi for layer in found.proposal.after.layers}
    assert then["squeeze.1"] == pytest.approx(1, abs=0.2)
    assert abs(found.proposal.after.gradient.decades) < 1.0  # by one of the two alone 6 log10(2)


def test_scales_that_read_worse_are_not_proposed(monkeypatch):
    from nakami.geometry.scales import _initialisation as module

    real = module.on_data

    def bad(*given):
        plan = real(*given)
        return module.replace(plan, scales={n: 10 * s for n, s in plan.scales.items()})

    monkeypatch.setattr(module, "on_data", bad)
    net = orthogonal(5, 1.2)
    before = [p.clone() for p in net.parameters()]
    found = nakami.initialisation(net, X, probes=2, method="data")
    proposal = found.proposal
    assert (proposal.method, dict(proposal.factors)) == ("none", {})
    assert not proposal.converged
    assert "none was found" in proposal.plan.rule
    assert "by a factor 10^8.0, up or down, as it is by 10^0.6" in proposal.reason
    assert proposal.after == found.measured
    assert len(proposal.left) == 5
    proposal.apply(net)
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))
