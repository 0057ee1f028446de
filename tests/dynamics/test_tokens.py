"""The x-ray of models of tokens, from their embedding, against dense Jacobians."""

import numpy as np
import pytest
import torch
from torch import nn

import nakami
from checks import Killed, bytes_of_run
from nakami.results import UsageError

LENGTH = 3


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.gru = nn.Embedding(11, 3), nn.GRU(3, 5, batch_first=True)
        self.read = nn.Linear(5, 2)

    def forward(self, tokens):
        return self.after(self.words(tokens))

    def after(self, h, stage="read"):
        states = self.gru(h)[0]
        return states if stage == "gru" else self.read(states[:, -1])


class Encoder(nn.Module):
    """Positions are embedded before the tokens, as some write it."""

    def __init__(self):
        super().__init__()
        self.places, self.words = nn.Embedding(LENGTH, 4), nn.Embedding(11, 4)
        layer = nn.TransformerEncoderLayer(4, 2, 6, batch_first=True)
        self.encode = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.read = nn.Linear(4, 3)

    def forward(self, tokens):
        places = self.places(torch.arange(tokens.shape[1]))
        return self.read(self.encode(places + self.words(tokens)).mean(1))

    def after(self, h, stage="read"):
        h = self.encode.layers[0](self.places(torch.arange(LENGTH)) + h)
        if stage == "encode.layers.0":
            return h
        h = self.encode.layers[1](h)
        return h if stage == "encode.layers.1" else self.read(h.mean(1))


CASES = {
    "recurrent": (Recurrent, ("gru", "read")),
    "encoder": (Encoder, ("encode.layers.0", "encode.layers.1", "read")),
}


def make(case):
    torch.manual_seed(0)
    net = CASES[case][0]().double()
    return net, torch.randint(0, 11, (2, LENGTH), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("case", CASES)
def test_values_and_vectors_match_the_dense_jacobian_from_the_embedding(case):
    net, tokens = make(case)
    tokens = tokens[: 2 if case == "recurrent" else 1]
    run = nakami.xray(net, tokens)
    assert (run.source, run.names) == ("words", CASES[case][1])
    assert np.array_equal(run.inputs, tokens.numpy())
    net.eval()
    for s in run.spectra:
        h = net.words(tokens[s.input : s.input + 1]).detach()
        jac = torch.autograd.functional.jacobian(lambda z, at=s.stage: net.after(z, at), h)
        jac = jac.reshape(-1, h.numel()).numpy()
        values = np.linalg.svd(jac, compute_uv=False)
        np.testing.assert_allclose(s.values, values, rtol=1e-9, atol=1e-13)
        gain = np.linalg.norm(jac @ s.right.T, axis=0)
        np.testing.assert_allclose(gain, values[s.kept], rtol=1e-5, atol=1e-6)
        other = jac[:, np.random.default_rng(0).permutation(jac.shape[1])]
        assert np.abs(np.linalg.norm(other @ s.right.T, axis=0) - values[s.kept]).max() > 1e-3


def test_layers_start_at_the_stage_before():
    net, tokens = make("encoder")
    run = nakami.xray(net, tokens[:1], ["encode.layers.0", "read"], layers=True)
    assert [(s.source, s.stage) for s in run.spectra] == [
        ("words", "encode.layers.0"),
        ("words", "read"),
        ("encode.layers.0", "read"),
    ]
    assert len(run.at("read")) == len(run.at("read", "words")) == len(run.at("read", None)) == 1
    assert [row.source for row in run.summary()] == ["words", "words"]
    assert [row.source for row in run.summary(None)] == ["words", "encode.layers.0"]


def test_killed_and_continued_equals_unbroken(tmp_path):
    net, tokens = make("recurrent")
    whole = nakami.xray(net, tokens, out=tmp_path / "whole")

    def kill(done, total, left, what):
        if done == 1:
            raise Killed

    with pytest.raises(Killed):
        nakami.xray(net, tokens, out=tmp_path / "broken", progress=kill)
    assert len(nakami.load(tmp_path / "broken").spectra) == 1
    nakami.xray(net, tokens, out=tmp_path / "broken")
    assert bytes_of_run(tmp_path / "whole") == bytes_of_run(tmp_path / "broken")
    read = nakami.load(tmp_path / "broken")
    assert read.inputs.dtype == np.int64
    assert np.array_equal(read.inputs, tokens.numpy())
    assert np.array_equal(read.values("gru"), whole.values("gru"))
    with pytest.raises(UsageError, match="inputs must be as in the run"):
        nakami.xray(net, tokens + (tokens == 0), out=tmp_path / "whole")


def test_runs_of_two_networks_compare_by_their_embedding(tmp_path):
    net, tokens = make("recurrent")
    tokens = tokens[:1]
    before = nakami.xray(net, tokens, ["read"])
    net.read.weight.data *= 2
    after = nakami.xray(net, tokens, ["read"])
    change = nakami.compare(before, after).change("read", "largest")
    np.testing.assert_allclose(change.after, 2 * change.before)
    net.other = net.words
    del net.words
    net.forward = lambda x: net.after(net.other(x))
    with pytest.raises(UsageError, match="must start at the same place, got 'words' and 'other'"):
        nakami.compare(before, nakami.xray(net, tokens, ["read"]))


class Padded(Recurrent):
    """What follows the embedding reads the tokens again."""

    def forward(self, tokens):
        states = self.gru(self.words(tokens))[0] * (tokens > 4)[..., None]
        return self.read(states.sum(1))


@pytest.mark.parametrize(
    ("net", "change", "message"),
    [
        (nn.Linear(LENGTH, 2), {}, r"inputs must be floating-point, got torch.int64; .* embedd"),
        (Recurrent(), {"inputs": torch.ones(2, LENGTH, dtype=torch.bool)},
         r"inputs must be floating-point, got torch.bool"),
        (Recurrent(), {"inputs": torch.full((1, LENGTH), 99)},
         r"the model \(\w+\) cannot take an input of shape \(1, 3\): index out of range"),
        (Recurrent(), {"stages": "words"},
         r"stages must name at least one stage beyond the embedding 'words', got \('words',\)"),
        (Recurrent(), {"stages": ["input"]}, "stages must name at least one stage beyond the emb"),
        (Recurrent(), {"stages": ["gur"]}, "stage 'gur' is unknown; nearest"),
        (Encoder(), {"stages": ["places", "read"]},
         "stages must lie behind 'words', where the readings of tokens start, got 'places'"),
        (Recurrent(), {"k": 13}, r"k must be a whole number from 1 to 9 \(the largest spectrum"),
        (Padded(), {}, r"start must be a cut, got 'words': .* depends .*View\(model, forward="),
    ],
)  # fmt: skip
def test_wrong_arguments_are_refused_before_work(net, change, message, tmp_path):
    arguments = {"inputs": torch.arange(2 * LENGTH).view(2, LENGTH), **change}
    with pytest.raises(UsageError, match=message):
        nakami.xray(net, out=tmp_path / "run", **arguments)
    assert not (tmp_path / "run").exists()
    with pytest.raises(UsageError, match=message):
        nakami.dynamics.check(net, **arguments)


def test_a_mask_fixed_by_hand_is_a_way_out():
    torch.manual_seed(0)
    net = Padded().double()
    tokens = torch.tensor([[3, 7, 9]])
    mask = tokens > 4

    def forward(m, x):
        return m.read((m.gru(m.words(x))[0] * mask[..., None]).sum(1))

    run = nakami.xray(nakami.View(net, forward=forward), tokens, ["read"])
    h = net.words(tokens).detach()
    jac = torch.autograd.functional.jacobian(
        lambda z: net.read((net.gru(z)[0] * mask[..., None]).sum(1)), h
    )
    values = torch.linalg.svdvals(jac.reshape(2, -1)).numpy()
    np.testing.assert_allclose(run.spectra[0].values, values, rtol=1e-10)


def test_check_gives_the_stages_of_the_xray():
    net, tokens = make("encoder")
    found = nakami.dynamics.check(net, tokens[:1], layers=True)
    assert [s.name for s in found] == ["words", *CASES["encoder"][1]]
    assert found[0].shape == (LENGTH, 4)
