"""Captioner: beam search against all sentences, teacher forcing by hand, the joint by x-ray."""

import copy
import itertools

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import nakami
from nakami.results import UsageError
from nakami.training import Supervised, fit
from nakami.zoo._beam import beam_search
from nakami.zoo.captioner import Captioner, sentence_log_prob
from nakami.zoo.rnnlm import CELLS, RecurrentLM


def language(words=4, hidden=5, cell="gru", layers=1, outputs="last", seed=0):
    """Far from uniform, so that sentences differ in probability."""
    g = torch.Generator().manual_seed(seed)
    net = RecurrentLM(
        words, hidden, layers, cell, outputs, generator=g, dtype=torch.float64
    ).requires_grad_(False)
    for weight in net.parameters():
        weight.mul_(3)
    return net


def states_of(net, n=6, seed=1):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(n, net.state_size, generator=g, dtype=torch.float64)


def captioner(cell="gru", layers=1, outputs="last", seed=0):
    g = torch.Generator().manual_seed(seed)
    net = language(7, 5, cell, layers, outputs, seed)
    trunk = nn.Sequential(nn.Flatten(), nn.Linear(12, 6, dtype=torch.float64), nn.ReLU())
    made = Captioner(trunk, net, 6, generator=g)
    return made.requires_grad_(False), torch.randn(3, 3, 2, 2, generator=g, dtype=torch.float64)


def every_sentence(kinds, most):
    """All sentences of up to so many words, with their end."""
    return [
        (*words, 0)
        for n in range(most + 1)
        for words in itertools.product(range(1, kinds), repeat=n)
    ]


def probability(net, state, sentence):
    """``log p`` step by step, another way than the model's own."""
    total, state, last = 0.0, state[None], 0
    for word in sentence:
        features, state = net.unroll(torch.tensor([[last]]), state)
        total += float(net.output(features[0, -1]).log_softmax(0)[word])
        last = word
    return total


@pytest.mark.parametrize("power", [0.0, 0.7, 1.0])
def test_a_wide_beam_finds_the_best_of_all_sentences(power):
    net, most = language(), 3
    states, all_sentences = states_of(net), every_sentence(4, most)
    found, score = beam_search(net, states, beam=200, most=most, power=power)
    narrow, _ = beam_search(net, states, beam=1, most=most, power=power)
    for row, state in enumerate(states):
        values = [probability(net, state, s) / len(s) ** power for s in all_sentences]
        best = max(range(len(values)), key=values.__getitem__)
        assert [w for w in found[row].tolist() if w >= 0] == list(all_sentences[best])
        assert float(score[row]) == pytest.approx(values[best], abs=1e-12)
    assert not torch.equal(found, narrow)  # the search has something to find


def test_a_beam_of_one_takes_the_most_probable_word_at_each_step():
    net = language(words=6, seed=3)
    states = states_of(net, 12)
    found, score = beam_search(net, states, beam=1, most=5)
    lengths = set()
    for row, state in enumerate(states):
        words, last, now = [], 0, state[None]
        while len(words) < 5 and (not words or last):
            features, now = net.unroll(torch.tensor([[last]]), now)
            words.append(last := int(net.output(features[0, -1]).argmax()))
        words += [0] * bool(last)  # five words, ended there
        assert [w for w in found[row].tolist() if w >= 0] == words
        assert float(score[row]) == pytest.approx(probability(net, state, words) / len(words))
        lengths.add(len(words))
    assert len(lengths) > 1


def test_a_wider_beam_is_one_search_for_each_state_and_no_step_is_taken_twice(monkeypatch):
    net, steps = language(words=6, seed=3), []
    states = states_of(net, 8)
    apart = [beam_search(net, state[None], beam=3, most=6) for state in states]
    unroll = net.unroll
    monkeypatch.setattr(net, "unroll", lambda w, s: steps.append(w.shape) or unroll(w, s))
    found, score = beam_search(net, states, beam=3, most=6)
    assert torch.equal(found, torch.cat([words for words, _ in apart]))
    assert_close(score, torch.cat([value for _, value in apart]))
    assert all(shape[1] == 1 and shape[0] <= 24 for shape in steps)  # a word, of what is left
    assert steps[0][0] == 8
    assert steps[-1][0] < 24


def test_what_is_behind_the_end_counts_nothing():
    net = language()
    words = torch.tensor([[2, 1, 0, -1, -1], [3, 3, 1, 2, 0]])
    found = sentence_log_prob(net, words)
    assert found[0, 3:].tolist() == [0, 0]
    for row, n in ((0, 3), (1, 5)):
        alone = probability(net, net.start(1)[0], words[row, :n].tolist())
        assert float(found[row].sum()) == pytest.approx(alone, abs=1e-12)
    assert_close(found[:1, :3], sentence_log_prob(net, words[:1, :3]))


@pytest.mark.parametrize(("cell", "layers", "outputs"), [("gru", 1, "last"), ("lstm", 2, "all"),
                                                         ("elman", 2, "last")])  # fmt: skip
def test_logits_loss_and_the_network_along_a_sentence_agree(cell, layers, outputs):
    net, x = captioner(cell, layers, outputs)
    words, _ = net.describe(x, beam=1, most=4)
    logits = net.logits(x, words)
    each = logits.log_softmax(2).gather(2, words.clamp(min=0)[..., None])[..., 0]
    nats = -(each * (words >= 0)).sum(1)
    pairs = torch.stack([words, torch.full_like(words, -1)], 1)  # the second is none
    assert_close(net.loss(net(x), pairs), nats.mean())
    for steps in (1, 2, 3):
        going_on = (words[:, : steps - 1] > 0).all(1)  # no sentence has ended before
        assert_close(net.along(steps)(x)[going_on], logits[going_on, steps - 1])
    assert_close(net.projection.bias, net.language.start(1)[0])


def test_an_xray_goes_from_the_picture_across_the_joint_to_the_words():
    net, x = captioner()
    opened = net.along(3)
    found = nakami.svd(nakami.jacobian(opened[:-1], x[:1]))
    words = net.describe(x[:1], beam=1, most=3)[0][:, :2]

    def state(picture):  # the words held
        read = torch.cat([torch.zeros(1, 1, dtype=torch.long), words], 1)
        return net.language.unroll(read, net(picture))[1]

    dense = torch.autograd.functional.jacobian(state, x[:1]).reshape(5, 12)
    exact = torch.linalg.svdvals(dense)
    assert_close(torch.as_tensor(found.values), exact[: len(found.values)], rtol=1e-6, atol=1e-9)
    names = [stage.name for stage in nakami.xray(opened, x[:1], k=2).stages]
    assert names[-4:] == ["word1", "word2", "word3", "output"]


def pairs(n=20):
    """Pictures of noise and sentences at random, none twice."""
    g = torch.Generator().manual_seed(0)
    x = torch.randn(n, 3, 6, 6, generator=g)
    words = torch.full((n, 1, 6), -1)
    for i in range(n):
        length = int(torch.randint(3, 6, (), generator=g))
        words[i, 0, :length] = torch.randint(1, 12, (length,), generator=g)
        words[i, 0, length] = 0
    assert len({tuple(row) for row in words.flatten(1).tolist()}) == n
    return x, words


@pytest.fixture(scope="module")
def memorised():
    """A captioner that has learned 20 pairs by heart."""
    x, words = pairs()
    g = torch.Generator().manual_seed(1)
    trunk = nn.Sequential(nn.Flatten(), nn.utils.skip_init(nn.Linear, 108, 32), nn.Tanh())
    with torch.no_grad():
        trunk[1].weight.normal_(0, 0.1, generator=g)
        trunk[1].bias.zero_()
    net = Captioner(trunk, RecurrentLM(12, 32, generator=g), 32, generator=g)
    adam = torch.optim.Adam(net.parameters(), 0.01)
    fit(Supervised(net, adam, net.loss, "nats a sentence"), (x, words), epochs=120, batch=20)
    return net, x, words


def perplexity(net, x, words):
    counts = (words >= 0).sum() / len(words)
    with torch.no_grad():
        return float((net.loss(net(x), words) / counts).exp())


def test_twenty_pairs_are_learned_by_heart_and_shuffled_pictures_are_not_theirs(memorised):
    net, x, words = memorised
    assert perplexity(net, x, words) < 1.1
    assert perplexity(net, x.roll(1, 0), words) > 3
    found, _ = net.describe(x, beam=3, most=5)
    assert torch.equal(found, words[:, 0])
    before = copy.deepcopy(net.state_dict())
    net.describe(x, beam=3)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_what_cannot_be_is_refused():
    net = language()
    states = states_of(net, 1)
    for options, match in (
        ({"beam": 0}, "beam must be a whole number from 1 on, got 0"),
        ({"most": 0}, "most must be a whole number from 1 on, got 0"),
        ({"power": -1.0}, "power must be a number from 0 on, got -1.0"),
    ):
        with pytest.raises(UsageError, match=match):
            beam_search(net, states, **options)
    with pytest.raises(UsageError, match=r"words must be int64 of shape \(N, T\), got"):
        sentence_log_prob(net, torch.zeros(3, dtype=torch.long))
    with pytest.raises(UsageError, match="steps must be a whole number from 1 on, got 0"):
        captioner()[0].along(0)


@pytest.mark.parametrize("cell", CELLS)
def test_what_is_read_out_of_a_state_is_what_was_read_out_of_the_step(cell):
    for outputs in ("last", "all"):
        net = language(9, 4, cell, 2, outputs)
        features, after = net.unroll(torch.tensor([[1, 5, 8]]))
        assert_close(net.read(after), features[:, -1])
