"""Rates for losses of another size, masked targets, odd batches: the same training, one answer."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

import nakami
from nakami.geometry import AdviceEnding, AdviceNote, ChoiceEnding
from nakami.geometry.rate._race import scores_of
from nakami.operators import LiveLoss, View
from nakami.results import UsageError


def batches(count=12, size=32):
    x = torch.randn(count, size, 20, generator=torch.Generator().manual_seed(0))
    return list(zip(x, x[..., :3].argmax(-1), strict=True))


def network(*sizes):
    torch.manual_seed(0)
    a, b, c = sizes or (20, 30, 3)
    return nn.Sequential(nn.Linear(a, b), nn.ReLU(), nn.Linear(b, c))


def shifted(by):
    return lambda z, y: functional.cross_entropy(z, y) + by


def kinds(found):
    return {note.kind for note in found.notes}


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "momentum"])
@pytest.mark.parametrize("by", [-1.1, -2.3, 100.0])
def test_a_constant_added_to_the_loss_moves_the_rate_by_a_factor_of_four_at_most(optimizer, by):
    """It moved it by 60 and 90: training is the same, and the size of the loss was taken for it."""
    for steps in (400, 4000):
        model, data = network(), batches()
        plain = nakami.learning_rate(model, data, shifted(0.0), optimizer, steps=steps)
        moved = nakami.learning_rate(model, data, shifted(by), optimizer, steps=steps)
        assert moved.advised is not None
        assert plain.advised is not None
        assert max(moved.advised / plain.advised, plain.advised / moved.advised) < 4
        if optimizer == "adamw":
            assert AdviceNote.NO_LEAST in kinds(moved)
            assert not next(n for n in moved.notes if n.kind is AdviceNote.NO_LEAST).converged
        assert AdviceNote.NO_LEAST not in kinds(plain)
        assert moved.interval is not None
        assert moved.interval[1] / moved.interval[0] >= plain.interval[1] / plain.interval[0] - 1e-9


def test_a_rate_for_a_negative_loss_trains():
    """Negative cosine similarity got 1/255 of what 1 minus it got, and learned nothing."""
    model, data = network(20, 64, 8), [(x, x[:, :8]) for x, _ in batches()]

    def ended(rate):
        made = network(20, 64, 8)
        optimizer = torch.optim.AdamW(made.parameters(), lr=rate)
        for t in range(200):
            x, y = data[t % len(data)]
            optimizer.zero_grad()
            loss = -functional.cosine_similarity(made(x), y).mean()
            loss.backward()
            optimizer.step()
        return loss.item()

    for steps in (200, 2000):
        found = nakami.learning_rate(
            model, data, lambda z, y: -functional.cosine_similarity(z, y).mean(), "adamw",
            steps=steps,
        )  # fmt: skip
        assert ended(found.advised) < -0.85


def test_a_function_that_is_cross_entropy_gets_the_same_rate():
    named = nakami.learning_rate(network(), batches(), "cross_entropy", "adamw", steps=400)
    own = nakami.learning_rate(network(), batches(), shifted(0.0), "adamw", steps=400)
    assert own.advised == named.advised
    assert max(own.cost, named.cost) <= 12


def test_trials_that_cross_0_are_compared_by_size():
    tried = {0: [1.0, 0.5, 0.3], 1: [1.0, -0.5, -2.0], 2: [1.0, 3.0, 5.0], 3: None}
    assert scores_of(tried) == {0: -0.7 / 3, 1: -1.0, 2: 4 / 3, 3: math.inf}
    positive = {0: [1.0, 0.5, 0.3], 1: [1.0, 0.5, 0.1]}
    assert scores_of(positive) == pytest.approx({0: math.log(0.3), 1: math.log(0.1)})


def test_losses_that_want_numbers_of_their_own_type_are_read():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 1), nn.Sigmoid())
    data = [(x, (y[:, None] > 0).float()) for x, y in batches()]
    logits = nakami.learning_rate(model[0], data, "bce_with_logits", "adamw", steps=200)
    found = nakami.learning_rate(model, data, nn.BCELoss(), "adamw", steps=200)
    assert found.advised == pytest.approx(logits.advised, rel=1e-4)
    assert kinds(found) == kinds(logits) == set()
    weights = torch.tensor([1.0, 2.0, 3.0])
    own = nakami.learning_rate(
        network(), batches(), lambda z, y: functional.cross_entropy(z, y, weight=weights), "adamw",
        steps=200,
    )  # fmt: skip
    torchs = nakami.learning_rate(
        network(), batches(), nn.CrossEntropyLoss(weights), "adamw", steps=200
    )
    assert own.advised == pytest.approx(torchs.advised, rel=1e-4)


@pytest.mark.parametrize("last", [1, 2, 3])
def test_a_last_batch_of_few_examples_is_left_whole(last):
    x, y = batches()[0]
    data = [*batches()[:3], (x[:last], y[:last])]
    for steps in (200, 4000):
        assert nakami.learning_rate(network(), data, "cross_entropy", "adamw", steps=steps).advised
    live = LiveLoss(View(network()), data, "cross_entropy")
    assert [p.x.count for p in live.pieces(3, 3)] == ([last] if last < 4 else [2, 2])
    assert [p.x.count for p in live.pieces(0, 3)] == [10, 11, 11]


def test_targets_that_hold_nan_are_refused():
    data = [(x, 2 * x[:, :1]) for x, _ in batches()]
    data[3][1][0] = math.nan
    torch.manual_seed(0)
    model = nn.Linear(20, 1)
    message = r"data must hold finite targets, got NaN in batch 3; leave these examples out"
    with pytest.raises(UsageError, match=message):
        nakami.learning_rate(model, data, "mse", "adamw", steps=400)


def test_where_the_first_loss_is_not_finite_no_rate_is_known():
    torch.manual_seed(0)
    model, data = nn.Linear(20, 1), [(x, 2e25 * x[:, :1]) for x, _ in batches()]
    found = nakami.tune(model, data, "mse", steps=200)
    assert found.rate is None
    assert not found.converged
    assert found.outcome.kind is AdviceEnding.NO_GUIDE
    assert "is not finite or has no slope" in str(found)
    assert found.snippet().startswith("# No rate is known, 0.001 stands in its place.\n")
    parts = {choice.name: choice.outcome.kind for choice in found.choices}
    assert parts["rate"] is ChoiceEnding.DOUBTED


def test_targets_left_out_say_nothing_of_a_link():
    """Batches without a target, and halves without one, were taken for gradients of 0."""
    none = torch.full((32,), -100)
    data = batches()
    some = [data[0], (data[1][0], none), *data[2:]]
    halves = [(x, torch.cat([y[:16], none[16:]])) for x, y in data]
    for each in (some, halves):
        for loss in ("cross_entropy", shifted(0.0)):
            if each is some and callable(loss):
                continue  # the mean of nothing is NaN: torch's training ends there, too
            found = nakami.learning_rate(network(), each, loss, "adamw", steps=200)
            assert found.advised
            assert kinds(found) == set()
    first = [(data[0][0], none), *data[1:]]
    found = nakami.learning_rate(network(), first, "cross_entropy", "adamw", steps=200)
    assert found.outcome.kind is AdviceEnding.NO_GUIDE


@pytest.mark.parametrize("length", [7, 16])
def test_time_first_models_are_read_by_whole_batches(length):
    """Cut along time, a batch of as many steps as sequences went through in silence."""

    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = nn.GRU(5, 8), nn.Linear(8, 3)

        def forward(self, x):
            return self.head(self.rnn(x)[0][-1])

    torch.manual_seed(0)
    data = []
    for _ in range(8):
        x = torch.randn(length, 16, 5)
        data.append((x, x[-1, :, :3].argmax(1)))
    live = LiveLoss(View(Last()), data, "cross_entropy")
    assert [p.x.count for p in live.pieces(0, 4)] == [length]
    assert nakami.learning_rate(Last(), data, "cross_entropy", "adamw", steps=200).advised


def test_sparse_gradients_are_read_or_refused_in_a_sentence():
    def bag(sparse):
        torch.manual_seed(0)
        return nn.Sequential(nn.EmbeddingBag(50, 8, sparse=sparse), nn.Linear(8, 3))

    g = torch.Generator().manual_seed(0)
    data = [(t, t[:, 0] % 3) for t in torch.randint(0, 50, (12, 16, 4), generator=g)]
    found, dense = (
        nakami.learning_rate(bag(sparse), data, "cross_entropy", "sgd", steps=400)
        for sparse in (True, False)
    )
    assert found.advised == pytest.approx(dense.advised, rel=1e-5)
    message = r"optimizer must take sparse gradients, got AdamW: .*; use torch.optim.SGD, or an"
    with pytest.raises(UsageError, match=message):
        nakami.learning_rate(bag(True), data, "cross_entropy", "adamw", steps=200)
