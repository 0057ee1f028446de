"""Complex parameters count as pairs of real ones, beside a network with the pairs themselves."""

import pytest
import torch
from torch import nn

import nakami
from gauntlet import Reference

DOUBLE = torch.float64


def complex_of(pairs):
    return torch.complex(pairs[..., 0], pairs[..., 1])


class Mix(nn.Module):
    def __init__(self, weight, bias):
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)

    def forward(self, f):
        return f @ complex_of(self.weight).T + complex_of(self.bias)


class Fourier(nn.Module):
    """A layer on the frequencies of a signal; ``split`` has its weights as pairs."""

    def __init__(self, split):
        super().__init__()
        generator = torch.Generator().manual_seed(0)

        def draw(*shape):
            return 0.5 * torch.randn(*shape, generator=generator, dtype=DOUBLE)

        self.up, self.down, self.split = nn.Linear(1, 2), nn.Linear(2, 1), split
        for p in self.parameters():
            p.data = draw(*p.shape)
        self.odd = nn.Parameter(torch.ones(1, dtype=DOUBLE))  # what follows begins at odd places
        w, m, b = draw(2, 3, 3, 2), draw(2, 3, 2), draw(2, 2)
        self.w = nn.Parameter(w if split else complex_of(w))
        if split:
            self.mix = Mix(m, b)
        else:
            self.mix = nn.Linear(3, 2, dtype=torch.complex128)
            self.mix.weight.data, self.mix.bias.data = complex_of(m), complex_of(b)

    def forward(self, x):
        f = torch.fft.rfft(self.up(x).permute(0, 2, 1))[..., :3]
        w = complex_of(self.w) if self.split else self.w
        f = self.mix(torch.einsum("bim,iom->bmo", f, w) * self.odd)
        h = torch.fft.irfft(f.transpose(1, 2), n=x.shape[1])
        return self.down(torch.tanh(h.permute(0, 2, 1)))


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(3, 6, 1, generator=generator, dtype=DOUBLE) for _ in range(2)]


@pytest.mark.parametrize("kind", ["ggn", "hessian"])
def test_matrices(kind, data):
    model, reference = Fourier(split=False), Reference(Fourier(split=True))
    op = getattr(nakami, kind)(model, tuple(data), nn.MSELoss())
    want = getattr(reference, kind)(*data, nn.MSELoss())
    torch.testing.assert_close(op.dense(), want, rtol=1e-8, atol=1e-10)
    assert op.value == pytest.approx(reference.value(*data, nn.MSELoss()), rel=1e-12)


def test_norms_dual_layers_and_gradient(data):
    model, reference = Fourier(split=False), Reference(Fourier(split=True))
    op, want = nakami.ggn(model, tuple(data), "mse"), reference.ggn(*data, nn.MSELoss())
    assert nakami.trace(op).value == pytest.approx(float(want.trace()), rel=1e-9)
    shares = op.trace_by_parameter()
    sizes = [2 * p.numel() if p.is_complex() else p.numel() for p in model.parameters()]
    wanted = [float(part.sum()) for part in want.diagonal().split(sizes)]
    assert list(shares.values()) == pytest.approx(wanted, rel=1e-9)
    values = torch.linalg.eigvalsh(op.kernel.dense()).flip(0)[:10]
    torch.testing.assert_close(values, torch.linalg.eigvalsh(want).flip(0)[:10], rtol=1e-9, atol=0)
    begin = sum(sizes[: list(op.names).index("w")])
    rows = slice(begin, begin + 36)
    torch.testing.assert_close(op.layer("w").dense(), want[rows, rows], rtol=1e-9, atol=1e-11)
    x, y = data
    nn.MSELoss()(model(x), y).backward()
    for name, part in op.split(op.gradient()).items():
        torch.testing.assert_close(part, model.get_parameter(name).grad, rtol=1e-9, atol=1e-12)


def test_empirical_fisher_and_jacobian(data):
    model, reference = Fourier(split=False), Reference(Fourier(split=True))
    x, y = data
    each = torch.autograd.functional.jacobian(
        lambda flat: reference.outputs(flat, x).reshape(-1), reference.point
    )
    op = nakami.jacobian(model, x[:1], wrt="parameters")
    torch.testing.assert_close(op.dense(), each[:6], rtol=1e-8, atol=1e-10)
    rows = (reference.outputs(reference.point, x) - y).reshape(3, 6) / 1.0
    gradients = torch.einsum("no,nop->np", rows, each.reshape(3, 6, -1))
    want = gradients.T @ gradients / 3
    found = nakami.empirical_fisher(model, (x, y), "mse")
    torch.testing.assert_close(found.dense(), want, rtol=1e-8, atol=1e-10)


def test_the_limit_of_a_learning_rate(data):
    model, reference = Fourier(split=False).float(), Reference(Fourier(split=True))
    want = 2 / float(torch.linalg.eigvalsh(reference.ggn(*data, nn.MSELoss()))[-1])
    x, y = (part.float() for part in data)
    kinds = [p.dtype for p in model.parameters()]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    found = nakami.rate_limit(model, (x, y), nn.MSELoss(), optimizer)
    assert found.limit == pytest.approx(want, rel=1e-3)
    assert [p.dtype for p in model.parameters()] == kinds


def test_a_network_of_complex_parameters_alone():
    class Phases(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.randn(3, 2, dtype=torch.complex128))

        def forward(self, x):
            return (x.to(self.w.dtype) @ self.w).abs()

    torch.manual_seed(0)
    model, x = Phases(), torch.randn(1, 3, dtype=DOUBLE)

    def outputs(pairs):
        return (x.to(model.w.dtype) @ torch.view_as_complex(pairs)).abs().reshape(-1)

    pairs = torch.view_as_real(model.w.detach()).clone()
    want = torch.autograd.functional.jacobian(outputs, pairs).reshape(2, -1)
    found = nakami.jacobian(model, x, wrt="parameters").dense()
    torch.testing.assert_close(found, want, rtol=1e-9, atol=1e-12)
