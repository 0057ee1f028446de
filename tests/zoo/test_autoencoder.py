"""The autoencoder against autograd, principal components, and the score that it estimates."""

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

import nakami
from nakami.results import UsageError
from nakami.zoo.autoencoder import ACTIVATIONS, OUTPUTS, Autoencoder


def net(**options):
    gen = torch.Generator().manual_seed(0)
    made = Autoencoder(6, 4, generator=gen, dtype=torch.float64, **options)
    with torch.no_grad():
        for bias in (made.visible_bias, made.hidden_bias):
            bias.normal_(generator=gen)
    return made, torch.rand(5, 6, generator=gen, dtype=torch.float64)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_contraction_is_the_norm_of_the_jacobian(activation, tied):
    made, x = net(activation=activation, tied=tied)
    dense = torch.autograd.functional.jacobian(made, x)  # (N, h, N, v), examples apart
    wanted = torch.stack([dense[i, :, i].square().sum() for i in range(len(x))])
    assert_close(made.contraction(x), wanted, rtol=1e-12, atol=1e-12)
    op = nakami.jacobian(made, x[:1])
    assert_close(made.contraction(x[:1])[0].detach(), op.dense().square().sum())


@pytest.mark.parametrize("output", OUTPUTS)
def test_the_error_is_a_negative_log_likelihood(output):
    made, x = net(output=output)
    r = made.reconstruct(x)
    if output == "sigmoid":
        wanted = -(x * r.log() + (1 - x) * (1 - r).log()).sum(1)
    else:
        wanted = ((r - x) ** 2).sum(1) / 2
    assert_close(made.error(made(x), x), wanted)


def test_tied_weights_get_the_gradient_of_both_roles():
    tied, x = net()
    loose, _ = net(tied=False)
    with torch.no_grad():
        loose.back.copy_(tied.weight)
        loose.weight.copy_(tied.weight)
        loose.visible_bias.copy_(tied.visible_bias)
        loose.hidden_bias.copy_(tied.hidden_bias)
    for each in (tied, loose):
        each.error(each(x), x).sum().backward()
    assert_close(tied.weight.grad, loose.weight.grad + loose.back.grad)


def test_a_linear_autoencoder_spans_the_principal_components():
    gen = torch.Generator().manual_seed(1)
    scales = torch.tensor([3.0, 2, 1.5, 0.3, 0.2, 0.1], dtype=torch.float64)
    x = torch.randn(200, 6, generator=gen, dtype=torch.float64) * scales
    x = (x - x.mean(0)) @ torch.linalg.qr(torch.randn(6, 6, generator=gen).double())[0]
    made = Autoencoder(6, 3, activation="linear", output="linear", dtype=torch.float64)
    options = {"max_iter": 500, "tolerance_grad": 1e-12, "tolerance_change": 1e-16}
    optimizer = torch.optim.LBFGS(made.parameters(), line_search_fn="strong_wolfe", **options)

    def closure():
        optimizer.zero_grad()
        loss = made.error(made(x), x).mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    basis = torch.linalg.qr(made.weight.detach().T)[0]
    principal = torch.linalg.svd(x, full_matrices=False)[2][:3].T
    assert_close(basis @ basis.T, principal @ principal.T, rtol=0, atol=1e-5)


def test_taking_out_noise_is_matching_the_score_of_an_energy():
    """Vincent 2011: ``(r(x) - x) / s^2 = -dE/dx`` of the energy of the tied, linear-output net."""
    made, x = net(output="linear")
    s = 0.4
    x = x.requires_grad_(True)
    z = F.linear(x, made.weight, made.hidden_bias)
    energy = -(x @ made.visible_bias - 0.5 * x.square().sum(1) + F.softplus(z).sum(1)) / s**2
    (slope,) = torch.autograd.grad(energy.sum(), x)
    assert_close((made.reconstruct(x) - x) / s**2, -slope)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"visible": 0}, "visible must be at least 1, got 0"),
        ({"activation": "sigmoyd"}, "activation .*sigmoyd.*sigmoid"),
        ({"output": "softmax"}, "output .*softmax"),
    ],
)
def test_wrong_use(options, message):
    with pytest.raises(UsageError, match=message):
        Autoencoder(**{"visible": 3, "hidden": 2, **options})
