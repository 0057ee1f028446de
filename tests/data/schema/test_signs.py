"""Numbers as people of several countries write them."""

import numpy as np
import pytest

from nakami import data
from nakami.results import UsageError

pytest.importorskip("pyarrow")

NUMBERS = np.random.default_rng(0).normal(0, 2e6, 100).round(3).tolist()
SWAPPED = str.maketrans(",.", ".,")


FORMS = [("de", ";"), ("de", "\t"), ("en", ";"), ("en", "\t"), ("en", ",")]


@pytest.mark.parametrize(("country", "delimiter"), FORMS)
def test_thousands_have_their_sign_taken_away(tmp_path, country, delimiter):
    cells = [f"{x:,.3f}" for x in NUMBERS]
    if country == "de":
        cells = [cell.translate(SWAPPED) for cell in cells]
    rows = [f'"{cell}"{delimiter}{i % 7}' for i, cell in enumerate(cells)]
    (tmp_path / "t.csv").write_text("\n".join([f"x{delimiter}z", *rows]))
    found = data.inspect(tmp_path / "t.csv")
    assert found.reading["thousands"] == ("." if country == "de" else ",")
    assert found.columns[0].type == "number"
    text = found.save(tmp_path / "s.toml").read_text()
    (tmp_path / "s.toml").write_text(text.replace("standardise", "as stored"))
    made = data.prepare(data.read_schema(tmp_path / "s.toml"))
    for part in ("train", "test"):
        examples = made.examples(part, numbers=True)
        rows = [int(name.split()[1]) - 1 for name in examples.names]
        assert examples.inputs[:, 0].tolist() == np.float32([NUMBERS[i] for i in rows]).tolist()


def test_a_point_alone_is_no_sign_of_thousands(tmp_path):
    (tmp_path / "t.csv").write_text("x;y\n" + "".join(f"1.{i:03};{i},5\n" for i in range(50)))
    found = data.inspect(tmp_path / "t.csv")
    assert "thousands" not in found.reading
    assert found.columns[0].seen == "numbers from 1 to 1.049"


def test_one_sign_cannot_be_both(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("x,y\n" + "".join(f"{i}.5,{i % 2}\n" for i in range(40)))
    found = data.inspect(path)
    (tmp_path / "t.toml").write_text(found.to_toml(tmp_path) + '\n[reading]\nthousands = "."\n')
    with pytest.raises(
        UsageError, match=r"thousands of reading must differ from decimal, got '\.'"
    ):
        data.prepare(data.read_schema(tmp_path / "t.toml"))
