"""The x-ray of recurrent layers: what they get, and each reading against the single functions."""

from __future__ import annotations

import copy
import shutil

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

import nakami
from nakami.recurrent import StateMap, lyapunov, spectra_over_time, xray
from nakami.recurrent._calls import driven_layers
from nakami.results import UsageError


class Two(nn.Module):
    """A GRU over an embedding, an LSTM with time first behind it, dropout between."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(5, 3)
        self.low = nn.GRU(3, 4, batch_first=True)
        self.drop = nn.Dropout(0.5)
        self.high = nn.LSTM(4, 2)
        self.out = nn.Linear(2, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        states = self.drop(self.low(self.embed(tokens))[0])
        out: Tensor = self.out(self.high(states.transpose(0, 1))[0][-1])
        return out


@pytest.fixture
def two() -> Two:
    torch.manual_seed(0)
    return Two().train()


TOKENS = torch.randint(0, 5, (6, 12), generator=torch.Generator().manual_seed(1))


def test_each_layer_is_read_at_what_it_gets_and_nothing_stays(two: Two) -> None:
    before, chance = copy.deepcopy(two.state_dict()), torch.get_rng_state()
    low, high = driven_layers(two, TOKENS, None)
    assert (low.name, high.name) == ("low", "high")
    embedded = two.embed(TOKENS).double().detach()
    torch.testing.assert_close(torch.stack(low.sequences), embedded)
    net = StateMap(two.low)
    states = net.run(embedded)[:, 1:]
    torch.testing.assert_close(torch.stack(high.sequences), states, rtol=1e-5, atol=1e-6)
    assert torch.equal(torch.stack(high.starts), torch.zeros(6, 4).double())
    assert two.training
    assert two.drop.training
    assert not any(m._forward_hooks for m in two.modules())
    assert torch.equal(torch.get_rng_state(), chance)
    assert all(torch.equal(a, before[name]) for name, a in two.state_dict().items())


def test_readings_are_those_of_the_single_functions(two: Two) -> None:
    found = xray(two, TOKENS, at="mean", seed=3)
    layer = found["low"]
    joined = two.embed(TOKENS).double().detach().flatten(0, 1)
    alone = lyapunov(two.low, joined, discard=18, seed=3)
    np.testing.assert_allclose(layer.exponents.exponents, alone.exponents, atol=1e-12)
    assert layer.exponents.steps == 72 - 18
    mean = joined.mean(dim=0)
    point = torch.from_numpy(layer.fixed_points.points[0])
    after = two.low.double()(mean[None, None], point[None, None])[1].flatten().detach()
    torch.testing.assert_close(after, point, rtol=0, atol=1e-8)
    step = nn.Module.__call__
    h = torch.zeros(1, 1, 4).double().requires_grad_()
    dense = torch.autograd.functional.jacobian(
        lambda h: step(two.low, two.embed(TOKENS[:1]).double(), h)[1].flatten(), h
    )
    expected = np.linalg.svd(dense.reshape(4, 4).numpy())[1][0]
    assert layer.growth.singular_values[0, 0] == pytest.approx(expected, rel=1e-9)
    assert layer.margins[0].sigma == pytest.approx(
        np.linalg.svd(two.low.weight_hh_l0.detach()[8:].numpy())[1][0], rel=1e-6
    )
    assert found["high"].margins == ()


def test_spectra_over_time_are_those_of_the_single_function(two: Two) -> None:
    layer = xray(two, TOKENS, layers=["low"])["low"]
    alone = spectra_over_time(two.low, two.embed(TOKENS).detach(), [1, 5, 10, 12])
    np.testing.assert_allclose(layer.over_time.values, alone.values, rtol=1e-6, atol=1e-9)
    largest = alone.of("state")[:, -1, 0]
    np.testing.assert_allclose(layer.growth.singular_values[:, 0], largest, rtol=1e-6)
    left = layer.numbers()
    assert (left["left_of_state"], left["left_after_steps"]) == (alone.above()[-1].mean, 12)


def test_a_run_without_spectra_over_time_is_read(two: Two, tmp_path) -> None:
    xray(two, TOKENS, layers=["low"], out=tmp_path)
    for piece in tmp_path.glob("pieces/*over_time*"):
        shutil.rmtree(piece)
    old = nakami.load(tmp_path)["low"]
    assert old.over_time is None
    assert "left_of_state" not in old.numbers()
    assert xray(two, TOKENS, layers=["low"], out=tmp_path)["low"].over_time is not None


def test_the_portrait_is_the_principal_components_of_the_states(two: Two) -> None:
    layer = xray(two, TOKENS, layers=["low"])["low"]
    states = StateMap(two.low).run(two.embed(TOKENS).detach()).numpy()
    flat = states[:, 1:].reshape(-1, 4)
    values, vectors = np.linalg.eigh(np.cov(flat.T))
    found = layer.portrait
    np.testing.assert_allclose(found.shares, values[::-1][:2] / values.sum(), rtol=1e-6)
    np.testing.assert_allclose(np.abs(found.axes @ vectors[:, ::-1][:, :2]), np.eye(2), atol=1e-6)
    np.testing.assert_allclose(found.paths, (states - flat.mean(0)) @ found.axes.T, atol=1e-7)
    gap = layer.fixed_points.points - found.mean
    inside = gap @ found.axes.T
    unit = np.sqrt(((flat - flat.mean(0)) ** 2).sum(1).mean())
    np.testing.assert_allclose(
        found.off_plane**2 * unit**2 + (inside**2).sum(1), (gap**2).sum(1), rtol=1e-6
    )


class Steps(nn.Module):
    """A cell called step by step; or a GRU that gets its last state back."""

    def __init__(self, cell: bool, *, anew: bool = False) -> None:
        super().__init__()
        self.unit: nn.Module = nn.LSTMCell(2, 3) if cell else nn.GRU(2, 3)
        self.cell, self.anew = cell, anew

    def forward(self, x: Tensor) -> Tensor:
        state = None
        for t in range(x.shape[1]):
            if self.cell:
                state = self.unit(x[:, t], state)
            else:
                state = self.unit(x[:, t][None], state)[1]
                state = state * 0.5 if self.anew else state
        return state[0]


@pytest.mark.parametrize("cell", [True, False])
def test_calls_that_carry_the_state_on_are_one_sequence(cell: bool) -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 7, 2)
    (driven,) = driven_layers(Steps(cell), x, None)
    torch.testing.assert_close(torch.stack(driven.sequences), x.double())
    with pytest.raises(UsageError, match="inputs must be sequences that carry the state on, got "):
        driven_layers(Steps(False, anew=True), x, None)


class Packed(nn.Module):
    """A layer on a packed sequence, with a first state of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.unit = nn.LSTM(2, 3, num_layers=2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        lengths = torch.tensor([5, 3, 4])
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        first = torch.arange(18.0).reshape(2, 3, 3) / 100
        out: Tensor = self.unit(packed, (first, first + 1))[1][0]
        return out


def test_packed_sequences_keep_lengths_and_first_states() -> None:
    torch.manual_seed(0)
    model, x = Packed(), torch.randn(3, 5, 2)
    (driven,) = driven_layers(model, x, None)
    assert [len(s) for s in driven.sequences] == [5, 3, 4]
    net = StateMap(model.unit)
    first = torch.arange(18.0).reshape(2, 3, 3) / 100
    state = net.state((first[:, 1:2], first[:, 1:2] + 1))
    torch.testing.assert_close(driven.starts[1], state)
    end = net.run(driven.sequences[1], driven.starts[1])[0, -1, 3:6]  # h of the second layer
    with torch.no_grad():
        torch.testing.assert_close(end.float(), model(x)[1, 1], rtol=1e-5, atol=1e-6)


def test_a_run_goes_on_and_is_read_back(two: Two, tmp_path, monkeypatch) -> None:
    whole = xray(two, TOKENS, out=tmp_path / "whole")

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("nakami.recurrent._xray.lyapunov", stop)
        with pytest.raises(KeyboardInterrupt):
            xray(two, TOKENS, out=tmp_path / "part")
    assert nakami.load(tmp_path / "part").layers == ()
    with monkeypatch.context() as patched:
        patched.setattr("nakami.recurrent._xray.fixed_points", _only_high)
        _only_high.calls = 0
        xray(two, TOKENS, out=tmp_path / "part")
    assert _only_high.calls == 1  # of the first layer they were there
    for name in ("low", "high"):
        a, b = whole[name], nakami.load(tmp_path / "part")[name]
        assert np.array_equal(a.exponents.exponents, b.exponents.exponents)
        assert np.array_equal(a.fixed_points.eigenvalues, b.fixed_points.eigenvalues)
        assert a.fixed_points.reason == b.fixed_points.reason
        assert a.margins == b.margins
    changes = nakami.compare(tmp_path / "whole", tmp_path / "part")
    assert all(before == after for _, before, after in changes.numbers)
    assert "layers.low.largest_exponent" in [name for name, _, _ in changes.numbers]
    with pytest.raises(UsageError, match="constant must be as in the run"):
        xray(two, TOKENS, out=tmp_path / "whole", at="mean")


def _only_high(*arguments, **options):
    from nakami.recurrent import fixed_points

    _only_high.calls += 1
    return fixed_points(*arguments, **options)


WRONG = {
    "no layer": (nn.Linear(2, 2), {}, "model must hold an nn.RNN, nn.GRU or nn.LSTM, got Linear"),
    "no module": (print, {}, "model must be a torch.nn.Module, got builtin_function_or_method"),
    "directions": (
        nn.Sequential(nn.GRU(2, 2, bidirectional=True)), {},
        "layers must have one direction, got 0, bidirectional; read another",
    ),
    "name": (Steps(False), {"layers": ["unti"]}, "layer 'unti' is unknown; nearest: 'unit'"),
    "at": (Steps(False), {"at": "one"}, "at must be one of zero, mean, got 'one'"),
    "k": (Steps(False), {"k": 4}, r"k must be .* 1 to 3 \(the state of unit\), got 4"),
    "about": (Steps(False), {"about": 3}, "about must be a mapping, got 3"),
}  # fmt: skip


UNFIT = {
    "size": (torch.zeros(2, 5, 7), r"Wide\) cannot take an input of shape \(2, 5, 7\): .*got 7"),
    "axes": (torch.zeros(2, 2, 5, 2), r"Wide\) cannot take an input of shape \(2, 2, 5, 2\)"),
    "NaN": (torch.full((2, 5, 2), torch.nan), "inputs must be finite, got 20 NaN"),
    "integers": (torch.ones(2, 5, 2, dtype=torch.long), "inputs must be floating-point, got"),
    "none": (None, "inputs must be a torch.Tensor or hold some, got NoneType"),
    "empty": (torch.zeros(0, 5, 2), "inputs must hold at least one example"),
}  # fmt: skip


class Wide(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(2, 3, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.rnn(x)[0]


@pytest.mark.parametrize("case", UNFIT)
def test_inputs_that_do_not_fit_are_one_sentence_about_inputs(case: str) -> None:
    inputs, message = UNFIT[case]
    with pytest.raises((UsageError, TypeError), match=message):
        xray(Wide(), inputs)


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_one_sentence(case: str) -> None:
    model, options, message = WRONG[case]
    with pytest.raises((UsageError, TypeError), match=message):
        xray(model, torch.zeros(2, 5, 2), **options)


@pytest.mark.parametrize(
    ("budget", "steps", "message"),  # of high (S = 4, I = 4): 8 S (S + t I) bytes
    [
        (
            250,
            {},
            r"fit 250 bytes, got high with a state of 4 \(the Jacobian over 1 step takes 256",
        ),
        (300, {"steps": (1, 3)}, r"over 3 steps takes 512 bytes\); pass fewer steps, name others"),
    ],
)
def test_states_too_large_are_refused_before_any_reading(two, monkeypatch, budget, steps, message):
    made = []
    monkeypatch.setattr("nakami.recurrent._over_time.DEFAULT_BUDGET", budget)
    monkeypatch.setattr("nakami.recurrent._xray.DEFAULT_BUDGET", budget)
    monkeypatch.setattr("nakami.recurrent._xray.fixed_points", made.append)
    with pytest.raises(UsageError, match=message):
        xray(two, TOKENS, layers=["high"], **steps)
    assert not made


def test_default_times_give_way_to_memory(two, monkeypatch):
    monkeypatch.setattr("nakami.recurrent._over_time.DEFAULT_BUDGET", 300)
    monkeypatch.setattr("nakami.recurrent._xray.DEFAULT_BUDGET", 300)
    found = xray(two, TOKENS, layers=["high"])
    assert found.layers[0].over_time.steps.tolist() == [1]


def test_states_at_rest_lie_within_the_bounds() -> None:
    from nakami.recurrent import fixed_points

    assert StateMap(nn.GRU(1, 2)).bounds.tolist() == [1, 1]
    assert StateMap(nn.LSTM(1, 1, num_layers=2)).bounds.tolist() == [1, 1, np.inf, np.inf]
    assert StateMap(nn.RNN(1, 1, nonlinearity="relu")).bounds.tolist() == [np.inf]
    model = nakami.zoo.build("gru")
    nakami.data.load_weights(model, nakami.data.shipped_weights("gru"))
    found = fixed_points(model.rnn, random_starts=32)
    assert np.abs(found.points).max() < 1
    assert not np.isclose(found.radii, 1, atol=1e-6).any()


def test_runs_without_a_common_layer_are_not_compared(two: Two) -> None:
    low, high = (xray(two, TOKENS, layers=[name], k=1) for name in ("low", "high"))
    assert [run.settings["layers"][0]["time_first"] for run in (low, high)] == [False, True]
    text = "the runs must share the name of a layer, got high and low; compare runs of one network"
    with pytest.raises(UsageError, match=text):
        nakami.compare(high, low)
