"""Settings of every recipe: printed with their meaning, read back to the same values."""

import hashlib
import inspect
import itertools
import math
import re
import tomllib
from collections import Counter
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Annotated, Literal, get_args, get_type_hints

import numpy as np
import pytest

from checks import neighbour
from nakami import recipes
from nakami.recipes import Bounds, as_toml, read_settings, typed_setting, with_values
from nakami.recipes._settings import _meanings, contents
from nakami.results import UsageError


@pytest.mark.parametrize("name", recipes.SUBJECTS)
def test_every_setting_has_a_meaning_and_comes_back_from_its_file(name, tmp_path):
    settings = recipes.SUBJECTS[name].settings
    text = as_toml(settings, 7, ["head"])
    assert text.startswith("# head\n\n# ")
    assert {f.name for f in fields(settings)} == set(_meanings(settings)), "one has no meaning"
    (tmp_path / "a.toml").write_text(text)
    found = read_settings(tmp_path / "a.toml")
    assert found.pop("seed") == 7
    assert with_values(settings, found) == settings


@pytest.mark.parametrize("name", recipes.SUBJECTS)
def test_meanings_are_whole_sentences_of_the_docstring(name):
    settings = recipes.SUBJECTS[name].settings
    meanings = _meanings(settings)
    assert [text for text in meanings.values() if not text.endswith(".")] == []
    said = (inspect.getdoc(type(settings)) or "").partition("Attributes:")[2].replace("``", "")
    own = [name for name in meanings if re.search(rf"\b{name}: ", said)]
    cut = Counter(" ".join(f"{name}: {meanings[name]}" for name in own).split())
    assert cut == Counter(said.split()), "a word is lost, or stands at two settings"


@pytest.mark.parametrize("name", recipes.SUBJECTS)
def test_meanings_stand_alone(name):
    lines = recipes.as_toml(recipes.SUBJECTS[name].settings).splitlines()
    assert not [line for line in lines if line.startswith("# ") and line[2].islower()]


def test_the_name_of_a_setting_within_a_sentence_begins_no_other():
    found = _meanings(recipes.SUBJECTS["lenet-digits"].settings)
    assert found["pooling"] == "Of both convolutions."
    assert found["normalisation"] == "Before pooling: local contrast, local response, or none."


def bounds_of(hint):
    """Those named anywhere in an annotation."""
    found = [part for part in get_args(hint) if isinstance(part, Bounds)]
    return found + [b for part in get_args(hint) for b in bounds_of(part)]


EVERY = {Bounds(), Bounds(2, 5, (3,)), Bounds(0, 1, (0,)), Bounds(0, without=(0, 3))} | {
    bounds
    for name in recipes.SUBJECTS
    for hint in get_type_hints(type(recipes.SUBJECTS[name].settings), include_extras=True).values()
    for bounds in bounds_of(hint)
}


@pytest.mark.parametrize("bounds", sorted(EVERY, key=repr), ids=str)
def test_the_words_of_bounds_hold_what_the_bounds_hold(bounds):
    words = bounds.worded("a number")
    least, most = (re.search(rf"{word} (-?[\d.]+)", words) for word in ("(?:from|above)", "to"))
    assert least
    without = [float(x) for x in re.findall(r"-?[\d.]+", words.partition("not ")[2])]
    without += [float(least[1])] if "above" in words else []
    ends = (bounds.least, bounds.most, *bounds.without)
    for end, step in itertools.product(ends, (-1, -0.5, 0, 0.5, 1)):
        if math.isfinite(end):
            inside = float(least[1]) <= end + step <= (float(most[1]) if most else math.inf)
            assert bounds.holds(end + step) == (inside and end + step not in without), words


@dataclass(frozen=True)
class All:
    """One of each kind.

    Attributes:
        count, other: Two of one meaning. rate: Of learning: fast.
        share: Between.
        kind: A word.
    """

    count: int = 3
    other: int = 0
    rate: float = 1e-05
    share: Annotated[float, Bounds(-1, 1, without=(0,))] = 0.5
    kind: Literal["a", "b"] = "a"
    sizes: tuple[int, ...] = (3, 2)
    words: tuple[str, ...] = ("x",)
    pair: tuple[float, float] = (0.5, 1.0)
    flag: bool = True
    most: int | None = None
    text: str = 'say "é"'


def test_values_of_each_kind_go_to_the_file_and_back():
    other = All(1, 2, 2.0, -1.0, "b", (1,), ("y z", "w"), (1.0, 2.0), False, 4, "\\")
    for settings in (All(), other):
        found = tomllib.loads(as_toml(settings))
        found.pop("seed")
        assert with_values(All(), found) == settings
    text = as_toml(All())
    assert "# Two of one meaning. A whole number from 0 on.\nother = 0" in text
    assert "# Of learning: fast. A number from 0 on.\nrate = 1e-05" in text
    assert "# Between. A number from -1 to 1, not 0.\nshare = 0.5" in text
    assert '# A word. One of "a", "b".\nkind = "a"' in text
    assert "# A list of one or more, each a whole number from 0 on.\nsizes = [3, 2]" in text
    assert '# A whole number from 0 on or "none".\nmost = "none"' in text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("count=4", 4),
        ("rate=1", 1.0),
        ("sizes=5", (5,)),
        ("sizes=5,6", (5, 6)),
        ("sizes=[5]", (5,)),
        ("words=a", ("a",)),
        ("pair=1,2", (1.0, 2.0)),
        ("kind=b", "b"),
        ("flag=false", False),
        ("most=none", None),
        ("most=2", 2),
        ("text=free words", "free words"),
        ("text = a=b", "a=b"),
    ],
)
def test_a_typed_setting_becomes_the_value(text, value):
    name, given = typed_setting(text)
    found = getattr(with_values(All(), {name: given}), name)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("share=0", "setting share must be a number from -1 to 1, not 0, got 0; write share = 0.5"),
        ("share=inf", "from -1 to 1, not 0, got inf"),
        (
            "kind=c",
            'setting kind must be one of "a", "b", got \'c\'; write kind = "a", its default',
        ),
        ("flag=1", "setting flag must be true or false, got 1; write flag = true, its default"),
        ("text=3", "setting text must be a text, got 3"),
        (
            "sizes=2.5",
            "setting sizes must be a list of one or more, each a whole number from 0 on, got 2.5",
        ),
        (
            "most=-1",
            "setting most must be a whole number from 0 on or .none., got -1; write most = .none.",
        ),
        ("shar=1", "setting 'shar' is unknown; nearest of 11: 'share'"),
        ("=3", "set must be NAME=VALUE, got '=3'"),
    ],
)
def test_what_a_setting_does_not_take_is_refused_by_name(text, message):
    with pytest.raises(UsageError, match=message):
        with_values(All(), dict([typed_setting(text)]))


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("a.json", "[1]", "settings must hold values by name, got list"),
        ("a.json", "{", "a.json cannot be read as JSON .*; write one setting a line"),
        ("a.toml", "batch", "a.toml cannot be read as TOML"),
        ("a.txt", "", "settings must be a file that ends in .toml or .json, got "),
    ],
)
def test_a_file_that_holds_no_settings_is_refused(tmp_path, file, text, message):
    (tmp_path / file).write_text(text)
    with pytest.raises(UsageError, match=message):
        read_settings(tmp_path / file)


def test_a_list_may_need_more_entries_than_one():
    usual = recipes.SUBJECTS["dbm-digits"].settings
    message = r"setting hidden must be a list of two or more, each a whole number from 1 on, got 3"
    with pytest.raises(UsageError, match=message):
        recipes.with_values(usual, {"hidden": 3})
    assert recipes.with_values(usual, {"hidden": [3, 4]}).hidden == (3, 4)


def test_a_file_that_a_setting_names_is_known_by_its_contents(tmp_path):
    recipe = recipes.SUBJECTS["devise-shapes"]
    file = tmp_path / "words.txt"
    with pytest.raises(UsageError, match="setting words must be the path of a file, or empty"):
        with_values(recipe.settings, {"words": str(file)})
    file.write_text("red 1 0\n")
    settings = with_values(recipe.settings, {"words": str(file)})
    first = contents(settings)
    assert first == {"words_sha256": hashlib.sha256(b"red 1 0\n").hexdigest()[:16]}
    file.write_text("red 0 1\n")
    assert contents(settings) != first
    assert contents(recipe.settings) == {}
    assert "The path of a file, or empty." in as_toml(settings)


def test_another_file_at_the_same_path_is_another_training(tmp_path):
    tiny = neighbour("recipes", "test_every_recipe").TINY["devise-shapes"]
    words, x = tmp_path / "words.npz", np.zeros((40, 1, 16, 16), np.float32)
    np.savez(tmp_path / "x.npz", x=x, y=np.arange(40) % 2)
    settings = replace(recipes.SUBJECTS["devise-shapes"].settings, **tiny, words=str(words))
    for rows in (np.eye(2), np.eye(2)[::-1]):
        np.savez(words, words=["0", "1"], vectors=rows)
        asked = partial(recipes.prepare, "devise-shapes", tmp_path / "run",
                        data=tmp_path / "x.npz", n_inputs=1, settings=settings)  # fmt: skip
        if rows[0, 0]:
            asked()
        else:
            with pytest.raises(UsageError, match="words_sha256"):
                asked()
