"""A classifier over a picture equals itself on every window, cut out one by one."""

from collections import OrderedDict

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from nakami import zoo
from nakami.nn import GaussianPool2d, L2Pool2d, convolutional
from nakami.results import UsageError


def classifier(pool=nn.MaxPool2d, last=3, padding=0):
    """Windows of 26 x 26 for last = 3: convolution, pooling 2, convolution, last pooling, 3 x 3."""
    torch.manual_seed(0)
    side = {2: 6, 3: 3}[last]
    net = nn.Sequential(
        nn.Conv2d(2, 4, 5, padding=padding),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 5, 3 if last == 3 else 2),
        nn.Tanh(),
        pool(last),
        nn.Sequential(
            OrderedDict(
                flatten=nn.Flatten(),
                first=nn.Dropout(),  # behind flatten, as in AlexNet
                fc=nn.Linear(5 * side * side, 7),
                drop=nn.Dropout(),
                relu=nn.ReLU(),
                out=nn.Linear(7, 3),
            )
        ),
    )
    return net.double().eval()


SHAPE = {2: (2, 30, 30), 3: (2, 26, 26)}
CASES = [
    (nn.MaxPool2d, 2),
    (nn.MaxPool2d, 3),
    (nn.AvgPool2d, 3),
    (L2Pool2d, 3),
    (GaussianPool2d, 3),
]


def windows(model, picture, shape, stride):
    """What the model says of every window at this stride, ``(classes, h, w)``; by a loop."""
    rows = []
    for y in range(0, picture.shape[1] - shape[1] + 1, stride):
        cut = [
            picture[:, y : y + shape[1], x : x + shape[2]]
            for x in range(0, picture.shape[2] - shape[2] + 1, stride)
        ]
        rows.append(model(torch.stack(cut)))
    return torch.stack(rows).permute(2, 0, 1)


@pytest.mark.parametrize(("pool", "last"), CASES)
@pytest.mark.parametrize("fine", [False, True])
def test_a_map_equals_independent_windows(pool, last, fine):
    model, shape = classifier(pool, last), SHAPE[last]
    dense = convolutional(model, shape, fine=fine)
    picture = torch.rand(2, 49, 57, generator=torch.Generator().manual_seed(1)).double()
    stride = 2 if fine else 2 * last
    assert dense.stride == (stride, stride)
    found = dense(picture[None])[0]
    wanted = windows(model, picture, shape, stride)
    h, w = wanted.shape[1:]
    assert found.shape[1] in (h, h + 1)  # a window's last pixels may count for nothing
    torch.testing.assert_close(found[:, :h, :w], wanted, rtol=0, atol=1e-12)
    with pytest.raises(AssertionError, match="not close"):  # the check can fail
        torch.testing.assert_close(found[:, :h, :w], wanted.flip(1), rtol=0, atol=1e-12)


def test_fine_is_pooling_at_all_offsets_classified_and_interleaved():
    model, shape = classifier(), SHAPE[3]
    picture = torch.rand(1, 2, 50, 62, generator=torch.Generator().manual_seed(2)).double()
    maps = model[:5](picture)
    head = model[6]
    weight = head.fc.weight.view(7, 5, 3, 3)
    answers = convolutional(model, shape, fine=True)(picture)
    together = torch.full_like(answers, torch.nan)
    for dy in range(3):
        for dx in range(3):
            pooled = F.max_pool2d(maps[..., dy:, dx:], 3)
            hidden = F.conv2d(pooled, weight, head.fc.bias).relu()
            said = F.conv2d(hidden, head.out.weight[..., None, None], head.out.bias)
            together[..., dy::3, dx::3] = said
    torch.testing.assert_close(answers, together, rtol=0, atol=1e-12)
    interleaved = torch.full((1, 5, *(side - 2 for side in maps.shape[2:])), torch.nan).double()
    for dy in range(3):
        for dx in range(3):
            interleaved[..., dy::3, dx::3] = F.max_pool2d(maps[..., dy:, dx:], 3)
    assert torch.equal(interleaved, F.max_pool2d(maps, 3, 1))


def test_padding_makes_windows_and_map_differ():
    model, shape = classifier(padding=2), (2, 26, 26)
    dense = convolutional(model, shape)
    picture = torch.rand(2, 40, 40, generator=torch.Generator().manual_seed(3)).double()
    found, wanted = dense(picture[None])[0], windows(model, picture, shape, 6)
    torch.testing.assert_close(dense(picture[None, :, :26, :26])[0, :, 0, 0], wanted[:, 0, 0])
    assert (found[:, 1, 1] - wanted[:, 1, 1]).abs().max() > 1e-4


@pytest.mark.parametrize("name", ["cnn", "mlp", "squeezenet"])
def test_models_of_the_zoo(name):
    model, shape = zoo.build(name), zoo.ENTRIES[name].input
    if len(shape) == 1:
        shape = (1, 28, 28)
    dense = convolutional(model, shape)
    x = torch.rand(1, *shape, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(dense(x)[..., 0, 0], model(x), rtol=1e-4, atol=1e-4)


def test_batch_norms_of_units_become_those_of_maps():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Flatten(), nn.Linear(48, 4), nn.BatchNorm1d(4))
    model.double()
    model(torch.randn(20, 1, 6, 6).double())
    model.eval()
    picture = torch.rand(1, 9, 9).double()
    found = convolutional(model, (1, 6, 6))(picture[None])[0]
    torch.testing.assert_close(found, windows(model, picture, (1, 6, 6), 1), rtol=0, atol=1e-12)


def test_a_network_that_is_a_map_already_is_taken():
    model = nn.Sequential(nn.Conv2d(2, 4, 6), nn.ReLU(), nn.Conv2d(4, 3, 1)).double().eval()
    made = convolutional(model, (2, 6, 6))
    x = torch.rand(2, 2, 9, 8, generator=torch.Generator().manual_seed(0)).double()
    assert torch.equal(made(x), model(x))
    assert (made.window, made.stride) == ((6, 6), (1, 1))


def test_weights_are_shared():
    model = classifier()
    dense = convolutional(model, SHAPE[3])
    pointers = {p.data_ptr() for p in model.parameters()}
    assert {p.data_ptr() for p in dense.parameters()} == pointers
    with torch.no_grad():
        model[6].out.bias += 1
    x = torch.rand(1, 2, 26, 26).double()
    torch.testing.assert_close(dense(x)[..., 0, 0], model(x))


def with_norm(norm):
    """Nothing pads here, but the norm looks at the whole picture."""
    return nn.Sequential(nn.Conv2d(2, 4, 5), norm, nn.Flatten(), nn.Linear(1936, 3)).eval()


class Strided(nn.Module):
    """Steps that no attribute tells."""

    def forward(self, x):
        return x[..., ::2, ::2]


def partly_training():
    model = classifier()
    model[1].train()
    return model


REFUSED = [
    (partly_training, {}, "model must be in evaluation mode"),
    (
        lambda: with_norm(nn.GroupNorm(2, 4)),
        {},
        "model must give on a map what it gives on a window, got a difference of",
    ),
    (lambda: with_norm(nn.InstanceNorm2d(4)), {}, "model must give on a map what it gives"),
    (
        lambda: nn.Sequential(Strided(), nn.Flatten(), nn.Linear(338, 4)).eval(),
        {},
        "model must give on a map .* got steps other than the product of its strides",
    ),
    (lambda: nn.Sequential(nn.Conv2d(3, 4, 5)).eval(), {}, "shape must be one that the model tak"),
    (lambda: classifier().train(), {}, "model must be in evaluation mode"),
    (lambda: nn.Linear(4, 2), {}, "model must be an nn.Sequential"),
    (
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(1352, 4), nn.LayerNorm(4)).eval(),
        {},
        "model must give on a map what it gives on a window",
    ),
    (
        lambda: nn.Sequential(
            nn.MaxPool2d(2), nn.Conv2d(2, 3, 3, stride=2), nn.Flatten(), nn.Linear(108, 4)
        ).eval(),
        {"fine": True},
        "model must have only convolutions with stride 1 behind its last pooling",
    ),
]


@pytest.mark.parametrize(("make", "options", "sentence"), REFUSED)
def test_other_networks_are_refused(make, options, sentence):
    with pytest.raises((UsageError, TypeError), match=sentence):
        convolutional(make(), (2, 26, 26), **options)
