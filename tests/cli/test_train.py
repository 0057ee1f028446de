"""``nakami train``: settings from files and options, weights, what is refused."""

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file

TINY = ("--set", "hidden=8,6", "--set", "pretrain_epochs=1", "--set", "finetune_epochs=1")
FOLDER = Path("nakami-out/dbn-digits/weights-set-hidden-8+6,pretrain_epochs-1,finetune_epochs-1")


@pytest.fixture
def train(nakami, here):
    def run(*arguments, code=0):
        outcome = nakami("train", *arguments)
        assert outcome.code == code, outcome.err
        return outcome

    return run


def test_weights_figures_and_the_settings_that_made_them(train, nakami):
    seen = train("dbn-digits", *TINY)
    assert "layer1" in seen.out
    assert "test error" in seen.out
    first = load_file(FOLDER / "networks/finetuned.safetensors")
    assert first["linear1.weight"].shape == (8, 784)
    again = train("dbn-digits", "--settings", FOLDER / "settings.toml", "--json")
    body = json.loads(again.out)
    assert body["weights"]["finetuned"] == str(FOLDER / "networks/finetuned.safetensors")
    assert body["networks"]["finetuned"]["facts"]["test error"]["value"] > 10
    assert "finetuned" in nakami("show", FOLDER).out


def test_settings_printed_are_settings_read(train):
    Path("my.toml").write_text(train("sdae-digits", "--print-settings", "--seed", 5).out)
    assert "# Share of the entries" in Path("my.toml").read_text()
    seen = train(
        "sdae-digits", "--settings", "my.toml", "--print-settings", "--set", "noise=0.5",
        "--set", "hidden=[7]",
    )  # fmt: skip
    assert "noise = 0.5" in seen.out
    assert "hidden = [7]" in seen.out
    assert "seed = 5" in seen.out
    assert not Path("nakami-out").exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("btch=3", "setting 'btch' is unknown; nearest of 7: 'batch'."),
        ("batch=0", "setting batch must be a whole number from 1 on, got 0; write batch = 100, "),
        ("batch=x", "setting batch must be a whole number from 1 on, got 'x'; write batch"),
        ("momentum=1", "setting momentum must be a number from 0 to 1, not 1, got 1; write"),
        ("hidden=[]", "setting hidden must be a list of at least one, got []; write hidden"),
        ("batch", "--set must be NAME=VALUE, got 'batch'; write --set batch=50."),
        ("seed=-1", "seed must be a whole number from 0 to 2^64 - 1, got -1; 0 is the default."),
    ],
)
def test_wrong_settings_are_refused_in_a_sentence(train, text, expected):
    assert expected in train("dbn-digits", "--set", text, code=2).err
    assert not Path("nakami-out").exists()
