"""The scripts of ``examples/``, walked at a small size from raw files to an answer."""

import random
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from nakami import data
from nakami.cli import main

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
# of each: its size here, and the share of right answers on test rows that it must pass
SIZES = {"sensors": (600, 0.9)}


def commands(name: str) -> list[str]:
    """The lines of an example that do something, as they are typed."""
    text = (EXAMPLES / name / "example.sh").read_text()
    head, tail = text.split("set -x\n")
    lines = [line for line in head.splitlines() if line.startswith("python ")]
    return lines + [line for line in tail.splitlines() if line and not line.startswith("#")]


@pytest.fixture
def walk(tmp_path, monkeypatch):
    """Type an example's commands in a copy of it, those of nakami in this process."""
    monkeypatch.setattr("sys.path", sys.path.copy())
    monkeypatch.setattr("nakami.export._latency.SECONDS", 0.01)
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    said = []

    def typed(line: str, size: int) -> None:
        if line.startswith("nakami "):
            with pytest.raises(SystemExit) as stop:
                main(shlex.split(line)[1:])
            assert stop.value.code == 0, line
        else:
            script = ["bash", "-ec", line, "example.sh", str(size)]
            done = subprocess.run(script, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            said.append(done.stdout)

    def walked(name: str, *, export: bool) -> tuple[Path, str]:
        folder = tmp_path / "examples" / name
        monkeypatch.chdir(folder)
        for line in commands(name):
            if line.startswith("nakami export") and not export:
                break
            typed(line, SIZES[name][0])
        return next(folder.glob("nakami-out/*/weights-*")), "".join(said)

    yield walked
    sys.modules.pop("nets", None)


def rows_tested_on(folder: Path) -> set[str]:
    """Contents of the rows to test on, found in the file by their numbers."""
    schema = data.read_schema(next(folder.glob("*.toml")))
    names = data.prepare(schema).examples("test").names
    lines = schema.path.read_text().splitlines()
    return {lines[int(name.removeprefix("row "))] for name in names}


def reorder(file: Path) -> None:
    """Shuffle the rows below the first."""
    head, *rows = file.read_text().splitlines()
    random.Random(1).shuffle(rows)
    file.write_text("\n".join([head, *rows]) + "\n")


def own_network(run: Path) -> torch.nn.Module:
    """The example's own network with its trained weights, without nakami."""
    net = runpy.run_path(str(run.parents[2] / "nets.py"))["make"]()
    net.load_state_dict(load_file(run / "networks/trained.safetensors"))
    return net.eval()


def prepared(given: dict, preparation: data.Preparation) -> torch.Tensor:
    """One raw row as the network takes it, by nakami's own preparation."""
    names = [column.name for column in preparation.schema.used("input")]
    return torch.cat([preparation.vectors[name].apply([given[name]]) for name in names], 1)


@pytest.mark.parametrize("name", SIZES)
def test_raw_files_become_a_network_that_is_right_more_often_than_chance(walk, name):
    run, _ = walk(name, export=False)
    folder, least = run.parents[2], SIZES[name][1]
    schema = data.read_schema(next(folder.glob("*.toml")))
    test = data.prepare(schema).examples("test")
    right = own_network(run)(test.inputs).argmax(1) == test.labels
    most = test.labels.bincount().max() / len(test)
    assert right.float().mean() > least > most
    assert (run / "report.html").is_file()
    assert len(list(run.parent.glob("data-*/report.html"))) == 1  # of the x-ray
    before = rows_tested_on(folder)
    reorder(schema.path)
    assert rows_tested_on(folder) == before


@pytest.mark.parametrize("name", SIZES)
def test_the_exported_file_answers_a_raw_row_as_torch_does(walk, name):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    run, said = walk(name, export=True)
    session = onnxruntime.InferenceSession(str(next(run.glob("export/*/model.onnx"))))
    about = session.get_modelmeta().custom_metadata_map
    answer = runpy.run_path(str(run.parents[2] / "answer.py"))
    given, preparation = answer["GIVEN"], data.read_preparation(run / "preparation.json")
    (found,) = session.run(None, answer["inputs_of"](given, about))
    expected = own_network(run)(prepared(given, preparation))
    torch.testing.assert_close(torch.from_numpy(found), expected, rtol=0, atol=1e-4)
    label = preparation.classes[int(expected.argmax())]
    assert f"answer: {label} (" in said
    assert "right answers on test rows: " in said
    assert "largest difference of trained-onnx from torch: " in said
