"""Entries of a package: listed without an import, loaded by name, refused where they lack."""

import subprocess
import sys

import pytest

from nakami.results import Entries, UsageError


@pytest.fixture
def fruits(tmp_path, monkeypatch):
    """A package of two entries, a private module, and one module without an entry."""
    folder = tmp_path / "fruits"
    folder.mkdir()
    files = {
        "__init__": "", "_tools": "raise RuntimeError", "apple": "ENTRY = 'red'",
        "blood_orange": "ENTRY = 'orange'", "pear": "green = 1", "plum": "ENTRY = 3",
    }  # fmt: skip
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text + "\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield Entries("fruits", str, "fruit")
    for name in [n for n in sys.modules if n.partition(".")[0] == "fruits"]:
        del sys.modules[name]


def test_names_import_no_entry(fruits):
    assert fruits.names == tuple(fruits) == ("apple", "blood-orange", "pear", "plum")
    assert len(fruits) == 4
    assert "pear" in fruits
    assert "tools" not in fruits
    assert not [name for name in sys.modules if name.startswith("fruits.")]


def test_an_entry_is_the_object_of_its_module(fruits):
    assert fruits["blood-orange"] == "orange"
    assert "fruits.apple" not in sys.modules
    with pytest.raises(UsageError, match=r"fruit 'aple' is unknown; nearest of 4: 'apple'"):
        fruits["aple"]


@pytest.mark.parametrize(
    ("given", "whole"), [("blood", "blood-orange"), ("bl", "bl"), ("apple", "apple"), ("", "")]
)
def test_a_first_word_stands_for_the_only_name_that_starts_with_it(fruits, given, whole):
    assert fruits.full(given) == whole


def test_a_first_word_of_two_names_or_a_whole_name_stays(fruits, tmp_path):
    for name in ("blood_plum", "apple_green"):
        (tmp_path / "fruits" / f"{name}.py").write_text("ENTRY = 'x'\n")
    assert (fruits.full("blood"), fruits.full("apple")) == ("blood", "apple")
    with pytest.raises(UsageError, match=r"'blood' is unknown; nearest of 6: 'blood-plum'"):
        fruits["blood"]


@pytest.mark.parametrize(("name", "got"), [("pear", "NoneType"), ("plum", "int")])
def test_a_module_without_its_entry_is_refused(fruits, name, got):
    with pytest.raises(
        TypeError, match=rf"fruits\.{name}\.ENTRY must be of type str, got {got}; write"
    ):
        fruits[name]
    with pytest.raises(TypeError, match="ENTRY must be of type str"):
        dict(fruits.items())


def test_a_folder_added_to_the_path_adds_its_entries(fruits, tmp_path):
    import fruits as package

    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "kiwi.py").write_text("ENTRY = 'brown'\n")
    package.__path__.append(str(tmp_path / "more"))
    assert fruits["kiwi"] == "brown"


def test_listing_leaves_torch_out():
    code = (
        "import sys; from nakami.results import Entries; Entries('nakami.zoo', object, 'x').names;"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
