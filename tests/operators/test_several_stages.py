"""Several stages from one sweep: the stacked Jacobian against each stage's own."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import nakami
from checks import check_operator
from nakami.operators import FunctionalModel
from nakami.results import UsageError
from networks import Pair, Residual, build

DEPTHS = {
    "tutorial cnn": (("conv1.relu", "pool:2", "output"), "input"),
    "tutorial cnn from a stage": (("bn", "bn.relu", "fc2"), "pool"),
    "residual": (("enter", "inner", "inner.relu", "output"), "input"),
    "in-place relu": (("0", "1", "2"), "input"),
    "tied weights": (("encode", "encode.sigmoid", "output"), "input"),
}


def dense_rows(net, x, names, start):
    """Each stage's Jacobian built and multiplied out on its own."""
    return [nakami.jacobian(net, x, to=name, start=start).dense() for name in names]


@pytest.mark.parametrize("case", DEPTHS)
def test_rows_are_those_of_the_separate_jacobians(case):
    names, start = DEPTHS[case]
    net, x = build(case.removesuffix(" from a stage"))
    op = nakami.jacobian(net, x, to=names, start=start)
    rows = dense_rows(net, x, names, start)
    check_operator(op, torch.cat(rows))
    with pytest.raises(AssertionError, match="not close"):
        check_operator(op, torch.cat(rows[::-1]))
    assert op.to == names[-1]
    assert list(op.parts) == list(names)
    for part, alone in zip(op.by_stage(op.dense()).values(), rows, strict=True):
        assert_close(part, alone, rtol=1e-10, atol=1e-12)


def test_the_order_asked_does_not_matter():
    net, x = build("tutorial cnn")
    op = nakami.jacobian(net, x, to=["output", "conv1.relu", "fc1"])
    assert list(op.parts) == ["conv1.relu", "fc1", "output"]
    assert [rows.stop - rows.start for rows in op.parts.values()] == [432, 7, 5]
    frozen = FunctionalModel(net)
    states = frozen.activations(x, ("conv1.relu", "fc1", "output"))
    assert_close(op.output, torch.cat([s.reshape(-1) for s in states]))
    assert_close(frozen.activations(x, ("output", "fc1"))[1], states[1])


def test_one_name_in_a_list_is_that_stage():
    net, x = build("mlp")
    one, listed = nakami.jacobian(net, x, to="1"), nakami.jacobian(net, x, to=["1"])
    assert torch.equal(one.dense(), listed.dense())
    assert (one.to, one.parts) == (listed.to, listed.parts) == ("1", {"1": slice(0, 9)})


def test_parts_of_a_vector_and_of_a_block():
    net, x = build("mlp")
    op = nakami.jacobian(net, x, to=("0", "2"))
    v = torch.randn(6, 3, dtype=torch.float64)
    shapes = {name: tuple(part.shape) for name, part in op.by_stage(op @ v).items()}
    assert shapes == {"0": (9, 3), "2": (4, 3)}
    assert {n: tuple(p.shape) for n, p in op.by_stage(op @ v[:, 0]).items()} == {
        "0": (9,), "2": (4,),
    }  # fmt: skip
    with pytest.raises(UsageError, match=r"product must have 13 rows, got shape \(6, 3\)"):
        op.by_stage(v)


def test_cotangents_at_several_stages_add_up():
    net, x = build("tutorial cnn")
    names = ("conv1", "bn.relu", "fc2")
    op = nakami.jacobian(net, x, to=names)
    u = torch.randn(op.shape[0], 2, dtype=torch.float64)
    apart = [
        nakami.jacobian(net, x, to=name).T @ part.clone() for name, part in op.by_stage(u).items()
    ]
    assert_close(op.T @ u, sum(apart), rtol=1e-10, atol=1e-12)


def test_the_run_stops_at_the_deepest():
    net, x = build("tutorial cnn")
    calls = []
    net.fc1.register_forward_hook(lambda *args: calls.append(1))
    FunctionalModel(net).activations(x, ("conv1", "pool:2"))
    assert not calls
    FunctionalModel(net).activations(x, ("conv1", "fc1"))
    assert calls


def test_one_sweep_runs_the_network_once_for_each_product(monkeypatch):
    net, x = build("mlp")

    def broken(*args):
        raise NotImplementedError("not here")

    monkeypatch.setattr("nakami.operators.autodiff._strategies.linearised", broken)
    op = nakami.jacobian(net, x, to=("0", "1", "2"))
    assert op.route == "forward mode"
    calls = []
    net[0].register_forward_hook(lambda *args: calls.append(1))
    op @ torch.ones(6, 3, dtype=torch.float64)
    assert len(calls) == 1


class Language(nn.Module):
    """Tokens and positions through a recurrent layer and an encoder layer."""

    def __init__(self):
        super().__init__()
        self.places, self.tokens = nn.Embedding(5, 4), nn.Embedding(9, 4)
        self.recurrent = nn.GRU(4, 6, batch_first=True)
        self.encode = nn.TransformerEncoderLayer(6, 2, 8, batch_first=True)
        self.read = nn.Linear(6, 3)

    def forward(self, tokens):
        h = self.places(torch.arange(tokens.shape[1]))[None] + self.tokens(tokens)
        return self.read(self.encode(self.recurrent(h)[0]).mean(1))


def test_tokens_from_their_embedding_not_that_of_the_positions():
    torch.manual_seed(0)
    net, tokens = Language().double(), torch.tensor([[3, 1, 4, 1, 5]])
    names = ("recurrent", "output")
    op = nakami.jacobian(net, tokens, to=names)
    assert op.start == "tokens"
    check_operator(op, torch.cat(dense_rows(net, tokens, names, None)))
    net.eval()
    h = net.tokens(tokens).detach()

    def rest(z):
        h = net.recurrent(net.places(torch.arange(5))[None] + z)[0]
        return net.read(net.encode(h).mean(1)).reshape(-1)

    jac = torch.autograd.functional.jacobian(rest, h).reshape(3, -1)
    assert_close(op.by_stage(op.dense())["output"], jac, rtol=1e-9, atol=1e-12)


def test_by_the_parameters():
    net, x = build("tutorial cnn")
    names = ("bn.relu", "fc2")
    op = nakami.jacobian(net, x, to=names, wrt="parameters")
    rows = [nakami.jacobian(net, x, to=n, wrt="parameters").dense() for n in names]
    check_operator(op, torch.cat(rows))


class SideStep(nn.Module):
    """A sound output, and beside it a small state whose gradient is another one's."""

    def __init__(self, cut):
        super().__init__()
        self.side, self.main, self.cut = nn.Identity(), nn.Linear(6, 6), cut

    def forward(self, x):
        self.side(1e-3 * (x.detach() if self.cut else torch.sin(x)))
        return self.main(x)


def test_a_cut_gradient_at_one_of_the_stages_is_said():
    x = torch.ones(1, 6, dtype=torch.float64)
    nakami.jacobian(SideStep(False).double(), x, to=("side", "main"))
    with pytest.raises(UsageError, match="the gradient of this network is cut"):
        nakami.jacobian(SideStep(True).double(), x, to=("side", "main"))


class OneWay(torch.autograd.Function):
    """Its two modes disagree, by far less than the rest of a float32 product."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return 1e-4 * torch.sin(x)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(inputs[0])
        ctx.save_for_forward(inputs[0])

    @staticmethod
    def backward(ctx, grad):
        return 1e-4 * grad * torch.cos(ctx.saved_tensors[0])

    @staticmethod
    def jvp(ctx, tangent):
        return 3e-4 * tangent


class Hidden(nn.Module):
    def __init__(self):
        super().__init__()
        self.large, self.small = nn.Identity(), nn.Identity()

    def forward(self, x):
        return self.small(OneWay.apply(self.large(x)))


def test_a_wrong_product_behind_a_large_one_is_seen():
    x = torch.full((1, 40), 1.1)
    with pytest.raises(UsageError, match=r"to must name stages that one route .*got 'small' where"):
        nakami.jacobian(Hidden(), x, to=("large", "small"))
    assert nakami.jacobian(Hidden(), x, to="small").route == "double reverse"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("to", "start", "message"),
    [
        (("enter", "leaf"), None, "to 'leaf' is unknown; nearest of 6: 'leave'"),
        (("enter", "enter"), None, "to must name each stage once, got 'enter' again; leave it"),
        ((), None, r"to must be the name of a stage, or several, got \(\); take them from stages"),
        (("enter", 2), None, r"to must be the name of a stage, or several, got \('enter', 2\)"),
        (("input", "leave"), None, r"start must come before to, got .* to='input'; leave that st"),
        (("enter", "leave"), "inner", "start must come before to, got start='inner' and to='ente"),
        (("inner.relu", "leave"), "inner", "start must be a cut, got 'inner': 'leave' also"),
    ],
)  # fmt: skip
def test_refusals(to, start, message):
    net, x = Residual().double(), torch.ones(1, 6, dtype=torch.float64)
    with pytest.raises(UsageError, match=message):
        nakami.jacobian(net, x, to=to, start=start)


def test_parameters_do_not_move_the_input():
    with pytest.raises(UsageError, match="to must be a stage behind the input, got 'input'"):
        nakami.jacobian(nn.Linear(6, 2), torch.ones(1, 6), to="input", wrt="parameters")


def test_selected_output_beside_a_stage():
    net, x = Pair().double(), torch.randn(1, 5, dtype=torch.float64)
    op = nakami.jacobian(nakami.View(net, select=lambda out: out[1]), x, to=("a", "output"))
    jac = torch.autograd.functional.jacobian(lambda z: torch.cat((net.a(z), net(z)[1]), 1), x)
    check_operator(op, jac.reshape(5, 5))
