"""A subject is one file: found, listed, trained, measured and shown without touching others."""

from pathlib import Path

import pytest
import torch

from nakami import load, recipes
from nakami.results import UsageError

FILE = '''
"""A linear classifier of digits."""

from dataclasses import dataclass

import torch

from nakami import data
from nakami.recipes import Network, Recipe, error_fact
from nakami.training import Supervised
from nakami.zoo import mlp


@dataclass(frozen=True)
class Settings:
    epochs: int = 2


def train(training, train, test, settings):
    model = mlp.make((784, 6, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    training.run("all", Supervised(model, optimizer), lambda: (train.inputs, train.labels))
    return [Network("trained", model, "2 epochs of gradient descent", [error_fact(model, test)])]


ENTRY = Recipe(
    settings=Settings(),
    examples=lambda folder: (data.digits("train")[:200], data.digits("test")[:40]),
    untrained=lambda settings: mlp.make((784, 6, 10)),
    epochs=lambda settings: {"all": settings.epochs},
    train=train,
)
'''


@pytest.fixture
def more(tmp_path, monkeypatch):
    folder = tmp_path / "more"
    folder.mkdir()
    (folder / "small_mlp.py").write_text(FILE)
    monkeypatch.setattr(recipes, "__path__", [*recipes.__path__, str(folder)])
    return folder


def test_a_file_makes_a_subject_of_the_command_line(more, tmp_path, monkeypatch, capsys):
    from nakami.cli import main

    def nakami(*arguments):
        with pytest.raises(SystemExit) as end:
            main(list(arguments))
        assert end.value.code == 0
        return capsys.readouterr().out

    monkeypatch.chdir(tmp_path)
    shipped = Path(recipes.__file__).parent.glob("[!_]*.py")
    names = [file.stem.replace("_", "-") for file in shipped]
    assert list(recipes.SUBJECTS) == sorted([*names, "small-mlp"])
    assert "hidden1" in nakami("xray", "small-mlp", "--inputs", "2", "--no-page")
    run = load(tmp_path / "nakami-out/small-mlp/inputs-2/trained")
    assert (run.n_inputs, run.settings["subject"]) == (2, "small-mlp/trained")
    shown = nakami("show", "nakami-out/small-mlp/weights")
    assert "cross-entropy, nats" in shown
    nakami("xray", "small-mlp", "--inputs", "2", "--no-page", "--train-seed", "3")
    compared = nakami(
        "compare", *(f"nakami-out/small-mlp/weights{s}" for s in ("", "-train-seed-3"))
    )
    table = " ".join(compared.replace("─", "").split())
    assert table.startswith("Settings that differ setting before after seed 0 3 nakami-out"), table
    weights = load(tmp_path / "nakami-out/small-mlp/weights")
    assert f"{weights.result['phases']['all']['last_loss']:.4g}" in shown


def test_its_weights_are_those_of_the_same_loop(more, tmp_path):
    from nakami import data
    from nakami.training._random import phase_generator
    from nakami.zoo import mlp

    subject = recipes.prepare("small-mlp", tmp_path / "out", n_inputs=2, seed=5)
    model, digits = mlp.make((784, 6, 10)), data.digits("train")[:200]
    generator = phase_generator(5, "all")
    for _ in range(2):
        for rows in torch.randperm(200, generator=generator).split(100):
            model.zero_grad()
            torch.nn.functional.cross_entropy(
                model(digits.inputs[rows]), digits.labels[rows]
            ).backward()
            with torch.no_grad():
                for p in model.parameters():
                    p -= 0.1 * p.grad
    for p, q in zip(model.parameters(), subject.networks[0].model.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-6, atol=1e-8)


def test_without_the_file_there_is_no_such_subject():
    with pytest.raises(UsageError, match=r"recipe 'small-mlp' is unknown"):
        recipes.preview("small-mlp")
