"""The recurrent sparse autoencoder against ISTA, the lasso's conditions, and its own limits."""

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from nakami import recurrent
from nakami.nn import max_norm
from nakami.results import UsageError
from nakami.training import Autoencoding, DiscriminativeCoding, fit
from nakami.zoo.drsae import DrSAE, classifier, head


def coder(hidden=8, steps=11, **how):
    how = {"l1": 0.2, "limit": None, **how}
    gen = torch.Generator().manual_seed(0)
    return DrSAE(12, hidden, steps=steps, generator=gen, dtype=torch.float64, **how)


def examples(n=6, seed=1):
    gen = torch.Generator().manual_seed(seed)
    return torch.randn(n, 12, generator=gen, dtype=torch.float64)


def objective(d, x, z, l1):
    return 0.5 * (x - z @ d).square().sum(1) + l1 * z.sum(1)


@pytest.mark.parametrize("limit", [None, 1.25])
def test_the_first_weights_are_ista_whose_objective_falls(limit):
    net, x = coder(hidden=20, steps=30, limit=limit), examples()
    d = net.decoder.detach()
    step = float(net.encoder[0].detach().norm())
    wanted = 1 / float(torch.linalg.eigvalsh(d @ d.T)[-1])
    assert step == pytest.approx(min(wanted, 1.25 / 30) if limit else wanted)
    z, seen = torch.zeros(6, 20, dtype=torch.float64), []
    for code in net.over_time(x):
        z = torch.relu(z - step * ((z @ d - x) @ d.T + 0.2))  # a proximal gradient step
        assert_close(code.detach(), z)
        seen.append(objective(d, x, z, 0.2))
    falls = torch.stack([objective(d, x, torch.zeros_like(z), 0.2), *seen]).diff(dim=0)
    assert (falls < 1e-12).all()
    assert (falls[0] < -1e-3).all()
    assert_close(net(x).detach(), z)


def test_four_times_the_step_does_not_fall():
    """So the test above can fail."""
    net, x = coder(hidden=20, steps=30), examples()
    with torch.no_grad():
        net.recurrent.copy_(torch.eye(20).double() - 4 * (torch.eye(20).double() - net.recurrent))
        net.encoder *= 4
        net.threshold *= 4
    seen = torch.stack([objective(net.decoder, x, z, 0.2) for z in net.over_time(x)])
    assert (seen.diff(dim=0) > 1e-6).any()


def test_its_fixed_point_is_the_lasso():
    """Karush, Kuhn and Tucker's conditions: the gradient is 0 where z is on, else not below 0."""
    net, x = coder(hidden=8), examples(1)[0]
    maps = recurrent.StateMap(lambda x, h: net.step(net.drive(x), h), state_size=8, input_size=12)
    found = recurrent.fixed_points(maps, x, random_starts=8)
    assert len(found.points) == 1
    assert found.stable.all()
    z, d = torch.tensor(found.points[0]), net.decoder.detach()
    gradient = d @ (z @ d - x) + 0.2
    on = z > 1e-9
    assert 0 < on.sum() < 8
    assert gradient[on].abs().max() < 1e-9
    assert gradient[~on].min() > 0


def test_alignment_is_the_cosine():
    net = coder()
    assert_close(net.alignment(), torch.ones(8).double())
    with torch.no_grad():
        net.encoder[0] = -net.encoder[0]
    assert float(net.alignment()[0]) == pytest.approx(-1)


def test_rows_and_columns_keep_their_limits():
    net, x = coder(limit=1.25).float(), examples(40).float()
    adam = torch.optim.Adam(net.parameters(), 0.1)
    net.bound(adam)
    fit(Autoencoding(net, adam, l1=0.1), (x,), epochs=2, batch=10)
    assert net.encoder.norm(dim=1).max() <= 1.25 / 11 * (1 + 1e-6)
    assert net.decoder.norm(dim=1).max() <= 1 + 1e-6
    assert_close(max_norm(net.decoder.detach(), 1.0), net.decoder.detach())


def test_the_loss_with_labels_is_the_formula():
    net, x = coder().float(), examples(5).float()
    top = head(8, 3, torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 0, 1])
    learn = DiscriminativeCoding(net, top, None, weight=0.3, l1=0.2)
    z = net(x)
    logits = (z / z.norm(dim=1, keepdim=True)) @ top.output.weight.T + top.output.bias
    wanted = F.cross_entropy(logits, labels)
    each = 0.5 * (x - z @ net.decoder).square().sum(1) + 0.2 * z.sum(1)
    assert_close(learn.loss(x, labels), wanted + 0.3 * each.mean())
    assert_close(classifier(net, top)(x), logits)


def test_labels_are_learned():
    net, x = coder(limit=1.25).float(), examples(60).float()
    labels = (x[:, 0] > 0).long()
    top = head(8, 2, torch.Generator().manual_seed(0))
    learn = DiscriminativeCoding(
        net, top, torch.optim.Adam([*net.parameters(), *top.parameters()], 0.02), weight=0.1, l1=0.1
    )
    fit(learn, (x, labels), epochs=30, batch=20)
    assert (top(net(x)).argmax(1) == labels).float().mean() > 0.9


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: DrSAE(12, 0), "hidden must be a whole number from 1 on, got 0"),
        (lambda: DrSAE(12, 3, steps=0), "steps must be a whole number from 1 on, got 0"),
        (lambda: DrSAE(12, 3, l1=-1), "l1 must be a number from 0 on, got -1"),
        (lambda: DrSAE(12, 3, limit=0), "limit must be a number above 0, or None, got 0"),
        (
            lambda: DiscriminativeCoding(coder(), None, None, weight=-1),
            "weight must be a number, at least 0, got -1",
        ),
        (
            lambda: DiscriminativeCoding(coder(), None, None).start([examples()], None),
            r"data must be examples and labels, got 1; pass \(x, labels\)",
        ),
        (
            lambda: DiscriminativeCoding(coder(), None, None).start([examples(), examples()], None),
            r"data must have int64 labels \(N,\) from 0 on, got torch.float64 of shape \(6, 12\)",
        ),
        (
            lambda: DiscriminativeCoding(coder(), None, None).start(
                [examples(), torch.arange(-1, 5)], None
            ),
            "data must have int64 labels .* from -1 on; pass labels.long",
        ),
    ],
)
def test_wrong_use(act, message):
    with pytest.raises(UsageError, match=message):
        act()
