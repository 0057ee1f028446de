"""Depth in layers, time and structure: readings against autograd, verdicts against closed forms."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.autograd.functional import jacobian as dense

from nakami import data
from nakami.recurrent import spectra_over_time
from nakami.zoo.recursive import RecursiveNet

TEXT = """(3 (2 It) (4 (2 's) (4 (3 (2 a) (4 lovely)) (2 film))))
(1 (1 (2 not) (4 good)) (2 .))
(2 (2 no) (2 way))
(0 bad)
"""
DOUBLE = {"dtype": torch.float64}


@pytest.fixture(scope="module")
def readings(reproduction):
    return reproduction("_depths_readings")


@pytest.fixture(scope="module")
def nets(reproduction):
    return reproduction("_depths_nets")


@pytest.fixture(scope="module")
def verdicts(reproduction):
    return reproduction("_depths_verdicts")


@pytest.fixture(scope="module")
def trees():
    return data._trees.parsed_trees(TEXT.splitlines(), "text")


def singular(matrix):
    return torch.linalg.svdvals(matrix).numpy()


def test_layers_are_read_from_the_first_on(readings, nets):
    net = nets.perceptron(3, 2, torch.Generator().manual_seed(0)).double()
    x = torch.rand(1, 1, 28, 28, generator=torch.Generator().manual_seed(1), **DOUBLE)
    names = [f"hidden{i}" for i in range(4)]
    (found,) = readings.at_layers(net, [x], names)
    state = net.hidden0(x.flatten(1))[0].detach()
    assert list(found.values) == [1, 2, 3]
    for t in (1, 2, 3):
        wanted = dense(lambda h, t=t: net[2 : 2 + t](h), state)
        assert np.allclose(found.values[t], singular(wanted), rtol=1e-9, atol=1e-12)


def test_words_are_read_up_their_trees(readings, trees):
    net = RecursiveNet(len(trees.words), 3, 5, "mv", **DOUBLE)
    (found,) = readings.up_trees(net, trees.nodes[:1], [3])
    assert (found.end, found.words) == (4, 5)  # lovely, merged with a, film, 's, It

    def root(vector):
        states = net.leaf(trees.nodes[0][trees.nodes[0][:, 3] == 0][:, 0])
        it, s, a, lovely, film = states[:, None]
        lovely = torch.cat([vector[None], lovely[:, 3:]], 1)
        node = lovely
        for left, right in ((a, None), (None, film), (s, None), (it, None)):
            pair = (left, node) if right is None else (node, right)
            node = net.merged(torch.stack(pair, 1))
        return node[0, :3]

    place = int((trees.nodes[0][:, 3] == 0).nonzero()[3])
    vector = net.vectors(trees.nodes[:1])[0, place].detach()
    assert np.allclose(found.values[4], singular(dense(root, vector)), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM])
def test_words_are_read_to_the_last_state(readings, kind):
    torch.manual_seed(0)
    layer = kind(3, 4, batch_first=True).double()
    some = [torch.randn(n, 3, **DOUBLE) for n in (5, 4, 6)]
    words = (2, 1, 0)
    found = readings.to_the_end(layer, some, words)
    assert [one.words for one in found] == [5, 4, 6]
    assert [one.end for one in found] == [3, 3, 6]
    for one, x, word in zip(found, some, words, strict=True):

        def last(vector, x=x, word=word):
            _, state = layer(torch.cat([x[:word], vector[None], x[word + 1 :]])[None])
            return torch.cat(state, 2).flatten() if kind is nn.LSTM else state.flatten()

        wanted = singular(dense(last, x[word]))
        assert np.allclose(one.values[one.end], wanted, rtol=1e-9, atol=1e-12)


def test_figures_are_those_of_spectra_over_time(readings):
    torch.manual_seed(0)
    layer, x = nn.GRU(3, 6, batch_first=True).double(), torch.randn(4, 8, 3, **DOUBLE)
    found = readings.over_time(layer, x)
    mine = readings.figures(found, found)
    theirs = spectra_over_time(layer, x, (1, 8))
    rank, first = theirs.effective_rank(), theirs.exponents()
    assert mine["span"] == 8
    for depth, i in (("1", 0), ("8", 1)):
        n, _, ranks, _ = mine["curves"][depth]
        assert n == 4
        assert ranks == pytest.approx([rank[i].mean, rank[i].se], rel=0.05)
    assert mine["spectrum"][0] == pytest.approx([first[1].mean, first[1].se], rel=0.05)
    rates = np.log(theirs.of()[:, 1, 0] / theirs.of()[:, 0, 0]) / 7
    assert mine["rates"] == pytest.approx(rates, rel=1e-3)
    assert mine["ends"][0][0] == 8


def test_counts_and_ranks_by_hand(readings):
    values = np.array([2.0, 2.0, 0.3, 0.1])
    assert readings.kept(values) == 3
    assert readings.effective_rank(values) == pytest.approx(8.1**2 / (32 + 0.0082), rel=1e-3)
    one = readings.Input({1: values, 4: values**4}, {1: 0.2, 4: 0.0})
    assert readings.logs(one, 1) == pytest.approx(np.log([2, 2, 0.3]))
    assert readings.rate(one, 4) == pytest.approx(np.log(2))


def test_means_are_over_values_above_the_floor_in_both(readings):
    def one(smallest, floor):
        values, before = np.exp([-1.0, -2.0, smallest]), dict.fromkeys((1, 2, 3), np.ones(3))
        return readings.Input({**before, 4: values}, {1: 0.0, 2: 0.0, 3: 0.0, 4: floor})

    whole, cut = one(-6.0, 0.0), one(-9.0, np.exp(-8.0))
    mine, other = (readings.figures([a] * 2, [b] * 2) for a, b in ((whole, cut), (cut, whole)))
    assert mine["flat"] == other["flat"] == pytest.approx([0.375] * 2)
    assert readings.figures([whole] * 2, [whole] * 2)["flat"] == pytest.approx([0.75] * 2)
    assert (mine["counts"][0], other["counts"][0]) == (3, 2)
    assert mine["spectrum"][-1] == pytest.approx([-1.5, 0.0])
    assert other["spectrum"][0] == pytest.approx([-0.25, 0.0])
    assert other["spectrum"][-1] is None


def test_labels_of_each_training(nets, trees):
    five, two = nets.in_form(trees, "all", 5), nets.in_form(trees, "all", 2)
    assert torch.equal(five.labels, trees.labels)
    for before, after in ((0, 0), (1, 0), (2, -1), (3, 1), (4, 1), (-1, -1)):
        assert (two.labels[trees.labels == before] == after).all()
    root = nets.in_form(trees, "root", 5)
    assert (root.labels >= 0).sum(1).tolist() == [1, 1, 1, 1]
    assert torch.equal(root.root_labels, trees.root_labels)
    assert torch.equal(root.nodes, trees.nodes)
    words, labels = nets.rooted(nets.in_form(trees, "root", 2))
    assert labels.tolist() == [1, 0, 0]
    assert (words >= 0).sum(1).tolist() == [5, 3, 1]


def test_chains_merge_words_from_the_left(nets, trees):
    chain = nets.in_form(trees, "chain", 5)
    assert [chain.sentence(i) for i in range(4)] == [trees.sentence(i) for i in range(4)]
    assert torch.equal(chain.roots, trees.roots)
    net = RecursiveNet(len(trees.words), 3, 5, "rnn", **DOUBLE)
    vectors = net.vectors(chain.nodes)
    state, *rest = net.leaf(chain.nodes[0, :5, 0])[:, None]
    for word in rest:
        state = net.merged(torch.stack([state, word], 1))
    assert torch.allclose(vectors[0, 8], state[0])


def test_shorter_sentences_are_read_as_alone(nets):
    net = nets.SentenceNet(9, "lstm", 5, torch.Generator().manual_seed(0))
    both = net(torch.tensor([[1, 2, 3, 4], [5, 6, -1, -1]]))
    assert torch.allclose(both[1], net(torch.tensor([[5, 6]]))[0], atol=1e-6)


def test_slopes_have_the_errors_of_least_squares(verdicts):
    x = np.arange(12.0)
    y = 3 - 0.5 * x + np.sin(7 * x)
    for degree in (1, 2):
        wanted, covariance = np.polyfit(x, y, degree, cov=True)
        found = verdicts.fitted(x, y, degree)
        assert found == pytest.approx((wanted[0], covariance[0, 0] ** 0.5))


def record(**trained):
    return {"trained": {"bends": [[0, 1], [0, 1]], **trained}, "untrained": {}}


def test_what_falls_exponentially_is_told_from_what_bends(verdicts):
    x, noise = np.arange(1, 21), 0.1 * np.sin(5 * np.arange(20.0))
    for bend, said in ((0.0, "exponential"), (0.02, "bends up"), (-0.02, "bends down")):
        tops = -0.7 * x + bend * x**2 + noise
        rows = [[int(t), 0, top, 1, 1.0] for t, top in zip(x, tops, strict=True)]
        assert verdicts.bends(record(ends=rows))[2] == said
    level = [[8, 0, 0.1, 1, 1.0]] * 3
    assert verdicts.bends(record(ends=level, bends=[[0.5, 0.1], [0.0, 0.1]]))[2] == "grows"


def test_the_move_toward_one_needs_both(verdicts):
    fresh = {"first": [0.5, 0.6, 0.7], "flat": [0.9, 0.8, 0.9]}
    for first, flat, said in ((-0.2, -0.3, "toward 1"), (0.2, 0.3, "away from 1"), (-0.2, 0.3, "")):
        moved = {"first": [x + first for x in fresh["first"]]}
        moved["flat"] = [x + flat * f for x, f in zip(fresh["flat"], (1, 1.1, 1), strict=True)]
        found = verdicts.toward_one({"trained": moved, "untrained": fresh})
        assert found[0][0] == pytest.approx(first)
        assert found[2] == (said or "not both")


def test_signs_ask_for_two_errors(verdicts):
    assert [verdicts.sign(p) for p in ((1, 0.4), (1, 0.6), (-1, 0.4))] == [1, 0, -1]
    assert verdicts.sign((1.0, float("nan"))) == 0  # one input alone decides nothing
    low, error = verdicts.thirds(np.arange(9), np.r_[np.ones(3), np.zeros(3), [-1, -2, -3]])
    assert (low, error) == (pytest.approx(3), pytest.approx(1 / 3**0.5))


def test_kept_figures_are_what_the_page_says(reproduction):
    script = reproduction("depth_in_time_and_structure")
    kept = script.Kept(script.HERE / "results" / f"{script.NAME}.json", script.SETTINGS)
    if not kept.records:
        pytest.skip("not run yet")
    page = (script.HERE / "results" / f"{script.NAME}.md").read_text("utf-8")
    said = list(script.report(kept.records))[:-2]  # seconds and versions stand below
    assert page.splitlines()[: len(said)] == said
