"""Trainings on texts and trees, stopped in the middle of an epoch, end in the same bits."""

from dataclasses import replace

import pytest
import torch

from nakami.recipes import rnnlm_text, rntn_trees, skipgram_words
from nakami.training import Training, _lightning

CASES = {
    "drawn negatives": (skipgram_words.ENTRY, {"epochs": 2}),
    "every gradient cut": (
        rnnlm_text.ENTRY,
        {"epochs": 2, "hidden": 6, "layers": 1, "every": True, "window": 5},
    ),
    "held": (
        rnnlm_text.ENTRY,
        {"epochs": 2, "hidden": 6, "layers": 1, "cell": "gru", "delta": 1.2},
    ),
    "trees": (rntn_trees.ENTRY, {"epochs": 2, "size": 4}),
}


class Stopped(Exception):
    """As a kill."""


@pytest.mark.parametrize("case", CASES)
def test_a_stopped_training_ends_as_one_that_was_not(case, tmp_path, monkeypatch):
    recipe, chosen = CASES[case]
    settings, steps = replace(recipe.settings, **chosen), []
    parts = recipe.arranged(*recipe.examples(None), settings)
    train, test = (part[: len(part) // 50] for part in parts)
    descend = _lightning._descend

    def run(folder, stop=None):
        def counted(*given, **more):
            if len(steps) == stop:
                raise Stopped("as by a kill")
            steps.append(1)
            return descend(*given, **more)

        steps.clear()
        monkeypatch.setattr(_lightning, "_descend", counted)
        training = Training(folder, {"seed": 0}, recipe.epochs(settings))
        (network,) = recipe.train(training, train, test, settings)
        return network

    whole = run(tmp_path / "whole")
    with pytest.raises(Stopped, match="as by a kill"):
        run(tmp_path / "other", stop=len(steps) * 3 // 4)
    again = run(tmp_path / "other")
    assert len(steps) > 1
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, again.model.state_dict()[name])
    assert whole.facts == again.facts
