"""The file of a schema: written, read again, and what is refused."""

import re

import pytest

from nakami import data
from nakami.results import UsageError

ODD = 'a "b" [c]\\'
GOOD = """
path = "t.csv"
[columns.a]
type = "number"
[columns.b]
type = "category"
use = "target"
"""


def test_what_is_written_is_read_again(tmp_path):
    columns = (
        data.Column(ODD, "picture", "input", "pixels", {"size": 32, "mode": "grey"}),
        data.Column("sort", "category", "target", "classes", classes=("1", "no", "ü")),
        data.Column("id", "text", "ignored", "bag"),
    )
    split = data.Split(by="id", values=("x", "y"), choose=0.25)
    schema = data.Schema(tmp_path / "t.csv", columns, split, "skip", {"delimiter": ";"})
    assert data.read_schema(schema.save(tmp_path / "s.toml")) == schema
    assert 'path = "t.csv"' in (tmp_path / "s.toml").read_text()
    other = data.Schema(tmp_path / "t.csv", columns, data.Split(path="test.csv"))
    assert data.read_schema(other.save(tmp_path / "s.toml")).split.path == "test.csv"


TWO = '[columns.c]\ntype = "text"\n[columns.d]\ntype = "number"\nuse = "target"\n[columns.b]'


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("number", "numbers"),
            "type of a must be one of number, category, text, .* got 'numbers'",
        ),
        (('use = "target"', 'use = "goal"'), "use of b must be one of input, target, ignored"),
        (('"number"', '"number"\nvector = "log"'), "vector of a must be one of standardise, unit"),
        (
            ('use = "target"', 'use = "target"\nsize = 3'),
            "vector classes of b must stand without options, got size; leave size out",
        ),
        (
            ('"number"', '"number"\nsize = 3'),
            "option of a, vector standardise 'size' is unknown; nearest: 'missing'",
        ),
        (('"number"', '"picture"\nsize = 0'), "size of a must be a whole number from 1 on, got 0"),
        (('"number"', '"sound"\nseconds = -1'), "seconds of a must be a number above 0, got -1"),
        (
            ("[columns.b]", TWO),
            'hold one with use = "target", got d and b',
        ),
        (('"category"\nuse = "target"', '"number"\nuse = "ignored"'), ""),
        (("[columns.a]", "[split]\ntest = 2\n[columns.a]"), "test of split must lie between 0 and"),
        (("[columns.a]", "[split]\nchoose = 1\n[columns.a]"), "choose of split must lie between 0"),
        (
            ("[columns.a]", '[split]\nby = "c"\n[columns.a]'),
            "column of split 'c' is unknown; nearest: 'content'",
        ),
        (("[columns.a]", '[split]\nvalues = ["x"]\n[columns.a]'), "values of split must go with a"),
        (('path = "t.csv"', "path = 3"), "path must name the file or folder of the data, got 3"),
        (('path = "t.csv"', 'path = "t.csv"\nwrong_rows = "drop"'), "wrong_rows must be one of"),
        (
            ('path = "t.csv"', 'paths = "t.csv"'),
            "entry of a schema 'paths' is unknown; nearest of 5: 'path'",
        ),
        (("[columns.a]", '[reading]\ndelimiter = ";;"\n[columns.a]'), "delimiter of reading must"),
        (('"category"', '"category"\nclasses = ["x", "x"]'), "classes of b must name each class"),
        (
            ('"category"', '"text"'),
            "type of b must be a category or a number where it is the target, got text",
        ),
        (("[columns", "[[columns"), "cannot be read as TOML"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_way_out(tmp_path, change, message):
    file = tmp_path / "s.toml"
    file.write_text(GOOD.replace(*change, 1))
    if not message:
        data.read_schema(file)
        return
    with pytest.raises(UsageError, match=message) as error:
        data.read_schema(file)
    assert re.search(r"; \S", str(error.value))


def test_a_category_changes_its_use_by_one_line(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n" + "1,x\n2,y\n" * 20)
    proposed = data.inspect(tmp_path / "t.csv").to_toml(tmp_path)
    file, found = tmp_path / "s.toml", []
    for use in ("target", "input"):
        head, own = proposed.split("[columns.b]")
        own = re.sub('"(input|target)"', f'"{use}"', own)
        file.write_text(f"{head}[columns.b]{own}")
        found.append(data.read_schema(file).columns[1].vector)
    assert found == ["classes", "one-hot"]


def test_without_inputs_nothing_is_read(tmp_path):
    file = tmp_path / "s.toml"
    file.write_text(GOOD.replace('"number"', '"number"\nuse = "ignored"'))
    with pytest.raises(UsageError, match='columns must hold one with use = "input", got none'):
        data.read_schema(file)
    with pytest.raises(UsageError, match="schema must be a file that exists"):
        data.read_schema(tmp_path / "none.toml")
