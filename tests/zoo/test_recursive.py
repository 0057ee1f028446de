"""Recursive networks: all nodes at once are node by node; cells are their formulas."""

import pytest
import torch
from torch.testing import assert_close

from nakami import data, jacobian, stages
from nakami.results import UsageError
from nakami.zoo.recursive import KINDS, RecursiveNet, balanced, node_cross_entropy

DOUBLE = {"dtype": torch.float64}
TEXT = """(3 (2 It) (4 (4 (2 's) (4 (3 (2 a) (4 (3 lovely) (2 film))) (3 (2 with) (2 you)))) (2 .)))
(1 (1 (1 (1 (1 not) (2 a)) (3 lovely)) (2 film)) (2 (2 .) (2 .)))
(4 good)
(0 (2 It) (1 not))
"""


@pytest.fixture
def trees(tmp_path):
    (tmp_path / "trees.txt").write_text(TEXT)
    return data.read_trees(tmp_path / "trees.txt")


def net_of(kind, trees, **options):
    net = RecursiveNet(len(trees.words), 3, 4, kind, **DOUBLE, **options)
    with torch.no_grad():  # away from the first weights, where much is zero
        g = torch.Generator().manual_seed(5)
        for p in net.parameters():
            p += 0.3 * torch.randn(p.shape, generator=g, **DOUBLE)
    return net


def one_by_one(net, tree, node, moved=None, vector=None):
    """The state of a node by recursion; of a node that is moved with another vector."""
    word, left, right, _ = tree[node].tolist()
    if word >= 0:
        state = net.leaf(torch.tensor([word]))
    else:
        children = [one_by_one(net, tree, child, moved, vector) for child in (left, right)]
        state = net.merged(torch.stack(children, 1))
    return torch.cat([vector[None], state[:, net.size :]], 1) if node == moved else state


@pytest.mark.parametrize("kind", KINDS)
def test_all_trees_at_once_are_each_node_by_recursion(trees, kind):
    net = net_of(kind, trees)
    logits, vectors = net(trees.nodes), net.vectors(trees.nodes)
    target = torch.randn(logits.shape, generator=torch.Generator().manual_seed(1), **DOUBLE)
    rows = []
    for t, tree in enumerate(trees.nodes):
        for node in range(len(tree)):
            there = tree[node, 3] >= 0
            vector = one_by_one(net, tree, node)[0, :3] if there else torch.zeros(3, **DOUBLE)
            assert_close(vectors[t, node], vector, rtol=0, atol=1e-12)
            wanted = net.output(vector) if there else torch.zeros(4, **DOUBLE)
            assert_close(logits[t, node], wanted, rtol=0, atol=1e-12)
            rows.append(wanted)
    fast = torch.autograd.grad((logits * target).sum(), list(net.parameters()))
    slow = torch.autograd.grad(
        (torch.stack(rows).view_as(target) * target).sum(), list(net.parameters())
    )
    for ours, theirs in zip(fast, slow, strict=True):
        assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_cells_are_the_formulas():
    b, c = (
        torch.randn(1, 12, generator=torch.Generator().manual_seed(i), **DOUBLE) for i in (1, 2)
    )
    u = torch.cat([b[0, :3], c[0, :3]])
    for kind in KINDS:
        net = RecursiveNet(2, 3, kind=kind, **DOUBLE)
        w, bias = net.merge.weight, net.merge.bias
        if kind == "mv":
            big_b, big_c = b[0, 3:].view(3, 3), c[0, 3:].view(3, 3)
            vector = torch.tanh(w @ torch.cat([big_c @ b[0, :3], big_b @ c[0, :3]]) + bias)
            matrix = net.merge_matrices @ torch.cat([big_b, big_c])
            wanted = torch.cat([vector, matrix.flatten()])
            assert_close(net.merged(torch.stack([b, c], 1))[0], wanted, rtol=1e-12, atol=0)
            continue
        more = torch.stack([u @ v @ u for v in net.tensor]) if kind == "rntn" else 0
        wanted = torch.tanh(w @ u + bias + more)
        assert_close(net.merged(torch.stack([b, c], 1)[..., :3])[0], wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_through_two_levels(kind):
    net = RecursiveNet(4, 2, 2, kind, **DOUBLE)
    names, weights = zip(*net.named_parameters(), strict=True)

    def logits(*given):
        return torch.func.functional_call(
            net, dict(zip(names, given, strict=True)), balanced(2)[None]
        )

    assert torch.autograd.gradcheck(logits, weights)


@pytest.mark.parametrize("kind", KINDS)
def test_along_one_tree_heights_are_layers(trees, kind):
    net = net_of(kind, trees)
    for t, root in enumerate(trees.roots.tolist()):
        tree = trees.nodes[t]
        words = tree[tree[:, 3] == 0][:, 0]
        leaves = net.leaf(words)[None]
        layered = net.along(tree)
        assert len(layered) == int(tree[:, 3].max()) + 1
        assert_close(layered(leaves)[0], net(trees.nodes)[t, root], rtol=1e-12, atol=1e-14)
        used = net.parameters() if len(layered) > 1 else net.output.parameters()
        assert {id(p) for p in layered.parameters()} == {id(p) for p in used}
        if len(layered) > 2:
            heights = tuple(f"height{i}" for i in range(1, len(layered)))
            assert stages(layered, leaves.detach()).auto == (*heights, "output")
    leaves = torch.cat([leaves, leaves + 0.1])
    assert layered(leaves).shape == (2, 4)
    dense = torch.autograd.functional.jacobian(layered, leaves[:1]).reshape(4, -1)
    assert_close(jacobian(layered, leaves[:1]).dense(), dense, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_from_each_node_to_the_root_ancestors_are_layers(trees, kind):
    net, dense = net_of(kind, trees), torch.autograd.functional.jacobian
    tree = trees.nodes[0]
    vectors = net.vectors(tree[None])[0].detach()
    lengths = []
    for node in range(len(tree)):
        way, x = net.up(tree, node), vectors[node]
        above = [n for n in range(len(tree)) if n != node and node in below(tree, n)]  # upwards
        assert [name for name, _ in way.named_children()][:-1] == [
            f"ancestor{i}" for i in range(1, len(above) + 1)
        ]
        ends = [(f"ancestor{i}", n) for i, n in enumerate(above, 1)]
        for stage, end in [*ends, ("output", None)]:

            def end_of(v, end=end, node=node):
                state = one_by_one(net, tree, len(tree) - 1 if end is None else end, node, v)
                return net.output(state[0, :3]) if end is None else state[0, :3]

            wanted = dense(end_of, x)
            assert_close(jacobian(way, x[None], to=stage).dense(), wanted, rtol=1e-10, atol=1e-12)
        lengths.append(len(above))
    assert max(lengths) == int(tree[:, 3].max())
    assert lengths[-1] == 0


def below(tree, node):
    """All nodes below one, and itself."""
    children = [child for child in tree[node, 1:3].tolist() if child >= 0]
    return {node}.union(*(below(tree, child) for child in children))


def test_the_way_up_holds_what_it_does_not_pass_and_leaves_no_trace(trees):
    net = net_of("rntn", trees)
    tree = trees.nodes[1]
    way, x = net.up(tree, 0), net.vectors(tree[None])[:, 0].detach()
    assert stages(way, x).auto == (*(f"ancestor{i}" for i in range(1, 5)), "output")
    assert_close(way(x), net(tree[None])[:, 10])
    words = net.words.detach().clone()
    with torch.no_grad():
        net.words.add_(1)
    assert not torch.allclose(way(x), net(tree[None])[:, 10])  # siblings stay, merges follow
    with torch.no_grad():
        net.words.copy_(words)
    assert_close(way(x), net(tree[None])[:, 10])
    assert all(p.grad is None and p.requires_grad for p in net.parameters())


@pytest.mark.parametrize("node", [-1, 11, 1.5])
def test_the_way_up_begins_at_a_node_of_the_tree(trees, node):
    with pytest.raises(UsageError, match=r"node must be a node of the tree, 0 to 10, got"):
        net_of("rnn", trees).up(trees.nodes[1], node)


def test_the_loss_is_the_mean_over_labelled_nodes(trees):
    net, labels = net_of("rnn", trees), trees.labels.clamp(max=3)
    labels[0, 2] = -1
    logs = net(trees.nodes).log_softmax(-1)
    wanted = [
        -logs[t, n, c] for t, row in enumerate(labels.tolist()) for n, c in enumerate(row) if c >= 0
    ]
    assert_close(node_cross_entropy(net(trees.nodes), labels), torch.stack(wanted).mean())
    none = node_cross_entropy(net(trees.nodes), labels * 0 - 1)  # a batch without any class
    none.backward()
    assert float(none.detach()) == 0
    assert not any(p.grad.any() for p in net.parameters())


def test_a_parent_begins_as_the_mean_of_its_children():
    net = RecursiveNet(4, 6, kind="rnn", **DOUBLE)
    x = 0.01 * torch.randn(50, 6, generator=torch.Generator().manual_seed(0), **DOUBLE)
    parents = net.merged(torch.stack([x, x.flip(0)], 1))
    assert (parents - (x + x.flip(0)) / 2).norm() < 0.3 * parents.norm()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda n: n.float(), r"nodes must be int64 of shape \(N, nodes, 4\), got torch.float32"),
        (lambda n: n[0], r"nodes must be int64 of shape \(N, nodes, 4\), got torch.int64 of shape"),
        (
            lambda n: n + 20,
            r"nodes must name words below 11, got \d+; read the trees with the same",
        ),
        (lambda n: n.tolist(), r"nodes must be int64 of shape \(N, nodes, 4\), got list"),
        (lambda n: n.int(), r"nodes must be int64 of shape \(N, nodes, 4\), got torch.int32"),
        (
            lambda n: n.flip(1),
            "nodes must be words of height 0, and parents one higher than the higher of two",
        ),
        (lambda n: n * torch.tensor([1, 1, 1, 2]), "nodes must be words of height 0, and parents"),
        (lambda n: n * 0 - 1, r"nodes must hold a node, got none; pass data.read_trees"),
        *(
            (
                lambda n, rows=rows: torch.tensor([rows]),
                "nodes must be trees, children before their",
            )
            for rows in (
                [[0, -1, -1, 0], [-1, 0, 0, 1]],  # a child taken twice
                [[0, -1, -1, 0], [1, -1, -1, 0], [-1, 0, 1, 1], [-1, 0, 2, 2]],  # by two parents
                [[0, -1, -1, 0], [1, -1, -1, 0]],  # two roots
                [[0, -1, -1, 0], [-1] * 4, [1, -1, -1, 0], [-1, 0, 2, 1]],  # a gap
                [[-1, 1, 2, 1], [0, -1, -1, 0], [1, -1, -1, 0]],  # the root first
            )
        ),
    ],
)
def test_wrong_nodes_are_refused(trees, change, message):
    net = RecursiveNet(len(trees.words), 3)
    with pytest.raises(UsageError, match=message):
        net(change(trees.nodes))


def test_wrong_kinds_and_sizes_are_refused():
    with pytest.raises(UsageError, match="height must be a whole number from 0 on, got -1"):
        balanced(-1)
    with pytest.raises(UsageError, match=r"kind 'rnnt' is unknown; nearest.*'rntn'"):
        RecursiveNet(5, kind="rnnt")
    with pytest.raises(
        UsageError, match=r"size must be a whole number from 1 on, got 0; pass a pos"
    ):
        RecursiveNet(5, 0)
