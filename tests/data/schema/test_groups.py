"""No speaker, patient or machine is tested on that was trained on, or the report says so."""

import numpy as np
import pytest

from nakami import data
from nakami.results import UsageError

pytest.importorskip("pyarrow")

N, PEOPLE = 400, 39


def schema(folder, split, people="number"):
    draw = np.random.default_rng(0)
    rows = [
        f"{x},{i * 7 % PEOPLE},{'train' if i % 5 else 'test'},{'no' if i % 3 else 'yes'}"
        for i, x in enumerate(draw.normal(size=N))
    ]
    (folder / "t.csv").write_text("x,patient,part,y\n" + "\n".join(rows))
    (folder / "s.toml").write_text(f"""
path = "t.csv"
[split]
{split}
[columns.x]
type = "number"
[columns.patient]
type = "{people}"
use = "ignored"
[columns.part]
type = "category"
use = "ignored"
[columns.y]
type = "category"
use = "target"
""")
    return data.read_schema(folder / "s.toml")


def people(examples):
    return {(int(name.split()[1]) - 1) * 7 % PEOPLE for name in examples.names}


@pytest.mark.parametrize("split", ['group = "patient"\ntest = 0.3', 'by = "patient"\ntest = 0.3'])
@pytest.mark.parametrize("kind", ["number", "category"])
def test_all_rows_of_a_group_lie_in_one_part(tmp_path, split, kind):
    prepared = data.prepare(schema(tmp_path, split, kind))
    train, test = (people(prepared.examples(part)) for part in ("train", "test"))
    assert not train & test
    assert len(train | test) == PEOPLE
    assert prepared.report.groups == {"train": len(train), "test": len(test), "both": 0}
    assert prepared.report.torn == ()
    assert 0 < len(test) < PEOPLE / 2


def test_the_part_of_a_group_does_not_hang_on_the_other_rows(tmp_path):
    found = schema(tmp_path, 'group = "patient"\ntest = 0.3')
    before = people(data.prepare(found).examples("test"))
    lines = found.path.read_text().splitlines()
    found.path.write_text("\n".join([lines[0], *lines[:0:-1][: N // 2]]))
    kept = {int(line.split(",")[1]) for line in lines[N // 2 + 1 :]}
    half = data.prepare(found)
    rows = found.path.read_text().splitlines()
    after = {int(rows[int(n.split()[1])].split(",")[1]) for n in half.examples("test").names}
    assert after == before & kept


def test_a_group_that_a_given_part_tears_is_reported(tmp_path):
    split = 'by = "part"\nvalues = ["test"]\ngroup = "patient"'
    prepared = data.prepare(schema(tmp_path, split))
    train, test = (people(prepared.examples(part)) for part in ("train", "test"))
    both = train & test
    assert both
    assert prepared.report.groups == {"train": len(train), "test": len(test), "both": len(both)}
    torn = {int(name.split()[1]) - 1 for name in prepared.report.torn}
    assert torn == {i for i in range(0, N, 5) if i * 7 % PEOPLE in both}
    kept = data.prepare(prepared.preparation.schema, memory_budget=1, folder=tmp_path / "kept")
    assert kept.report == prepared.report
    assert data.read_schema(prepared.preparation.schema.save(tmp_path / "a.toml")).split.group


def test_without_groups_none_are_told(tmp_path):
    assert data.prepare(schema(tmp_path, "test = 0.3")).report.groups == {}


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ('group = "nobody"', "group of split 'nobody' is unknown; nearest: 'x', 'patient'"),
        ('by = "part"\ngroup = "patient"', "split must part rows by one column, got by = 'part'"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path, split, message):
    with pytest.raises(UsageError, match=message):
        schema(tmp_path, split)


def test_parts_are_named_by_all_digits_of_a_number(tmp_path):
    path = tmp_path / "t.csv"
    rows = [f"{i}.5,{i % 2},{1234567 if i % 4 == 0 else 1234568}" for i in range(80)]
    path.write_text("\n".join(["x,y,site", *rows]))
    text = data.inspect(path).to_toml(tmp_path)
    split = '[split]\nby = "site"\nvalues = {}\n'
    at = text.index("[split]")
    rest = text[text.index("[columns", at) :]
    schema = tmp_path / "t.toml"
    schema.write_text(text[:at] + split.format('["1234567"]') + rest)
    assert len(data.prepare(data.read_schema(schema)).examples("test")) == 20
    schema.write_text(text[:at] + split.format('"1234567"') + rest)
    with pytest.raises(UsageError, match=r"values of split must be a list, got '1234567'; write"):
        data.read_schema(schema)


def test_classes_have_one_order_whatever_their_rows():
    import itertools

    from nakami.data.schema._kinds import in_order

    orders = {
        tuple(sorted(names, key=in_order))
        for names in itertools.permutations(["1", "2", "nan", "10"])
    }
    assert orders == {("1", "2", "10", "nan")}
