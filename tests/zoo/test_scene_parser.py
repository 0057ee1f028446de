"""The greedy parser of scenes beside all trees of small scenes, one after another."""

import pytest
import torch

from nakami.results import UsageError
from nakami.zoo.scene_parser import SceneParser

DOUBLE = {"dtype": torch.float64}
KAPPA = 0.3


def scenes(n=12, segments=5, seed=0):
    """Random features, and two or three objects to a scene; a last segment is missing at times."""
    g = torch.Generator().manual_seed(seed)
    objects = torch.randint(0, 3, (n, segments), generator=g)
    objects[torch.rand(n, generator=g) < 0.3, -1] = -1
    return torch.randn(n, segments, 3, generator=g, **DOUBLE), objects


def net_of(seed=0):
    return SceneParser(3, 4, generator=torch.Generator().manual_seed(seed), **DOUBLE)


def splits(leaves):
    """Both sides of each node on top of these segments; the first holds the first of them."""
    first, *rest = leaves
    for mask in range(2 ** len(rest) - 1):
        with_first = [leaf for i, leaf in enumerate(rest) if mask >> i & 1]
        yield (first, *with_first), tuple(leaf for leaf in rest if leaf not in with_first)


def trees(net, vectors, leaves):
    """All trees: score, vector of the root, the segments below each merge."""
    if len(leaves) == 1:
        yield 0.0, vectors[leaves[0]], ()
        return
    for left, right in splits(leaves):
        for one, a, below_a in trees(net, vectors, left):
            for other, b, below_b in trees(net, vectors, right):
                parent = torch.tanh(net.merge(torch.cat([a, b])))
                score = one + other + float(net.output(parent))
                yield score, parent, (*below_a, *below_b, frozenset(leaves))


def is_wrong(node, objects):
    """A part of one object with another, by sets."""
    wholes = {o: {i for i, other in enumerate(objects) if other == o} for o in objects}
    touched = {objects[i] for i in node}
    return len(touched) > 1 and any(not wholes[o] <= node for o in touched)


@torch.no_grad()
def test_greedy_trees_are_trees_with_their_scores_and_at_most_the_best():
    net, (features, objects) = net_of(), scenes()
    found, best = net(features, objects), 0
    for scene, labels in enumerate(objects.tolist()):
        leaves = tuple(i for i, label in enumerate(labels) if label >= 0)
        known = {
            frozenset(nodes): score
            for score, _, nodes in trees(net, net.leaf(features[scene]), leaves)
        }
        assert len(known) == {5: 105, 4: 15}[len(leaves)]
        there = found.there[scene]
        nodes = [frozenset(row.nonzero()[:, 0].tolist()) for row in found.nodes[scene][there]]
        score = float(found.scores[scene].sum())
        assert score == pytest.approx(known[frozenset(nodes)], rel=1e-12)
        assert score <= max(known.values()) + 1e-12
        best += score > max(known.values()) - 1e-12
        assert found.wrong[scene][there].tolist() == [is_wrong(node, labels) for node in nodes]
    assert best < len(objects)  # greed does not always find the best tree


def greedy(net, leaves, vectors, bonus, allowed):
    """Score with bonus of each merge and the segments below it, one pair after another."""
    nodes, found = {frozenset([i]): vectors[i] for i in leaves}, []
    while len(nodes) > 1:
        tried = []
        for one in nodes:
            for other in nodes:
                if min(one) < min(other) and allowed(one | other):
                    parent = torch.tanh(net.merge(torch.cat([nodes[one], nodes[other]])))
                    score = float(net.output(parent)) + bonus(one | other)
                    tried.append((score, one, other, parent))
        score, one, other, parent = max(tried, key=lambda t: t[0])
        del nodes[one], nodes[other]
        nodes[one | other] = parent
        found.append((score, one | other))
    return found


@torch.no_grad()
def test_the_margin_loss_is_that_of_greed_by_sets_and_of_right_trees():
    net, (features, objects) = net_of(1), scenes(30, 4)
    for scene, labels in enumerate(objects.tolist()):
        leaves = [i for i, label in enumerate(labels) if label >= 0]
        vectors = net.leaf(features[scene])

        def right(node, labels=labels):
            return not is_wrong(node, labels)

        guess = greedy(net, leaves, vectors, lambda node: KAPPA * (not right(node)), lambda _: True)
        gold = greedy(net, leaves, vectors, lambda _: 0.0, right)
        rises = [a - b for (a, _), (b, _) in zip(guess, gold, strict=True)]
        wanted = max(0.0, *(sum(rises[: i + 1]) for i in range(len(rises))))
        one = slice(scene, scene + 1)
        assert float(net.margin_loss(features[one], objects[one], KAPPA)) == pytest.approx(wanted)
        known = [
            score
            for score, _, nodes in trees(net, vectors, tuple(leaves))
            if all(right(node) for node in nodes)
        ]
        assert min(known) - 1e-12 <= sum(score for score, _ in gold) <= max(known) + 1e-12


@pytest.mark.parametrize("segments", [1, 3])
def test_scenes_without_a_merge_have_no_loss(segments):
    net, objects = net_of(), torch.full((2, segments), -1)
    objects[:, 0] = 0
    loss = net.margin_loss(torch.randn(2, segments, 3, **DOUBLE), objects)
    loss.backward()
    assert float(loss.detach()) == 0
    assert not any(p.grad is not None and p.grad.any() for p in net.parameters())


def test_gradients_of_the_loss_are_those_of_differences():
    net, (features, objects) = net_of(2), scenes(3, 4)
    names, weights = zip(*net.named_parameters(), strict=True)

    def loss(*given):
        named = {f"net.{name}": value for name, value in zip(names, given, strict=True)}
        return torch.func.functional_call(_Loss(net), named, (features, objects))

    assert torch.autograd.gradcheck(loss, weights)


class _Loss(torch.nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, features, objects):
        return self.net.margin_loss(features, objects, KAPPA)


def test_objects_are_found_after_training():
    features, objects = scenes(20, 5)
    colours = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]], **DOUBLE)
    features = colours[objects.clamp_min(0)] + 0.1 * features
    net = SceneParser(3, 16, **DOUBLE)
    before = net(features, objects).wrong.double().mean()
    adam = torch.optim.Adam(net.parameters(), 0.03)
    for _ in range(40):
        adam.zero_grad()
        net.margin_loss(features, objects).backward()
        adam.step()
    after = net(features, objects).wrong.double().mean()
    assert after < 0.1 * before


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        (torch.zeros(2, 3), "objects must be int64"),
        (torch.zeros(2, 4, dtype=torch.long), "objects must be int64"),
        (torch.full((2, 3), 3), "objects must be below the number of segments, 3, got 3"),
    ],
)
def test_wrong_objects_are_refused(objects, message):
    with pytest.raises(UsageError, match=message):
        SceneParser(2)(torch.zeros(2, 3, 2), objects)
