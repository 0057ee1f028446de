"""Trees from brackets: nodes in order, words by frequency, refusals by line."""

import pytest

from nakami import data
from nakami.results import UsageError


@pytest.fixture
def written(tmp_path):
    def write(text):
        (tmp_path / "trees.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path / "trees.txt"

    return write


def test_nodes_stand_behind_their_children_and_the_root_is_last(written):
    trees = data.read_trees(written("(3 (2 It) (4 (1 works) (2 It)))\r\n\n  \n(0 bad)\n"))
    assert trees.nodes[0].tolist() == [
        [1, -1, -1, 0], [3, -1, -1, 0], [1, -1, -1, 0], [-1, 1, 2, 1], [-1, 0, 3, 2]
    ]  # fmt: skip
    assert trees.labels.tolist() == [[2, 1, 2, 4, 3], [0, -1, -1, -1, -1]]
    assert trees.nodes[1, 1:].eq(-1).all()
    assert trees.words == ("<unknown>", "It", "bad", "works")
    assert trees.roots.tolist() == [4, 0]
    assert trees.root_labels.tolist() == [3, 0]
    assert trees.sentence(0) == "It works It"
    assert trees.source == "2 trees of trees.txt"


def test_words_of_others_and_rare_words(written):
    path = written("(1 (1 It) (1 (1 works) (1 it)))")
    assert data.read_trees(path, lower=True, least=2).words == ("<unknown>", "it")
    again = data.read_trees(path, ("<unknown>", "works"))
    assert again.nodes[0, :3, 0].tolist() == [0, 1, 0]


def test_a_word_may_hold_a_no_break_space_and_a_tree_may_be_deep(written):
    deep = "(1 (1 a) " * 5000 + "(0 8\u00a01\\/2)" + ")" * 5000
    trees = data.read_trees(written(deep))
    assert set(trees.words) == {"<unknown>", "a", "8\u00a01\\/2"}
    assert trees.nodes[0, -1].tolist() == [-1, 0, 9999, 5000]
    assert trees.sentence(0) == "a " * 5000 + "8\u00a01\\/2"


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("(3 (2 It))", r"line 1 of trees.txt must be a tree .* got a node of 0 words and 1 child;"),
        ("(3 a)\n(3 a b)", r"line 2 of trees.txt .* got a node of 2 words and 0 children; write"),
        ("(3 (2 a) (1 b)", r"got a bracket that is not closed"),
        ("(3 a) b", r"got 'b' behind the tree"),
        ("b", r"got 'b' outside brackets"),
        ("(S a)", r"got '\(S'"),
        ("(", r"got '\('"),
        ("(² a)", r"got '\(²'"),
        ("(--3 a)", r"got '\(--3'"),
        ("(-5 a)", r"got '\(-5'"),
        ("\n\n", r"path must hold a tree or more"),
        (b"(3 \xff)", r"path must be UTF-8 text"),
    ],
)
def test_what_is_no_binary_tree_is_refused_by_its_line(written, text, got):
    with pytest.raises(UsageError, match=got):
        data.read_trees(written(text))


@pytest.mark.parametrize("words", ["It works", ("It", "works"), (), 3])
def test_a_vocabulary_without_a_place_for_unknown_words_is_refused(written, words):
    with pytest.raises(UsageError, match=r"words must begin with '<unknown>', got "):
        data.read_trees(written("(1 It)"), words)


def test_nodes_of_class_minus_one_have_none(written):
    assert data.read_trees(written("(3 (-1 It) (4 works))")).labels.tolist() == [[-1, 4, 3]]


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match=r"path must name a file, got .*none.txt"):
        data.read_trees(tmp_path / "none.txt")
