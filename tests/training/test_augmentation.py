"""Changed pictures: where their pixels come from, their moments, and that a training goes on."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from nakami.results import UsageError
from nakami.training import (
    Augmented,
    ColourShift,
    Falling,
    Gaussian,
    Method,
    Plateaus,
    RandomCrop,
    RandomFlip,
    Supervised,
    Training,
    fit,
)

BORDERS = ("reflect", "constant", "replicate", "circular")


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(n=6, channels=3, side=8):
    return torch.rand(n, channels, side, side + 1, generator=source(9))


@pytest.mark.parametrize("border", BORDERS)
def test_a_crop_is_a_window_of_the_padded_picture(border):
    x = pictures(400, 1)
    moved = RandomCrop(2, border)(x, source())
    around = nn.functional.pad(x, [2] * 4, mode=border)
    windows = around.unfold(2, 8, 1).unfold(3, 9, 1).flatten(1, 3)  # (N, 25, 8, 9)
    same = (windows == moved).all(-1).all(-1)
    assert same.any(1).all()
    counts = same.sum(0) / 400  # all places, alike
    assert ((counts - 1 / 25).abs() < 5 * (1 / 25 / 400) ** 0.5).all()
    assert torch.equal(RandomCrop(0)(x, source()), x)


def test_all_channels_of_a_picture_move_together():
    x = pictures(5, 1).expand(5, 3, 8, 9)
    moved = RandomCrop(3)(x, source())
    assert torch.equal(moved[:, 0], moved[:, 2])


def test_flips_are_as_often_as_said():
    x = pictures(2000, 1)
    flipped = RandomFlip(0.3)(x, source())
    mirrored = (flipped == x.flip(-1)).flatten(1).all(1)
    assert ((flipped == x).flatten(1).all(1) | mirrored).all()
    assert abs(float(mirrored.float().mean()) - 0.3) < 4 * (0.3 * 0.7 / 2000) ** 0.5


def test_colours_move_along_their_principal_axes():
    mix = torch.tensor([[2.0, 0, 0], [1, 0.5, 0], [0.3, 0.2, 0.1]]).double()
    x = torch.einsum("cd,ndhw->nchw", mix, torch.randn(50, 3, 9, 9, generator=source()).double())
    shift = ColourShift.of(x, 0.1)
    covariance = torch.cov(x.transpose(0, 1).flatten(1))
    assert_close(shift.axes.T @ shift.axes, torch.diag(torch.linalg.eigvalsh(covariance) ** 2))
    zeros = torch.zeros(20_000, 3, 2, 2).double()
    moved = shift(zeros, source())
    assert torch.equal(moved[..., 0, 0], moved[..., 1, 1])  # all pixels alike
    found = torch.cov(moved[..., 0, 0].T)
    wanted = 0.01 * covariance @ covariance  # sum of l_i^2 p_i p_i^T, times the scale's square
    assert_close(found, wanted, rtol=0.05, atol=0.03 * float(wanted.max()))
    assert_close(moved.mean((0, 2, 3)), torch.zeros(3).double(), rtol=0, atol=0.02)


def test_grey_pictures_become_brighter_or_darker():
    x = pictures(4, 1)
    moved = ColourShift.of(x)(x, source()) - x
    assert_close(moved, moved[..., :1, :1].expand_as(x), rtol=0, atol=1e-6)
    assert len(moved[:, 0, 0, 0].unique()) == 4


def test_a_share_of_0_or_1_mirrors_none_or_all():
    x = torch.rand(40, 1, 5, 6, generator=source())
    assert torch.equal(RandomFlip(0)(x, source()), x)
    assert torch.equal(RandomFlip(1.0)(x, source()), x.flip(3))


CHANGES = (RandomCrop(2), RandomFlip(), Gaussian(0.01))


def made():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 7, 2))
    return net, torch.optim.SGD(net.parameters(), 0.05, momentum=0.9)


def test_the_step_is_that_of_the_changed_pictures_by_hand():
    x, y = pictures(), torch.tensor([0, 1, 0, 1, 1, 0])
    net, optimizer = made()
    fit(Augmented(Supervised(net, optimizer), *CHANGES), (x, y), epochs=2, batch=3)
    other, optimizer = made()
    g = source()
    for _ in range(2):
        for rows in torch.randperm(6, generator=g).split(3):
            changed = x[rows]
            for change in CHANGES:
                changed = change(changed, g)
            optimizer.zero_grad()
            nn.functional.cross_entropy(other(changed), y[rows]).backward()
            optimizer.step()
    assert_close(list(net.parameters()), list(other.parameters()), rtol=1e-6, atol=1e-7)


class Stopped(Exception):
    pass


def test_a_stopped_training_ends_in_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setattr("nakami.training._training.SECONDS", 0.0)
    x, y = pictures(), torch.tensor([0, 1, 0, 1, 1, 0])

    def run(folder, stop=99):
        def progress(done, *_):
            if done >= stop:
                raise Stopped

        net, optimizer = made()
        method = Plateaus(Supervised(net, optimizer), patience=1, least=0.2)
        training = Training(tmp_path / folder, {"seed": 3}, {"all": 6}, progress=progress)
        training.run("all", Augmented(method, *CHANGES), lambda: (x, y), batch=3)
        return torch.cat([p.flatten() for p in net.parameters()]), optimizer

    whole, _ = run("whole")
    with pytest.raises(Stopped):
        run("parts", stop=3)
    parts, _ = run("parts")
    assert torch.equal(whole, parts)


class Given(Method):
    """A method whose losses are given."""

    def __init__(self, losses):
        self.module, self.losses = nn.Linear(1, 1), iter(losses)
        self.optimizer = torch.optim.SGD(self.module.parameters(), 0.5)

    def optimizers(self):
        return (self.optimizer,)

    def step(self, batch, descend):
        return torch.tensor(next(self.losses))


def test_rates_are_cut_where_the_loss_no_longer_falls():
    losses = [4.0, 2.0, 1.99, 2.5, 1.0, 1.1, 1.0, 1.0, 1.0, 1.0, 0.5]
    method = Given(losses)
    outer, rates = Plateaus(method, 0.1, patience=2, least=0.05, times=2), []
    for index in range(len(losses)):
        outer.epoch(index)
        rates.append(method.optimizer.param_groups[0]["lr"])
        outer.step((torch.zeros(3, 1),), None)
    # cut after 1.99 and 2.5, then after 1.1 and 1.0; the third plateau has no cut left
    assert rates == pytest.approx([0.5] * 4 + [0.05] * 3 + [0.005] * 4)


def test_wrappers_pass_everything_on():
    net, optimizer = made()
    inner = Supervised(net, optimizer)
    for outer in (Augmented(inner), Falling(inner, 4), Plateaus(inner)):
        assert outer.module is net
        assert outer.loss_name == inner.loss_name
        assert list(outer.optimizers()) == [optimizer]
    Augmented(Falling(inner, 4)).epoch(2)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.025)


def test_an_optimizer_that_compares_losses_is_refused_where_pictures_change():
    net, _ = made()
    method = Supervised(net, torch.optim.LBFGS(net.parameters()))
    x, y = pictures(), torch.tensor([0, 1, 0, 1, 1, 0])
    with pytest.raises(UsageError, match="optimizer must step without a closure, got LBFGS"):
        fit(Plateaus(Augmented(method, RandomFlip())), (x, y), batch=6)


GREY = torch.rand(5, 8, 8)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: RandomCrop(8)(pictures(), source()),
            "padding must be at most 7 for pictures of 8 x 9 with 'reflect', got 8; lower it",
        ),
        (
            lambda: RandomCrop(9, "circular")(pictures(), source()),
            "padding must be at most 8 for pictures of 8 x 9 with 'circular', got 9",
        ),
        (lambda: RandomCrop(2)(GREY, source()), r"x must be floating pictures \(N, C, H, W\)"),
        (lambda: RandomFlip()(GREY, source()), r"x must be .* got torch.float32 of shape \(5, 8"),
        (
            lambda: RandomFlip()(torch.ones(2, 1, 4, 4).byte(), source()),
            "x must be floating pictures .* got torch.uint8",
        ),
        (lambda: ColourShift.of(GREY), "pictures must be floating pictures"),
        (
            lambda: ColourShift.of(torch.full((2, 3, 4, 4), torch.nan)),
            "pictures must hold two finite pixels or more, got NaN",
        ),
        (lambda: ColourShift.of(torch.ones(1, 3, 1, 1)), "pictures must hold two finite pixels"),
        (
            lambda: ColourShift.of(pictures())(pictures(channels=1), source()),
            r"x must have 3 channels, got shape \(6, 1, 8, 9\)",
        ),
        (lambda: ColourShift(torch.ones(3)), r"axes must be finite, \(C, C\), got \(3,\)"),
        (lambda: ColourShift(None), r"axes must be finite, \(C, C\), got \(\); use ColourShift.of"),
        (lambda: Plateaus(torch.nn.Linear(1, 1)), "method must be a training.Method, got Linear"),
        (lambda: Augmented(Given([]), "flip"), r"changes must be a function, called as change\("),
        (lambda: RandomCrop(-1), "padding must be a whole number from 0 on, got -1; use 4"),
        (lambda: RandomCrop(2, "mirror"), "border must be one of reflect, constant, .* 'mirror'"),
        (lambda: RandomFlip(1.5), "share must be a number from 0 to 1, got 1.5; use 0.5"),
        (lambda: RandomFlip(float("nan")), "share must be a number from 0 to 1, got nan"),
        (
            lambda: ColourShift.of(torch.rand(8, 20, 20, 3)),
            r"pictures must hold .* first.*\(8, 20, 20, 3\); pass x.movedim\(-1, 1\)",
        ),
        (
            lambda: RandomFlip()(torch.rand(8, 20, 20, 3), source()),
            "x must hold pictures channels first",
        ),
        (lambda: ColourShift(torch.eye(3), 0), "scale must be a number above 0, got 0; use 0.1"),
        (lambda: Plateaus(Given([]), 2), "share must lie between 0 and 1, got 2; use 0.1"),
        (lambda: Plateaus(Given([]), least=1), "least must be a number from 0 on and below 1"),
        (lambda: Plateaus(Given([]), patience=0), "patience must be a whole number from 1 on"),
    ],
)
def test_wrong_use(make, message):
    with pytest.raises(UsageError, match=message):
        make()
