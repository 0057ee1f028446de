"""``nakami theory sampling``: its tables, JSON and page hold the numbers of the library."""

import json

import numpy as np
import pytest
import torch

from nakami import sampling
from nakami.sampling._study import random_machine

SMALL = ("theory", "sampling", "--scales", "0.7", "--seed", "2")


def test_json_and_page_hold_the_numbers_of_the_library(nakami, here):
    done = nakami(*SMALL, "--json")
    body = json.loads(done.out)
    machine = random_machine(0.7, 2)
    law = sampling.stationary(machine)
    matrix = sampling.transition_matrix(machine, sampling.SuwaTodo(2))
    tau = sampling.exact_autocorrelation_time(matrix, law, sampling.pair_statistics(machine))
    row = body["times"][2]
    assert row["kernel"] == "Suwa-Todo given h"
    assert row["time"] == pytest.approx([float(tau.mean())], rel=1e-12)
    assert body["annealed"]["exact"] == pytest.approx(sampling.log_partition(machine), rel=1e-12)
    away = abs(body["annealed"]["value"][-1] - body["annealed"]["exact"])
    assert away < 4 * body["annealed"]["standard_error"][-1]
    page = here / body["page"]
    assert page.parent.name == "sampling,scales-0.7,seed-2"
    assert "Autocorrelation time by kernel" in page.read_text("utf-8")
    again = nakami(*SMALL, "--no-page")
    assert f"{row['time'][0]:.4g}" in again.out


def test_the_gradient_is_that_of_the_likelihood():
    """Against autograd of the exact log-likelihood."""
    from nakami.sampling._study import bars_and_stripes, study

    found = study((1.5,), seed=1)
    machine, data = random_machine(1.5, 1), bars_and_stripes()
    weight = machine.weight.clone().requires_grad_()

    def log_weight(v):
        hidden = torch.nn.functional.softplus(v @ weight.T + machine.hidden_bias).sum(1)
        return v @ machine.visible_bias + hidden

    every = sampling.states(9, weight)
    (log_weight(data).mean() - log_weight(every).logsumexp(0)).backward()
    assert found.gradient == pytest.approx(float(weight.grad.norm()), rel=1e-10)
    assert len(data) == 14
    np.testing.assert_array_equal(found.bias[0].steps, [1, 2, 3, 5, 10])


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (("--scales", "-1"), "--scales must lie between 0 and 10, got -1.0"),
        (("--scales", "0"), "got 0.0; write --scales 0.7,1.5,3."),
        (("--scales", "1,1"), "--scales must hold different numbers"),
        (("--scales", "1,2,3,4,5,6,7"), "--scales must hold 1 to 6 numbers, got 7"),
        (("--scales", "a"), "--scales must be numbers with commas between, got 'a'"),
    ],
)
def test_wrong_use(nakami, here, given, text):
    done = nakami("theory", "sampling", "--no-page", *given)
    assert done.code == 2
    assert text in done.err
