"""What tests of callbacks in the trainers of Lightning and transformers share."""

import importlib
import importlib.util
import sys

import pytest
from torch import nn

EXTRAS = {"lightning": "train", "transformers": "hf"}


class Classified(nn.Module):
    """A network in the form that transformers' ``Trainer`` takes."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x, labels=None):
        logits = self.net(x)
        if labels is None:
            return {"logits": logits}
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


def callbacks(room, name):
    """The callbacks of a monitor whose libraries are installed."""
    there = {"lightning": f"Lightning{name}", "transformers": f"Trainer{name}"}
    known = [kind for library, kind in there.items() if importlib.util.find_spec(library)]
    if not known:
        pytest.skip("neither lightning nor transformers is installed")
    return [getattr(importlib.import_module(f"nakami.{room}"), kind) for kind in known]


def the_extra_is_named(monkeypatch, package, library, name):
    """Without its library the callback of a package is refused, and asked of by nobody else."""
    module = f"{package.__name__}._{library}"
    monkeypatch.delitem(sys.modules, module, raising=False)
    for missing in (library, f"{library}.pytorch"):
        monkeypatch.setitem(sys.modules, missing, None)
    text = rf"{name} needs {library}, got .*pip install 'nakami\[{EXTRAS[library]}\]' adds it"
    with pytest.raises(ImportError, match=text):
        importlib.import_module(module)
