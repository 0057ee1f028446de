"""OverFeat: sizes as published, boxes with one set of weights for all classes or for each."""

from dataclasses import replace

import pytest
import torch

from nakami.nn import convolutional
from nakami.results import UsageError
from nakami.zoo import overfeat


def test_the_fast_model_has_the_layers_of_the_programs_named():
    """Counted from their sizes: 145,920,872 parameters with the classifier's three layers."""
    sizes = ((3, 96, 11), (96, 256, 5), (256, 512, 3), (512, 1024, 3), (1024, 1024, 3))
    convolutions = sum(n * m * k * k + m for n, m, k in sizes)
    linear = sum(n * m + m for n, m in ((1024 * 36, 3072), (3072, 4096), (4096, 1000)))
    assert convolutions + linear == 145_920_872
    assert overfeat.FAST.hidden == (3072, 4096)
    small = replace(overfeat.FAST, hidden=(4,), box_hidden=(4,))  # large layers take seconds
    made = overfeat.make((3, 231, 231), 1000, plan=small)
    assert sum(p.numel() for p in made.features.parameters()) == convolutions
    assert made.classifier.linear1.in_features == 1024 * 36


def test_the_answer_is_that_of_one_window_and_of_every_window_of_a_picture():
    net = overfeat.make().double().eval()
    dense = convolutional(net.windows, (1, 28, 28), fine=True)
    assert dense.stride == (2, 2)
    picture = torch.rand(1, 1, 40, 44, generator=torch.Generator().manual_seed(0)).double()
    found = dense(picture)
    assert found.shape == (1, 11, 7, 9)
    for i in range(7):
        for j in range(9):
            window = picture[..., 2 * i : 2 * i + 28, 2 * j : 2 * j + 28]
            torch.testing.assert_close(found[:, :, i, j], net(window), rtol=0, atol=1e-12)


@pytest.mark.parametrize("shared", [True, False])
def test_boxes_have_a_row_for_each_class_unless_they_are_shared(shared):
    net = overfeat.make((3, 36, 32), 5, shared=shared).eval()
    x = torch.rand(2, 3, 36, 32, generator=torch.Generator().manual_seed(0))
    assert net(x).shape == (2, 5)
    assert net.boxes(x).shape == ((2, 4) if shared else (2, 5, 4))
    same = {id(p) for p in net.features.parameters()}
    assert same <= {id(p) for p in net.windows.parameters()}


def test_the_windows_leave_the_mode_of_the_parts_alone():
    net = overfeat.make()
    net.features.eval()  # held still while the heads learn
    assert net.windows.training
    assert not net.features.training
    assert not any(part.training for part in net.features)
    assert net.classifier.training


def test_windows_that_are_too_small_are_refused():
    with pytest.raises(UsageError, match="shape must be large enough for all layers"):
        overfeat.make((1, 10, 10))
    with pytest.raises(UsageError, match=r"shape must be channels, height and .* got \(28, 28\)"):
        overfeat.make((28, 28))
    with pytest.raises(UsageError, match="classes must be a whole number from 2 on"):
        overfeat.make(classes=1)
