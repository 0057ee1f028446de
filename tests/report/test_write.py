"""The page as a file: one, complete, escaped, and refused with a sentence."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

from nakami import report
from nakami.report.words import _numbers as num
from nakami.results import UsageError

EVIL = '</script><img src=x onerror="alert(1)">"><img onerror>日本語' + "x" * 200


class Reader(HTMLParser):
    """Collects tags, attributes and the headings of a page."""

    def __init__(self, page: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def test_page_is_one_file_that_names_no_other(two, written):
    path = written("two", two)
    page = path.read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert page.rstrip().endswith("</html>")
    assert path.stat().st_size < 5_000_000
    assert "default-src 'none'; img-src data:; font-src data:" in page
    for _, attributes in Reader(page).tags:
        for name in ("src", "href", "xlink:href"):
            link = attributes.get(name)
            assert link is None or link.startswith(("data:", "#")), link


def test_the_same_result_gives_the_same_bytes(run, tmp_path):
    a, b = (report.write(run, tmp_path / name).read_bytes() for name in ("a.html", "b.html"))
    assert a == b


def test_folders_on_the_way_are_made_and_no_parts_are_left(run, tmp_path):
    path = report.write(run, tmp_path / "new" / "report.html")
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]


def test_data_in_the_page_are_those_of_the_run(run, written):
    page = written("run", run).read_text(encoding="utf-8")
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])
    rows = data["charts"]["spectra"]["data"]["src"]
    mean, sd = run.mean_sd("hidden2")
    at = [j for j, c in enumerate(rows["c"]) if c == "hidden2"]
    index = np.array([rows["i"][j] for j in at]) - 1
    assert [rows["m"][j] for j in at] == pytest.approx(mean[index], rel=1e-3)
    texts = [(rows["t"][j], rows["e"][j]) for j in at]
    assert texts == [num.split(a, b) for a, b in zip(mean[index], sd[index], strict=True)]


def test_labels_are_escaped_everywhere(make, written):
    names = [letter + EVIL for letter in "abc"]
    said = dict.fromkeys(("data", "input_unit", "training"), EVIL)
    run = make(names=names, label=EVIL, layers=True, settings={**said, "input_names": [EVIL] * 16})
    page = written("evil", run).read_text(encoding="utf-8")
    assert "<img src=x" not in page
    assert "<img onerror" not in page
    assert "日本語" in page
    pictures = [a for tag, a in Reader(page).tags if tag == "img"]
    assert pictures
    assert all(a["src"].startswith("data:image/") and "onerror" not in a for a in pictures)


def test_pictures_only_where_inputs_are_pictures(make, run, tmp_path):
    tags = [tag for tag, _ in Reader(report.write(run, tmp_path / "a.html").read_text()).tags]
    assert "img" in tags
    flat = make(settings={"picture": None}, inputs=2)
    page = report.write(flat, tmp_path / "b.html").read_text()
    assert "img" not in [tag for tag, _ in Reader(page).tags]
    assert 'href="#pictures"' not in page


@pytest.mark.parametrize(
    ("field", "value", "got"), [("values", np.nan, "NaN"), ("right", np.inf, "an infinite number")]
)
def test_numbers_that_are_not_finite_are_refused(make, tmp_path, field, value, got):
    run = make(inputs=2)
    array = getattr(run.spectra[3], field).copy()
    array.flat[5] = value
    spectra = [*run.spectra]
    spectra[3] = dataclasses.replace(spectra[3], **{field: array})
    bad = dataclasses.replace(run, spectra=tuple(spectra))
    with pytest.raises(UsageError, match=f"{field} of hidden2, input 1 must be finite, got {got}"):
        report.write(bad, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_a_run_without_spectra_is_refused(run, tmp_path):
    empty = dataclasses.replace(run, spectra=())
    with pytest.raises(
        UsageError, match=r"what must hold a spectrum from the input, got 0 spectra"
    ):
        report.write(empty, tmp_path / "report.html")


def test_another_thing_is_refused(tmp_path):
    message = r"result must be one of .*Xray or Comparison, got int; pass nakami\.load\(folder\)"
    with pytest.raises(TypeError, match=message):
        report.write(3, tmp_path / "report.html")


def test_a_folder_is_no_page(run, tmp_path):
    with pytest.raises(
        UsageError, match=r"path must be a (place that can be written|folder|file), got .*choose"
    ):
        report.write(run, tmp_path)


def test_a_missing_extra_is_named():
    code = """
import sys
sys.modules["jinja2"] = sys.modules["vl_convert"] = None
from nakami import report
from nakami.results import UsageError
try:
    report.write(None, "report.html")
except UsageError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == (
        "a report needs the extra 'report', got no jinja2, vl_convert; "
        'pip install "nakami[report]".'
    )
