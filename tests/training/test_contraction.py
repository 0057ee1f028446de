"""The norm of any encoder's Jacobian against closed forms, dense float64 Jacobians, differences."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from nakami.results import UsageError
from nakami.training import Autoencoding, Masking, fit
from nakami.training._contraction import squared_norm
from nakami.zoo.autoencoder import ACTIVATIONS, Autoencoder, EncoderDecoder

ENCODERS = {
    "relu": ((9,), lambda: nn.Sequential(nn.Linear(9, 7), nn.ReLU(), nn.Linear(7, 5))),
    "tanh, more units than inputs": (
        (3,),
        lambda: nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 8), nn.Tanh()),
    ),
    "convolution": (
        (1, 5, 5),
        lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh(), nn.Conv2d(2, 2, 2), nn.Sigmoid()),
    ),
    "linear": ((4,), lambda: nn.Linear(4, 6)),
    "without the input": ((4,), lambda: Constant()),
}


class Constant(nn.Module):
    """Hidden units that do not look at the input."""

    def __init__(self):
        super().__init__()
        self.value = nn.Parameter(torch.ones(3))

    def forward(self, x):
        return self.value.expand(len(x), 3) + 0 * x[:, :3]


def made(name, count=4):
    shape, make = ENCODERS[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make().double(), torch.randn(count, *shape, dtype=torch.float64)


def dense(encoder, x):
    jacobians = [torch.autograd.functional.jacobian(encoder, row[None]) for row in x]
    return torch.stack([j.reshape(-1).square().sum() for j in jacobians])


def norm(encoder, x, probes=None, seed=0):
    x = x.clone().requires_grad_()
    return squared_norm(encoder(x), x, probes, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", ENCODERS)
def test_it_is_that_of_the_dense_jacobian(name):
    encoder, x = made(name)
    assert_close(norm(encoder, x).detach(), dense(encoder, x), rtol=1e-12, atol=1e-12)
    assert_close(norm(encoder, x, 100), norm(encoder, x))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_it_is_the_closed_form_of_one_layer(activation):
    x = torch.rand(5, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    net = Autoencoder(6, 4, activation=activation, dtype=torch.float64)
    found, wanted = norm(net, x), net.contraction(x)
    assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    slopes = [torch.autograd.grad(y.sum(), net.weight)[0] for y in (found, wanted)]
    assert_close(*slopes, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["tanh, more units than inputs", "convolution"])
@pytest.mark.parametrize("probes", [None, 2])
def test_its_gradient_is_that_of_finite_differences(name, probes):
    encoder, x = made(name)

    def penalty(*weights):
        named = dict(zip(dict(encoder.named_parameters()), weights, strict=True))
        return norm(lambda y: torch.func.functional_call(encoder, named, (y,)), x, probes).sum()

    weights = tuple(p.detach().requires_grad_() for p in encoder.parameters())
    assert torch.autograd.gradcheck(penalty, weights)


def test_few_probes_are_unbiased_with_the_stated_variance():
    encoder, x = made("relu", count=1)
    j = torch.autograd.functional.jacobian(encoder, x).reshape(5, 9)
    gram = j @ j.T
    variance = 2 * (gram.square().sum() - gram.diagonal().square().sum())
    many = norm(encoder, x.expand(20_000, -1), 3).detach()
    error = (variance / 3 / len(many)) ** 0.5
    assert abs(many.mean() - j.square().sum()) < 4 * error
    assert_close(many.var(), variance / 3, rtol=0.05, atol=0)
    assert many[:2].unique().numel() == 2  # each example has signs of its own


def coder(*, wide=80, **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = nn.Sequential(nn.Linear(100, wide), nn.Tanh(), nn.Linear(wide, wide), nn.Tanh())
        return EncoderDecoder(encoder, nn.Linear(wide, 100), **options)


def method(net, **options):
    return Autoencoding(net, torch.optim.Adam(net.parameters(), 1e-3), **options)


def rows():
    return torch.rand(60, 100, generator=torch.Generator().manual_seed(2))


def test_training_with_it_lowers_it():
    ends = []
    for weight in (0.0, 1.0):
        net = coder()
        fit(method(net, contraction=weight, corruption=Masking()), (rows(),), epochs=20, batch=20)
        ends.append(float(dense(net.encoder, rows()[:5]).mean()))
    assert ends[1] < 0.3 * ends[0]


def test_a_loss_without_a_gradient_is_the_same_number():
    learn = method(coder(wide=20), contraction=1.0)
    with torch.no_grad():
        found = learn.loss(rows())
    assert not found.requires_grad
    assert_close(found, learn.loss(rows()).detach())
    net = learn.module
    wanted = net.error(net(rows()), rows()).mean() + dense(net.encoder, rows()).mean()
    assert_close(found, wanted.detach())


def test_an_encoder_of_pictures_with_its_own_decoder_trains():
    encoder = nn.Sequential(nn.Conv2d(1, 4, 3, stride=2), nn.Sigmoid())
    net = EncoderDecoder(encoder, nn.ConvTranspose2d(4, 1, 3, stride=2))
    assert net.activation == "sigmoid"
    x = torch.rand(20, 1, 7, 7, generator=torch.Generator().manual_seed(0))
    losses = fit(method(net, contraction=0.1, sparsity=0.1, l1=0.01), (x,), epochs=5, batch=10)
    assert losses[-1] < losses[0]
    assert net.reconstruct(x).shape == x.shape


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: method(coder(), contraction_probes=0),
            "contraction_probes must be a whole number from 1 on, got 0; use 4",
        ),
        (
            lambda: method(coder(), sparsity=1.0),
            "sparsity must be asked of sigmoid units, got 0 < sparsity with tanh units; pass l1",
        ),
        (
            lambda: fit(
                method(
                    EncoderDecoder(
                        nn.Sequential(nn.Linear(100, 5), nn.BatchNorm1d(5)), nn.Linear(5, 100)
                    ),
                    contraction=1.0,
                ),
                (rows(),),
            ),
            "module must keep the examples of a batch apart, got a contraction of one that mixes",
        ),
        (
            lambda: method(EncoderDecoder(nn.Linear(100, 5), nn.Linear(5, 99))).loss(rows()),
            r"decoder must give back the shape of the data, \(60, 100\), got \(60, 99\); pass one",
        ),
        (
            lambda: squared_norm(rows(), rows()),
            "module must be differentiable by its input, got an encoder that is not; compute",
        ),
    ],
)
def test_wrong_use(make, message):
    with pytest.raises(UsageError, match=message):
        make()
