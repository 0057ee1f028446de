"""A page for a new kind of result is a new file; sentences are templates that fit their data."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest

from nakami import report
from nakami.report import pages
from nakami.report.page import _study
from nakami.report.page._kinds import KINDS, page_of
from nakami.report.words._sentences import Sentences

NEW = """
from nakami.report.charts._chart import chart, columns
from nakami.report.charts._marks import Axes, axis, line
from nakami.report.page import _study
from nakami.report.page._kinds import PageKind
from nakami.report.page._sections import Figure, Frame, KeyFigure, Section, Table, Verdict

def walk(steps):
    axes = Axes(axis(0, 3, "step", log=False), axis(0, 9, "place", log=False))
    data = {"walk": columns(x=range(len(steps)), y=steps)}
    drawn = chart("walk", [line("walk", axes, "var(--d1)")], data, "A walk.")
    return Section("walk", "Walk", "It walks", "Far.", [Figure("Walk", "", [drawn])], ["Yes."], [])

def frame(steps, sections):
    verdict = Verdict("walk", "It walked", [], [KeyFigure("3", "m", "way")], [])
    return Frame("Walk", "walk", "walk", verdict, [], Table("", [], []), "", [], 1, "Made", "", "")

ENTRY = PageKind(
    results=("WALKS:Walk",), read=lambda walk, about: walk.steps, frame=frame,
    sections=(walk, lambda steps: None),
)
"""


@dataclass(frozen=True)
class Walk:
    """A kind of result that the library does not know."""

    steps: tuple[float, ...]


def test_a_new_kind_of_page_is_one_file(tmp_path, monkeypatch):
    with pytest.raises(TypeError, match="result must be one of"):
        page_of(Walk((0.0, 1.0)))
    (tmp_path / "walk.py").write_text(NEW.replace("WALKS", Walk.__module__), encoding="utf-8")
    monkeypatch.setattr(pages, "__path__", [*pages.__path__, str(tmp_path)])
    assert "walk" in KINDS.names
    written = report.write(Walk((0.0, 1.0, 4.0)), tmp_path / "walk.html")
    text = written.read_text(encoding="utf-8")
    assert "It walked" in text
    assert "It walks" in text
    assert set(report.figures(Walk((0.0, 1.0)))) == {"walk"}


def test_kinds_take_their_results_and_import_nothing_to_look(run):
    assert [name for name, kind in KINDS.items() if kind.takes(run)] == ["xray"]
    assert not any(kind.takes(3) for _, kind in KINDS.items())


@pytest.mark.parametrize("name", list(KINDS))
def test_every_sentence_is_used_and_every_sentence_used_is_there(name):
    room = import_module(f"nakami.report.pages.{name.replace('-', '_')}")
    folder = Path(room.__file__).parent
    say = Sentences(room.__file__)
    texts = {str(file): file.read_text(encoding="utf-8") for file in folder.glob("*.py")}
    if any("study_frame(" in text for text in texts.values()):  # it says the frame's sentences
        texts["_study.py"] = Path(_study.__file__).read_text(encoding="utf-8")
    asked = {
        part.value
        for text in texts.values()
        for part in ast.walk(ast.parse(text))
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    }
    patterns = [re.escape(text) for text in asked if re.fullmatch(r"[a-z_]+\.[a-z_0-9]*", text)]
    for case in say.cases:
        table, _, rest = case.partition(".")
        # a section of that name says these by themselves
        known = table in asked and rest.partition("_")[0] in ("nav", "may", "not", "do")
        known = known or any(re.match(p, case) for p in patterns)
        assert known or rest in asked, f"{case} is said nowhere"
    direct = set(re.findall(r'say\(\s*"([a-z_.0-9]+)"', "".join(texts.values())))
    assert direct <= set(say.cases)


def test_sentences_keep_case_and_data(tmp_path):
    file = tmp_path / "sentences.toml"
    file.write_text(
        '[a]\nb = "{n:Spelled} {n:value|values} of {of:whole}, {x:number2} to {y:range}"\n'
        '[words]\n"x" = "J<sup>T</sup>"\n',
        encoding="utf-8",
    )
    say = Sentences(str(file))
    text = say("a.b", n=2, of=1200, x=0.1234, y=(1.0, 1.0))
    assert text == "Two values of 1,200, 0.12 to 1"
    assert (text.case, text.data["n"]) == ("a.b", 2)
    assert say("a.b", n=1, of=3, x=1.0, y=(1.0, 2.0)) == "One value of 3, 1 to 1 to 2"
    assert str(say.words[0][1]) == "J<sup>T</sup>"
    with pytest.raises(KeyError, match="c"):
        say("a.c")
    with pytest.raises(KeyError, match="of"):
        say("a.b", n=1)
