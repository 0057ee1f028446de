"""Texts of different lengths in one padded batch: each is read as if it came alone."""

import numpy as np
import pytest
import torch
from torch import nn

import nakami
from nakami.dynamics import EXPERIMENTS, experimented
from nakami.dynamics.experiments.perturbation import perturbation
from nakami.results import NakamiWarning, UsageError

IDS = [[1, 5, 3, 2], [2, 7], [4, 4, 8]]


class Attending(nn.Module):
    """Logits (B, T, 3) by attention that a mask keeps off what fills up."""

    def __init__(self):
        super().__init__()
        self.embed, self.mix, self.head = nn.Embedding(9, 4), nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, input_ids, attention_mask=None):
        h = self.embed(input_ids)
        scores = h @ h.transpose(1, 2)
        if attention_mask is not None:
            scores = scores.masked_fill(attention_mask[:, None] == 0, -1e9)
        return self.head(torch.tanh(self.mix(torch.softmax(scores, -1) @ h)))


def made():
    torch.manual_seed(0)
    return Attending().double()


def padded(rows=IDS):
    ids, mask = torch.full((len(rows), 5), 6), torch.zeros(len(rows), 5, dtype=torch.int64)
    for i, row in enumerate(rows):
        ids[i, : len(row)], mask[i, : len(row)] = torch.tensor(row), 1
    return {"input_ids": ids, "attention_mask": mask}


def test_spectra_are_those_of_each_text_alone(tmp_path):
    model = made()
    run = nakami.xray(model, padded(), stages=["mix", "output"], out=tmp_path)
    assert run.stages[0].shape == (4, 4)  # of the longest
    for i, row in enumerate(IDS):
        alone = nakami.xray(model, torch.tensor([row]), stages=["mix", "output"])
        for stage in run.names:
            mine, own = run.at(stage)[i], alone.at(stage)[0]
            assert mine.shape == own.shape
            np.testing.assert_allclose(mine.values, own.values, rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(mine.areas[:3], own.areas[:3], rtol=1e-6)
            assert mine.areas.max() <= len(row) + 1e-9  # positions
    again = nakami.load(tmp_path)
    np.testing.assert_array_equal(again.inputs, padded()["input_ids"])


def test_stages_whose_matrices_are_made_together_have_the_shapes_of_each_text():
    model = made()
    model.head = nn.Linear(4, 6).double()  # no narrower than the source, so both are taken at once
    run = nakami.xray(model, padded(), stages=["mix", "output"])
    for i, row in enumerate(IDS):
        alone = nakami.xray(model, torch.tensor([row]), stages=["mix", "output"])
        for stage in run.names:
            mine, own = run.at(stage)[i].values, alone.at(stage)[0].values
            np.testing.assert_allclose(mine, own, rtol=1e-9, atol=1e-12)


def test_fewer_values_than_a_short_text_has():
    run = nakami.xray(made(), padded(), stages="output", k=7)
    assert [len(s.values) for s in run.spectra] == [7, 6, 7]
    with pytest.raises(UsageError, match=r"k must be .*12"):
        nakami.xray(made(), padded(), stages="output", k=13)


def test_steps_along_directions_are_those_of_each_text_alone():
    model = made()
    run = nakami.xray(model, padded(), stages=["mix"])
    found = perturbation(model, padded(), run, (0.1,), each=1, random=0).arrays["gain"]
    for i, row in enumerate(IDS):
        alone = torch.tensor([row])
        own = perturbation(model, alone, nakami.xray(model, alone, stages=["mix"]), (0.1,), each=1,
                           random=0).arrays["gain"]  # fmt: skip
        np.testing.assert_allclose(found[i][:, 0], own[0][:, 0], rtol=1e-5)


def test_noise_goes_by_the_range_of_all():
    model = made()
    run = nakami.xray(model, padded(), stages=["output"], k=3)
    noise = EXPERIMENTS["noise"].run(model, padded(), run, {"gaussian": [0.1]})
    assert noise.arrays["values"].shape[0] == len(IDS)
    assert np.isfinite(noise.arrays["values"]).all()


def test_subspaces_of_several_lengths_do_not_compare():
    model = made()
    run = nakami.xray(model, padded(), stages=["output"], k=3)
    with pytest.raises(UsageError, match="inputs must be of one length to compare, got texts of"):
        EXPERIMENTS["subspaces"].run(model, padded(), run)


def test_a_mask_of_another_shape_is_left_alone():
    """A mask of another shape cuts nothing."""
    x = {"input_ids": torch.tensor(IDS[:1]), "attention_mask": torch.ones(1, 1, dtype=torch.int64)}
    run = nakami.xray(made(), x, stages="output")
    assert run.at("output")[0].shape == (12, 16)


def test_all_experiments_are_those_that_take_the_inputs():
    model, inputs = made(), padded()
    run = nakami.xray(model, inputs, stages=["output"], k=3)
    with pytest.warns(NakamiWarning) as said:
        found = experimented(model, inputs, run, "all")
    assert sorted(found.experiments) == ["noise", "perturbation"]
    texts = dict(str(one.message).split(" is left out: ") for one in said)
    assert texts.pop("arithmetic").startswith("dtype must be float32")
    assert sorted(texts) == ["subspaces", "units"]
    assert all(text.startswith("inputs must be of one length") for text in texts.values())
    with pytest.raises(UsageError, match="inputs must be of one length"):
        experimented(model, inputs, run, ["subspaces"])
    with pytest.raises(UsageError, match="model must have the weights of the x-ray"):
        experimented(made().float(), inputs, run, "all")
    assert list(experimented(model, inputs, run, "perturbation").experiments) == ["perturbation"]
