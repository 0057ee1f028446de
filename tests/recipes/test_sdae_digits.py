"""The stacked denoising autoencoders in a tiny size, against the same loops by hand."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from nakami import data, recipes
from nakami.recipes import sdae_digits
from nakami.recipes.sdae_digits import SDAESettings
from nakami.training import Autoencoding, Masking, fit
from nakami.training._random import phase_generator
from nakami.zoo.autoencoder import Autoencoder

TINY = SDAESettings(hidden=(12, 9), pretrain_epochs=2, finetune_epochs=2, batch=20)


@pytest.fixture(scope="module")
def subject(tmp_path_factory):
    few = data.digits("train")[:100], data.digits("test")[:50]
    with pytest.MonkeyPatch.context() as patch:
        entry = replace(sdae_digits.ENTRY, examples=lambda folder: few, settings=TINY)
        patch.setattr(sdae_digits, "ENTRY", entry)
        yield recipes.prepare("sdae-digits", tmp_path_factory.mktemp("sdae") / "run", n_inputs=2)


def test_layers_are_those_of_loops_by_hand(subject):
    start = subject.networks[0].model
    x, first = data.digits("train")[:100].inputs.flatten(1), phase_generator(0, "first weights")
    for i, (below, above) in enumerate([(784, 12), (12, 9)], 1):
        layer = Autoencoder(below, above, generator=first)
        method = Autoencoding(
            layer, torch.optim.SGD(layer.parameters(), TINY.pretrain_rate), corruption=Masking(0.25)
        )
        fit(method, (x,), epochs=2, batch=20, generator=phase_generator(0, f"layer{i}"))
        assert_close(start[2 * i - 1].weight, layer.weight, rtol=0, atol=0)
        with torch.no_grad():
            x = layer(x)  # clean, for the layer above


def test_it_is_named_and_measured_as_the_other_subject(subject, tmp_path):
    before, after = subject.networks
    assert (before.name, after.name) == ("pretrained", "finetuned")
    assert before.training.startswith("2 denoising autoencoders, one on the other, 25% of the")
    assert not torch.equal(before.model[1].weight, after.model[1].weight)
    run = recipes.measure(subject, tmp_path)[1]
    assert list(run.names) == ["hidden1", "hidden2"]
