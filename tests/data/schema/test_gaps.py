"""Missing numbers that are taken as the mean of the training rows."""

import json
import math

import numpy as np
import pytest
import torch

from nakami import data
from nakami.results import UsageError

pa = pytest.importorskip("pyarrow")

N = 60
VALUES = [None if i % 7 == 2 else i / 8 + i * i / 100 for i in range(N)]


def rows():
    return [{"a": a, "b": float(i), "y": "no" if i % 3 else "yes"} for i, a in enumerate(VALUES)]


def schema(folder, name="t.csv", missing='missing = "mean"', vector="standardise"):
    path = folder / name
    if name == "t.csv":
        lines = [",".join("" if v is None else str(v) for v in row.values()) for row in rows()]
        path.write_text("a,b,y\n" + "\n".join(lines))
    elif name == "t.jsonl":
        path.write_text("\n".join(map(json.dumps, rows())))
    else:
        from pyarrow import parquet

        parquet.write_table(pa.Table.from_pylist(rows()), path)
    (folder / "s.toml").write_text(f'''
path = "{name}"
[split]
test = 0.3
[columns.a]
type = "number"
vector = "{vector}"
{missing}
[columns.b]
type = "number"
[columns.y]
type = "category"
use = "target"
''')
    return data.read_schema(folder / "s.toml")


def places(examples):
    return [int(name.split()[1]) - 1 for name in examples.names]


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.parquet"])
@pytest.mark.parametrize("vector", ["standardise", "unit", "as stored"])
def test_a_missing_number_is_the_mean_of_the_training_rows(tmp_path, name, vector):
    prepared = data.prepare(schema(tmp_path, name, vector=vector))
    train, test = prepared.examples("train"), prepared.examples("test")
    given = [VALUES[i] for i in places(train) if VALUES[i] is not None]
    mean = math.fsum(given) / len(given)
    deviation = math.sqrt(math.fsum((x - mean) ** 2 for x in given) / len(given))
    low, high = min(given), max(given)
    made = {
        "standardise": lambda x: (x - mean) / deviation,
        "unit": lambda x: min(max((x - low) / (high - low), 0), 1),
        "as stored": lambda x: x,
    }[vector]
    for part in (train, test):
        for i, x in zip(places(part), part.inputs[:, 0].tolist(), strict=True):
            assert x == pytest.approx(
                made(mean if VALUES[i] is None else VALUES[i]), rel=1e-6, abs=1e-6
            )
    assert prepared.report.wrong == ()
    gaps = sum(value is None for value in VALUES)
    assert prepared.report.reduced == {"a: missing, taken as the mean": gaps}
    assert prepared.preparation.vectors["a"].learned()["mean"] == pytest.approx(mean, rel=1e-14)


def test_a_flag_says_which_were_missing_and_both_are_kept(tmp_path):
    prepared = data.prepare(schema(tmp_path, missing='missing = "mean+flag"'))
    train = prepared.examples("train")
    assert prepared.preparation.components == ("a", "a missing", "b")
    assert train.inputs[:, 1].tolist() == [float(VALUES[i] is None) for i in places(train)]
    again = data.read_preparation(prepared.preparation.save(tmp_path / "p.json"))
    from nakami.data.schema._open import opened

    part = next(opened(tmp_path / "t.csv").parts(again.types()))
    one, other = (made.rows(part)[0] for made in (prepared.preparation, again))
    assert torch.equal(one, other)
    kept = data.prepare(prepared.preparation.schema, memory_budget=1, folder=tmp_path / "kept")
    assert torch.equal(kept.examples("train").inputs, train.inputs)


def test_what_is_no_number_is_wrong_all_the_same(tmp_path):
    found = schema(tmp_path)
    path = tmp_path / "t.csv"
    lines = path.read_text().splitlines()
    lines[1], lines[2], lines[9] = "small,1,no", "inf,2,no", "nan,3,no"
    path.write_text("\n".join(lines))
    with pytest.raises(UsageError, match=r"got 2 \(row 1, a: 'small' is .* row 2, a: inf is not f"):
        data.prepare(found)
    with pytest.raises(UsageError, match="row 3, a: missing"):
        data.prepare(schema(tmp_path, missing=""))


def test_a_column_without_any_number_is_refused(tmp_path):
    found = schema(tmp_path)
    path = tmp_path / "t.csv"
    head, *lines = path.read_text().splitlines()
    path.write_text("\n".join([head, *("," + line.partition(",")[2] for line in lines)]))
    with pytest.raises(UsageError, match="column a must hold a number to train on, got none"):
        data.prepare(found)


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ('missing = "median"', "missing of a must be one of mean, mean.flag, got 'median'"),
        ('use = "target"\nmissing = "mean"', "missing of a must go with an input, got a target"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path, missing, message):
    with pytest.raises(UsageError, match=message):
        schema(tmp_path, missing=missing, vector="as stored")


def test_no_row_moves_to_the_other_part_by_the_option(tmp_path):
    whole = data.prepare(schema(tmp_path))
    (tmp_path / "s.toml").write_text(
        (tmp_path / "s.toml")
        .read_text()
        .replace('missing = "mean"', "")
        .replace("[split]", 'wrong_rows = "skip"\n[split]')
    )
    less = data.prepare(data.read_schema(tmp_path / "s.toml"))
    assert {*less.examples("test").names} <= {*whole.examples("test").names}
    assert np.isfinite(whole.examples("test").inputs.numpy()).all()
