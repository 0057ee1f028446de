"""Traces from signs over the rows of each example: right on average, a backward pass for each."""

import pytest
import torch
from torch import nn

import nakami
from curvatures import Dense, Tokens
from nakami.operators.curvature._distributed import Ranks
from nakami.operators.curvature._probes import SignedProbes
from nakami.operators.per_example._examples import OutputRoot
from nakami.operators.per_example._layer_io import LayerIO
from nakami.operators.per_example._signed import SignedRoot
from nakami.results import NotConvergedWarning
from nakami.spectra import trace


def language_model(length=48, n=5):
    """Sequences longer than what is read position by position."""
    torch.manual_seed(0)
    x, y = torch.randint(0, 5, (n, length)), torch.randint(0, 3, (n, length))
    return Tokens().double(), x, y, nn.CrossEntropyLoss()


def many_classes():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 40)).double()
    return model, torch.randn(6, 6).double(), torch.randint(0, 40, (6,)), nn.CrossEntropyLoss()


def operator(name):
    """An operator with more than 32 rows for each example, and its trace from a dense matrix."""
    if name == "many classes":
        model, x, y, loss = many_classes()
        return nakami.fisher(model, (x, y), loss), Dense(model, x, y, loss).fisher().trace()
    model, x, y, loss = language_model()
    if name == "empirical":
        op = nakami.empirical_fisher(model, (x, y), loss)
        return op, Dense(model, x, y, loss).empirical_fisher().trace()
    op = nakami.fisher(model, (x, y), loss, samples=2)
    return op, op.dense().trace()  # by products, through no formula of a layer


@pytest.mark.parametrize("name", ["sampled", "empirical", "many classes"])
def test_estimates_scatter_around_the_trace_as_they_say(name):
    op, true = operator(name)
    probes = [op.trace_probes(seed) for seed in range(64)]
    for each in probes:
        each.add(4)
    values = torch.tensor([each.value for each in probes], dtype=torch.float64)
    stated = torch.tensor([each.se for each in probes], dtype=torch.float64).square().mean().sqrt()
    assert abs(float(values.mean() - true)) < 3.5 * float(values.std()) / 8
    assert float(stated / values.std()) == pytest.approx(1, abs=0.25)


@pytest.mark.parametrize("name", ["sampled", "empirical", "many classes"])
def test_all_probes_together_are_exact(name):
    op, true = operator(name)
    probes = op.trace_probes(0)
    probes.add(9)
    assert probes.value != pytest.approx(float(true), rel=1e-6)
    probes.add(probes.most - 9)
    assert probes.value == pytest.approx(float(true), rel=1e-10)
    assert probes.se == pytest.approx(0, abs=1e-9)


def test_signs_are_independent_between_examples():
    root = OutputRoot(lambda u: u, torch.zeros(3, 6))
    generator = torch.Generator().manual_seed(0)
    places = torch.arange(8).expand(3, 8)
    signs = torch.stack(list(SignedRoot(root, generator, places).each()), 1)
    assert torch.equal(signs.abs(), torch.ones(3, 8, 6))
    assert torch.equal(torch.einsum("nkc,nkd->ncd", signs, signs), 8 * torch.eye(6).expand(3, 6, 6))
    assert not torch.equal(signs[0], signs[1])


def test_places_and_signs_share_no_random_numbers():
    seen = []

    class Recorder:
        scale, examples = 1.0, 1

        def signed_squares(self, places, seed):
            root = OutputRoot(lambda u: u, torch.zeros(1, 8))
            signed = SignedRoot(root, torch.Generator().manual_seed(seed), places)
            seen.append(torch.stack(list(signed.each()), 1)[0])
            return torch.zeros(places.shape)

    for seed in range(300):
        SignedProbes(Recorder(), 8, seed, Ranks()).add(5)
    signs = torch.stack(seen)  # (seeds, probes, columns)
    pairs = torch.einsum("skc,skd->kcd", signs, signs) / 300
    assert float(signs.mean(0).abs().max()) < 0.25  # it was 0.8: a stream was used twice
    assert float((pairs - torch.eye(8)).abs().max()) < 0.25


def two_rows(n):
    """Sequences of which the same two positions count, alike: all overlaps lie at one distance."""
    torch.manual_seed(0)
    x = torch.randn(n, 1, 1).double().expand(n, 64, 2).contiguous()
    y = torch.full((n, 64), -100)
    y[:, 10:12] = torch.randint(0, 2, (n, 2))
    loss = nn.CrossEntropyLoss(reduction="sum")
    return nakami.fisher(ByPosition().double(), (x, y), loss, samples=1)


class ByPosition(nn.Linear):
    """Of two inputs two classes, which come on axis 1."""

    def __init__(self):
        super().__init__(2, 2)

    def forward(self, x):
        return super().forward(x).transpose(1, 2)


def test_overlaps_of_the_same_rows_in_all_examples_are_not_missed():
    op, wrong = two_rows(6), 0
    true = float(op.dense().trace())
    for seed in range(40):
        found = trace(op, 0.02, seed=seed)
        wrong += not found.exact and abs(found.value - true) > max(3 * found.se, 1e-9 * true)
    assert wrong <= 2  # places that examples share missed it in one of eight cases


def test_places_are_shuffled_of_each_example_by_itself():
    class Root:
        scale, examples = 1.0, 400

        def signed_squares(self, places, seed):
            return places.double()

    probes = SignedProbes(Root(), 7, 0, Ranks())
    probes.add(3)
    probes.add(5)
    assert torch.equal(probes.samples.sort(1).values, torch.arange(8.0).double().expand(400, 8))
    shares = (probes.samples[:, :, None] == torch.arange(8)).double().mean(0)
    assert float((shares - 1 / 8).abs().max()) < 4.5 * (7 / 64 / 400) ** 0.5


def test_a_backward_pass_for_each_probe_not_each_position(monkeypatch):
    passes = []
    slopes = LayerIO.slopes
    monkeypatch.setattr(LayerIO, "slopes", lambda *given: passes.append(1) or slopes(*given))
    op, true = operator("sampled")
    found = trace(op, 0.1)
    assert not found.exact
    assert found.converged
    assert abs(found.value - float(true)) < 4 * found.se
    assert found.se <= 0.1 * found.value
    assert len(passes) == found.n_probes + 1 < 96 / 2  # one more tries the formulas of layers
    assert found.n_products == (found.n_probes + 1) // 2
    passes.clear()
    assert trace(op, 1e-3).exact  # once that is no dearer
    assert len(passes) < 96 + 8


def test_methods_and_bounds():
    op, true = operator("many classes")
    assert trace(op, 0.5, method="exact").value == pytest.approx(float(true), rel=1e-12)
    found = trace(op, 1e-6, method="estimate")
    assert (found.n_probes, found.n_products) == (64, 32)  # all there are
    assert found.value == pytest.approx(float(true), rel=1e-12)
    op, true = operator("sampled")
    with pytest.warns(NotConvergedWarning, match=r"above rtol 1e-06, 32 products spent; raise max"):
        short = trace(op, 1e-6, method="estimate", max_products=32)
    assert (short.n_probes, short.converged) == (64, False)
    assert 0 < abs(short.value - float(true)) < 4 * short.se


def test_batches_and_budgets_change_nothing_but_rounding():
    model, x, y, loss = language_model()
    whole = trace(nakami.empirical_fisher(model, (x, y), loss), 0.1)
    parts = [(x[:2], y[:2]), (x[2:], y[2:])]
    small = nakami.empirical_fisher(model, parts, loss, memory_budget=20_000)
    assert len(small.parts) > 2
    assert trace(small, 0.1).value == pytest.approx(whole.value, rel=1e-12)


def test_sequences_of_other_lengths():
    model, x, y, loss = language_model()
    op = nakami.empirical_fisher(model, [(x[:2], y[:2]), (x[2:, :40], y[2:, :40])], loss)
    probes = op.trace_probes(3)
    probes.add(probes.most)
    assert probes.value == pytest.approx(float(op.dense().trace()), rel=1e-10)


def test_largest_eigenvalue_takes_no_pass_for_each_position(monkeypatch):
    torch.manual_seed(0)
    x, y = torch.randint(0, 5, (2, 48)), torch.randint(0, 3, (2, 48))
    net = Tokens()
    net.table, net.out = nn.Embedding(5, 30), nn.Linear(30, 3)  # more parameters than rows
    op = nakami.fisher(net.double(), (x, y), "cross_entropy", samples=1)
    wanted = torch.linalg.eigvalsh(op.dense())[-1]
    passes, slopes = [], LayerIO.slopes
    monkeypatch.setattr(LayerIO, "slopes", lambda *given: passes.append(1) or slopes(*given))
    found = nakami.eigh(op, 1)
    assert found.converged
    assert float(found.values[0]) == pytest.approx(float(wanted), rel=1e-4)
    assert len(passes) <= 1
    assert op.kernel.entries_cost == 48 // 2
