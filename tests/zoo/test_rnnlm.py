"""Language models: states, read-outs, sizes, readings of the recurrent room."""

import pytest
import torch
from torch.testing import assert_close

import nakami
from nakami import recurrent
from nakami.results import UsageError
from nakami.training import TruncatedBPTT, fit
from nakami.zoo.rnnlm import CELLS, RecurrentLM, SigmoidRNN

WORDS = torch.randint(9, (4, 11), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("outputs", ["last", "all"])
@pytest.mark.parametrize("cell", CELLS)
def test_states_are_carried_from_part_to_part(cell, outputs):
    net = RecurrentLM(9, 6, 2, cell, outputs, dtype=torch.float64)
    whole, end = net.unroll(WORDS)
    first, between = net.unroll(WORDS[:, :4])
    second, after = net.unroll(WORDS[:, 4:], between)
    assert_close(torch.cat([first, second], 1), whole)
    assert_close(after, end)
    assert end.shape == (4, net.state_size)
    assert_close(net(WORDS), net.output(whole[:, -1]))


@pytest.mark.parametrize("cell", CELLS)
def test_a_state_is_that_of_the_formula(cell):
    """Of the recurrent room, which has torch's formulas by another way."""
    net = RecurrentLM(9, 6, 1, cell, dtype=torch.float64)
    rule = recurrent.StateMap(net.layer1)
    inputs = net.embedding(WORDS).detach()
    states = rule.run(inputs, net.start(1)[0])
    assert_close(states[:, -1], net.unroll(WORDS)[1].detach())
    if cell == "elman":
        assert float(states[:, 1:].min()) > 0


def test_exponents_of_layers_are_those_of_the_whole():
    """The Jacobian of stacked layers is block triangular, so its exponents are theirs."""
    net = RecurrentLM(9, 4, 2, "tanh", dtype=torch.float64)
    gen = torch.Generator().manual_seed(1)
    inputs = net.embedding(torch.randint(9, (1, 3000), generator=gen)).detach()
    stacked = torch.nn.RNN(4, 4, 2, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        for i, own in enumerate((net.layer1, net.layer2)):
            for name, value in own.named_parameters():
                getattr(stacked, name.replace("l0", f"l{i}")).copy_(value)
    below = net.layer1(inputs)[0].detach()
    parts = [recurrent.lyapunov(net.layer1, inputs), recurrent.lyapunov(net.layer2, below)]
    apart = sorted((x for part in parts for x in part.exponents), reverse=True)
    together = recurrent.lyapunov(stacked, inputs)
    assert together.exponents == pytest.approx(apart, abs=0.01)


def test_a_grown_network_keeps_what_is_below():
    net = RecurrentLM(9, 6, 1, "tanh")
    more = net.grown(torch.Generator().manual_seed(3))
    assert more.names == ["layer1", "layer2"]
    assert_close(more.layer1.weight_hh_l0, net.layer1.weight_hh_l0)
    assert_close(more.embedding.weight, net.embedding.weight)
    assert not torch.equal(more.output.weight, net.output.weight)


@pytest.mark.parametrize("counts", [None, [5, 4, 3, 3, 2, 1, 1, 1, 0]])
@pytest.mark.parametrize("cell", CELLS)
def test_a_text_of_one_pattern_is_learned(cell, counts):
    text = (torch.arange(61) % 9)[:, None].expand(-1, 2)
    net = RecurrentLM(9, 12, 1, cell, counts=counts)
    adam = torch.optim.Adam(net.parameters(), 0.03)
    losses = fit(TruncatedBPTT(net, adam, most=1.0), (text[:-1], text[1:]), epochs=12, batch=6)
    assert losses[-1] < 0.1 < 1 < losses[0]
    assert int(net(text[:5, 0][None]).argmax()) == 5


def test_log_probabilities_are_those_of_the_logits():
    for counts in (None, [5, 4, 3, 3, 2, 1, 1, 1, 0]):
        net = RecurrentLM(9, 6, 2, "gru", "all", counts=counts, dtype=torch.float64)
        features, _ = net.unroll(WORDS[:, :-1])
        wanted = net.output(features).log_softmax(-1).gather(2, WORDS[:, 1:, None])[..., 0]
        assert_close(net.log_prob(features, WORDS[:, 1:]), wanted)
        assert_close(net.loss(features, WORDS[:, 1:]), -wanted.mean())


@pytest.mark.parametrize("cell", CELLS)
def test_an_xray_reads_it_from_the_vectors_of_the_words(cell):
    net = RecurrentLM(9, 5, 2, cell).eval()
    run = nakami.xray(net, WORDS[:2], stages=("layer1", "layer2"), k=3)
    assert run.source == "embedding"
    assert run.n_inputs == 2
    found = recurrent.xray(net, WORDS, k=2, steps=(1, 5))
    assert [layer.name for layer in found.layers] == ["layer1", "layer2"]


def test_wrong_arguments_are_refused():
    with pytest.raises(UsageError, match="cell 'lstn' is unknown; nearest of 4: 'lstm'"):
        RecurrentLM(9, cell="lstn")
    with pytest.raises(UsageError, match="counts must hold a number for each of the 9 words"):
        RecurrentLM(9, counts=[1, 2])
    with pytest.raises(UsageError, match="layers must be a whole number from 1 on, got 0"):
        RecurrentLM(9, layers=0)


@pytest.mark.parametrize("option", [{"num_layers": 2}, {"bidirectional": True}, {"bias": False}])
def test_sigmoid_units_are_one_layer_in_one_direction(option):
    with pytest.raises(
        UsageError, match=f"options must be device and dtype alone, got {next(iter(option))}"
    ):
        SigmoidRNN(3, 4, **option)
    states, last = SigmoidRNN(3, 4)(torch.zeros(2, 5, 3))
    assert states.shape == (2, 5, 4)
    assert torch.equal(last[0], states[:, -1])
