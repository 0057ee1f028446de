"""Results as flat rows, as tables of a notebook, and printed."""

import csv
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import nakami
from nakami import geometry, recurrent
from nakami.results import Record, RunError
from nakami.theory import meanfield


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double()


def cell():
    torch.manual_seed(0)
    return nn.GRU(3, 4, batch_first=True).double()


def records():
    return [
        Record("lr", {"seed": 0}, {"limit": limit, "advice": {"rate": 0.1, "why": "so"}}, Path("r"))
        for limit in (1.0, 2.0)
    ]


def predicted():
    return meanfield.predict([20, 30, 30, 5], "tanh", 1.5, 0.1, samples=10)


X = torch.linspace(-1, 1, 8, dtype=torch.float64).reshape(2, 4)
A = torch.diag(torch.tensor([3.0, 2.0, 1.0], dtype=torch.float64))
BATCH = [(X, torch.tensor([0, 1]))]
RESULTS = {
    "xray": lambda: nakami.xray(net(), X),
    "xray of one": lambda: nakami.xray(net(), X[:1], layers=True),
    "spectrum": lambda: nakami.xray(net(), X).spectra[0],
    "svd": lambda: nakami.svd(A, k=2),
    "eigh": lambda: nakami.eigh(A, k=2),
    "norm": lambda: nakami.norm(A),
    "trace": lambda: nakami.trace(A),
    "density": lambda: nakami.density(A),
    "initialisation": lambda: nakami.initialisation(net(), torch.cat([X, -X])),
    "comparison": lambda: nakami.compare(nakami.xray(net(), X), nakami.xray(net(), X)),
    "rate": lambda: nakami.learning_rate(net(), BATCH, "cross_entropy"),
    "planned": lambda: nakami.learning_rate(net(), BATCH, "cross_entropy", steps=900),
    "setting": lambda: nakami.tune(net(), BATCH, "cross_entropy", steps=900),
    "limit": lambda: nakami.rate_limit(net(), BATCH, "cross_entropy"),
    "report": lambda: geometry.learning_rate_report(net(), BATCH, "cross_entropy"),
    "prediction": lambda: predicted(),
    "order": lambda: predicted().order,
    "statistics": lambda: predicted().statistics,
    "criticality": lambda: meanfield.criticality("tanh", 2.0, 0.1),
    "record": lambda: records()[0],
    "changes": lambda: nakami.compare(*records()),
    "lens": lambda: nakami.lens(net(), X, "0", "1"),
    "recurrent": lambda: recurrent.xray(cell(), torch.randn(4, 30, 3).double()),
}


@pytest.mark.parametrize("name", RESULTS)
def test_rows_are_flat_and_plain_and_pages_of_notebooks_small(name):
    result = RESULTS[name]()
    for row in (*result.rows(), result.as_dict()):
        assert {type(value) for value in row.values()} <= {bool, int, float, str, type(None)}
        json.dumps(row)
    rows = result.rows()
    assert len({tuple(row) for row in rows}) == 1
    page = result._repr_html_()
    assert page.count("<tr>") == page.count("</tr>") <= 40
    assert len(page) < 6000
    assert "nan" not in page
    assert "np." not in repr(result)
    assert len(repr(result)) < 400
    out = io.StringIO()
    csv.DictWriter(out, list(rows[0])).writerows(rows)


@pytest.mark.parametrize("name", RESULTS)
def test_frames(name):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    result = RESULTS[name]()
    frame, rows = result.frame(), result.rows()
    assert isinstance(frame, pandas.DataFrame)
    assert frame.equals(result.to_pandas())
    assert list(frame.columns) == list(rows[0])
    for row, (_, line) in zip(rows, frame.iterrows(), strict=True):
        for column, value in row.items():
            if value is None or value != value:
                assert pandas.isna(line[column])
            else:
                assert line[column] == value


def test_a_frame_without_pandas_says_what_to_type(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(
        RunError, match=r"to_pandas\(\) needs pandas, .*; pip install pandas, or take"
    ):
        nakami.svd(A, k=2).frame()


def test_rows_hold_the_numbers():
    assert [row["values"] for row in nakami.svd(A, k=2).rows()] == pytest.approx([3, 2])
    found = nakami.xray(net(), X, layers=True)
    rows = found.rows()
    assert [(row["source"], row["stage"]) for row in rows] == [
        ("input", "1"), ("input", "2"), ("1", "2"),
    ]  # fmt: skip
    J = torch.stack([torch.autograd.functional.jacobian(net(), x) for x in X])
    largest = torch.linalg.svdvals(J)[:, 0]
    assert rows[1]["largest"] == pytest.approx(float(largest.mean()))
    assert rows[1]["largest_sd"] == pytest.approx(float(largest.std()))
    assert (rows[1]["m"], rows[1]["n"], rows[1]["inputs"]) == (3, 4, 2)


def test_summaries_print_plainly():
    text = repr(nakami.xray(net(), X[:1]).summary())
    assert not any(word in text for word in ("np.", "nan", "Estimate("))
    row = nakami.xray(net(), X[:1]).summary()[0]
    assert math.isnan(row.largest.sd)
    assert f"largest={row.largest.mean:.4g}" in repr(row)
    assert all(not isinstance(value, np.generic) for value in vars(row).values())


def test_what_a_notebook_shows_is_escaped():
    found = nakami.xray(net(), X, about={"subject": "<script>alert(1)</script>"})
    assert "<script>" not in found._repr_html_()


def test_rows_of_a_comparison_hold_the_means():
    before, after = nakami.xray(net(), X), nakami.xray(net().requires_grad_(False), X)
    found = nakami.compare(before, after)
    row = next(r for r in found.rows() if (r["stage"], r["quantity"]) == ("2", "largest"))
    J = torch.stack([torch.autograd.functional.jacobian(net(), x) for x in X])
    wanted = float(torch.linalg.svdvals(J)[:, 0].mean())
    assert (row["before"], row["after"]) == pytest.approx((wanted, wanted))
    assert (row["change"], row["n_inputs"]) == (0, 2)
    assert repr(found).startswith(f"Comparison({len(found.rows())} changes at ")
