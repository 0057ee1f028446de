"""The shortcut of ``pentomino.py`` against the whole network, and what its records must say."""

import json
from pathlib import Path

import pytest
import torch

from nakami import data

RESULTS = Path(__file__).resolve().parents[2] / "reproductions" / "results" / "pentomino.json"


@pytest.fixture(scope="module")
def script(reproduction):
    return reproduction("pentomino")


def test_empty_patches_computed_once_give_the_same_outputs_and_gradients(script):
    made, net = data.pentominoes(30, seed=9), script.network(0).double()
    found = net(made.pictures.double()), script.Sparse(net)(script.sparse(made).double())
    torch.testing.assert_close(*found, rtol=1e-12, atol=1e-14)
    gradients = []
    for logits in found:
        net.zero_grad()
        torch.nn.functional.cross_entropy(logits, made.targets).backward()
        gradients.append([p.grad.clone() for p in net.parameters()])
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-14)


def test_hints_solve_the_task_and_the_lack_of_them_does_not():
    if not RESULTS.exists():
        pytest.skip("the results are not part of this installation")
    records = json.loads(RESULTS.read_text(encoding="utf-8"))["records"]
    for name, record in records.items():
        kind = name.split()[0]
        if kind in ("hints", "standardised"):
            assert record["test"][-1] >= 0.95, name
        if kind == "none":
            assert max(record["test"]) <= 0.6, name
