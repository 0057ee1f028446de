"""Data larger than memory: kept on disk once, the same bits as in memory."""

import json
import time
import wave
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from nakami import data
from nakami.data._maps import let_go, picked, pieces
from nakami.data.schema import _kept, _prepare, _source
from nakami.results import UsageError

pa = pytest.importorskip("pyarrow")

N = 300


@pytest.fixture(params=["t.csv", "t.jsonl", "t.parquet", "on_disk", "pictures", "sounds"])
def schema(request, tmp_path):
    """Data of each kind that is read part by part, with a target."""
    draw = np.random.default_rng(0)
    path = tmp_path / request.param
    if request.param == "pictures":
        image = pytest.importorskip("PIL.Image")
        for i in range(20):
            (path / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
            pixels = draw.integers(0, 256, (9, 11, 3), dtype=np.uint8)
            image.fromarray(pixels).save(path / "ab"[i % 2] / f"{i}.png")
    elif request.param == "sounds":
        pytest.importorskip("soundfile")
        for i in range(12):
            (path / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
            with wave.open(str(path / "ab"[i % 2] / f"{i}.wav"), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(8000)
                file.writeframes(draw.integers(-9999, 9999, 2000).astype("<i2").tobytes())
    else:
        _table(path, draw)
    found = data.inspect(path)
    (tmp_path / "s.toml").write_text(found.to_toml(tmp_path).replace("test = 0.1", "test = 0.3"))
    return data.read_schema(tmp_path / "s.toml")


def _table(path, draw):
    rows = [
        {"a": float(a), "b": float(b), "kind": "xyz"[i % 3], "y": "no" if a * b > 0 else "yes"}
        for i, (a, b) in enumerate(draw.normal(5, 3, (N, 2)))
    ]
    table = pa.Table.from_pylist(rows)
    if path.suffix == ".csv":
        path.write_text("a,b,kind,y\n" + "\n".join(",".join(map(str, r.values())) for r in rows))
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(map(json.dumps, rows)))
    elif path.suffix == ".parquet":
        from pyarrow import parquet

        parquet.write_table(table, path)
    else:
        path.mkdir()
        (path / "dataset_info.json").write_text("{}")
        with (
            pa.OSFile(str(path / "data.arrow"), "wb") as out,
            pa.ipc.new_stream(out, table.schema) as stream,
        ):
            stream.write_table(table, max_chunksize=70)


def same(one, other):
    """Whether two preparations gave the same bits."""
    assert one.report == other.report
    assert one.preparation.to_json() == other.preparation.to_json()
    for part in ("train", "test"):
        x, y = (each.examples(part) for each in (one, other))
        assert torch.equal(x.inputs, y.inputs)
        assert torch.equal(x.labels, y.labels)
        assert [*x.names] == [*y.names]
        assert (x.classes, x.source, x.unit) == (y.classes, y.source, y.unit)


def test_on_disk_it_is_what_it_is_in_memory(schema, tmp_path, monkeypatch):
    monkeypatch.setattr(_source, "BLOCK", 1000)  # so that parts are cut
    held = data.prepare(schema)
    mapped = data.prepare(schema, memory_budget=1, folder=tmp_path / "kept")
    same(held, mapped)
    monkeypatch.setattr(_prepare, "_learned", lambda *_: pytest.fail("read again"))
    same(held, data.prepare(schema, memory_budget=1, folder=tmp_path / "kept"))


@pytest.fixture
def table(tmp_path):
    _table(tmp_path / "t.csv", np.random.default_rng(0))
    return data.inspect(tmp_path / "t.csv")


def test_what_was_changed_is_prepared_anew(table, tmp_path):
    asked = {"memory_budget": 1, "folder": tmp_path / "kept"}
    before = data.prepare(table, **asked)
    table.path.write_text(table.path.read_text() + "\n1e3,2,x,no")
    after = data.prepare(table, **asked)
    assert after.report.rows == before.report.rows + 1
    same(after, data.prepare(table))
    assert len([*(tmp_path / "kept").glob("*/prepared.json")]) == 2


def test_a_damaged_file_is_refused_with_what_to_delete(table, tmp_path):
    asked = {"memory_budget": 1, "folder": tmp_path / "kept"}
    data.prepare(table, **asked)
    (file,) = (tmp_path / "kept").glob("*/train-inputs.npy")
    with file.open("r+b") as opened:
        opened.seek(-1, 2)
        last = opened.read(1)
        opened.seek(-1, 2)
        opened.write(bytes([last[0] ^ 1]))
    with pytest.raises(UsageError, match=r"was changed\); delete the folder .*kept"):
        data.prepare(table, **asked)


def test_a_preparation_that_was_killed_leaves_nothing_that_is_taken(table, tmp_path, monkeypatch):
    asked = {"memory_budget": 1, "folder": tmp_path / "kept"}

    def killed(store):
        raise KeyboardInterrupt("while it closed")

    with monkeypatch.context() as patch:
        patch.setattr(_kept.OnDisk, "close", killed)
        with pytest.raises(KeyboardInterrupt, match="while it closed"):
            data.prepare(table, **asked)
    assert not [*(tmp_path / "kept").glob("*/*")]
    same(data.prepare(table, **asked), data.prepare(table))


def test_of_several_that_want_the_same_one_writes_and_the_others_wait(table, tmp_path):
    kept, written = _kept.Kept(tmp_path / "kept", table), []

    def fill(stores):
        written.append(1)
        time.sleep(0.2)
        for store in stores.values():
            store.add(torch.ones(2, 3), None, ("one", "zwölf"))
        return lambda: {"n": 2}

    with ThreadPoolExecutor(3) as pool:
        found = [each.result() for each in [pool.submit(kept.made, fill) for _ in range(3)]]
    assert len(written) == 1
    for record, parts in found:
        assert record == {"n": 2}
        assert torch.equal(parts["train"][0], torch.ones(2, 3))
        assert parts["test"][2][:] == ("one", "zwölf")
        assert parts["test"][2][-1] == "zwölf"


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux")
def test_a_map_that_is_let_go_takes_no_memory(table, tmp_path):
    inputs = data.prepare(table, memory_budget=1, folder=tmp_path / "kept").examples("train").inputs
    (file,) = (tmp_path / "kept").glob("*/train-inputs.npy")

    def held():
        maps = Path("/proc/self/smaps").read_text().partition(str(file))[2]
        return int(maps.partition("Rss:")[2].split()[0])

    before = inputs.sum()
    assert held() > 0
    let_go(inputs[3:])
    assert held() == 0
    assert inputs.sum() == before
    assert all(len(piece) <= 100 for piece in pieces(inputs, 100))
    assert held() == 0
    rows = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(0))
    found = picked(inputs, rows)
    assert held() == 0
    assert torch.equal(found, inputs.clone()[rows])
    let_go(torch.ones(3))  # nothing to let go
    assert torch.equal(picked(torch.arange(4), rows[:1] * 0), torch.zeros(1).long())


def test_statistics_by_parts_are_those_of_all_rows_in_64_bits(table):
    rows = [line.split(",") for line in table.path.read_text().splitlines()[1:]]
    prepared = data.prepare(table)
    places = [int(name.split()[1]) - 1 for name in prepared.examples("train").names]
    for i, name in enumerate("ab"):
        values = np.array([float(rows[place][i]) for place in places])
        vector = data.Preparation.of(table).vectors[name]
        for part in np.array_split(values, 17):
            vector.learn(part)
        for found in (vector, prepared.preparation.vectors[name]):
            assert found.shift == pytest.approx(values.mean(), rel=1e-14)
            assert found.scale == pytest.approx(values.std(), rel=1e-13)


def test_a_part_without_a_right_row_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(_source, "BLOCK", 64)
    rows = [f"{i / 7},{i % 7},{'no' if i % 2 else 'yes'}" for i in range(30)]
    (tmp_path / "t.csv").write_text("a,b,y\n" + ",,\n" * 20 + "\n".join(rows))
    text = data.inspect(tmp_path / "t.csv").to_toml(tmp_path).replace('"refuse"', '"skip"')
    (tmp_path / "s.toml").write_text(text.replace("test = 0.1", "test = 0.4"))
    report = data.prepare(data.read_schema(tmp_path / "s.toml")).report
    assert (report.rows, len(report.wrong), report.train + report.test) == (50, 20, 30)
