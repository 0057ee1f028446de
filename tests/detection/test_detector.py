"""Windows by what is seen in them; the detector against all its windows cut out one by one."""

import pytest
import torch

from nakami import data, detection
from nakami.detection._windows import at_scale
from nakami.results import UsageError
from nakami.zoo import overfeat

DIGITS = data.objects_of(data.digits("test")[:60])
BLACK = torch.zeros(1, 1, 96, 96)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_boxes_of_windows_are_where_the_object_is_seen():
    scenes = data.scenes(DIGITS, 25, count=(1, 1), sides=(14, 42), backgrounds=BLACK)
    made = detection.windows(scenes, 3, generator=seeded())
    assert len(made) == 25 * 3 * 4
    whole = (made.inside == 1).nonzero().flatten().tolist()
    assert len(whole) > 100
    for i in whole:
        rows, columns = (made.pictures[i, 0] > 0.15).nonzero().T
        seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert (torch.tensor(seen) - 28 * made.boxes[i]).abs().max() < 3


def test_labels_follow_size_and_place():
    scenes = data.scenes(DIGITS, 40, seed=1)
    made = detection.windows(scenes, 4, generator=seeded())
    counts = torch.bincount(made.labels + 1, minlength=12)
    assert (counts[[0, 11]] > 20).all()  # unclear, background
    assert (counts[1:11] > 0).sum() == len(scenes.labels.unique())
    named = (made.labels >= 0) & (made.labels < 10)
    assert torch.equal(made.labels[named], made.objects[named])
    sides = (made.boxes[named][:, 2:] - made.boxes[named][:, :2]).amax(1)
    middle = (made.boxes[named][:, :2] + made.boxes[named][:, 2:]) / 2
    assert sides.min() > 0.45
    assert sides.max() < 0.94
    assert (middle - 0.5).abs().max() <= 0.25 + 1e-6
    assert made.inside[named].min() >= 0.85
    empty = detection.windows(data.scenes(DIGITS, 5, count=(0, 0)), 2, generator=seeded())
    assert (empty.labels == 10).all()
    assert (empty.inside == 0).all()


def test_scaling_keeps_places():
    """A bright point goes where its coordinates, times the factors, plus the margin, are."""
    picture = torch.zeros(1, 1, 50, 60)
    picture[0, 0, 20:24, 30:34] = 1
    for factor in (0.5, 1.0, 1.7):
        scaled, (fx, fy) = at_scale(picture, factor, 9)
        weights = scaled[0, 0] / scaled.sum()
        x = float((weights.sum(0) * (torch.arange(scaled.shape[3]) + 0.5)).sum())
        y = float((weights.sum(1) * (torch.arange(scaled.shape[2]) + 0.5)).sum())
        assert x == pytest.approx(32 * fx + 9, abs=0.05)
        assert y == pytest.approx(22 * fy + 9, abs=0.05)


def one_by_one(net, pictures, scales, side, least):
    """The detector as loops over windows, up to merging."""
    out = []
    for row in range(len(pictures)):
        for scale in scales:
            scaled, (fx, fy) = at_scale(pictures[row : row + 1], scale, side // 2)
            for y in range(0, scaled.shape[2] - side + 1, 2):
                for x in range(0, scaled.shape[3] - side + 1, 2):
                    window = scaled[:, :, y : y + side, x : x + side]
                    chances = net(window).softmax(1)[0, :-1]
                    if float(chances.max()) >= least:
                        box = net.boxes(window)[0]
                        box = box if box.ndim == 1 else box[chances.argmax()]
                        corner = torch.tensor([x, y, x, y]) - side // 2
                        box = (box * side + corner) / torch.tensor([fx, fy, fx, fy])
                        out.append((row, box, chances))
    return out


@torch.no_grad()
@pytest.mark.parametrize("shared", [True, False])
def test_the_detector_finds_what_its_windows_find(shared):
    net = overfeat.make(classes=4, shared=shared, generator=seeded(2)).double().eval()
    net.regressor.output.weight *= 0.1  # boxes that end after they begin
    net.regressor.output.bias += torch.tensor([0.2, 0.2, 0.8, 0.7] * (1 if shared else 4))
    pictures = torch.rand(2, 1, 30, 34, generator=seeded(), dtype=torch.float64)
    scales = (0.8, 1.1)
    wanted = one_by_one(net, pictures, scales, 28, 0.3)
    assert 10 < len(wanted) < 800
    found = detection.detect(net, pictures, scales, least=0.3, threshold=0.0)
    assert len(found) == len(wanted)
    size = torch.tensor([34.0, 30, 34, 30], dtype=torch.float64)
    for row in (0, 1):
        boxes = torch.stack([b for r, b, _ in wanted if r == row]).clamp_min(0).minimum(size)
        scores = torch.stack([c.max() for r, _, c in wanted if r == row])
        order = scores.argsort(descending=True, stable=True)
        own = found.rows == row
        torch.testing.assert_close(found.scores[own], scores[order], rtol=1e-9, atol=1e-12)
        far = torch.cdist(found.boxes[own], boxes).amin(1)
        assert far.max() < 1e-6
    merged = detection.detect(net, pictures, scales, least=0.3)
    assert len(merged) < len(found)
    sums = sum(float(c.max()) for _, _, c in wanted)
    assert float(merged.scores.sum()) <= sum(float(c.sum()) for _, _, c in wanted)
    assert float(merged.scores.sum()) <= sums + 1e-9
    assert float(merged.scores.max()) > 1
    nothing = detection.detect(net, pictures, scales, least=0.999)
    assert len(nothing) == 0
    assert nothing.boxes.shape == (0, 4)


def test_false_alarms_are_the_windows_of_background_that_are_taken_for_objects():
    net = overfeat.make(classes=11, generator=seeded(2)).eval()
    scenes = data.scenes(DIGITS, 3, size=(48, 48), count=(0, 0))
    found = detection.false_alarms(net.windows, scenes, (1.0,), least=0.1, generator=seeded())
    count = 0
    with torch.no_grad():
        for row in range(3):
            scaled, _ = at_scale(scenes.pictures[row : row + 1], 1.0, 14)
            for y in range(0, scaled.shape[2] - 27, 4):
                for x in range(0, scaled.shape[3] - 27, 4):
                    window = scaled[:, :, y : y + 28, x : x + 28]
                    if float(net(window).softmax(1)[0, :-1].max()) >= 0.1:
                        assert torch.equal(found[count], window[0])
                        count += 1
    assert count == len(found) > 10
    full = data.scenes(DIGITS, 3, size=(48, 48), sides=(14, 24))
    fewer = detection.false_alarms(net.windows, full, (1.0,), least=0.0, generator=seeded())
    assert 10 < len(fewer) < count


@torch.no_grad()
def test_boxes_outside_their_picture_are_left_out():
    """The regressor says that each object lies a window's side to the left of its window."""
    net = overfeat.make(classes=4, generator=seeded(2)).eval()
    net.regressor.output.weight.zero_()
    net.regressor.output.bias.copy_(torch.tensor([-1.0, 0.2, -0.2, 0.8]))
    found = detection.detect(net, torch.rand(1, 1, 30, 60), (1.0,), least=0.2, threshold=0.0)
    assert len(found) > 10
    assert (found.boxes[:, 2:] > found.boxes[:, :2]).all()
    net.regressor.output.bias.copy_(torch.tensor([-9.0, 0.2, -8.2, 0.8]))
    assert len(detection.detect(net, torch.rand(1, 1, 30, 60), (1.0,), least=0.2)) == 0


def test_wrong_arguments_are_refused():
    net, black = overfeat.make().eval(), torch.zeros(1, 1, 28, 28)
    for bad in (black[0], black[:0]):
        with pytest.raises(UsageError, match=r"pictures must be pictures \(N, C, H, W\)"):
            detection.detect(net, bad, (1.0,))
    with pytest.raises(UsageError, match="pictures must be finite, got NaN or infinity"):
        detection.detect(net, black * float("nan"), (1.0,))
    for scales in ((), (1.0, 0.0), (float("nan"),), 1.0, "1"):
        with pytest.raises(UsageError, match="scales must be one or more numbers above 0"):
            detection.detect(net, black, scales)
    with pytest.raises(UsageError, match="side must be a whole number from 1 on, got 0"):
        detection.detect(net, black, (1.0,), side=0)
    with pytest.raises(UsageError, match="threshold must be a number from 0 on"):
        detection.detect(None, black, (1.0,), threshold=-1)  # before anything is looked at
    scenes = data.scenes(DIGITS, 1)
    with pytest.raises(UsageError, match=r"least must lie in 0\.\.1, got 2"):
        detection.false_alarms(net.windows, scenes, (1.0,), least=2, generator=seeded())
    with pytest.raises(UsageError, match="least must"):
        detection.detect(net, black, (1.0,), least=2)
    with pytest.raises(UsageError, match="model must be in evaluation mode"):
        detection.detect(net.train(), torch.zeros(1, 1, 28, 28), (1.0,))
