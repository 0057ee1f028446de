"""A step as a map of flat states: equal to torch's layers, its Jacobian to the field's formula."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nakami.recurrent import StateMap
from nakami.results import UsageError, UsageTypeError

UNITS = [
    (nn.RNN, {}),
    (nn.RNN, {"nonlinearity": "relu", "bias": False}),
    (nn.GRU, {"num_layers": 2, "dropout": 0.5}),
    (nn.GRU, {"bias": False}),
    (nn.LSTM, {"num_layers": 2}),
    (nn.LSTM, {"proj_size": 2, "num_layers": 2}),
]


@pytest.mark.parametrize(("kind", "options"), UNITS)
def test_states_equal_those_of_torchs_layers(kind: type[nn.RNNBase], options: Any) -> None:
    torch.manual_seed(0)
    unit = kind(3, 4, batch_first=True, **options)
    before = {name: value.clone() for name, value in unit.state_dict().items()}
    inputs = torch.randn(2, 6, 3, dtype=torch.float64)
    net = StateMap(unit)
    states = net.run(inputs)
    assert states.shape == (2, 7, net.state_size)
    final = unit.double().eval()(inputs)[1]
    for row in range(2):
        one = [part[:, row] for part in (final if isinstance(final, tuple) else (final,))]
        torch.testing.assert_close(states[row, -1], net.state(tuple(one)), rtol=0, atol=1e-14)
    unit.float()
    assert all(torch.equal(before[name], value) for name, value in unit.state_dict().items())


@pytest.mark.parametrize("kind", [nn.RNNCell, nn.GRUCell, nn.LSTMCell])
def test_cells_and_their_jacobians(kind: type[nn.RNNCellBase]) -> None:
    torch.manual_seed(1)
    cell = kind(3, 4).double()  # type: ignore[call-arg]
    net = StateMap(cell)
    x, h = torch.randn(2, 3).double(), torch.randn(2, net.state_size).double()

    def whole(row: Tensor, at: Tensor) -> Tensor:
        state = (at[None, :4], at[None, 4:]) if kind is nn.LSTMCell else at[None]
        out = cell(row[None], state)
        return torch.cat(out, dim=1)[0] if kind is nn.LSTMCell else out[0]

    dense = torch.stack(
        [torch.autograd.functional.jacobian(lambda s, i=i: whole(x[i], s), h[i]) for i in range(2)]
    )
    torch.testing.assert_close(net.jacobian(x, h), dense, rtol=0, atol=1e-14)
    directions = torch.randn(2, net.state_size, 3).double()
    torch.testing.assert_close(net.push(x, h, directions), dense @ directions, rtol=0, atol=1e-14)


def test_the_jacobian_of_a_gru_is_the_papers() -> None:
    torch.manual_seed(2)
    cell = nn.GRUCell(3, 5).double()
    x, h = torch.randn(1, 3).double(), torch.randn(1, 5).double()
    with torch.no_grad():
        gi, gh = cell.weight_ih @ x[0] + cell.bias_ih, cell.weight_hh @ h[0] + cell.bias_hh
        r, z = torch.sigmoid(gi[:5] + gh[:5]), torch.sigmoid(gi[5:10] + gh[5:10])
        a = gh[10:]
        n = torch.tanh(gi[10:] + r * a)
        wr, wz, wn = cell.weight_hh.chunk(3)
        expected = torch.diag(z) + ((h[0] - n) * z * (1 - z))[:, None] * wz
        expected += ((1 - z) * (1 - n**2))[:, None] * (
            r[:, None] * wn + (a * r * (1 - r))[:, None] * wr
        )
    torch.testing.assert_close(StateMap(cell).jacobian(x, h)[0], expected, rtol=0, atol=1e-14)
    nn.init.zeros_(cell.bias_ih)
    nn.init.zeros_(cell.bias_hh)
    zero = StateMap(cell).jacobian(torch.zeros(1, 3).double(), torch.zeros(1, 5).double())[0]
    torch.testing.assert_close(zero, 0.5 * torch.eye(5).double() + 0.25 * wn, rtol=0, atol=1e-15)


def test_what_is_no_recurrent_map_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"net must have one direction, got bidirectional=True; copy"
    ):
        StateMap(nn.GRU(3, 4, bidirectional=True))
    with pytest.raises(
        UsageError, match=r"a cell of these, or a function, got Sequential; pass model.1\."
    ):
        StateMap(nn.Sequential(nn.Linear(2, 3), nn.GRU(3, 4)))
    with pytest.raises(UsageError, match="state_size must be given for a function, got None"):
        StateMap(lambda x, h: h)
    with pytest.raises(
        UsageTypeError, match=r"net must be a function, called as step\(x, h\), got 3"
    ):
        StateMap(3)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="dtype must be float64 or float32, got 'half'"):
        StateMap(nn.GRU(3, 4), dtype="half")
    net = StateMap(nn.GRU(3, 4))
    with pytest.raises(
        UsageError, match=r"have shape \(steps, 3\) or .*, got \(1, 5, 4\); pass what"
    ):
        net.run(torch.zeros(5, 4))
    for unit in (nn.GRU(3, 4), nn.LSTM(3, 2)):
        with pytest.raises(
            UsageTypeError, match="inputs must be a tensor or numbers of one length"
        ):
            StateMap(unit).run("abc")
    with pytest.raises(UsageError, match=r"inputs must have shape .* got \(0, 5, 3\)"):
        StateMap(nn.GRU(3, 4)).run(torch.zeros(0, 5, 3))
    with pytest.raises(UsageError, match="start must be finite, got NaN"):
        StateMap(nn.GRU(3, 4)).run(torch.zeros(5, 3), torch.full((4,), torch.nan))
    with pytest.raises(UsageTypeError, match="start must be a tensor or numbers"):
        StateMap(nn.GRU(3, 4)).run(torch.zeros(5, 3), [[1.0], [1.0, 2.0]])
    with pytest.raises(UsageError, match=r"net must return states of shape \(B, 4\) as it gets th"):
        StateMap(lambda x, h: h[:, :2], state_size=4, input_size=3).run(torch.zeros(5, 3))
    with pytest.raises(UsageError, match="inputs must be finite"):
        net.run(torch.full((5, 3), torch.nan))
    with pytest.raises(UsageError, match=r"start must have shape \(4,\) or \(1, 4\), got \(3,\)"):
        net.run(torch.zeros(5, 3), torch.zeros(3))
