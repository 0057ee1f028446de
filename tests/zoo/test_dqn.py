"""The deep Q-networks have the sizes of their papers, and refuse what does not fit."""

import pytest
import torch

from nakami.results import UsageError
from nakami.zoo import dqn


@pytest.mark.parametrize(
    ("year", "flat", "units", "parameters"),
    [
        ("2013", 2592, 256, 4_112 + 8_224 + 2592 * 256 + 256),
        ("2015", 3136, 512, 8_224 + 32_832 + 36_928 + 3136 * 512 + 512),
    ],
)
@pytest.mark.parametrize("actions", [4, 18])
def test_sizes_are_those_of_the_papers(year, flat, units, parameters, actions):
    net = dqn.make(actions=actions, year=year)
    assert (net.linear.in_features, net.linear.out_features) == (flat, units)
    count = sum(p.numel() for p in net.parameters())
    assert count == parameters + actions * (units + 1)
    assert net(torch.zeros(2, 4, 84, 84)).shape == (2, actions)


@pytest.mark.parametrize("year", ["2013", "2015"])
def test_the_smallest_pictures_leave_one_place(year):
    least = dqn.LEAST[year]
    net = dqn.make((1, least, least), 3, year=year)
    assert net.linear.in_features == (32 if year == "2013" else 64)
    assert net(torch.zeros(1, 1, least, least)).shape == (1, 3)
    with pytest.raises(UsageError, match=rf"shape must be .* {least} pixels or more"):
        dqn.make((1, least - 1, least), 3, year=year)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"year": 2015}, "year must be one of 2013, 2015, got 2015"),
        ({"shape": (84, 84)}, "shape must be"),
        ({"actions": 0}, "actions must be"),
    ],
)
def test_other_arguments_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        dqn.make(**options)


def test_unit_values_keep_their_size_through_first_weights():
    x = torch.rand(8, 4, 84, 84, generator=torch.Generator().manual_seed(0))
    values = dqn.make(generator=torch.Generator().manual_seed(1))(x).detach()
    assert 0.02 < float(values.std()) < 5
