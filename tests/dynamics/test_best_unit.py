"""The best unit against trying all thresholds."""

import pytest
import torch
from torch.testing import assert_close

from nakami.dynamics import best_units
from nakami.results import UsageError


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def balanced(said, here):
    return (float(said[here].double().mean()) + float((~said[~here]).double().mean())) / 2


def test_it_is_the_best_of_all_units_and_thresholds():
    x, labels = (4 * drawn(60, 5)).round(), torch.arange(60) % 3  # many ties
    x[:, 2] += 3 * (labels == 1)
    found = best_units(x, labels, x, labels)
    for each in range(3):
        here = labels == each
        tried = {
            balanced(x[:, u] > t, here)
            for u in range(5)
            for t in [-1e9, *(x[:, u].unique() + 0.5).tolist()]
        }
        assert_close(float(found.accuracy[each]), max(tried))
    assert int(found.units[1]) == 2


def test_it_is_measured_on_other_examples_than_it_is_chosen_on():
    labels = torch.arange(400) % 2
    x, test = drawn(400, 300), drawn(400, 300, seed=1)  # units that know nothing
    chosen, true = best_units(x, labels, x, labels), best_units(x, labels, test, labels)
    assert (chosen.accuracy > 0.55).all()
    assert ((true.accuracy - 0.5).abs() < 3 * true.errors).all()


def test_the_error_is_the_spread_over_samples():
    labels = torch.arange(200) % 2
    x = drawn(2000, 1) + 1.0 * (torch.arange(2000) % 2)[:, None]
    seen = []
    for seed in range(200):
        test = drawn(200, 1, seed=seed + 2) + 1.0 * labels[:, None]
        seen.append(best_units(x, torch.arange(2000) % 2, test, labels))
    values = torch.stack([s.accuracy[1] for s in seen])
    assert_close(float(values.std()), float(seen[0].errors[1]), rtol=0.2, atol=0)


def test_all_right_is_not_certain():
    labels = torch.arange(20) % 2
    x = labels[:, None].float()
    found = best_units(x, labels, x, labels)
    assert found.accuracy.tolist() == [0.5, 1.0]  # 1 - x is no unit: none tells class 0
    bound = 1 - 0.32 ** (1 / 10)
    assert_close(found.errors, torch.full((2,), bound / 2**0.5, dtype=torch.float64))


def test_a_class_without_examples_has_no_unit_and_one_alone_is_refused():
    labels = torch.arange(6) % 3
    found = best_units(drawn(6, 2), labels, drawn(4, 2), torch.tensor([0, 1, 1, 0]))
    assert found.units[2] == -1
    assert found.accuracy.isnan().tolist() == [False, False, True]
    with pytest.raises(UsageError, match=r"test_labels must hold a class .* and others, got \[0"):
        best_units(drawn(6, 2), labels, drawn(4, 2), torch.zeros(4))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"activations": drawn(6)}, r"activations must have shape \(examples, units\), .*\(6,\)"),
        ({"activations": drawn(0, 2)}, r"activations must have shape \(examples, units\)"),
        ({"activations": drawn(6, 2) / 0}, "activations must be finite"),
        ({"test": drawn(6, 3)}, "test must have as many units as activations, 2, got 3"),
        ({"test": drawn(6, 2) * torch.nan}, "test must be finite"),
        ({"labels": torch.arange(5)}, "labels must be a whole number .* 6 rows of activations"),
        ({"labels": torch.arange(6) - 1}, "labels must be a whole number from 0 on"),
        ({"test_labels": torch.arange(6) / 2}, "test_labels must be a whole number from 0 on"),
    ],
)
def test_wrong_use_is_refused_in_a_sentence(changes, message):
    labels = torch.arange(6) % 2
    given = {
        "activations": drawn(6, 2),
        "labels": labels,
        "test": drawn(6, 2),
        "test_labels": labels,
    }
    with pytest.raises(UsageError, match=message):
        best_units(**{**given, **changes})
