"""Words for an empty cell: the same in every kind of file, and only in columns of numbers."""

import json

import numpy as np
import pytest

from nakami import data
from nakami.data.schema._empty import EMPTY
from nakami.results import UsageError

pa = pytest.importorskip("pyarrow")

N = 210
NUMBERS = np.random.default_rng(0).normal(20, 3, N)
CELLS = [
    EMPTY[i // 5 % len(EMPTY)] if i % 5 == 0 else f"{x!r}" for i, x in enumerate(NUMBERS.tolist())
]
KINDS = ["NA" if i % 3 else "EU" for i in range(N)]
TARGET = [f"{i * 37 % 101}.25" for i in range(N)]


def written(folder, kind):
    columns = {"x": CELLS, "where": KINDS, "y": TARGET}
    path = folder / f"t.{kind}"
    rows = zip(*columns.values(), strict=True)
    if kind == "parquet":
        from pyarrow import parquet

        parquet.write_table(pa.table(columns), path)
    elif kind == "csv":
        path.write_text("\n".join(["x,where,y", *map(",".join, rows)]))
    else:
        path.write_text("\n".join(json.dumps(dict(zip(columns, row, strict=True))) for row in rows))
    return path


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_column_with_such_words_is_proposed_and_read_as_numbers(tmp_path, kind):
    found = data.inspect(written(tmp_path, kind))
    assert [(c.name, c.type) for c in found.columns][:2] == [("x", "number"), ("where", "category")]
    assert f"; {N // 5} of {N} are " in found.columns[0].seen
    assert found.columns[0].seen.endswith(' and the like: missing = "mean" takes the mean')
    text = found.save(tmp_path / "s.toml").read_text()
    with pytest.raises(UsageError, match=rf"hold no wrong row, got {N // 5} \(.*, x: missing"):
        data.prepare(data.read_schema(tmp_path / "s.toml"))
    head, mark, rest = text.partition('vector = "standardise"\n')
    (tmp_path / "s.toml").write_text(head + mark + 'missing = "mean"\n' + rest)
    made = data.prepare(data.read_schema(tmp_path / "s.toml"))
    assert made.report.wrong == ()
    assert made.report.reduced == {"x: missing, taken as the mean": N // 5}
    assert made.preparation.vectors["where"].classes == ("EU", "NA")
    train = [int(name.split()[1]) - 1 for name in made.examples("train", numbers=True).names]
    there = [NUMBERS[i] for i in train if i % 5]
    assert made.preparation.vectors["x"].learned()["mean"] == pytest.approx(np.mean(there))


def test_other_words_are_counted_and_wrong(tmp_path):
    cells = ["oops" if i % 10 == 0 else f"{x!r}" for i, x in enumerate(NUMBERS.tolist())]
    (tmp_path / "t.csv").write_text(
        "\n".join(["z,x", *(f"{i % 7}.5,{x}" for i, x in enumerate(cells))])
    )
    found = data.inspect(tmp_path / "t.csv")
    assert found.columns[1].type == "number"
    assert found.columns[1].seen.endswith(f"; {N // 10} of {N} are 'oops': no numbers")


def test_a_target_of_numbers_with_gaps_says_what_leaves_them_out(tmp_path):
    (tmp_path / "t.csv").write_text(
        "\n".join(["z,y", *(f"{i % 7}.5,{x}" for i, x in enumerate(CELLS))])
    )
    (target,) = data.inspect(tmp_path / "t.csv").used("target")
    assert (target.name, target.type) == ("y", "number")
    assert target.seen.endswith('wrong_rows = "skip" leaves them out')


def test_words_beside_whole_numbers_of_a_target_are_counted_as_classes(tmp_path):
    words = ["NA" if i % 10 == 0 else str(i % 2) for i in range(100)]
    path = tmp_path / "t.csv"
    path.write_text(
        "\n".join(["x,y", *(f"{i * 37 % 101}.25,{word}" for i, word in enumerate(words))])
    )
    found = data.inspect(path)
    (target,) = found.used("target")
    assert target.type == "category"
    assert target.seen.startswith("3 classes, 'NA' among them")
    assert data.prepare(found).preparation.classes == ("0", "1", "NA")
