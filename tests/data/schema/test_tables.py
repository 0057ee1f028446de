"""Tables become tensors, and what is wrong in them is named."""

import csv
import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from nakami import data
from nakami.results import UsageError

pa = pytest.importorskip("pyarrow")

SIZES = (3.5, -0.25, 8.0, 1e6, 2.125, 7.0, 0.0, 4.0)
KINDS = ("oak", "elm", "oak", "ash", "elm", "oak", "ash", "elm")
OLD = ("yes", "no", "no", "yes", "no", "no", "yes", "yes")


@pytest.fixture
def trees(tmp_path):
    """A table in every form: CSV, JSON lines, Parquet, as Spark leaves it, as save_to_disk does."""
    rows = [{"size": s, "kind": k, "old": o} for s, k, o in zip(SIZES, KINDS, OLD, strict=True)]
    with (tmp_path / "trees.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    (tmp_path / "trees.jsonl").write_text("\n".join(map(json.dumps, rows)))
    table = pa.Table.from_pylist(rows)
    from pyarrow import parquet

    parquet.write_table(table, tmp_path / "trees.parquet")
    as_spark_writes(table, tmp_path / "parts.parquet", (0, 0, 3, 8))
    folder = tmp_path / "on_disk"
    folder.mkdir()
    (folder / "dataset_info.json").write_text("{}")
    file = pa.OSFile(str(folder / "data-00000-of-00001.arrow"), "wb")
    with file as out, pa.ipc.new_stream(out, table.schema) as stream:
        stream.write_table(table)
    return tmp_path


def as_spark_writes(table, folder, ends):
    """Parts of a table, some of them without rows, beside files that are no parts."""
    from pyarrow import parquet

    folder.mkdir(parents=True)
    for i, (first, last) in enumerate(itertools.pairwise(ends)):
        name = f"part-{i:05}-6fa1-c000.snappy.parquet"
        parquet.write_table(table.slice(first, last - first), folder / name)
        (folder / f".{name}.crc").write_bytes(b"crc\0")
    (folder / "_SUCCESS").touch()
    (folder / "_temporary").mkdir()
    parquet.write_table(table, folder / "_temporary" / "half.parquet")


def schema_for(path, **changes):
    text = f'''
path = "{path}"
wrong_rows = "{changes.get("wrong_rows", "refuse")}"
[split]
{changes.get("split", "test = 0.4")}
[columns.size]
type = "number"
vector = "{changes.get("vector", "standardise")}"
[columns.kind]
type = "category"
[columns.old]
type = "category"
use = "target"
'''
    file = path.parent / "schema.toml"
    file.write_text(text)
    return data.read_schema(file)


@pytest.mark.parametrize(
    "name", ["trees.csv", "trees.jsonl", "trees.parquet", "parts.parquet", "on_disk"]
)
def test_every_form_gives_the_same_tensors(trees, name):
    prepared = data.prepare(schema_for(trees / name))
    train, test = prepared.examples("train"), prepared.examples("test")
    assert len(train) + len(test) == len(SIZES)
    rows = [int(name.split()[1]) - 1 for name in train.names]
    sizes = np.array(SIZES)[rows]
    expected = np.stack(
        [
            (sizes - sizes.mean()) / sizes.std(),
            *([KINDS[i] == kind for i in rows] for kind in sorted({KINDS[i] for i in rows})),
        ],
        1,
    )
    assert torch.allclose(train.inputs, torch.from_numpy(expected).float(), atol=1e-6)
    assert [train.classes[i] for i in train.labels.tolist()] == [OLD[i] for i in rows]
    assert train.classes == ("no", "yes")


def test_columns_in_the_names_of_folders_are_read(tmp_path):
    for year in (2019, 2020):
        table = pa.table({"a": [0.25 * year, 1.5], "site": ["x", "y"]})
        as_spark_writes(table, tmp_path / "t" / f"year={year}" / "wing=north east", (0, 2))
    schema = data.inspect(tmp_path / "t")
    kinds = {column.name: (column.type, column.seen) for column in schema.columns}
    assert kinds["year"] == ("number", "numbers from 2019 to 2020")
    assert kinds["wing"] == ("category", "always north east")
    assert kinds["a"] == ("number", "numbers from 1.5 to 505")


def test_no_column_of_a_later_part_is_dropped(tmp_path):
    for i, table in enumerate(({"a": [1, 2]}, {"a": [2.5], "b": ["yes"]})):
        as_spark_writes(pa.table(table), tmp_path / "t" / f"part={i}", (0, len(table["a"])))
    text = 'path = "t"\n[columns.a]\ntype = "number"\n[columns.b]\ntype = "category"\n'
    (tmp_path / "t.toml").write_text(text)
    said = r"hold no wrong row, got 2 \(row 1, b: missing, row 2, b: missing\)"
    with pytest.raises(UsageError, match=said):
        data.prepare(data.read_schema(tmp_path / "t.toml"))
    assert data.inspect(tmp_path / "t").columns[0].seen == "numbers from 1 to 2.5"


def test_parts_without_a_row_or_of_other_columns_are_refused(tmp_path):
    as_spark_writes(pa.table({"a": [1.0]}).slice(0, 0), tmp_path / "none", (0, 0))
    with pytest.raises(UsageError, match="path must hold a row, got none in none"):
        data.inspect(tmp_path / "none")
    for i, table in enumerate(({"a": [1]}, {"a": ["one"]})):
        as_spark_writes(pa.table(table), tmp_path / "t" / f"part={i}", (0, 1))
    with pytest.raises(UsageError, match=r"t cannot be read as Parquet \(Unable to merge: Field a"):
        data.inspect(tmp_path / "t")


def test_a_row_stays_in_its_part_whatever_the_order(trees):
    def tested(path):
        names = data.prepare(schema_for(path)).examples("test").names
        lines = path.read_text().splitlines()
        return {lines[int(name.split()[1])] for name in names}

    path = trees / "trees.csv"
    before = tested(path)
    head, *rows = path.read_text().splitlines()
    path.write_text("\n".join([head, *reversed(rows), "5.5,oak,no", rows[0]]))
    after = tested(path)
    assert before <= after <= before | {"5.5,oak,no"}


def test_the_share_of_the_hash_is_the_share_asked_for(tmp_path):
    path = tmp_path / "many.csv"
    path.write_text("size,kind,old\n" + "\n".join(f"{i},oak,no" for i in range(4000)))
    tested = len(data.prepare(schema_for(path)).examples("test"))
    assert abs(tested - 1600) < 4 * (4000 * 0.4 * 0.6) ** 0.5


@pytest.mark.parametrize("split", ["test = 0.3", 'by = "kind"', 'by = "kind"\nvalues = ["k3"]'])
def test_settings_are_chosen_by_rows_of_the_training_part_alone(tmp_path, split):
    kinds = [f"k{i % 97}" for i in range(3000)]
    olds = ["no" if i % 3 else "yes" for i in range(3000)]
    rows = [f"{i},{kind},{old}" for i, (kind, old) in enumerate(zip(kinds, olds, strict=True))]
    (tmp_path / "many.csv").write_text("\n".join(["size,kind,old", *rows, "x,k1,no"]))
    schema = schema_for(tmp_path / "many.csv", wrong_rows="skip", split=split)
    choosing = replace(schema, split=replace(schema.split, choose=0.2))
    choosing = data.read_schema(choosing.save(tmp_path / "choosing.toml"))
    usual, chosen = data.prepare(schema), data.prepare(choosing)
    train, test = (usual.examples(part) for part in ("train", "test"))
    part, held = (chosen.examples(part) for part in ("train", "test"))
    assert {*part.names} | {*held.names} == {*train.names}
    assert not {*part.names} & {*held.names}
    share = 0.2 * 3000 / (3000 - len(test)) if "values" not in split else 0.2
    deviation = (97 if split == 'by = "kind"' else len(train)) ** -0.5
    assert abs(len(held) / len(train) - share) < 3 * deviation
    if split == 'by = "kind"':  # rows of one value stay together
        places = [{kinds[int(name.split()[1]) - 1] for name in e.names} for e in (part, held)]
        assert not places[0] & places[1]
    sizes = np.array([int(name.split()[1]) - 1.0 for name in part.names])
    assert chosen.preparation.vectors["size"].learned()["shift"] == pytest.approx(sizes.mean())
    assert held.source.endswith("of many.csv to choose settings by")


def test_wrong_rows_are_named_or_left_out(trees):
    path = trees / "trees.csv"
    text = path.read_text().replace("-0.25", "small").replace("8.0,oak,no", "8.0,oak")
    path.write_text(text.replace("2.125", "nan").replace("7.0,oak", "7.0,"))
    with pytest.raises(UsageError, match=r"hold no wrong row, got 4 \(.*row 2, size: 'small' is"):
        data.prepare(schema_for(path))
    report = data.prepare(schema_for(path, wrong_rows="skip")).report
    assert {str(row) for row in report.wrong} == {
        "row 2, size: 'small' is no number",
        "row 3: 2 fields in place of 3",
        "row 5, size: missing",
        "row 6, kind: missing",
    }
    assert (report.rows, report.train + report.test) == (8, 4)


def test_learned_from_training_rows_alone(trees):
    prepared = data.prepare(schema_for(trees / "trees.csv", vector="unit"))
    inputs = prepared.examples("train").inputs[:, 0]
    assert (inputs.min(), inputs.max()) == (0, 1)


def test_large_means_do_not_spoil_the_deviation(tmp_path):
    path = tmp_path / "far.csv"
    values = 1e8 + np.arange(40) % 7
    path.write_text("size,kind,old\n" + "\n".join(f"{v},k{i},no" for i, v in enumerate(values)))
    train = data.prepare(schema_for(path)).examples("train")
    assert train.inputs[:, 0].std(correction=0).item() == pytest.approx(1, abs=1e-5)
    assert train.inputs[:, 0].mean().item() == pytest.approx(0, abs=1e-5)


def test_commas_as_decimal_points_and_no_line_of_names(tmp_path):
    path = tmp_path / "messung.csv"
    path.write_text(
        "mm;trocken\n" + "\n".join(f"{i % 5},5;{'ja' if i % 2 else 'nein'}" for i in range(30))
    )
    schema = data.inspect(path)
    assert schema.reading == {"delimiter": ";", "decimal": ","}
    assert [c.type for c in schema.columns] == ["number", "category"]
    path.write_text("\n".join(f"{i * 3 % 7},5;{i % 2}" for i in range(30)))
    schema = data.inspect(path)
    assert schema.reading == {"delimiter": ";", "decimal": ",", "header": False}
    assert [c.name for c in schema.columns] == ["column 1", "column 2"]
    assert schema.columns[0].seen == "numbers from 0.5 to 6.5"


def test_a_target_of_numbers_is_a_target_of_a_loss(trees):
    text = schema_for(trees / "trees.csv").to_toml(trees)
    text = text.replace('"input"', '"target"', 1).replace('"standardise"', '"as stored"')
    text = text.replace('"target"\nvector = "classes"', '"ignored"')
    (trees / "schema.toml").write_text(text)
    prepared = data.prepare(data.read_schema(trees / "schema.toml"))
    train = prepared.labelled("train")
    assert set(train.targets.tolist()) <= set(SIZES)
    assert train.targets.shape == (len(train),)
    with pytest.raises(UsageError, match="target must hold classes, got numbers"):
        prepared.examples("train")


def test_types_are_those_of_all_records_not_of_the_first(tmp_path):
    """Arrow's streaming reader refuses all three behind its first megabyte."""
    rows = [{"size": i, "kind": None, "old": "no"} for i in range(20)]
    rows += [{"size": i + 0.5, "kind": "oak", "old": "yes", "more": 3} for i in range(20)]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    report = data.prepare(schema_for(tmp_path / "t.jsonl", wrong_rows="skip")).report
    assert (report.rows, len(report.wrong), report.wrong[0].why) == (40, 20, "missing")
    (tmp_path / "t.json").write_text(json.dumps(rows))
    again = data.prepare(schema_for(tmp_path / "t.json", wrong_rows="skip")).report
    assert (again.train, again.test) == (report.train, report.test)


def test_lines_that_are_no_records_are_wrong_rows(tmp_path):
    lines = [json.dumps({"v": [i, i / 3], "y": "ab"[i % 2]}) for i in range(40)]
    lines[3], lines[5], lines[7] = "{broken", "[1, 2]", '{"v": [1], "y": "a"}'
    lines[9] = '{"v": [1, "two"], "y": "a"}'
    (tmp_path / "t.jsonl").write_text("\n".join(lines))
    schema = data.inspect(tmp_path / "t.jsonl")
    assert [(c.name, c.type, c.use) for c in schema.columns] == [
        ("v", "array", "input"),
        ("y", "category", "target"),
    ]
    (tmp_path / "s.toml").write_text(schema.to_toml().replace('"refuse"', '"skip"'))
    prepared = data.prepare(data.read_schema(tmp_path / "s.toml"))
    said = sorted(str(row) for row in prepared.report.wrong)
    assert said[0] == "line 10, v: no list of numbers"
    assert said[1].startswith("line 4: no JSON (")
    assert said[2:] == [
        "line 6: no record, but list",
        "line 8, v: an array of other lengths than (2,)",
    ]
    train = prepared.examples("train")
    row = int(train.names[0].split()[1]) - 1
    assert train.inputs[0].tolist() == pytest.approx([row, row / 3])


def test_rows_keep_their_numbers_behind_one_that_is_left_out(tmp_path):
    lines = [f"{i}.5,k{i % 3},{'no' if i % 2 else 'yes'}" for i in range(1, 41)]
    lines[4], lines[9] = "5.5,k2", "1,2,3,4,5"  # rows 5 and 10
    (tmp_path / "t.csv").write_text("size,kind,old\n" + "\n".join(lines))
    prepared = data.prepare(schema_for(tmp_path / "t.csv", wrong_rows="skip"))
    numbers = {*range(1, 41)} - {5, 10}
    for part in ("train", "test"):
        for name, size in zip(*_sizes(prepared, part), strict=True):
            assert size == pytest.approx(int(name.split()[1]) + 0.5, rel=1e-5)
            numbers.remove(int(name.split()[1]))
    assert not numbers


def _sizes(prepared, part):
    examples, vector = prepared.examples(part), prepared.preparation.vectors["size"]
    return examples.names, [
        x * float(vector.scale) + float(vector.shift) for x in examples.inputs[:, 0].tolist()
    ]


def test_a_number_that_float32_has_no_place_for_is_a_wrong_row(tmp_path):
    (tmp_path / "t.csv").write_text(
        "size,kind,old\n1e300,oak,no\n" + "\n".join(f"{i},oak,no" for i in range(30))
    )
    schema = schema_for(tmp_path / "t.csv", vector="as stored")
    with pytest.raises(UsageError, match=r"row 1, size: 1e\+300 is too large for 32 bits"):
        data.prepare(schema)


def test_parts_may_be_numbered_and_rows_of_a_second_file_are_told_apart(tmp_path):
    rows = "\n".join(f"{i},oak,{'no' if i % 2 else 'yes'},{i % 4}" for i in range(40))
    (tmp_path / "t.csv").write_text("size,kind,old,fold\n" + rows)
    text = schema_for(tmp_path / "t.csv").to_toml(tmp_path).replace("test = 0.4", "")
    text = text.replace('by = "content"', 'by = "fold"\nvalues = ["3"]')
    fold = '\n[columns.fold]\ntype = "number"\nuse = "ignored"\n'
    (tmp_path / "s.toml").write_text(text + fold)
    prepared = data.prepare(data.read_schema(tmp_path / "s.toml"))
    assert [int(n.split()[1]) % 4 for n in prepared.examples("test").names] == [0] * 10
    (tmp_path / "u.csv").write_text("size,kind,old\n3.5,oak,no\nx,oak,no\n")
    text = schema_for(tmp_path / "t.csv", wrong_rows="skip").to_toml(tmp_path)
    text = text.replace('by = "content"\ntest = 0.4', 'path = "u.csv"')
    (tmp_path / "s.toml").write_text(text)
    prepared = data.prepare(data.read_schema(tmp_path / "s.toml"))
    assert prepared.examples("test").names == ("u.csv, row 1",)
    assert [str(row) for row in prepared.report.wrong] == ["u.csv, row 2, size: 'x' is no number"]


def test_a_wrong_number_far_behind_changes_no_row_before_it(tmp_path):
    """Up to there numbers are read as numbers, from there on as text."""
    draw = np.random.default_rng(0).normal(size=60_000)
    lines = [f"{x!r},{'oak' if i % 3 else 'elm'},no" for i, x in enumerate(draw.tolist())]
    path, head = tmp_path / "t.csv", "size,kind,old\n"
    path.write_text(head + "\n".join(lines))
    assert path.stat().st_size > 1.2e6  # several batches
    whole = data.prepare(schema_for(path, vector="as stored"))
    path.write_text(head + "\n".join([*lines[:-2], "1_x,oak,no", "1,2,3,4", lines[-1]]))
    schema = schema_for(path, vector="as stored", wrong_rows="skip")
    prepared = data.prepare(schema)
    assert [str(row) for row in prepared.report.wrong] == [
        "row 60000: 4 fields in place of 3",
        "row 59999, size: '1_x' is no number",
    ]
    both = [each.examples(p) for each in (whole, prepared) for p in ("train", "test")]
    rows = [dict(zip(b.names, b.inputs.tolist(), strict=True)) for b in both]
    one, other = {**rows[0], **rows[1]}, {**rows[2], **rows[3]}
    assert other.pop("row 60001") == one.pop("row 60000")
    one.pop("row 59999")
    assert one == other


@pytest.mark.parametrize("folder", [False, True])
def test_a_parquet_file_is_not_held_whole(tmp_path, folder, monkeypatch):
    from pyarrow import parquet

    monkeypatch.setattr("nakami.data.schema._source.BLOCK", 1 << 19)
    from nakami.data.schema._open import opened

    path = tmp_path / "t.parquet" if not folder else tmp_path / "t" / "part-0.parquet"
    path.parent.mkdir(exist_ok=True)
    kind = pa.schema([("x", pa.list_(pa.float32(), 256))])
    values = np.random.default_rng(0).normal(size=(30_000, 256)).astype(np.float32)
    column = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), 256)
    table = pa.table([column], schema=kind)
    parquet.write_table(table, path, row_group_size=500, use_dictionary=False)
    size, before, most, seen = path.stat().st_size, pa.total_allocated_bytes(), 0, []
    for part in opened(path.parent if folder else path).parts({"x": "array"}):
        most = max(most, pa.total_allocated_bytes() - before)
        seen.append(part.values["x"][0, 0])
    assert most < size / 2
    assert seen[0] == values[0, 0]


def test_texts_are_held_once_and_say_the_same(tmp_path):
    (tmp_path / "t.csv").write_text("size,kind,old\n1,a,no\n2,,no\n3,b,yes\n4,a,yes\n")
    from nakami.data.schema._open import opened

    types = {"size": "number", "kind": "category", "old": "text"}
    (part,) = opened(tmp_path / "t.csv").parts(types)
    assert [*part.values["kind"]] == ["a", "", "b", "a"]
    assert {i: row.why for i, row in part.wrong.items()} == {1: "missing"}
    assert [*part.values["old"][np.array([True, False, True, False])]] == ["no", "yes"]
    assert part.values["kind"].counts() == {"a": 2, "b": 1, "": 1}
    cut = part.cut(slice(1, 3))
    assert ([*cut.values["kind"]], [*cut.names], [*cut.wrong]) == (
        ["", "b"],
        ["row 2", "row 3"],
        [0],
    )
