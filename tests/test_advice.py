"""What a refusal says to type is taken: it keeps the rule, and is not what was just refused."""

import ast
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import nakami
from nakami import data, recipes
from nakami.data import Examples
from nakami.recipes import alexnet_pictures, sfnn_digits, tica_patches
from nakami.recipes._word_classes import word_classes
from nakami.recurrent._over_time import rising
from nakami.results import UsageError
from nakami.zoo import three_stage
from nakami.zoo.tica import neighbourhoods

OBJECTS = data.shapes(3)
PICTURES = torch.rand(8, 3, 20, 20, generator=torch.Generator().manual_seed(0))


def crop(value):
    settings = replace(alexnet_pictures.AlexNetSettings(), crop=value)
    labels = torch.arange(8) % 2
    some = Examples(PICTURES, labels, tuple("abcdefgh"), "pixel", "made")

    class Begun(Exception):
        """It comes to its first weights."""

    class Training:
        def generator(self, name):
            raise Begun

    try:
        alexnet_pictures.train(Training(), some, some, settings)
    except Begun:
        return


def classes_held_out(value):
    names = tuple(map(str, range(9)))
    some = Examples(torch.rand(9, 1, 20, 20), torch.arange(9) % 3, names, "pixel", "made")
    return word_classes(some, value, "", 5, torch.Generator().manual_seed(0))


def drawn_of(hidden):
    settings = replace(sfnn_digits.SFNNSettings(), hidden=hidden)
    return lambda value: sfnn_digits.made(replace(settings, stochastic=tuple(value)), (1, 8, 8))


REFUSED = {  # a call with the value that is refused, and that value
    "sides of objects": (lambda v: data.scenes(OBJECTS, 1, size=(10, 10), sides=v), (14, 42)),
    "sides in the least picture": (lambda v: data.scenes(OBJECTS, 1, size=(2, 2), sides=v), (1, 1)),
    "square on a small sheet": (lambda v: neighbourhoods((2, 2), v), 3),
    "square of even side": (lambda v: neighbourhoods((5, 4), v), 2),
    "drawn of one layer": (drawn_of((200,)), (50, 50)),
    "drawn of small layers": (drawn_of((200, 9)), (50, 50)),
    "components": (lambda v: data.whitening(torch.rand(40, 9), v), 500),
    "components of wide rows": (lambda v: data.whitening(torch.rand(300, 100), v), 500),
    "maps of two stages": (lambda v: three_stage.make(fields=(5, 3), maps=v), (8, 16, 32)),
    "times": (lambda v: rising(v if isinstance(v, tuple) else (v,), 7), (1, 5, 10, 20)),
    "moves of pictures": (crop, 200),
    "classes held out": (classes_held_out, 2),
}


def advised(error):
    """The value after ``write NAME =``, ``use`` or before ``will do``."""
    (way,) = error.way_out
    text = re.sub(r"^(write \w+ ?= ?|use |pass )| will do$", "", way)
    return ast.literal_eval(text)


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_advised_is_taken(case):
    call, value = REFUSED[case]
    with pytest.raises(UsageError) as refusal:
        call(value)
    better = advised(refusal.value)
    assert better != value
    call(better)


def test_settings_that_do_not_fit_are_refused_by_their_own_names():
    small = replace(three_stage_settings(), fields=(5, 5, 30))
    with pytest.raises(
        UsageError, match=r"fields must leave 2 pixels .* in stage 3, of 4, got \(5"
    ):
        recipes.SUBJECTS["three-stage"].untrained(small)
    with pytest.raises(UsageError, match="setting crop must be less than the shorter side of the "):
        crop(20)
    white = data.dead_leaves(1, size=20)
    smooth = torch.nn.functional.interpolate(white.inputs, scale_factor=4.0, mode="bilinear")
    patches = data.patches(replace(white, inputs=smooth), 400, tica_patches.SIDE)
    with pytest.raises(UsageError, match="components must be at most") as refusal:
        data.whitening(tica_patches.without_mean(patches.inputs), 140)
    assert "eps=0.01" in str(refusal.value)
    assert "eps" not in refusal.value.worded(lambda name: None, "")  # no setting of the recipe


def three_stage_settings():
    return recipes.SUBJECTS["three-stage"].settings


def test_no_refusal_has_an_empty_way_out():
    """In the source: an empty text as the last argument of what words a refusal."""
    empty = []
    for file in Path(nakami.__file__).parent.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)) if '"")' in text else ():
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
                words = node.func.id in ("wrong", "wrong_type") or node.func.id.startswith("check_")
                last = node.args[-1]
                if words and isinstance(last, ast.Constant) and last.value == "":
                    empty.append(f"{file.name}:{node.lineno}")
    assert empty == []
