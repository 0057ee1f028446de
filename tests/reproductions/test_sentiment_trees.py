"""Recursive networks on sentences: how accuracies and negations are counted, by hand."""

import pytest
import torch

from nakami import data

TEXT = """(1 (1 (2 not) (4 good)) (2 .))
(3 (2 It) (2 (2 never) (0 bores)))
(2 (2 no) (2 way))
"""


@pytest.fixture(scope="module")
def script(reproduction):
    return reproduction("sentiment_trees")


@pytest.fixture
def trees(tmp_path):
    (tmp_path / "t.txt").write_text(TEXT)
    return data.read_trees(tmp_path / "t.txt")


def measured(script, trees, labels):
    """What is measured of a network that is sure of these classes."""
    sure = 50 * torch.nn.functional.one_hot(labels.clamp_min(0), 5).float()
    return script.measured(lambda nodes: sure, trees)


def test_right_answers_are_counted_at_labelled_nodes(script, trees):
    names = ("all", "root", "all of two", "root of two")
    found = measured(script, trees, trees.labels)
    assert [found[name] for name in names] == [100] * 4
    labels = trees.labels.clone()
    labels[0, trees.roots[0]] = 3  # positive, where it is negative
    labels[1, trees.roots[1]] = 4  # another class of the right side
    found = measured(script, trees, labels)
    wanted = (100 * 11 / 13, 100 / 3, 100 * 4 / 5, 50)  # the third root is neutral
    assert [found[name] for name in names] == pytest.approx(wanted)
    assert [found[f"words {low}"] for low in (1, 2, 3)] == pytest.approx([100, 100, 0])


def test_negated_phrases_move_as_labels_say_where_the_network_gives_the_labels(script, trees):
    found = measured(script, trees, trees.labels)
    for side, move in (("positive", -3), ("negative", 2)):
        assert found[f"{side} moves"] == pytest.approx([move])
        assert found[f"{side} label moves"] == [move]
        assert found[f"{side} not negative"] == pytest.approx([-1 if move < 0 else 1])
        share, step, _ = script.steps(side, [found[f"{side} moves"] * 2])
        assert (share, step) == ("100.0", f"{abs(move):.2f}")
    still = measured(script, trees, torch.full_like(trees.labels, 2))
    assert next(script.steps("positive", [still["positive moves"] * 2])) == "0.0"


def test_words_below_a_node_are_counted(script, trees):
    assert script.lengths(trees.nodes).tolist() == [
        [1, 1, 2, 1, 3], [1, 1, 1, 2, 3], [1, 1, 2, 0, 0]
    ]  # fmt: skip


def test_kept_values_are_what_the_page_says(script):
    kept = script.Kept(script.HERE / "results" / f"{script.NAME}.json", script.SETTINGS)
    if not kept.records:
        pytest.skip("not run yet")
    page = (script.HERE / "results" / f"{script.NAME}.md").read_text("utf-8")
    said = list(script.report(kept))[:-2]  # versions and seconds stand below
    assert page.splitlines()[: len(said)] == said
