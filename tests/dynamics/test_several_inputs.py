"""X-rays at several inputs at once, against torch's dense Jacobians of the joined floats."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

import nakami
from nakami.dynamics import SpectrumOptions as Options
from nakami.results import UsageError


class Conditioned(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.o = nn.Linear(6, 8), nn.Linear(3, 8), nn.Linear(8, 4)

    def forward(self, x, condition, mask=None):
        h = torch.tanh(self.a(x) + self.b(condition))
        return self.o(h if mask is None else h * mask)


class Pair(nn.Module):
    """Takes one object with two attributes."""

    def __init__(self):
        super().__init__()
        self.inner = Conditioned()

    def forward(self, pair):
        return self.inner(pair.x, pair.condition)


@dataclass
class Both:
    x: torch.Tensor
    condition: torch.Tensor


class Masked(nn.Module):
    """Attention over tokens, with a mask of integers or of minus infinity."""

    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(11, 4), nn.Linear(4, 3)

    def forward(self, input_ids, attention_mask):
        h = self.embed(input_ids)
        if not attention_mask.is_floating_point():
            attention_mask = (1.0 - attention_mask.to(h)) * -1e9
        scores = h @ h.transpose(1, 2) + attention_mask[:, None]
        return self.head(torch.softmax(scores, -1) @ h)


def made(kind=Conditioned):
    torch.manual_seed(0)
    return kind().double()


def drawn(n=3):
    generator = torch.Generator().manual_seed(1)
    return (torch.randn(n, size, generator=generator, dtype=torch.float64) for size in (6, 3))


def dense(model, x, c):
    """``d output / d (x, condition)`` at one example by plain torch, the columns joined."""
    parts = torch.autograd.functional.jacobian(lambda *a: model(*a)[0], (x[None], c[None]))
    return torch.cat([p.reshape(4, -1) for p in parts], 1)


@pytest.mark.parametrize(
    "form",
    [
        lambda x, c: (x, c),
        lambda x, c: [x, c],
        lambda x, c: {"condition": c, "x": x},
        lambda x, c: {"x": x, "condition": c, "mask": torch.ones(len(x), 8, dtype=torch.int64)},
    ],
    ids=["tuple", "list", "dict", "with a mask"],
)
def test_several_inputs_are_joined(form):
    model, (x, c) = made(), drawn()
    run = nakami.xray(model, form(x, c), stages="output")
    assert [s.shape for s in run.spectra] == [(4, 9)] * 3
    for s in run.spectra:
        exact = torch.linalg.svdvals(dense(model, x[s.input], c[s.input])).numpy()
        np.testing.assert_allclose(s.values, exact, rtol=1e-10)
        with pytest.raises(AssertionError, match="Not equal to tolerance"):
            np.testing.assert_allclose(s.values, 1.001 * exact, rtol=1e-10)
    rows = run.inputs if not isinstance(form(x, c), dict) else np.sort(run.inputs)
    joined = torch.cat([x, c], 1).numpy()
    np.testing.assert_array_equal(np.sort(rows), np.sort(joined))


def test_an_object_with_tensors_is_read():
    model, (x, c) = made(Pair), drawn()
    run = nakami.xray(model, Both(x, c), stages="output")
    exact = torch.linalg.svdvals(dense(model.inner, x[1], c[1])).numpy()
    np.testing.assert_allclose(run.at("output")[1].values, exact, rtol=1e-10)


@pytest.mark.parametrize("floating", [False, True])
def test_tokens_with_a_mask_are_read_from_the_embedding(floating):
    """By a mask of whole numbers each text is read at its own length."""
    model = made(Masked)
    tokens = torch.tensor([[1, 5, 3, 9], [2, 2, 7, 0]])
    mask = torch.tensor([[1, 1, 1, 0], [1, 1, 0, 0]])
    given = torch.zeros(2, 4).double().masked_fill(mask == 0, -torch.inf) if floating else mask
    run = nakami.xray(model, {"input_ids": tokens, "attention_mask": given}, stages="output")
    assert run.source == "embed"
    np.testing.assert_array_equal(run.inputs, tokens.numpy())
    for s in run.spectra:

        def after(h, hidden=(mask == 0)[s.input]):
            scores = (h @ h.T).masked_fill(hidden, -torch.inf)
            return model.head(torch.softmax(scores, -1) @ h).reshape(-1)

        exact = torch.autograd.functional.jacobian(after, model.embed(tokens[s.input]).detach())
        exact = exact.reshape(12, 16)
        if not floating:
            n = int(mask[s.input].sum())
            exact = exact[: 3 * n, : 4 * n]
        exact = torch.linalg.svdvals(exact).numpy()
        np.testing.assert_allclose(s.values, exact, rtol=1e-9, atol=1e-12)


def test_what_all_examples_share_stays_whole():
    """A row beside three examples, and a number without axes."""
    model, (x, c) = made(), drawn()
    run = nakami.xray(model, (x, c[:1], torch.tensor(2.0).double()), stages="output")
    assert run.n_inputs == 3
    for s in run.spectra:
        parts = torch.autograd.functional.jacobian(
            lambda *a: model(*a)[0], (x[s.input][None], c[:1], torch.tensor(2.0).double())
        )
        exact = torch.linalg.svdvals(torch.cat([p.reshape(4, -1) for p in parts], 1))
        np.testing.assert_allclose(s.values, exact.numpy(), rtol=1e-10)


def test_a_graph_is_one_input():
    class Graph(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = nn.Linear(3, 2)

        def forward(self, x, edges):
            return self.lin(torch.tanh(x + torch.zeros_like(x).index_add(0, edges[1], x[edges[0]])))

    model, x = made(Graph), torch.randn(4, 3, dtype=torch.float64)
    edges = torch.tensor([[0, 1, 2, 3, 0], [1, 2, 3, 0, 2]])
    run = nakami.xray(model, {"x": x, "edges": edges}, stages="output")
    exact = torch.autograd.functional.jacobian(lambda v: model(v, edges), x).reshape(8, 12)
    assert run.spectra[0].shape == (8, 12)
    np.testing.assert_allclose(run.spectra[0].values, torch.linalg.svdvals(exact), rtol=1e-10)


def test_a_run_of_several_inputs_is_kept_and_continued(tmp_path):
    model, (x, c) = made(), drawn()
    whole = nakami.xray(model, {"x": x, "condition": c}, out=tmp_path)
    back = nakami.load(tmp_path)
    np.testing.assert_array_equal(back.inputs, torch.cat([x, c], 1).numpy())
    assert nakami.xray(model, {"x": x, "condition": c}, out=tmp_path).summary() == whole.summary()
    with pytest.raises(UsageError, match="inputs"):
        nakami.xray(model, {"x": x, "condition": c + 1}, out=tmp_path)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"x": [1.0, 2.0]}, r"inputs must be a torch.Tensor, got dict; convert numbers with torch"),
        (
            (torch.ones(2, 6), torch.tensor([[1.0, 0, 0], [torch.nan, 0, 0]])),
            r"inputs must be finite, got NaN or infinity in example 1 \(1 in all\); leave such",
        ),
        (
            (torch.ones(2, 6), torch.tensor([[1.0, 0, 0], [-torch.inf, 0, 0]])),
            r"inputs must hold minus infinity in a mask at every example or at none, got it in 1 ",
        ),
        ((torch.ones(2, 6).int(), torch.ones(2, 3).int()), r"inputs must be floating-point, got t"),
    ],
)
def test_what_several_inputs_must_be(inputs, message):
    with pytest.raises(UsageError, match=message):
        nakami.xray(made().float(), inputs)


def test_the_default_reads_as_many_values_as_the_memory_holds():
    """All 90 do not fit, nor do 50; the leading 20 do, and are those of the dense matrix."""
    torch.manual_seed(0)
    net = nn.Linear(400, 90, dtype=torch.float64)
    x = torch.ones(1, 400, dtype=torch.float64)
    exact = torch.linalg.svdvals(net.weight).detach().numpy()
    for budget, count in ((2**20, 90), (500_000, 25)):
        run = nakami.xray(net, x, spectrum=Options(memory_budget=budget))
        s = run.spectra[0]
        assert len(s.values) == count
        np.testing.assert_allclose(s.values, exact[:count], rtol=1e-4)
    with pytest.raises(UsageError, match="memory_budget must hold the dense 90 x 400 matrix"):
        nakami.xray(net, x, spectrum=Options(memory_budget=10_000))


def test_the_forecast_counts_products_and_inputs(monkeypatch):
    """With a clock that ticks once a look, so that every run takes a second."""
    ticks = iter(range(1000))
    monkeypatch.setattr("nakami.dynamics._forecast.time.perf_counter", lambda: float(next(ticks)))
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 10), nn.Sigmoid(), nn.Linear(10, 6)).double()
    x = torch.ones(3, 8, dtype=torch.float64)
    x[1:] += torch.randn(2, 8, dtype=torch.float64)
    dense = 3 * (8 * 10 * 8 + 6 * 8 * 6) / 1e10
    expected = 3 * ((8 + 6) / (2 * 32) + dense)
    assert nakami.dynamics.expected_seconds(net, x) == pytest.approx(expected, rel=1e-12)
    seconds = nakami.dynamics.expected_seconds(net, x, k=2)
    products = 8 + 112 + 6 + 112  # as many as values, and the probes
    expected = 3 * (products / (2 * 2) + 4 * (18 + 14) * 4**2 / 1e10)
    assert seconds == pytest.approx(expected, rel=1e-12)
