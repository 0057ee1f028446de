"""``nakami show`` and ``compare`` of x-rays taken during a training."""

import html
import json
import re

import pytest
import torch
from torch import nn

from nakami.dynamics import XrayMonitor
from nakami.results import NakamiWarning


@pytest.fixture
def films(here):
    """Two trainings of one network, with three looks each."""
    for name, seed in (("a", 1), ("b", 2)):
        torch.manual_seed(0)
        net, x = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)), torch.eye(4)[:3]
        monitor = XrayMonitor(net, x, every=5, out=here / name, max_share=float("inf"))
        monitor.look()
        torch.manual_seed(seed)
        for _ in range(10):
            with torch.no_grad():
                net[0].weight += 0.1 * torch.randn(5, 4)
            monitor.step()
        monitor.finish()
    return here


def test_show_prints_looks_and_their_cost_and_draws_a_page(nakami, films):
    done = nakami("show", "a", "--out", "film.html")
    assert done.code == 0, done.err
    text = " ".join(done.out.split())
    assert "network, over its training" in text
    assert "3 looks at 3 inputs; mean ± sd over inputs." in text
    assert "(no budget)" in text
    assert text.count(" 10 ") >= 2
    assert "Leading singular values over the training" in (films / "film.html").read_text("utf-8")
    body = json.loads(nakami("show", "a", "--json").out)
    assert (body["looks"], body["last_step"], body["skipped"]) == (3, 10, 0)
    assert [row["stage"] for row in body["last_look"]] == ["1", "2"]


def test_a_value_that_is_noise_is_a_bound(nakami, here):
    torch.manual_seed(0)
    net, x = nn.Sequential(nn.Linear(4, 2), nn.Tanh(), nn.Linear(2, 3)), torch.eye(4)[:3]
    monitor = XrayMonitor(net, x, out=here / "low", max_share=float("inf"))
    monitor.look()
    monitor.finish()
    done = nakami("show", "low", "--out", "low.html")
    row = next(line for line in done.out.splitlines() if line.split()[:1] == ["2"])
    assert re.search(r"< \d\.\de-0[567]$", row.rstrip()), row  # rank 2 of 3, float32
    page = (here / "low.html").read_text("utf-8")
    assert "e-17" not in page
    assert "&lt; " in page


def test_a_mean_over_inputs_of_which_some_are_noise_says_at_how_many(nakami, here):
    net, x = nn.Sequential(nn.Linear(4, 2), nn.ReLU(), nn.Linear(2, 2)), torch.eye(4)[:3]
    with torch.no_grad():
        net[0].weight.copy_(torch.eye(4)[:2])
        net[0].bias.copy_(torch.tensor([1.0, -0.5]))  # the second unit is dead but at input 1
        net[2].weight.copy_(torch.diag(torch.tensor([1.0, 0.3])))
    monitor = XrayMonitor(net, x, out=here / "some", max_share=float("inf"))
    monitor.look()
    monitor.finish()
    done = nakami("show", "some", "--out", "some.html")
    row = next(line for line in done.out.splitlines() if line.split()[:1] == ["2"])
    assert row.rstrip().endswith("1.0e-01 (noise at 2 of 3)")  # 0.3, 0 and 0
    assert "noise: below what the arithmetic can tell from zero" in done.out
    assert ", noise at 2 of 3 inputs" in (here / "some.html").read_text("utf-8")


def test_why_looks_failed_is_said(nakami, here):
    net, x = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)), torch.eye(4)[:3]
    monitor = XrayMonitor(net, x, every=1, out=here / "a", max_share=float("inf"))
    never = XrayMonitor(net, x, every=1, out=here / "none", max_share=float("inf"))
    monitor.look()
    with torch.no_grad():
        net[0].weight.mul_(torch.nan)
    with pytest.warns(NakamiWarning, match="failed"):
        monitor.step()
    monitor.step()
    monitor.finish()
    done = nakami("show", "a", "--out", "a.html")
    assert " 2 looks failed: weight '0.weight'" in " ".join(done.out.split())
    page = html.unescape((here / "a.html").read_text("utf-8"))
    assert "2 looks failed: weight '0.weight'" in page
    assert "(2 times)." in page
    with pytest.warns(NakamiWarning, match="failed"):
        never.step()
    never.finish()
    assert "1 look failed: weight" in " ".join(nakami("show", "none").out.split())
    refused = nakami("show", "none", "--out", "none.html")
    assert refused.code == 2
    assert "must hold a look, got none (1 look failed: weight '0.weight'" in refused.err


def test_compare_pairs_the_last_looks_by_input(nakami, films):
    done = nakami("compare", "a", "b", "--json")
    assert done.code == 0, done.err
    changes = json.loads(done.out)["changes"]
    assert {c["stage"] for c in changes} == {"1", "2"}
    page = nakami("compare", "a", "b", "--out", "both.html")
    assert page.code == 0, page.err
    assert "b minus a, both at step 10" in page.out
    assert "Step 10 is the last with a look in both runs." in page.out
    assert "last looks" not in page.out


def test_compare_says_which_step_of_two_trainings_it_took(nakami, films):
    net, x = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)), torch.eye(4)[:3]
    monitor = XrayMonitor(net, x, every=5, out=films / "short", max_share=float("inf"))
    for _ in range(5):
        monitor.step()
    monitor.finish()
    done = nakami("compare", "a", "short", "--out", "both.html")
    assert done.code == 0, done.err
    assert "short minus a, both at step 5" in done.out
    assert "The last looks differ: step 10 in a, step 5 in short." in done.out
    text = html.unescape((films / "both.html").read_text("utf-8"))
    assert "Both are looks at step 5, the last step with a look in both trainings;" in text
    assert "the last looks are at step 10 in a and at step 5 in short." in text
    body = json.loads(nakami("compare", "a", "short", "--json").out)
    assert (body["names"], body["step"], body["last_steps"]) == (["a", "short"], 5, [10, 5])
