"""What is special to the recipe ``alexnet-pictures``: its data, parts, and a trained trunk."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.testing import assert_close

from nakami import data, zoo
from nakami.recipes import alexnet_pictures as recipe
from nakami.recipes._made_pictures import CLASSES, coloured_shapes
from nakami.results import UsageError
from nakami.training import Training
from nakami.zoo import alexnet_original as original

SMALL = replace(recipe.AlexNetSettings(), width=0.05, epochs=1)


def few(n=40):
    return data.digits("train")[:n], data.digits("test")[:20]


def trained(folder, settings):
    run = Training(folder, {"seed": 0}, recipe.epochs(settings))
    return recipe.train(run, *few(), settings)[0].model


def test_default_pictures_are_ten_classes_of_shapes():
    train, test = coloured_shapes()
    assert (train.inputs.shape, len(test)) == ((2000, 3, 64, 64), 500)
    assert train.classes == CLASSES
    assert train.labels.bincount().min() > 100
    red = train.labels < 5
    warm = train.inputs[:, 0] - train.inputs[:, 2]  # a red shape is redder than a blue one
    assert warm[red].amax((1, 2)).median() > 0.4 > warm[~red].amax((1, 2)).median()
    assert_close(coloured_shapes()[0].inputs, train.inputs, rtol=0, atol=0)


def test_pictures_are_centred_scaled_and_made_three_channels():
    pictures = torch.rand(6, 1, 20, 20)
    net = recipe.network(SMALL, pictures, 3)
    y = net.prepare(pictures)
    assert y.shape == (6, 3, 64, 64)
    assert torch.equal(y[:, 0], y[:, 2])
    assert abs(float(y.mean())) < 0.05
    first = recipe.network(replace(SMALL, first="original"), pictures, 3)
    assert_close(first.prepare(pictures).amax(), 255 * (first_scaled(pictures)).amax())
    assert float(first.conv2.bias.detach().min()) == 1
    assert float(net.conv2.bias.detach().abs().max()) == 0


def first_scaled(pictures):
    scaled = nn.functional.interpolate(pictures, 64, mode="bilinear", align_corners=False)
    return scaled - pictures.mean()


def test_a_trunk_from_a_file_is_trained_on(tmp_path):
    source = zoo.build("alexnet-features", torch.Generator().manual_seed(5))
    file = tmp_path / "trunk.safetensors"
    save_file(source.state_dict(), file)
    settings = replace(SMALL, trunk=str(file), rate=1e-6, decay=0.0)
    net = trained(tmp_path / "run", settings)
    found = net.features.state_dict()
    for name, value in source.features.state_dict().items():
        assert_close(found[name], value, rtol=0, atol=1e-3)
    assert net.fc6.in_features == 256
    assert [n for n, _ in net.named_children()][:4] == ["prepare", "features", "flatten", "fc6"]
    file.unlink()  # needed for the training alone
    again = trained(tmp_path / "run", settings)
    assert_close(dict(again.state_dict()), dict(net.state_dict()), rtol=0, atol=0)
    stages = recipe.stages(settings)
    assert set(stages) <= {name for name, _ in net.named_modules()}


def test_changes_follow_the_settings():
    pictures = torch.rand(4, 3, 9, 9)
    kinds = [type(c).__name__ for c in recipe.changes(SMALL, pictures)]
    assert kinds == ["RandomCrop", "RandomFlip", "ColourShift"]
    bare = replace(SMALL, crop=0, flip=False, colour=0)
    assert recipe.changes(bare, pictures) == []


@pytest.mark.parametrize(("flip", "said"), [(True, "changed pictures, rate"), (False, "rate")])
def test_its_sentence_says_whether_pictures_are_changed(tmp_path, flip, said):
    settings = replace(SMALL, epochs=0, crop=0, colour=0.0, flip=flip)
    run = Training(tmp_path, {"seed": 0}, recipe.epochs(settings))
    network = recipe.train(run, *few(), settings)[0]
    assert network.training.startswith(f"{said} divided by 10 at plateaus, 0 epochs")


def test_the_original_takes_sizes_and_keeps_its_own():
    net = original.make(side=64, classes=4, width=0.1)
    assert net(torch.zeros(2, 3, 64, 64)).shape == (2, 4)
    assert net.conv1.out_channels == 10  # even, for two groups behind it
    assert original.make(0, side=67, width=0.02)(torch.zeros(1, 3, 67, 67)).shape == (1, 1000)
    with pytest.raises(UsageError, match=r"side must be 63 or more, got 62; scale the pictures"):
        original.make(side=62)
    with pytest.raises(UsageError, match="width must be a number above 0, got 0"):
        original.make(width=0)


def test_what_is_no_picture_is_refused(tmp_path):
    flat = replace(few()[0], inputs=torch.rand(40, 9))
    run = Training(tmp_path, {"seed": 0}, {"trained": 1})
    with pytest.raises(UsageError, match=r"data must hold pictures, grey or coloured, .* \(9,\)"):
        recipe.train(run, flat, flat, SMALL)
