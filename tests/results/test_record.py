"""Runs of every kind are written by rename, continued, refused, read and compared."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from checks import Killed
from nakami.results import (
    KINDS,
    Outcome,
    RecordFolder,
    SpectrumEnding,
    UsageError,
    compare,
    holds,
    load,
    plain,
    read_record,
    write_whole,
)

SETTINGS = {"seed": 0, "data": {"name": "digits"}}


def test_a_run_is_written_and_read(tmp_path):
    folder = RecordFolder(tmp_path, "lr", SETTINGS)
    assert not folder.has("layer 1")
    folder.write("layer 1", {"loss": 2.0}, {"w": np.eye(2).T}, seconds=1.5)
    assert folder.has("layer 1")
    assert np.array_equal(folder.read("layer 1").arrays["w"], np.eye(2))
    assert load(tmp_path).result == {}  # unfinished
    folder.finish({"limit": 3.0})
    record = load(tmp_path)
    assert (record.kind, record.result["limit"], record.settings["seed"]) == ("lr", 3.0, 0)
    (piece,) = record.pieces()
    assert (piece.record, piece.seconds) == ({"loss": 2.0}, 1.5)
    assert not list(tmp_path.rglob("*.part"))


def test_the_same_settings_continue_and_others_are_refused(tmp_path):
    RecordFolder(tmp_path, "lr", SETTINGS).write("a", {})
    assert RecordFolder(tmp_path, "lr", SETTINGS).has("a")
    with pytest.raises(
        UsageError, match=r"data\.name must be as in the run .*got 'x'; pass another"
    ):
        RecordFolder(tmp_path, "lr", {**SETTINGS, "data": {"name": "x"}})
    RecordFolder(tmp_path, "lr", {"seed": 1}, fresh=True)
    assert read_record(tmp_path).settings["seed"] == 1


def test_a_kind_says_with_which_settings_a_run_begins_anew(tmp_path):
    old, new = ({**SETTINGS, "versions": {"torch": v}} for v in ("1", "2"))
    for kind, renewed in (("lr", True), ("xray", False), ("training", None)):
        path = tmp_path / kind
        RecordFolder(path, kind, old).write("a", {})
        assert RecordFolder(path, kind, old).has("a")
        if renewed is False:
            with pytest.raises(UsageError, match=r"versions\.torch must be as in the run"):
                RecordFolder(path, kind, new)
            continue
        folder = RecordFolder(path, kind, new)
        assert folder.has("a") is not renewed
        assert read_record(path).settings["versions"]["torch"] == ("2" if renewed else "1")
        with pytest.raises(UsageError, match=r"seed must be as in the run"):
            RecordFolder(path, kind, {**old, "seed": 1})


def test_a_folder_of_another_kind_is_refused(tmp_path):
    RecordFolder(tmp_path, "lr", SETTINGS)
    with pytest.raises(UsageError, match=r"out must hold a run of kind init, got lr; pass another"):
        RecordFolder(tmp_path, "init", SETTINGS)


def test_parts_are_made_once_and_read_back_equal(tmp_path):
    kept = Outcome(SpectrumEnding.ABOVE, {"above": 1, "values": np.inf, "tol": 1e-4})
    part = {"a": (1, 2.5, -np.inf, None, True, "x"), "b": [kept, {}], "c": {"tuple": ()}}
    made = []
    for _ in range(2):
        folder = RecordFolder(tmp_path, "lr", SETTINGS)
        assert folder.kept("some part", lambda: (made.append(1), part)[1]) == part
    assert len(made) == 1
    with pytest.raises(TypeError, match=r"a part of a run must hold no ndarray; turn it into a"):
        folder.kept("other", lambda: np.ones(2))
    for odd in ("os:system", "nakami.results:load", "nakami.cli._app:app"):
        folder.write("bad", {"part": {"type": odd}})
        with pytest.raises(UsageError, match=r"piece bad of .* is damaged .* is no type"):
            folder.kept("bad", dict)


def test_what_a_folder_holds_is_told_without_writing(tmp_path):
    assert not holds(tmp_path / "none", "lr", SETTINGS, ())
    RecordFolder(tmp_path, "lr", SETTINGS).write("a", {})
    assert holds(tmp_path, "lr", SETTINGS, ["a"])
    assert not holds(tmp_path, "lr", SETTINGS, ["a", "b"])
    assert not holds(tmp_path, "lr", {**SETTINGS, "seed": 1}, ["a"])
    assert not holds(tmp_path, "init", SETTINGS, ["a"])
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_newer_layouts_of_every_kind_are_refused(kind, tmp_path):
    write_whole(tmp_path / "run.json", json.dumps({"schema": f"nakami.{kind}/99"}))
    with pytest.raises(
        UsageError, match=f"schema must be at most 'nakami.{kind}/{KINDS[kind].version}', .* upd"
    ):
        load(tmp_path)


def test_a_result_alone_is_of_an_older_nakami(tmp_path):
    write_whole(tmp_path / "result.json", "{}")
    with pytest.raises(UsageError, match=r"hold a run\.json, got .*older nakami wrote; start the"):
        load(tmp_path)


def test_numbers_are_compared_side_by_side(tmp_path):
    for name, limit in (("a", 1.0), ("b", 2.0)):
        body = {"limit": limit, "rate": {"advised": 3, "text": "x"}, "curve": [1.0], "on": True}
        RecordFolder(tmp_path / name, "lr", SETTINGS).finish(body)
    changes = compare(tmp_path / "a", tmp_path / "b")
    assert changes.numbers == (("limit", 1.0, 2.0), ("rate.advised", 3, 3))
    assert changes.settings == ()
    RecordFolder(tmp_path / "c", "init", SETTINGS)
    with pytest.raises(UsageError, match="after must be of the kind of before, lr, got init; give"):
        compare(tmp_path / "a", tmp_path / "c")


def test_a_file_is_whole_or_not_there(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "a.json"
    assert write_whole(path, "é").read_bytes() == "é".encode()
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError("cut")))
    with pytest.raises(RuntimeError, match=r"writing .*a\.json failed"):
        write_whole(path, b"other")
    assert path.read_bytes() == "é".encode()
    assert not list(tmp_path.rglob("*.part"))


def test_numbers_of_any_library_are_plain():
    torch = pytest.importorskip("torch")
    body = plain({"a": np.float32(2), "b": torch.ones(2), "c": float("nan"), "d": (np.int64(1),)})
    assert json.dumps(body) == '{"a": 2.0, "b": [1.0, 1.0], "c": null, "d": [1]}'


def test_settings_of_any_library_continue_the_same_run(tmp_path):
    RecordFolder(tmp_path, "lr", {"seed": 2, "shape": (1, 2)}).write("a", {})
    assert RecordFolder(tmp_path, "lr", {"seed": np.int64(2), "shape": np.array([1, 2])}).has("a")
    assert holds(tmp_path, "lr", {"seed": np.int64(2), "shape": [1, 2]}, ["a"])


def killed_at(monkeypatch, step, work):
    """Run ``work`` until its operation number ``step`` on the disk; whether there was one."""
    steps = iter(range(step + 1))

    def until(call):
        def counted(*arguments, **options):
            if next(steps, step) == step:
                raise Killed
            return call(*arguments, **options)

        return counted

    with monkeypatch.context() as patched:
        for place, name in [
            *((Path, n) for n in ("mkdir", "replace", "unlink", "write_bytes")),
            *((os, n) for n in ("rmdir", "unlink", "link")),
        ]:
            patched.setattr(place, name, until(getattr(place, name)))
        try:
            work()
        except Killed:
            return True
    return False


@pytest.mark.parametrize("place", [-3, 10])
def test_a_flipped_byte_in_a_piece_is_seen(tmp_path, place):
    RecordFolder(tmp_path, "lr", SETTINGS).write("a", {"value": 1.5}, {"v": np.arange(40.0)})
    for file, changed in [
        ("arrays.safetensors", None),
        ("result.json", b"2.5"),  # another number in the place of 1.5
    ]:
        path = tmp_path / "pieces" / "a" / file
        whole = path.read_bytes()
        flipped = bytearray(whole)
        flipped[place] ^= 1
        path.write_bytes(whole.replace(b"1.5", changed) if changed else flipped)
        with pytest.raises(UsageError, match=r"piece a of .* is damaged .*; delete that folder"):
            list(load(tmp_path).pieces())
        path.write_bytes(whole)
    (piece,) = load(tmp_path).pieces()
    assert piece.record == {"value": 1.5}


TWO = """
import sys
from pathlib import Path
from nakami.results import RecordFolder, UsageError

name, other, folder = *sys.argv[1:3], Path(sys.argv[3])
for run in range(30):
    (folder / f"{name} {run}").touch()
    while not (folder / f"{other} {run}").exists():
        pass
    try:
        held = RecordFolder(folder / str(run), "lr", {"seed": 0, "subject": name})
        print("begun", held.settings["subject"])
    except UsageError as error:
        print(error)
"""


def test_of_two_processes_in_a_new_folder_one_begins_the_run(tmp_path):
    names = ("one", "two")
    both = [
        subprocess.Popen(
            [sys.executable, "-c", TWO, name, other, tmp_path], stdout=subprocess.PIPE, text=True
        )
        for name, other in (names, names[::-1])
    ]
    said = [process.communicate(timeout=60)[0].splitlines() for process in both]
    for run in range(30):
        held = read_record(tmp_path / str(run)).settings["subject"]
        for name, lines in zip(names, said, strict=True):
            refused = f"subject must be as in the run that .*{run} holds, {held!r}, got {name!r}"
            assert re.match(f"begun {held}" if name == held else refused, lines[run]), said
    assert not list(tmp_path.rglob("*.part"))


def test_the_loser_of_a_race_reads_what_the_winner_wrote(tmp_path, monkeypatch):
    winner = RecordFolder(tmp_path, "lr", SETTINGS)
    there = Path.exists
    monkeypatch.setattr(Path, "exists", lambda p: p.name != "run.json" and there(p))  # not yet
    for other, refused in [(SETTINGS, False), ({**SETTINGS, "seed": 1}, True)]:
        monkeypatch.setattr(os, "link", lambda *_: (monkeypatch.undo(), os.link(*_)))
        if refused:
            with pytest.raises(UsageError, match=r"seed must be as in the run that .* 0, got 1"):
                RecordFolder(tmp_path, "lr", other)
        else:
            assert RecordFolder(tmp_path, "lr", other).settings == winner.settings
        monkeypatch.setattr(Path, "exists", lambda p: p.name != "run.json" and there(p))


def test_a_kill_at_any_moment_leaves_whole_pieces_of_one_run(tmp_path, monkeypatch):
    def work():
        folder = RecordFolder(path, "lr", SETTINGS, fresh=True)
        for name, value in (("a", 1), ("a", 2), ("b", 3)):  # "a" is replaced
            folder.write(name, {"value": value}, {"v": np.full(2, value)})
        folder.discard("b")
        folder.finish({"limit": 3.0})
        other = RecordFolder(path, "lr", {"seed": 1}, fresh=True)
        assert not list((path / "pieces").glob("*"))
        other.finish({"limit": 4.0})

    step = 0
    path = tmp_path / "0"
    while killed_at(monkeypatch, step, work):
        if (path / "run.json").exists():
            record = load(path)
            pieces = list(record.pieces())
            assert all((p.arrays["v"] == p.record["value"]).all() for p in pieces), step
            assert not pieces or record.settings["seed"] == 0, step
            assert record.result.get("limit") in (None, 3.0 + record.settings["seed"]), step
        work()  # and the same command ends as if nothing had happened
        assert load(path).result["limit"] == 4.0
        step += 1
        path = tmp_path / str(step)
    assert step > 30


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("result.json", "[1]"),
        ("result.json", "3"),
        ("timing.json", "{"),
        ("timing.json", "{}"),
        ("timing.json", '{"seconds": null}'),
        ("arrays.safetensors", ""),
    ],
)
def test_damage_in_a_piece_is_said(tmp_path, file, content):
    folder = RecordFolder(tmp_path, "lr", SETTINGS)
    folder.write("a", {}, {"v": np.ones(2)})
    (tmp_path / "pieces" / "a" / file).write_text(content)
    with pytest.raises(UsageError, match=r"piece a of .* is damaged .*; delete that folder"):
        folder.read("a")


@pytest.mark.parametrize("content", ["[1]", "3", "null", "{"])
def test_damage_in_a_run_is_said(tmp_path, content):
    write_whole(tmp_path / "run.json", content)
    with pytest.raises(UsageError, match=r"run\.json in .* cannot be read .*; choose another"):
        load(tmp_path)


@pytest.mark.parametrize("stages", [{}, {"stages": 3}, {"stages": [{"name": 1}]}, {"stages": [[]]}])
def test_settings_that_are_no_x_rays_are_said(tmp_path, stages):
    write_whole(tmp_path / "run.json", json.dumps({"schema": "nakami.xray/1", **stages}))
    with pytest.raises(UsageError, match=r"the run in .* is damaged \(.*\); delete that folder"):
        load(tmp_path)


def test_a_run_without_pieces_has_no_folder_for_them(tmp_path):
    RecordFolder(tmp_path, "theory", SETTINGS).finish({"value": 1.0})
    assert {path.name for path in tmp_path.iterdir()} == {"run.json", "result.json"}
    again = RecordFolder(tmp_path, "theory", {"seed": 1}, fresh=True)
    again.write("part", {})
    RecordFolder(tmp_path, "theory", SETTINGS, fresh=True)
    assert {path.name for path in tmp_path.iterdir()} == {"run.json"}


def test_arrays_come_back_in_order_of_names(tmp_path):
    """safetensors draws an order anew in each process."""
    names = [f"w{i}" for i in range(9)]
    folder = RecordFolder(tmp_path, "lr", SETTINGS)
    arrays = {name: np.array([i]) for i, name in enumerate(names)}
    folder.write("one", {}, dict(reversed(arrays.items())), seconds=0.0)
    assert list(folder.read("one").arrays) == names
