"""Real torch networks read by duck typing: measured variances, predictions, refusals."""

import numpy as np
import pytest
import torch
from torch import nn

from nakami import data, zoo
from nakami.results import UsageError
from nakami.theory import meanfield as mf
from wide_networks import LAWS, draw, kernel


def network(net, activation=nn.Tanh, dtype=torch.float64):
    """The drawn network as modules in a row."""
    model = nn.Sequential(nn.Flatten())
    for i, (weight, bias) in enumerate(net):
        linear = nn.Linear(*weight.shape[::-1], dtype=dtype)
        linear.load_state_dict({"weight": torch.tensor(weight), "bias": torch.tensor(bias)})
        model.append(linear)
        if i < len(net) - 1:
            model.append(activation())
    return model


class Functions(nn.Module):
    """Activations as functions in forward."""

    def __init__(self, twist="none"):
        super().__init__()
        self.one, self.two, self.out = nn.Linear(8, 90), nn.Linear(90, 90), nn.Linear(90, 3)
        self.twist = twist

    def forward(self, x):
        h = self.one(x.flatten(1)).relu()
        h = self.two(h).relu() + (h if self.twist == "residual" else 0)
        f = self.out(h)
        return f.softmax(-1) if self.twist == "softmax" else f


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.out, self.act = nn.Linear(8, 8), nn.Linear(8, 3), nn.ReLU()

    def forward(self, x):
        return self.out(self.act(self.one(self.act(self.one(x)))))


class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.gate = mlp(), nn.Parameter(torch.ones(1))

    def forward(self, x):
        return self.body(x) * self.gate


def mlp(*behind, before=(), hidden=nn.ReLU, outputs=3):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        one, two = nn.Linear(8, 120), nn.Linear(120, outputs)
    return nn.Sequential(*before, one, hidden(), two, *behind)


X = torch.randn(30, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("phi", "module"), [("tanh", nn.Tanh), ("relu", nn.ReLU)])
def test_predictions_for_a_random_network(phi, module):
    rng, widths = np.random.default_rng(0), (300, 700, 500, 600, 5)
    w, b = (1.2, 2.5, 1.5, 2.0), (0.3, 0.0, 0.1, 0.2)
    net, x = draw(widths, w, b, rng), rng.standard_normal((60, 300)) + 0.5
    found = mf.describe(network(net, module), torch.tensor(x).reshape(60, 3, 100))
    np.testing.assert_allclose(found.weight_variance, w, rtol=0.05)
    np.testing.assert_allclose(found.bias_variance[[0, 2]], (0.3, 0.1), rtol=0.25)
    assert found.bias_variance[1] == 0
    assert (found.widths, found.samples, found.checked) == (widths, 60, 60)
    assert (found.activations, found.layers) == ((phi,) * 3, ("1", "3", "5", "7"))
    assert found.start == mf.start_values(x)
    assert found.doubts == ()
    np.testing.assert_allclose(found.activity_ratio, 1, atol=0.12)
    values = np.linalg.eigvalsh(kernel(net, x, phi)[0] / 60)
    assert abs(values.sum() / found.statistics.trace - 1) < 0.1
    assert abs(values[-5:].mean() / found.statistics.largest - 1) < 0.15
    assert found.order.layer_gain[0] == pytest.approx(
        found.weight_variance[0] * mf.activation(phi).derivative_moment(found.order.q1[0])
    )


def test_arrays_and_single_precision_and_bfloat16():
    net = draw((40, 200, 200, 4), *LAWS["tanh"], np.random.default_rng(0))
    x = np.random.default_rng(1).standard_normal((300, 40)).astype(np.float32)
    double = mf.describe(network(net), x.astype(np.float64))
    single = mf.describe(network(net, dtype=torch.float32), x)
    half = mf.describe(network(net, dtype=torch.float32).bfloat16(), torch.tensor(x).bfloat16())
    assert (single.samples, single.checked) == (300, 256)
    assert single.statistics.largest == pytest.approx(double.statistics.largest, rel=1e-5)
    assert half.statistics.largest == pytest.approx(double.statistics.largest, rel=1e-2)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (nn.ReLU, "relu"),
        (nn.Sigmoid, "sigmoid"),
        (nn.GELU, "gelu"),
        (lambda: nn.GELU("tanh"), "gelu-tanh"),
        (nn.SiLU, "silu"),
        (nn.Softplus, "softplus"),
        (lambda: nn.LeakyReLU(0.2), "leaky_relu(0.2)"),
        (lambda: nn.Softplus(beta=3.0), "softplus(3)"),
    ],
)
def test_activations_are_torchs(module, name):
    """The layers are run with our functions and compared with the model's output."""
    assert mf.describe(mlp(hidden=module), X).activations == (name,)


def tied():
    """Two layers with one matrix."""
    model = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 2))
    model[2].weight = model[0].weight
    return model


def test_the_model_is_left_as_it_was():
    model = mlp(before=(nn.Dropout(0.5),)).train()
    model[1].eval()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    random = torch.get_rng_state()
    mf.describe(model, X)
    assert [m.training for m in model] == [True, False, True, True]
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert not any(m._forward_hooks for m in model.modules())


class Counting(nn.Sequential):
    """A network that counts its runs in a buffer, and may fail."""

    def __init__(self, error=None):
        super().__init__(*mlp())
        self.register_buffer("runs", torch.zeros(()))
        self.error = error

    def forward(self, x):
        self.runs += 1
        if self.error:
            raise self.error("not today\nand more")
        return super().forward(x)


def test_buffers_are_put_back():
    model = Counting()
    mf.describe(model, X)
    assert float(model.runs) == 0
    for error in (ValueError, IndexError, AssertionError):
        failing = Counting(error)
        with pytest.raises(UsageError, match=rf"got {error.__name__}: not today; pass inputs as"):
            mf.describe(failing, X)
        assert float(failing.runs) == 0


@pytest.mark.filterwarnings("error")
def test_layers_of_zeros_are_compared_without_a_quotient():
    model = mlp(outputs=1)
    with torch.no_grad():
        model[0].weight.zero_()
        model[0].bias.zero_()
    found = mf.describe(model, X)
    np.testing.assert_array_equal(found.activity_ratio, 1)
    np.testing.assert_allclose(found.overlap_difference, 0, atol=1e-12)


def test_functions_in_forward_need_their_name():
    with pytest.raises(
        UsageError, match=r"one after the other .*got other outputs .* pass activation"
    ):
        mf.describe(Functions(), X)
    assert mf.describe(Functions(), X, activation="relu").activations == ("relu", "relu")
    for twist in ("residual", "softmax"):
        with pytest.raises(UsageError, match=r"sums over a bypass, scalings"):
            mf.describe(Functions(twist), X, activation="relu")


class Joined(nn.Module):
    """Layers whose widths do not follow one from the other."""

    def __init__(self):
        super().__init__()
        self.one, self.out = nn.Linear(8, 90), nn.Linear(98, 3)

    def forward(self, x):
        return self.out(torch.cat([x, self.one(x).relu()], 1))


def test_a_concatenation_is_refused():
    with pytest.raises(UsageError, match=r"must be its linear layers .*sums over a bypass"):
        mf.describe(Joined(), torch.randn(5, 8), activation="relu")


def test_shared_activation_module_is_one_step_each_time():
    act = nn.Tanh()
    model = nn.Sequential(nn.Linear(8, 99), act, nn.Linear(99, 99), act, nn.Linear(99, 2))
    assert mf.describe(model, X).activations == ("tanh", "tanh")


def test_shipped_network_and_what_speaks_against_the_theory():
    digits = data.digits("train").inputs[:200]
    found = mf.describe(zoo.build("mlp"), digits)
    assert found.widths == (784, 300, 100, 10)
    assert len(found.doubts) == 1
    assert (
        "10 outputs are many beside the widths: lambda_max may lie 1.5 times above"
        in found.doubts[0]
    )
    model = mlp(outputs=1)
    with torch.no_grad():
        model[0].weight.add_(0.5)
    (first, second) = mf.describe(model, X.abs()).doubts
    assert "weights of '0' have mean 0.5, not 0" in first
    assert "behind '0' the activity is" in second
    narrow = nn.Sequential(nn.Linear(8, 5), nn.ReLU(), nn.Linear(5, 1, bias=False))
    described = mf.describe(narrow, X)
    assert "hidden layers of width 5 are narrow" in described.doubts
    assert "layers without biases have bias variance 0" in described.assumed


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (mlp(nn.Softmax(-1)), r"got Softmax at '3'; the output must be linear .* logits"),
        (mlp(nn.LogSoftmax(-1)), r"got LogSoftmax at '3'; the output must be linear"),
        (mlp(nn.BatchNorm1d(3)), r"got BatchNorm1d at '3'; normalisation .* batch_normalised"),
        (mlp(before=(nn.LayerNorm(8),)), r"got LayerNorm at '0'; normalisation couples"),
        (mlp(before=(nn.Unflatten(1, (1, 8)), nn.Conv1d(1, 1, 1))), r"got Unflatten at '0'"),
        (nn.Sequential(nn.Conv1d(1, 1, 1)), r"got Conv1d at '0'; convolutions share weights"),
        (nn.GRU(8, 8), r"got GRU at its top; recurrence uses one matrix many times"),
        (mlp(hidden=nn.ELU), r"got ELU at '1'; its activations are ReLU, LeakyReLU"),
        (mlp(nn.Tanh()), r"model must end with a linear layer, got tanh behind '2'"),
        (nn.Sequential(nn.Linear(8, 2)), r"must have a hidden layer, got one linear layer"),
        (mlp(before=(nn.ReLU(),)), r"behind each hidden layer, got '0' before the first linear"),
        (mlp(before=(nn.Linear(8, 8), nn.ReLU(), nn.Tanh())), r"got '2' where '0' has one"),
        (Twice(), r"model must run 'one' once, got twice"),
        (tied(), r"model must run '0' once, got its weights again in '2'"),
        (Gated(), r"parameters in linear layers that it runs, got 'gate' outside"),
        (nn.Sequential(nn.ReLU()), r"model must have weights, got none"),
        (nn.Linear(5, 2), r"model must run on data of shape \(30, 8\), got RuntimeError"),
        (zoo.build("cnn"), r"got Conv2d at 'conv1'; convolutions share weights"),
    ],
)
def test_what_the_theory_does_not_cover_is_refused(model, message):
    with pytest.raises(UsageError, match=message) as caught:
        mf.describe(model, X)
    error = caught.value
    assert (error.argument, bool(error.rule), bool(error.way_out)) == ("model", True, True)


def test_wrong_use_is_told():
    with pytest.raises(TypeError, match="model must be a torch module, got str"):
        mf.describe("model", X)
    with pytest.raises(TypeError, match="data must be an array or a tensor, got tuple"):
        mf.describe(mlp(), (X, X))
    broken = mlp()
    with torch.no_grad():
        broken[0].weight.fill_(float("nan"))
    with pytest.raises(UsageError, match="model must give finite outputs, got NaN or inf"):
        mf.describe(broken, X)
    with pytest.raises(
        UsageError, match=r"data must be finite, two examples or more, got \(1, 8\)"
    ):
        mf.describe(mlp(), X[:1])
    with pytest.raises(
        UsageError, match=r"once an example, got '0' at an input of shape \(2, 4, 8\)"
    ):
        mf.describe(mlp(), torch.ones(2, 4, 8))

    class Scaled(Functions):
        def forward(self, x):
            return super().forward(x / 255)

    with pytest.raises(UsageError, match="must hand its input unchanged to 'one', got another"):
        mf.describe(Scaled(), X, activation="relu")
