"""Products of the dual layer by layer, and routes tried on few examples, against dense."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close
from torch.utils.checkpoint import checkpoint

import nakami
from nakami.operators.autodiff import _strategies
from nakami.operators.autodiff._linearise import linearised
from nakami.operators.curvature import _batches, _first_examples
from own_functions import Applied, StraightThrough


def problem(n=150, outputs=3, bias=True):
    gen = torch.Generator().manual_seed(0)
    x = torch.randn(n, 10, generator=gen, dtype=torch.float64)
    y = torch.randint(0, outputs, (n,), generator=gen)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(10, 50, bias=bias), nn.Tanh(), nn.Linear(50, outputs))
    return model.double(), x, y


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("pattern", ["*", "2.*", "*weight", "*bias"])
def test_products_and_lifts_layer_by_layer(pattern, bias):
    model, x, y = problem(bias=bias)  # 150 examples: more than twice the fan-in, and fewer
    if pattern == "*bias" and not bias:
        return
    op = nakami.fisher(model, [(x[:90], y[:90]), (x[90:], y[90:])], "cross_entropy").layer(pattern)
    a = op.root.dense()
    kernel = op.root.gram()
    assert kernel.known is None
    u = torch.randn(450, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert_close(kernel @ u, a @ (a.T @ u), rtol=1e-10, atol=1e-12)
    assert kernel.known is not None
    assert_close(kernel.root @ u, a.T @ u, rtol=1e-10, atol=1e-12)
    assert_close(kernel.root.T @ a.T, a @ a.T, rtol=1e-10, atol=1e-12)
    assert nakami.trace(op).value == pytest.approx(float(a.square().sum()), rel=1e-12)
    whole = nakami.fisher(model, (x, y), "cross_entropy").layer(pattern).trace_by_parameter()
    assert op.trace_by_parameter() == pytest.approx(whole, rel=1e-10)


def test_products_with_the_root_do_not_depend_on_what_was_multiplied_before():
    model, x, y = problem()
    op = nakami.fisher(model.float(), (x.float(), y), "cross_entropy")
    u = torch.randn(450, 2, generator=torch.Generator().manual_seed(1))
    before = op.root.T @ u
    op.kernel @ u
    assert torch.equal(op.root.T @ u, before)
    assert not torch.equal(op.kernel.root @ u, before)  # another way, so that this can fail


def calls(op):
    """What can be asked of a curvature matrix, by name."""
    u, v = (torch.randn(n, 2, generator=torch.Generator().manual_seed(1)) for n in op.root.shape)
    return {
        "product": lambda: op @ v,
        "column": lambda: op @ v[:, 0],
        "root": lambda: op.root @ v,
        "root, transposed": lambda: op.root.T @ u,
        "dual": lambda: op.kernel @ u,
        "lift": lambda: op.kernel.root @ u,
        "dense dual": lambda: op.kernel.dense(),
        "trace": lambda: torch.tensor(nakami.trace(op).value, dtype=torch.float64),
        "by parameter": lambda: torch.tensor(list(op.trace_by_parameter().values())),
        "gradient": lambda: op.gradient(),
        "blocks of units": lambda: op.unit_blocks("2"),
        "largest": lambda: nakami.eigh(op, 1).vectors,
    }


@pytest.mark.parametrize("kind", ["fisher", "ggn", "empirical_fisher"])
@pytest.mark.parametrize("budget", [1 << 30, 4_000_000])
def test_bits_do_not_depend_on_the_order_of_calls(kind, budget, monkeypatch):
    monkeypatch.setattr("nakami.spectra._svd.SMALL_SIDE", 100)
    model, x, y = problem()
    found = []
    for order in (1, -1):
        op = getattr(nakami, kind)(
            model.float(), (x.float(), y), "cross_entropy", memory_budget=budget
        )
        found.append({name: act() for name, act in list(calls(op).items())[::order]})
    for name, value in found[0].items():
        assert torch.equal(value, found[1][name]), name


def test_layers_at_many_positions_go_through_the_network():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv1d(1, 3, 3), nn.Flatten(), nn.Linear(24, 3)).double()
    _, x, y = problem()
    op = nakami.fisher(model, (x[:, None], y), "cross_entropy")
    kernel, a = op.root.gram(), op.root.dense()
    u = torch.ones(450, 1, dtype=torch.float64)
    assert_close(kernel @ u, a @ (a.T @ u))
    assert kernel.known is None


def test_the_largest_eigenvalue_layer_by_layer(monkeypatch):
    monkeypatch.setattr("nakami.spectra._svd.SMALL_SIDE", 100)
    model, x, y = problem()
    op = nakami.fisher(model, (x, y), "cross_entropy")
    dense = op.dense()
    true = torch.linalg.eigvalsh(dense)[-1]
    found = nakami.eigh(op, 1, tol=1e-5)
    assert (found.settings["side"], found.converged) == ("dual", True)
    assert op.root.gram().known is not None
    assert_close(found.values[0], true, rtol=1e-5, atol=0)
    v = found.vectors[:, 0]
    assert float((dense @ v - found.values[0] * v).norm()) <= 2e-5 * float(true)
    assert float(v.norm()) == pytest.approx(1, abs=1e-12)


def test_a_route_is_tried_on_few_examples_and_taken_on_all(monkeypatch):
    asked = []

    def counted(function, point):
        asked.append(len(function(point)))
        return linearised(function, point)

    monkeypatch.setattr(_batches, "linearised", counted)
    monkeypatch.setattr(_strategies, "linearised", counted)
    model, x, y = problem()
    op = nakami.fisher(model, (x, y), "cross_entropy")
    v = torch.randn(op.shape[0], 3, generator=torch.Generator().manual_seed(1)).double()
    blocks = op @ v
    assert op.route == "fisher, linearised"
    assert asked == [3 * _first_examples.TRIED, 450]
    assert_close(op @ v[:, 0], blocks[:, 0], rtol=1e-10, atol=1e-12)
    assert_close(op.dense() @ v, blocks, rtol=1e-10, atol=1e-12)


def test_a_straight_through_gradient_is_still_seen():
    model, x, y = problem()
    op = nakami.fisher(nn.Sequential(*model, Applied(StraightThrough)), (x, y), "cross_entropy")
    with pytest.warns(nakami.results.NakamiWarning, match="no derivative"):
        op.root.gram() @ torch.ones(450, 1, dtype=torch.float64)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("of", ["layer", "output"])
def test_tied_weights_beside_a_checkpoint(tied, of):
    """What a checkpoint runs again has to save as many tensors as the run before."""

    class LM(nn.Module):
        def __init__(self, saving):
            super().__init__()
            torch.manual_seed(0)
            self.embed, self.output, self.saving = nn.Embedding(5, 4), nn.Linear(4, 5), saving
            self.layer = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 4))
            if tied:
                self.output.weight = self.embed.weight

        def forward(self, t):
            h, layer = self.embed(t), self.layer if of == "layer" else lambda h: h + self.layer(h)
            h = checkpoint(layer, h, use_reentrant=False) if self.saving else layer(h)
            return self.output(h).permute(0, 2, 1)

    t = torch.randint(0, 5, (4, 3), generator=torch.Generator().manual_seed(0))
    found, want = (
        nakami.ggn(LM(saving).double(), (t, t.roll(1, 1)), "cross_entropy")
        for saving in (True, False)
    )
    dense = want.dense()
    assert_close(found.dense(), dense, rtol=1e-9, atol=1e-12)
    assert nakami.trace(found).value == pytest.approx(float(dense.trace()), rel=1e-9)
    largest = float(torch.linalg.eigvalsh(dense)[-1])
    assert float(nakami.eigh(found, 1).values[0]) == pytest.approx(largest, rel=1e-6)
    assert_close(found.root.dense().T @ found.root.dense(), dense, rtol=1e-9, atol=1e-12)
