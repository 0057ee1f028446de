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


def answers_like(labels):
    return torch.nn.functional.one_hot(labels.clamp_min(0), 5).float()


def test_right_answers_are_counted_at_labelled_nodes(script, trees):
    answers = answers_like(trees.labels)
    assert script.accuracies(answers, trees) == {
        "all": 100, "root": 100, "all of two": 100, "root of two": 100
    }  # fmt: skip
    answers[0, trees.roots[0]] = torch.tensor([0, 0, 0, 1.0, 0])  # positive, where it is negative
    answers[1, trees.roots[1]] = torch.tensor([0, 0, 0, 0, 1.0])  # another class of the right side
    found = script.accuracies(answers, trees)
    assert found["all"] == pytest.approx(100 * 11 / 13)
    assert found["root"] == pytest.approx(100 / 3)
    assert found["root of two"] == pytest.approx(50)  # the third is neutral
    assert found["all of two"] == pytest.approx(100 * 4 / 5)


def test_negated_phrases_move_as_labels_say_where_the_network_gives_the_labels(script, trees):
    found = script.negation(answers_like(trees.labels), trees)
    assert (found["positive phrases"], found["negative phrases"]) == (1, 1)
    for kind, step in (("positive", 3), ("negative", 2)):
        for whose in ("ours", "labels"):
            assert found[f"{kind} {whose} share"] == 100
            assert found[f"{kind} {whose} step"] == pytest.approx(step)
    still = torch.zeros(3, 5, 5).index_fill_(2, torch.tensor(2), 1.0)
    assert script.negation(still, trees)["positive ours share"] == 0


def test_kept_values_are_what_the_page_says(script):
    kept = script.Kept(script.HERE / "results" / f"{script.NAME}.json", script.SETTINGS)
    if not kept.records:
        pytest.skip("not run yet")
    page = (script.HERE / "results" / f"{script.NAME}.md").read_text("utf-8")
    said = list(script.report(kept))[:-2]  # versions and seconds stand below
    assert page.splitlines()[: len(said)] == said
