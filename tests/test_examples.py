"""The scripts of ``examples/``, walked at a small size from raw files to an answer."""

import hashlib
import os
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from nakami import data
from nakami.cli import main

pytest.importorskip("pyarrow")
pytest.importorskip("soundfile")
pytest.importorskip("lightning")

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
# of each: its size here, and the share of right answers on test rows that it must pass
SIZES = {
    "photographs": (240, 0.7),
    "sensors": (600, 0.9),
    "sounds": (120, 0.8),
    "texts": (500, 0.8),
}


@dataclass(frozen=True)
class Walk:
    """An example in a folder of its own, walked up to its export; ``go_on`` types the rest."""

    name: str
    run: Path
    go_on: Callable[[], str]

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self.run.parents[2]

    def network(self) -> torch.nn.Module:
        """The example's own network with its trained weights, without nakami."""
        net = runpy.run_path(str(self.folder / "nets.py"))["make"]()
        net.load_state_dict(load_file(self.run / "networks/trained.safetensors"))
        return net.eval()


def commands(name: str) -> list[str]:
    """The lines of an example that do something, as they are typed."""
    head, tail = (EXAMPLES / name / "example.sh").read_text().split("set -x\n")
    lines = [line for line in head.splitlines() if line.startswith("python ")]
    return lines + [line for line in tail.splitlines() if line and not line.startswith("#")]


def with_own_python() -> dict[str, str]:
    """Surroundings in which ``python`` and ``nakami`` are those of this process."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {**os.environ, "PATH": path}


def typed(line: str, folder: Path, size: int) -> str:
    """Type a line; commands of nakami in this process, which has imported all that they need."""
    line = line.replace("trained-web", "trained-onnx").removesuffix(" --to web")  # npm may be away
    if line.startswith("nakami "):
        with pytest.raises(SystemExit) as stop:
            main(shlex.split(line)[1:])
        assert stop.value.code == 0, line
        return ""
    script = ["bash", "-ec", line, "example.sh", str(size)]
    done = subprocess.run(
        script, cwd=folder, env=with_own_python(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module", params=SIZES)
def walk(request, tmp_path_factory) -> Iterator[Walk]:
    """Each example up to its export."""
    name, size = request.param, SIZES[request.param][0]
    folder = shutil.copytree(EXAMPLES, tmp_path_factory.mktemp(name) / "examples") / name
    lines = commands(name)
    export = next(i for i, line in enumerate(lines) if line.startswith("nakami export"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.path", sys.path.copy())
        patch.setattr("nakami.export._latency.SECONDS", 0.01)
        patch.chdir(folder)
        for line in lines[:export]:
            typed(line, folder, size)
        run = next(folder.glob("nakami-out/*/weights-*"))
        yield Walk(name, run, lambda: "".join(typed(line, folder, size) for line in lines[export:]))
    sys.modules.pop("nets", None)


def raw_rows(path: Path) -> dict[str, bytes]:
    """Contents of the rows of a file or folder, by the names that nakami gives them."""
    if path.is_dir():
        return {str(f.relative_to(path)): f.read_bytes() for f in path.rglob("*.*")}
    lines = path.read_bytes().splitlines()
    if path.suffix == ".csv":
        return {f"row {i}": line for i, line in enumerate(lines[1:], 1)}
    return {f"line {i}": line for i, line in enumerate(lines, 1)}


def rows_tested_on(schema: data.Schema) -> set[bytes]:
    """Contents of the rows to test on."""
    rows = raw_rows(schema.path)
    return {rows[name] for name in data.prepare(schema).examples("test").names}


def reorder(path: Path) -> None:
    """Shuffle the rows of a table below its head, or rename the files of a folder."""
    if path.is_dir():
        for i, file in enumerate(sorted(path.rglob("*.*"), key=lambda f: hash_of(f.name.encode()))):
            file.rename(file.with_stem(f"again-{i:04}"))
        return
    lines = path.read_bytes().splitlines()
    head = 1 if path.suffix == ".csv" else 0
    rows = sorted(lines[head:], key=hash_of)
    path.write_bytes(b"\n".join([*lines[:head], *rows]) + b"\n")


def hash_of(row: bytes) -> str:
    """An order that has nothing to do with the rows'."""
    return hashlib.sha256(row).hexdigest()


def prepared(given: object, preparation: data.Preparation) -> torch.Tensor:
    """One raw row, or one file or text, as the network takes it, by nakami's own preparation."""
    names = [column.name for column in preparation.schema.used("input")]
    row = given if isinstance(given, dict) else dict.fromkeys(names, given)
    return torch.cat([preparation.vectors[name].apply([row[name]]) for name in names], 1)


def test_raw_files_become_a_network_that_is_right_more_often_than_chance(walk):
    schema = data.read_schema(next(walk.folder.glob("*.toml")))
    test = data.prepare(schema).examples("test")
    right = walk.network()(test.inputs).argmax(1) == test.labels
    most = test.labels.bincount().max() / len(test)
    assert right.float().mean() > SIZES[walk.name][1] > most
    assert (walk.run / "report.html").is_file()
    assert len(list(walk.run.parent.glob("data-*/report.html"))) == 1  # of the x-ray


def test_the_rows_to_test_on_are_the_same_in_any_order(walk, tmp_path):
    file = next(walk.folder.glob("*.toml"))
    path = walk.folder / data.read_schema(file).path.name
    (shutil.copytree if path.is_dir() else shutil.copy)(path, tmp_path / path.name)
    schema = data.read_schema(shutil.copy(file, tmp_path))
    before = rows_tested_on(schema)
    names = data.prepare(schema).examples("test").names
    assert len(before) > 5
    reorder(schema.path)
    assert rows_tested_on(schema) == before
    assert data.prepare(schema).examples("test").names != names


def test_the_exported_file_answers_a_raw_row_as_torch_does(walk):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    said = walk.go_on()
    session = onnxruntime.InferenceSession(str(next(walk.run.glob("export/*/model.onnx"))))
    about = session.get_modelmeta().custom_metadata_map
    answer = runpy.run_path(str(walk.folder / "answer.py"))
    given, preparation = answer["GIVEN"], data.read_preparation(walk.run / "preparation.json")
    (found,) = session.run(None, answer["inputs_of"](given, about))
    expected = walk.network()(prepared(given, preparation))
    torch.testing.assert_close(torch.from_numpy(found), expected, rtol=0, atol=1e-4)
    label = preparation.classes[int(expected.argmax())]
    assert f"answer: {label} (" in said
    assert "right answers on test rows: " in said
    assert "largest difference of trained-onnx from torch: " in said


@pytest.mark.slow
@pytest.mark.parametrize("name", SIZES)
def test_the_script_itself_runs_to_its_end(name, tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    if name == "photographs" and shutil.which("npm") is None:
        pytest.skip("npm is not installed, which fetches onnxruntime-web")
    folder = shutil.copytree(EXAMPLES, tmp_path / "examples")
    done = subprocess.run(
        ["bash", folder / name / "example.sh", str(SIZES[name][0])],
        env=with_own_python(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "\nanswer: " in done.stdout
    assert done.stdout.count("\npage: ") == 2
