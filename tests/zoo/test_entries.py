"""What the entries say is so, for every file of the zoo; a model is added by a file alone."""

import sys
from pathlib import Path

import pytest
import torch
from tools import zoo_page

from nakami import zoo
from nakami.results import UsageError

NEW = """
from torch import nn
from nakami.zoo import Entry

def make(*, generator=None):
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 3))

ENTRY = Entry(make, (1, 28, 28), (3,), 2355, "classification", "this test", "unit", data="digits")
"""


@pytest.mark.parametrize("name", zoo.ENTRIES)
def test_an_entry_is_true(name):
    entry, before = zoo.ENTRIES[name], torch.get_rng_state()
    model = zoo.build(name)
    assert torch.equal(torch.get_rng_state(), before)
    assert not model.training
    assert sum(p.numel() for p in model.parameters()) == entry.parameters
    x = torch.rand(1, *entry.input, generator=torch.Generator().manual_seed(0))
    x = (x * entry.tokens).long() if entry.tokens else x
    with torch.no_grad():
        assert model(x).shape == (1, *entry.output)
    assert len(entry.origin) > 5


def test_every_model_file_has_an_entry():
    files = {f.stem for f in Path(zoo.__file__).parent.glob("*.py") if f.stem[0] != "_"}
    assert {name.replace("-", "_") for name in zoo.ENTRIES} == files
    assert dict(zoo.ENTRIES.items()).keys() == set(zoo.ENTRIES)


def test_the_page_says_what_the_entries_say():
    text = zoo_page.PAGE.read_text()
    assert zoo_page.page(text) == text, "run python tools/zoo_page.py"
    assert zoo_page.page(text.replace("61,100,840", "61,100,841")) == text


@pytest.fixture
def more(tmp_path, monkeypatch):
    monkeypatch.setattr(zoo, "__path__", [*zoo.__path__, str(tmp_path)])
    yield tmp_path
    for name in ("tiny_net", "empty"):
        sys.modules.pop(f"nakami.zoo.{name}", None)
        vars(zoo).pop(name, None)


def test_a_file_adds_a_model(more):
    (more / "tiny_net.py").write_text(NEW)
    assert "tiny-net" in zoo.ENTRIES
    assert zoo.build("tiny-net")(torch.zeros(2, 1, 28, 28)).shape == (2, 3)
    assert "| `tiny-net` | 1 x 28 x 28 | 3 | 2,355 |" in zoo_page.table()


def test_a_file_without_an_entry_is_refused(more):
    (more / "empty.py").write_text("x = 1\n")
    with pytest.raises(
        TypeError, match=r"nakami\.zoo\.empty\.ENTRY must be of type Entry, got NoneType"
    ):
        dict(zoo.ENTRIES.items())
    known = f"nearest of {len(zoo.ENTRIES)}: 'empty'"
    with pytest.raises(UsageError, match=f"model 'emty' is unknown; {known}"):
        zoo.build("emty")
