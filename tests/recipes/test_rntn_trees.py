"""The recipe for trees: shares of right nodes, negation, the files it takes, what is drawn."""

from dataclasses import replace

import pytest
import torch

from nakami import data, recipes
from nakami.recipes import rntn_trees
from nakami.recipes._sentiment import accuracies, negations, share_of
from nakami.report.pages.training._tree import places, tree_chart
from nakami.results import Lines, Tree, UsageError, packed_pictures
from nakami.results._trained import unpacked_pictures
from nakami.zoo.recursive import KINDS, RecursiveNet

TREES = """(1 (2 It) (1 (1 (2 not) (3 good)) (2 .)))
(3 (2 never) (0 bad))
(2 film)
"""
SETTINGS = replace(rntn_trees.ENTRY.settings, size=4, epochs=1)


@pytest.fixture
def trees(tmp_path):
    for name in ("train", "dev", "test"):
        (tmp_path / f"{name}.txt").write_text(TREES)
    return data.read_trees(tmp_path / "train.txt")


def test_shares_are_counts_of_nodes(trees):
    answers = torch.zeros(3, 7, 5)
    answers[..., 2] = 1.0
    answers[0, 6] = answers[1, 2] = torch.tensor([0.1, 0.4, 0.0, 0.3, 0.2])  # no side is greater
    found = accuracies(answers, trees.nodes, trees.labels)
    wanted = {"all": (6, 11), "root": (2, 3), "all of two": (4, 6), "root of two": (1, 2)}
    assert {name: (s.value, s.nodes) for name, s in found.items()} == {
        name: (pytest.approx(hits / n), n) for name, (hits, n) in wanted.items()
    }


def test_the_error_of_a_share_is_that_of_repeats():
    generator = torch.Generator().manual_seed(0)
    size = torch.randint(1, 9, (8000, 1), generator=generator)
    counted = torch.arange(8) < size
    good = torch.rand(8000, 1, generator=generator).round()  # nodes of one tree are alike
    right = torch.rand(8000, 8, generator=generator) < 0.1 + 0.8 * good
    parts = [share_of(r, c) for r, c in zip(right.split(100), counted.split(100), strict=True)]
    spread = float(torch.tensor([p.value for p in parts]).std())
    mean = float(torch.tensor([p.error for p in parts]).mean())
    assert mean == pytest.approx(spread, rel=0.3)  # 80 repeats: 8 %
    assert mean > 1.5 * (0.25 / parts[0].nodes) ** 0.5  # as if nodes were independent


def test_negations_are_nodes_with_such_a_word_to_the_left(trees):
    answers = torch.rand(3, 7, 5, generator=torch.Generator().manual_seed(0)).softmax(2)
    found = negations(answers, trees.nodes, trees.labels, trees.words)
    assert found.labels_below.tolist() == [3, 0]
    assert found.labels_above.tolist() == [1, 3]
    assert torch.equal(found.of("positive").above, answers[0, 3:4])
    assert torch.equal(found.of("negative").below, answers[1, 1:2])
    move = (answers[0, 3] - answers[0, 2]) @ torch.arange(5.0)
    torch.testing.assert_close(found.of("positive").moves[0], move)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_learns_the_grammar_and_is_opened_along_a_tree(kind, tmp_path):
    settings = replace(SETTINGS, kind=kind, size=8, epochs=2, rate=0.1)
    subject = recipes.prepare("rntn-trees", tmp_path / "out", settings=settings)
    (network,) = subject.networks
    assert network.facts[0]["value"] > 80  # of five classes
    assert isinstance(network.trained, RecursiveNet)
    _, test = recipes.SUBJECTS["rntn-trees"].examples(None)
    rows = test.inputs[[test.names.index(name) for name in subject.examples.names]]
    roots = (rows[..., 3] >= 0).sum(1) - 1
    wanted = network.trained(rows)[torch.arange(len(rows)), roots]
    torch.testing.assert_close(network.model(subject.examples.inputs), wanted)
    file = recipes.write_weights(subject, tmp_path / "out")[kind]
    fresh = RecursiveNet(len(test.words), 8, 5, kind)
    data.load_weights(fresh, file)
    assert torch.equal(fresh(rows), network.trained(rows))


def test_a_folder_in_the_treebanks_form_is_taken(trees, tmp_path):
    train, test = rntn_trees.trees_from(recipes.DataFiles(tmp_path))
    assert train.source == "3 trees of train.txt"
    assert test.source == "3 trees of test.txt"
    assert test.words == train.words == trees.words
    files = recipes.DataFiles(tmp_path, tmp_path / "dev.txt")
    assert rntn_trees.trees_from(files)[1].source == "3 trees of dev.txt"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda p: recipes.DataFiles(p),
            "data must be a file of trees, or a folder with train.txt",
        ),
        (lambda p: recipes.DataFiles(p / "x", size=3), "size must be left out with trees"),
        (lambda p: recipes.DataFiles(p / "x"), "data must name a file"),
        (lambda p: recipes.DataFiles(p / "none"), "data must have a class at a node or more"),
        (lambda p: recipes.DataFiles(p / "low", p / "high"), "test must hold labels of the 2 cl"),
        (
            lambda p: recipes.DataFiles(p / "huge"),
            "data must hold classes below its number of nodes, 20, got .* give more trees, or",
        ),
        (lambda p: recipes.DataFiles(p / "low", p / "huge"), "test must hold labels of the 2 cl"),
    ],
)
def test_other_files_are_refused(make, message, tmp_path):
    for name, label in (("none", -1), ("low", 1), ("high", 4), ("huge", 999_999_999)):
        (tmp_path / name).write_text(f"({label} word)\n" * 20)
    with pytest.raises(UsageError, match=message):
        rntn_trees.trees_from(make(tmp_path))


def test_a_sentence_is_drawn_with_its_nodes():
    train, test = recipes.SUBJECTS["rntn-trees"].examples(None)
    net = rntn_trees.made(train, SETTINGS)
    network = recipes.Network("rntn", net, "", [])
    tree, curves = rntn_trees.pictures([network], test, SETTINGS, torch.Generator())
    assert isinstance(tree, Tree)
    assert isinstance(curves, Lines)
    leaves = [text for text in tree.texts if text]
    assert "not" in leaves
    assert len(tree.parents) == 2 * len(leaves) - 1
    assert unpacked_pictures(*packed_pictures([tree, curves])) == (tree, curves)
    drawn = tree_chart(0, tree)
    assert drawn.data["texts"]["t"] == leaves
    assert len(drawn.data["edges"]["x"]) == len(tree.parents) - 1


def test_parents_stand_in_the_middle_above_their_children():
    x, y = places((2, 2, 4, 4, -1))
    assert x.tolist() == [0, 1, 0.5, 2, 1.25]
    assert y.tolist() == [0, 0, 1, 0, 2]


@pytest.mark.parametrize(
    ("parents", "texts", "message"),
    [
        ((1,), ("a",), "parents must be after its children"),
        ((0, -1), ("a", "b"), "parents must be after its children"),
        ((1, -1), ("a",), "texts must be one for each of 2 nodes, got 1"),
    ],
)
def test_wrong_trees_are_refused(parents, texts, message):
    with pytest.raises(UsageError, match=message):
        Tree("", "", parents, texts, (0.0,) * len(parents))
