"""Numbers far from 1 keep what they say, or their column is refused by name."""

import warnings
from fractions import Fraction

import numpy as np
import pytest

from nakami import data
from nakami.results import UsageError

pytest.importorskip("pyarrow")

N = 200
DRAW = np.random.default_rng(0).normal(size=(N, 2))


def schema(folder, numbers, vector="standardise", use="input", missing="", wrong_rows="refuse"):
    other = "target" if use == "input" else "input"
    rows = [f"{x!r},{z!r}" for x, z in zip(numbers, DRAW[:, 1].tolist(), strict=True)]
    (folder / "t.csv").write_text("\n".join(["x,z", *rows]))
    (folder / "s.toml").write_text(f"""
path = "t.csv"
wrong_rows = "{wrong_rows}"
[split]
by = "z"
[columns.x]
type = "number"
use = "{use}"
vector = "{vector}"
{missing}
[columns.z]
type = "number"
use = "{other}"
""")
    return data.read_schema(folder / "s.toml")


def prepared(*args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return data.prepare(schema(*args, **options))


def numbers_of(size, shift=0.0):
    return (DRAW[:, 0] * size + shift).tolist()


@pytest.mark.parametrize(
    ("size", "shift"), [(1e-19, 0), (1e-19, 3e-18), (1e-100, 0), (1e100, 1e101), (1.0, 1e9)]
)
def test_standardised_numbers_have_mean_and_deviation_of_exact_arithmetic(tmp_path, size, shift):
    x = numbers_of(size, shift)
    made = prepared(tmp_path, x)
    names = made.examples("train", numbers=True).names
    rows = [int(name.split()[1]) - 1 for name in names]
    exact = [Fraction(x[i]) for i in rows]
    mean = sum(exact) / len(exact)
    square = sum((each - mean) ** 2 for each in exact) / len(exact)
    learned = made.preparation.vectors["x"].learned()
    assert learned["shift"] == pytest.approx(float(mean), rel=1e-12)
    power = Fraction(10) ** round(np.log10(size))
    assert learned["scale"] / float(power) == pytest.approx(float(square / power**2) ** 0.5)
    found = made.examples("train", numbers=True).inputs.double()
    assert found.std(correction=0).item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("numbers", [numbers_of(1e301), numbers_of(3e307)])
def test_numbers_whose_squares_are_beyond_64_bits_are_refused_by_column(tmp_path, numbers):
    with pytest.raises(UsageError, match=r'column x must hold smaller.*write vector = "unit"'):
        prepared(tmp_path, numbers)
    found = prepared(tmp_path, numbers_of(1e301), "unit").examples("train", numbers=True).inputs
    assert (found.min().item(), found.max().item()) == (0, 1)


@pytest.mark.parametrize("numbers", [[1e18 + 128 * i for i in range(N)], numbers_of(1e-200)])
def test_numbers_that_differ_by_rounding_are_refused_by_column(tmp_path, numbers):
    with pytest.raises(UsageError, match=r"column x must differ by more than 1e-12 of .*about"):
        prepared(tmp_path, numbers)
    found = prepared(tmp_path, numbers, "unit").examples("train", numbers=True).inputs
    assert (found.min().item(), found.max().item()) == (0, 1)


@pytest.mark.parametrize("value", [0.1, 1e18, 1e-200, 0.0, 1e300])
def test_a_constant_becomes_0(tmp_path, value):
    found = prepared(tmp_path, [value] * N).examples("train", numbers=True).inputs
    assert found.abs().max().item() <= 1e-12


def test_a_row_that_is_too_large_beside_the_rows_trained_on_is_wrong(tmp_path):
    x = numbers_of(1e-30)
    tested = prepared(tmp_path, x).examples("test", numbers=True).names[0]
    x[int(tested.split()[1]) - 1] = 3e20
    with pytest.raises(UsageError, match=rf"got 1 \({tested}, x: 3e\+20 is too large for 32 bits"):
        prepared(tmp_path, x)
    skipped = prepared(tmp_path, x, wrong_rows="skip")
    assert [row.row for row in skipped.report.wrong] == [tested]
    assert tested not in skipped.examples("test", numbers=True).names


def test_a_target_whose_squared_error_is_infinite_is_refused(tmp_path):
    x = numbers_of(1e31)
    with pytest.raises(UsageError, match=r'x: .*e\+3\d is too large .* "standardise" fits'):
        prepared(tmp_path, x, "as stored", "target")
    y = prepared(tmp_path, x, "standardise", "target").labelled("train").targets.double()
    assert y.square().mean().item() == pytest.approx(1, abs=1e-5)


def test_a_target_of_numbers_is_standardised_unless_the_schema_says_another_way(tmp_path):
    y = numbers_of(110.0, 1000.0)
    rows = [f"{x!r},{each!r}" for x, each in zip(DRAW[:, 1].tolist(), y, strict=True)]
    (tmp_path / "t.csv").write_text("\n".join(["x,y", *rows]))
    proposed = data.inspect(tmp_path / "t.csv")
    assert [(c.name, c.vector) for c in proposed.used("target")] == [("y", "standardise")]
    text = proposed.to_toml(tmp_path).replace('use = "target"\nvector = "standardise"', "{}")
    given = {"": "", "standardise": "", "as stored": ""}
    for vector in given:
        line = f'use = "target"\nvector = "{vector}"' if vector else 'use = "target"'
        (tmp_path / "s.toml").write_text(text.format(line))
        made = data.prepare(data.read_schema(tmp_path / "s.toml")).labelled("train")
        given[vector] = made.targets.double()
    assert given[""].equal(given["standardise"])
    stored = given["as stored"]
    expected = (stored - stored.mean()) / stored.std(correction=0)
    assert (given[""] - expected).abs().max() < 1e-4
