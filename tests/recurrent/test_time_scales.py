"""How long a change of the input is seen: closed forms, and layers by another way."""

import numpy as np
import pytest
import torch
from torch import nn

from nakami import recurrent
from nakami.results import UsageError
from nakami.zoo.rnnlm import CELLS, RecurrentLM


def leaky(*factors):
    """Linear layers that forget by a factor a step, fed one by the other."""
    net = nn.Sequential()
    for i, factor in enumerate(factors):
        made = nn.RNN(1, 1, batch_first=True, nonlinearity="relu", bias=False, dtype=torch.float64)
        with torch.no_grad():
            made.weight_ih_l0.fill_(1.0)
            made.weight_hh_l0.fill_(factor)
        net.add_module(f"layer{i}", made)

    class Chain(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, x):
            for made in self.net:
                x, _ = made(x)
            return x

    return Chain()


def changed_at(step, steps=40, n=3):
    x = torch.rand(n, steps, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    other = x.clone()
    other[:, step] += 1
    return x, other


@pytest.mark.parametrize("factor", [0.5, 0.8])
def test_a_layer_that_forgets_by_a_factor(factor):
    found = recurrent.time_scales(leaky(factor), *changed_at(5), fraction=0.1)
    wanted = int(np.ceil(np.log(0.1) / np.log(factor)))  # factor^t < 0.1
    assert (found.steps == wanted).all()
    assert not found.cut.any()
    assert found.curve[0][:8] == pytest.approx(factor ** np.arange(8))
    assert found.standard_error.tolist() == [0.0]
    assert found.rows()[0]["mean"] == wanted


def test_a_layer_above_remembers_longer():
    found = recurrent.time_scales(leaky(0.5, 0.5), *changed_at(5))
    t = np.arange(35)
    above = (t + 1) * 0.5**t  # the convolution of both
    assert found.curve[1][:35] == pytest.approx(above / above.max())
    assert found.names == ("net.layer0", "net.layer1")
    assert found.mean[1] > found.mean[0]


def test_what_outlasts_the_sequence_says_so():
    found = recurrent.time_scales(leaky(0.99), *changed_at(30))
    assert (found.steps == 10).all()
    assert found.cut.all()
    assert found.cut_share.tolist() == [1.0]


@pytest.mark.parametrize("cell", CELLS)
def test_states_of_a_language_model_by_its_own_steps(cell):
    net = RecurrentLM(9, 5, 2, cell, dtype=torch.float64).eval()
    words = torch.randint(9, (4, 30), generator=torch.Generator().manual_seed(0))
    other = words.clone()
    other[:, 6] = (other[:, 6] + 1) % 9
    found = recurrent.time_scales(net, words, other)
    for i in range(2):
        lengths = []
        for t in range(6, 30):
            ends = [net.unroll(x[:, : t + 1])[1].chunk(2, 1)[i] for x in (words, other)]
            lengths.append((ends[0] - ends[1]).norm(dim=1).detach().numpy())
        lengths = np.array(lengths).T
        wanted = lengths / lengths.max(1, keepdims=True)
        assert found.shares[i][:, :24] == pytest.approx(wanted, rel=1e-9)
        assert np.isnan(found.shares[i][:, 24:]).all()


def test_sequences_without_a_change_are_refused():
    x, other = changed_at(5)
    other[1] = x[1]
    with pytest.raises(UsageError, match="changed must differ from inputs in every sequence, got"):
        recurrent.time_scales(leaky(0.5), x, other)
    with pytest.raises(UsageError, match="fraction must"):
        recurrent.time_scales(leaky(0.5), *changed_at(5), fraction=2)
    with pytest.raises(UsageError, match="inputs and changed must give layers sequences of one"):
        recurrent.time_scales(leaky(0.5), x, other[:, :20])
