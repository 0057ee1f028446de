"""Transport says how far it is, in steps and by what it stops at, and computes the same."""

import re

import pytest
import torch

import nakami
from nakami import transport


def heard(work):
    lines = []
    with nakami.progress(lines.append, every=0):
        found = work()
    return found, [line.split(" (")[0] for line in lines]


def masses(n, count=2):
    generator = torch.Generator().manual_seed(n)
    made = torch.rand(count, n, generator=generator, dtype=torch.float64) ** 3
    return made / made.sum(1, keepdim=True)


def test_sinkhorn_says_each_step_and_its_error():
    p, q = masses(30)
    work = lambda: transport.sinkhorn(p, q, transport.Grid(30), 0.01)  # noqa: E731
    found, lines = heard(work)
    assert torch.equal(found.f, work().f)
    counts = [int(line.split("reg 0.01, ")[1].split(" step")[0]) for line in lines]
    assert counts == list(range(1, found.steps + 1))
    assert all(line.startswith("sinkhorn; reg 0.01, ") for line in lines)
    errors = [float(line.split("error ")[1]) for line in lines if "error" in line]
    assert errors[-1] <= 1e-6 < 10 * 1e-6 < errors[0]


def test_stages_of_a_small_reg_are_named():
    p, q = masses(30)
    found, lines = heard(lambda: transport.sinkhorn(p, q, transport.Grid(30), 1e-4))
    last = {reg: i for i, line in enumerate(lines) for reg in re.findall(r"reg ([^,]+),", line)}
    assert list(last) == ["0.001", "0.0001"]
    steps = [int(lines[i].split(", ")[1].split()[0].replace(",", "")) for i in last.values()]
    assert sum(steps) == found.steps


@pytest.mark.parametrize("kind", ["entropic", "debiased", "lambda"])
def test_barycenters_say_steps_and_residual(kind):
    pair = masses(30)
    work = lambda: transport.barycenter(pair, transport.Grid(30), 0.02, kind=kind, tolerance=1e-2)  # noqa: E731
    found, lines = heard(work)
    assert torch.equal(found.mass, work().mass)
    assert lines[-1] == f"barycenter, {found.steps} steps, error {float(found.residual):.1e}"


def test_losses_and_unbalanced_transport_are_heard_too():
    p, q = masses(30)
    loss = transport.SinkhornLoss(transport.Grid(30), 0.01)
    _, lines = heard(lambda: loss(p[None], q[None]))
    assert any(line.startswith("sinkhorn; reg 0.01, ") for line in lines)
    _, lines = heard(lambda: transport.unbalanced(p, q, transport.Grid(30), 0.01, 1.0))
    assert any(line.startswith("unbalanced; reg 0.01, ") for line in lines)
