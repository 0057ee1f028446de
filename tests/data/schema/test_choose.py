"""Rows that are left aside while settings are chosen are still read, checked and counted."""

import numpy as np
import pytest

from nakami import data
from nakami.data.schema import survey
from nakami.results import UsageError

pytest.importorskip("pyarrow")

N = 600
SPLITS = ["test = 0.3", 'by = "kind"', 'by = "kind"\nvalues = ["k3"]', 'group = "kind"']


def schema(folder, split, wrong_rows, choose="choose = 0.2"):
    """Each tenth row has no number, one line has a field too many."""
    draw = np.random.default_rng(0).normal(size=N)
    cells = ["oops" if i % 10 == 0 else str(x) for i, x in enumerate(draw)]
    rows = [f"{x},k{i % 61},{'no' if i % 3 else 'yes'}" for i, x in enumerate(cells)]
    (folder / "t.csv").write_text("\n".join(["x,kind,y", *rows, "1.0,k1,no,more"]))
    (folder / "s.toml").write_text(f"""
path = "t.csv"
wrong_rows = "{wrong_rows}"
[split]
{split}
{choose}
[columns.x]
type = "number"
[columns.kind]
type = "category"
[columns.y]
type = "category"
use = "target"
""")
    return folder / "s.toml"


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("choose", ["", "choose = 0.2"])
def test_wrong_rows_are_those_of_the_file_whatever_is_chosen_by(tmp_path, split, choose):
    refused = data.read_schema(schema(tmp_path, split, "refuse", choose))
    for read in (data.prepare, survey):
        with pytest.raises(UsageError, match=r"hold no wrong row, got 61 \("):
            read(refused)
    skipped = data.read_schema(schema(tmp_path, split, "skip", choose))
    report = data.prepare(skipped).report
    assert len(report.wrong) == N // 10 + 1
    assert report.rows == N + 1 == len(report.wrong) + report.train + report.test + report.aside
    assert survey(skipped)[1] == report
    assert data.prepare(skipped, memory_budget=1, folder=tmp_path / "kept").report == report


@pytest.mark.parametrize("split", SPLITS)
def test_as_many_are_left_aside_as_are_tested_on_without(tmp_path, split):
    usual = data.prepare(data.read_schema(schema(tmp_path, split, "skip", ""))).report
    report = data.prepare(data.read_schema(schema(tmp_path, split, "skip"))).report
    assert usual.aside == 0 < usual.test == report.aside
    assert report.train + report.test == usual.train
